"""Requests for access as policies judge them: their facts, and what the policies that are on say."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast

from governance import access
from governance.models import AccessRequest, Team, User
from governance.models.access import RequestState
from governance.policies.facts import Fact, Subject, Thing
from governance.policies.verdicts import Verdict, verdict
from governance.selectors.people import actor_of
from governance.selectors.policies import live_rules
from governance.selectors.requests import visible_requests
from governance.types import Permission, ResourceRef
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

KIND: Final = "access_request"
_DAY: Final = timedelta(days=1)
_PERSONAL: Final = frozenset({"personal", "sensitive"})
_FIELD: Final = {"path": "customer.email", "classification": "personal", "clear": False}
FACTS: Final = (
    Fact("request.permission", "read_payload, read_personal or publish.", "read_payload"),
    Fact("request.days", "For how many days, begun ones counted.", 30),
    Fact("request.purpose", "What for, as it was written.", "To count what was sold."),
    Fact(
        "request.fields",
        "The fields it is about, each with path, classification and clear: whether it would be "
        "seen as it is. Empty for a domain and for who publishes.",
        [_FIELD],
    ),
    Fact("request.names_fields", "Whether some fields are named, not all taken.", example=False),
    Fact("request.is_personal", "Whether a field of it is personal or sensitive.", example=True),
    Fact("request.is_clear", "Whether personal fields are wanted as they are.", example=False),
    Fact("request.is_renewal", "Whether it prolongs a grant.", example=False),
    Fact("resource.kind", "stream or domain.", "stream"),
    Fact("resource.name", "Its name.", "checkout.order_placed"),
    Fact("resource.domain", "Its domain.", "checkout"),
    Fact("resource.owner", "The team that owns it or its domain; empty without one.", "checkout"),
    Fact(
        "resource.classification",
        "public, internal, personal or sensitive; of a domain the gravest of its streams.",
        "internal",
    ),
    Fact("resource.is_personal", "Whether data or subject are personal.", example=False),
    Fact("resource.tier", "T1, T2 or T3; of a domain the first of its streams.", "T2"),
    Fact("resource.track", "production or experimental; empty of a domain.", "production"),
    Fact("resource.lifecycle", "Such as active; empty of a domain.", "active"),
    Fact("resource.restricted", "Whether only grants let it be known of.", example=False),
    Fact("resource.tags", "Its tags.", ["money"]),
    Fact("requester.roles", "The roles of who asks.", ["analyst"]),
    Fact("requester.teams", "The short names of their teams.", ["finance"]),
    Fact("holder.kind", "Whom it is for: person, consumer or producer.", "person"),
    Fact("holder.name", "The program's name; empty of a person.", ""),
    Fact("holder.is_program", "Whether a program would hold it.", example=False),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked, whether it is kept yet or not. `fields` none for all, `clear` none for all the
    personal ones when `personal`; `holder_kind` empty for the requester themselves."""

    thing: Any
    requester: User
    purpose: str
    days: int
    fields: Sequence[str] = ()
    personal: bool = False
    clear: Sequence[str] = ()
    holder_kind: str = ""
    holder_name: str = ""
    is_renewal: bool = False


def days_until(until: datetime, now: datetime) -> int:
    """How many days it is until then, a begun one counted; 0 for what is over."""
    return max(0, math.ceil((until - now) / _DAY))


def facts_of(ask: Ask) -> dict[str, Any]:
    """The facts that policies read of one request."""
    requester = actor_of(ask.requester)
    resource = dict(access.facts_of(ask.thing))
    fields = _fields_of(ask)
    is_to_read = ask.holder_kind != "producer"
    is_personal = any(field["classification"] in _PERSONAL for field in fields)
    permission = Permission.READ_PERSONAL if ask.personal else Permission.READ_PAYLOAD
    return {
        "request": {
            "permission": str(permission if is_to_read else Permission.PUBLISH),
            "days": ask.days,
            "purpose": ask.purpose,
            "fields": fields,
            "names_fields": bool(ask.fields),
            "is_personal": is_personal
            or (is_to_read and not fields and bool(resource.get("is_personal"))),
            "is_clear": ask.personal,
            "is_renewal": ask.is_renewal,
        },
        "resource": resource,
        "requester": {
            "roles": sorted(requester.roles),
            "teams": sorted(
                Team.objects.filter(pk__in=requester.team_ids).values_list("slug", flat=True)
            ),
        },
        "holder": {
            "kind": ask.holder_kind or "person",
            "name": ask.holder_name,
            "is_program": bool(ask.holder_kind),
        },
    }


def _fields_of(ask: Ask) -> list[dict[str, Any]]:
    if ask.holder_kind == "producer":
        return []
    return [
        {
            "path": path,
            "classification": str(classification),
            "clear": ask.personal
            and classification in _PERSONAL
            and (not ask.clear or path in ask.clear),
        }
        for path, classification in (access.fields_of(ask.thing) or {}).items()
        if not ask.fields or path in ask.fields
    ]


def verdict_on(ask: Ask) -> Verdict:
    """What the policies on requests that are on say of it now."""
    rules = live_rules(KIND)
    if not rules:
        return Verdict()
    return verdict(rules, subject(), facts_of(ask), is_clear=ask.personal)


def ask_of(request: AccessRequest) -> Ask | None:
    """A request that is kept, as it was asked; None where its thing is gone."""
    try:
        thing = access.find_resource(ResourceRef(request.resource_kind, request.resource_key))
    except NotFoundError:
        return None
    return Ask(
        thing, request.requester, request.purpose,
        days_until(request.until, request.created_at), request.fields, request.wants_personal,
        request.clear, request.holder_kind, request.holder_name, bool(request.renews),
    )  # fmt: skip


def subject() -> Subject:
    """The kind, as governance's policies know it: requests that wait for an answer."""
    return Subject(
        kind=KIND,
        one="request for access",
        many="requests for access",
        facts=FACTS,
        after=_things,
        count=lambda: _open().count(),
        known=_known,
        titles=_titles,
        address="/access/#request-{key}",
        is_answered=True,
    )


def _open() -> QuerySet[AccessRequest]:
    return AccessRequest.objects.filter(state=RequestState.OPEN)


def _things(after: str, limit: int) -> list[Thing]:
    rows = _open().select_related("requester").order_by("pk")
    if after:
        rows = rows.filter(pk__gt=after)
    return [Thing(str(row.pk), _facts_kept(row)) for row in rows[:limit]]


def _facts_kept(row: AccessRequest) -> Mapping[str, Any]:
    ask = ask_of(row)
    return facts_of(ask) if ask is not None else {}


def _known(actor: Actor) -> QuerySet[Any, Any]:
    rows = visible_requests(actor).filter(state=RequestState.OPEN).select_related(None)
    return rows.annotate(key=Cast("pk", CharField())).order_by().values("key")


def _titles(actor: Actor, keys: Iterable[str]) -> dict[str, str]:
    rows = visible_requests(actor).filter(pk__in=[key for key in keys if _is_uuid(key)])
    return {str(row.pk): f"{row.requester.email} asks {row.what}" for row in rows}


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
