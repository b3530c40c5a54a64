"""Requests for access and the grants that hold, as a person may see them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from governance import access, programs
from governance.models import AccessRequest, Team
from governance.programs import Program
from governance.types import ResourceRef
from portal.http.pagination import Page, decode_cursor, encode_cursor
from portal.kernel import rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

_GRANT_ID: Final = re.compile(r"([a-z]{1,20})-([a-z])-([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One grant as lists show it. `id` is `<kind>-<letter>-<row id>`, its name in the API: u is a
    person, g a team, c a consumer, p a producer. A program is named `consumer:warehouse`.
    """

    id: str
    ref: ResourceRef
    holder: str
    holder_is_team: bool
    permission: str
    purpose: str
    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None
    granted_by: str
    last_used_at: datetime | None
    fields: tuple[str, ...]
    confirmed_at: datetime | None
    confirmed_by: str

    @property
    def is_of_program(self) -> bool:
        """Whether a producer or a consumer holds it."""
        return self.id.split("-")[1] in programs.letters()


def visible_requests(actor: Actor) -> QuerySet[AccessRequest]:
    """Their own requests and those they may decide; admins see all. Keys ask for nothing."""
    rows = AccessRequest.objects.select_related("requester", "owner_team", "decided_by")
    if actor.is_admin:
        return rows
    if not actor.is_person:
        return rows.none()
    return rows.filter(Q(requester_id=actor.id) | _decided_by(actor))


def _decided_by(actor: Actor) -> Q:
    """Requests about what the actor may approve on, by owning it or by grant."""
    decided = Q()
    for protected in access.protected_kinds().values():
        things = access.approved_by(actor, protected).order_by()
        decided |= Q(resource_kind=protected.kind, resource_key__in=things.values(protected.key))
    return decided


def requests_to_decide(actor: Actor) -> QuerySet[AccessRequest]:
    """Open requests that wait for this person: never their own."""
    return visible_requests(actor).filter(state="open").exclude(requester_id=actor.id)


def get_request(actor: Actor, request_id: UUID) -> AccessRequest:
    """One request the actor may know of; NotFoundError otherwise."""
    found = visible_requests(actor).filter(pk=request_id).first()
    if found is None:
        raise NotFoundError
    return found


def live_grants(
    actor: Actor,
    *,
    ref: ResourceRef | None = None,
    limit: int = 200,
    mine: bool = False,
    decides: bool = False,
    holder: Program | None = None,
    team: Team | None = None,
    after: tuple[datetime, str] | None = None,
    only: frozenset[str] | None = None,
) -> list[GrantRow]:
    """Grants that hold now, soonest ending first: all for admins, else own and of owned things.

    `mine` leaves those of others out, `decides` those on which somebody else decides, `holder` those
    of all but one program, `team` those of all but one team itself; `only` keeps those of some ids.
    `after` is the end and id of the last one that was seen.
    """
    found: list[GrantRow] = []
    for protected, letter, table in _grant_tables():
        is_of_another = ref is not None and ref.kind != protected.kind
        if is_of_another or (holder is not None and letter != programs.letter_of(holder)):
            continue
        if team is not None and letter != "g":
            continue
        rows = _visible(table, protected, actor, letter, mine=mine).filter(
            valid_until__gt=Now(), revoked_at=None
        )
        if decides and not actor.is_admin:
            rows = rows.filter(content_object__in=access.approved_by(actor, protected))
        if only is not None:
            numbers = [
                number
                for kind, its, number in map(_place, only)
                if (kind, its) == (protected.kind, letter)
            ]
            if not numbers:
                continue
            rows = rows.filter(pk__in=numbers)
        if ref is not None:
            rows = rows.filter(content_object=access.find_resource(ref))
        if holder is not None:
            rows = rows.filter(**{_holder_column(letter): holder.pk})
        if team is not None:
            rows = rows.filter(group=team.group_id)
        if after is not None:
            rows = rows.filter(_later(after, f"{protected.kind}-{letter}"))
        rows = rows.select_related("content_object", "permission", _holder_column(letter))
        found += [
            grant_row(row, protected.kind, letter)
            for row in rows.order_by("valid_until", "pk")[:limit]
        ]
    return sorted(found, key=lambda row: (row.valid_until, _place(row.id)))[:limit]


def grants_page(
    actor: Actor, *, limit: int, cursor: str | None = None, **narrowed: Any
) -> Page[GrantRow]:
    """A page of `live_grants`, narrowed as these are."""
    after = None
    if cursor:
        ends_at, last = decode_cursor(cursor, "grants")
        after = (rfc3339.parse(ends_at), str(last))
    rows = live_grants(actor, limit=limit + 1, after=after, **narrowed)
    if len(rows) <= limit:
        return Page(rows, None)
    last_one = rows[limit - 1]
    place = [rfc3339.spell(last_one.valid_until), last_one.id]
    return Page(rows[:limit], encode_cursor("grants", place))


def find_grant(actor: Actor, grant_id: str) -> tuple[Any, str, str]:
    """The row of a grant the actor may know of, its kind and its holder's letter, else 404."""
    kind, letter, number = _place(grant_id)
    for protected, its_letter, table in _grant_tables():
        if (protected.kind, its_letter) == (kind, letter):
            row = _visible(table, protected, actor, letter, mine=False).filter(pk=number).first()
            if row is not None:
                return row, kind, letter
    raise NotFoundError


def get_grant(actor: Actor, grant_id: str) -> GrantRow:
    """One grant the actor may know of, ended ones too."""
    return grant_row(*find_grant(actor, grant_id))


def _place(grant_id: str) -> tuple[str, str, int]:
    """The parts of a grant's id, in the order of the list; NotFoundError for no id at all."""
    match = _GRANT_ID.fullmatch(grant_id)
    if match is None:
        raise NotFoundError
    return match[1], match[2], int(match[3])


def _later(after: tuple[datetime, str], table: str) -> Q:
    """Rows of one table behind the place of the last one that was seen in all of them."""
    ends_at, (kind, letter, number) = after[0], _place(after[1])
    later = Q(valid_until__gt=ends_at)
    if table > f"{kind}-{letter}":
        return later | Q(valid_until=ends_at)
    return later | Q(valid_until=ends_at, pk__gt=number) if table == f"{kind}-{letter}" else later


def _grant_tables() -> Iterator[tuple[access.Protected, str, Any]]:
    for _, protected in sorted(access.protected_kinds().items()):
        yield protected, "g", protected.group_grants
        yield protected, "u", protected.user_grants
        for letter, kind in sorted(programs.letters().items()):
            if kind in protected.program_grants:
                yield protected, letter, protected.program_grants[kind]


def _holder_column(letter: str) -> str:
    """The way from a grant to who holds it: a person, a team, a consumer or a producer."""
    if letter in "gu":
        return "user" if letter == "u" else "group__team"
    return programs.letters()[letter].value


def holder_of(row: Any, letter: str) -> Any:
    """Who holds a grant: a person, a team's group (or a role's), a consumer or a producer."""
    return getattr(row, "group" if letter == "g" else _holder_column(letter))


def grant_row(row: Any, kind: str, letter: str) -> GrantRow:
    """A row of a grant table as a value."""
    return GrantRow(
        id=f"{kind}-{letter}-{row.pk}",
        ref=row.content_object.ref,
        holder=_name_of(holder_of(row, letter), letter),
        holder_is_team=letter == "g",
        permission=row.permission.codename.removesuffix(f"_{kind}"),
        purpose=row.purpose,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        revoked_at=row.revoked_at,
        granted_by=row.granted_by,
        last_used_at=row.last_used_at,
        fields=tuple(row.fields),
        confirmed_at=row.confirmed_at,
        confirmed_by=row.confirmed_by,
    )


def _name_of(holder: Any, letter: str) -> str:
    if letter == "u":
        return str(holder.email)
    if letter == "g":
        return str(getattr(holder, "team", holder).name)
    return str(holder.ref)


def _visible(
    table: Any, protected: access.Protected, actor: Actor, letter: str, *, mine: bool
) -> QuerySet[Any]:
    rows: QuerySet[Any] = table._default_manager.select_related("content_object", "permission")
    if actor.is_admin and not mine:
        return rows
    if not actor.is_person:
        return rows.none()
    own = Q(user=actor.id)
    if letter != "u":
        team = "group__team" if letter == "g" else f"{_holder_column(letter)}__team"
        own = Q(**{f"{team}__in": actor.team_ids})
    if mine:
        return rows.filter(own)
    return rows.filter(own | Q(content_object__in=access.approved_by(actor, protected)))
