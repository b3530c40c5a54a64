"""Which team holds what of streams with personal data: rows of teams, columns of streams.

A page of columns is read by a fixed number of queries. What counts: owning, grants to the team and
to its programs, on the stream or on its domain. Grants to persons are no team's.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from catalog.classified import PERSONAL
from catalog.models import (
    DomainConsumerPermission,
    DomainGroupPermission,
    DomainProducerPermission,
    Stream,
    StreamConsumerPermission,
    StreamGroupPermission,
    StreamProducerPermission,
)
from catalog.types import Lifecycle
from governance import access
from governance.models import AccessRequest, Team
from governance.models.access import RequestState
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import Actor

SOON: Final = timedelta(days=30)
# The strongest first: what a cell shows of several.
RANK: Final = ("R", "P", "M", "E")
_LETTERS: Final = {
    Permission.READ_PERSONAL: ("R", "reads personal fields"),
    Permission.READ_PAYLOAD: ("M", "reads, personal fields masked"),
    Permission.PUBLISH: ("P", "publishes"),
    Permission.ADMINISTER: ("P", "administers"),
    Permission.EDIT: ("E", "edits"),
    Permission.APPROVE: ("E", "approves"),
}
_TABLES: Final[tuple[tuple[Any, str, str], ...]] = (
    (StreamGroupPermission, "stream", "group__team"),
    (StreamConsumerPermission, "stream", "consumer__team"),
    (StreamProducerPermission, "stream", "producer__team"),
    (DomainGroupPermission, "domain", "group__team"),
    (DomainConsumerPermission, "domain", "consumer__team"),
    (DomainProducerPermission, "domain", "producer__team"),
)


@dataclass(frozen=True, slots=True)
class Held:
    """One way in which a team holds a stream; `until` none for owning it."""

    letter: str
    says: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A team and a stream: the strongest letter (empty for nothing), all of it in words, whether one
    of it ends within 30 days, and whether one of its programs asks for more."""

    letter: str
    says: str
    ends_soon: bool
    is_asked: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A team with its cells, in the order of the columns."""

    team: Team
    cells: Sequence[Cell]


def personal_streams(actor: Actor) -> QuerySet[Stream]:
    """The columns: streams with anything personal on which the actor decides; admins see all."""
    rows = Stream.objects.filter(
        Q(classification__in=PERSONAL) | Q(subject_classification__in=PERSONAL)
    ).exclude(lifecycle=Lifecycle.RETIRED)
    return access.permitted(actor, Permission.APPROVE, rows.select_related("domain"))


def holdings(streams: Sequence[Stream]) -> list[Row]:
    """The teams that hold or ask for something of these streams, by name."""
    held: dict[tuple[int, int], list[Held]] = defaultdict(list)
    for team, stream, one in (*_owners(streams), *_granted(streams)):
        held[team, stream].append(one)
    asked = set(_asked(streams))
    teams = {team for team, _ in held} | {team for team, _ in asked}
    return [
        Row(
            team,
            [_cell(held[team.pk, stream.pk], (team.pk, stream.pk) in asked) for stream in streams],
        )
        for team in Team.objects.filter(pk__in=teams).order_by("name", "pk")
    ]


def _cell(held: Sequence[Held], is_asked: bool) -> Cell:
    soon = clock.now() + SOON
    letter = next((one for one in RANK if one in {each.letter for each in held}), "")
    says = "; ".join(
        dict.fromkeys(
            f"{each.says} until {each.until:%Y-%m-%d}" if each.until else each.says for each in held
        )
    )
    ends_soon = any(each.until is not None and each.until < soon for each in held)
    return Cell(letter, says, ends_soon, is_asked)


def _owners(streams: Iterable[Stream]) -> Iterator[tuple[int, int, Held]]:
    for stream in streams:
        owner = stream.owner_team_id or stream.domain.owner_team_id
        if owner is not None:
            yield owner, stream.pk, Held("P", "owns it")


def _granted(streams: Sequence[Stream]) -> Iterator[tuple[int, int, Held]]:
    of_domain: dict[int, list[int]] = defaultdict(list)
    for stream in streams:
        of_domain[stream.domain_id].append(stream.pk)
    for table, kind, team in _TABLES:
        places = list(of_domain) if kind == "domain" else [stream.pk for stream in streams]
        rows = table._default_manager.filter(
            content_object__in=places, valid_from__lte=Now(), valid_until__gt=Now(),
            revoked_at=None, **{f"{team}__isnull": False},
        )  # fmt: skip
        named = rows.values_list(team, "content_object_id", "permission__codename", "valid_until")
        for owner, place, code, until in named.distinct():
            permission = Permission(code.removesuffix(f"_{kind}"))
            if permission in _LETTERS:
                for number in of_domain[place] if kind == "domain" else [place]:
                    yield owner, number, Held(*_LETTERS[permission], until)


def _asked(streams: Sequence[Stream]) -> Iterator[tuple[int, int]]:
    """What the programs of teams ask for, by team and stream."""
    by_name = {stream.name: stream.pk for stream in streams}
    open_ones = AccessRequest.objects.filter(
        state=RequestState.OPEN, resource_kind="stream", resource_key__in=by_name
    ).exclude(holder_kind="")
    wanted = list(open_ones.values_list("holder_kind", "holder_id", "resource_key"))
    for kind, table in (
        ("consumer", StreamConsumerPermission),
        ("producer", StreamProducerPermission),
    ):
        program = table._meta.get_field(kind).related_model
        assert isinstance(program, type)
        ids = {pk for its, pk, _ in wanted if its == kind}
        teams = dict(program._default_manager.filter(pk__in=ids).values_list("pk", "team"))
        for its, pk, name in wanted:
            if its == kind and teams.get(pk) is not None:
                yield teams[pk], by_name[name]
