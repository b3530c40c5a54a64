"""What the page of privacy shows: labelled fields and what becomes of them, suggestions, looks.

All of it is of streams that the actor may know of. Each count reads labelled fields alone (index
schema_field_labelled), so ten thousand streams with a few labels each cost no more than these labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from catalog.field_lives import days_of
from catalog.models import SchemaField, SchemaVersion, Stream
from catalog.selectors.field_readers import Readers, readers_of_fields
from catalog.style_subject import places_of
from catalog.types import Classification
from governance import access
from governance.models import AuditEntry
from governance.selectors import audit_log
from governance.types import Permission
from ingest.models import FieldExpiry, PrivacySuggestion
from ingest.models.privacy import SuggestionState
from ingest.privacy.field_plan import STRICTNESS
from ingest.selectors.dead_letters import visible_totals
from portal.http.pagination import Page, paginate
from portal.kernel import clock
from portal.kernel.actor import Actor

NONE: Final = "none"
TREATMENTS: Final = (*STRICTNESS, NONE)
PERSONAL: Final = (Classification.PERSONAL, Classification.SENSITIVE)
LOOKS_FOR: Final = timedelta(days=7)
COUNTED: Final = 1_000
MOST_LOOKS: Final = 10
# The sweep of fields comes round each half hour.
EXPIRY_MAY_TAKE: Final = timedelta(days=1)
MOST_SUGGESTIONS: Final = 5
# As the index says it: the planner uses it for nothing that is said in another way.
_LABELLED: Final = Q(is_current=True) & (~Q(privacy="") | Q(classification__in=PERSONAL))


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over all streams that the actor may know of. `treated` are labelled fields by what is
    done with them, `classes` fields and `streams` streams by classification, `subjects` streams by
    what is done with theirs. `sealed` are dead letters of which no contract is known."""

    treated: Mapping[str, int]
    classes: Mapping[str, int]
    streams: Mapping[str, int]
    subjects: Mapping[str, int]
    minimising: int
    sealed: int

    @property
    def labelled(self) -> int:
        """All labelled fields, whatever is done with them."""
        return sum(self.treated.values())

    @property
    def untreated(self) -> int:
        """Labelled fields that are stored as they come."""
        return self.treated.get(NONE, 0)


@dataclass(frozen=True, slots=True)
class LabelledField:
    """A labelled field; `options` say how it is treated, as the contract does. `days` are how long it
    is kept. `is_over_term`: what takes it out is behind by more than a day, so values may lie there
    that are older; nobody is shown them (`ingest.log.alive`)."""

    row: SchemaField
    options: Mapping[str, Any]
    readers: Readers
    days: int
    is_over_term: bool


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks at personal values of the last days: how many, counted up to COUNTED, and the newest."""

    count: int
    in_clear: int
    newest: list[AuditEntry]


def totals(actor: Actor) -> Totals:
    """Four queries, whatever there is to count."""
    fields: dict[tuple[str, str], int] = {
        (row["classification"], row["privacy"]): row["n"]
        for row in _labelled(actor).values("classification", "privacy").annotate(n=Count("pk"))
    }
    treated: dict[str, int] = {}
    classes: dict[str, int] = {}
    for (kind, how), count in fields.items():
        treated[how or NONE] = treated.get(how or NONE, 0) + count
        classes[kind or NONE] = classes.get(kind or NONE, 0) + count
    streams: dict[str, int] = {}
    subjects: dict[str, int] = {}
    minimising = 0
    known = _known(actor).values("classification", "subject_privacy", "minimise")
    for row in known.annotate(n=Count("pk")).order_by():
        streams[row["classification"]] = streams.get(row["classification"], 0) + row["n"]
        subjects[row["subject_privacy"]] = subjects.get(row["subject_privacy"], 0) + row["n"]
        minimising += row["n"] if row["minimise"] else 0
    return Totals(treated, classes, streams, subjects, minimising, _sealed(actor))


def labelled_fields(
    actor: Actor,
    *,
    treatment: str = "",
    classification: str = "",
    stream: str = "",
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[LabelledField]:
    """A page of labelled fields by stream and place; `stream` is a name or how names begin."""
    rows = _labelled(actor)
    if treatment:
        rows = rows.filter(privacy="" if treatment == NONE else treatment)
    if classification:
        rows = rows.filter(classification=classification)
    if stream:
        rows = rows.filter(stream__name__startswith=stream)
    page = paginate(
        rows.select_related("stream").annotate(stream_name=F("stream__name")),
        order=("stream_name", "position", "id"),
        limit=limit,
        cursor=cursor,
    )
    said = _said(page.items)
    readers = readers_of_fields(actor, page.items)
    lives = {row.pk: _life(row, said.get(row.pk, {})) for row in page.items}
    behind = _behind([(row, lives[row.pk]) for row in page.items])
    fields = [
        LabelledField(
            row=row,
            options=_options(row, said.get(row.pk, {})),
            readers=readers[row.pk],
            days=lives[row.pk],
            is_over_term=row.pk in behind,
        )
        for row in page.items
    ]
    return Page(fields, page.next)


def _life(row: SchemaField, said: Mapping[str, Any]) -> int:
    """For how many days a field is kept: its own life where that is shorter than its stream's."""
    own = days_of(said.get("x-retention"))
    days = row.stream.retention_days
    return days if own is None else min(own, days)


def _behind(fields: Sequence[tuple[SchemaField, int]]) -> set[int]:
    """Those with a life of their own that were not looked at for a day longer than that; before the
    first look the time of their contract counts."""
    own = {row.pk: (row, days) for row, days in fields if days < row.stream.retention_days}
    if not own:
        return set()
    ids = {row.stream_id for row, _ in own.values()}
    looked = {
        (stream_id, days): done
        for stream_id, days, done in FieldExpiry.objects.filter(stream_id__in=ids).values_list(
            "stream_id", "days", "done_before"
        )
    }
    made = dict(
        SchemaVersion.objects.filter(
            pk__in={row.schema_version_id for row, _ in own.values()}
        ).values_list("pk", Coalesce("activated_at", "created_at"))
    )
    now = clock.now()
    found = set()
    for pk, (row, days) in own.items():
        done = looked.get((row.stream_id, days))
        due = done + timedelta(days=days) if done is not None else made[row.schema_version_id]
        if due < now - EXPIRY_MAY_TAKE and row.privacy != "drop":
            found.add(pk)
    return found


def open_suggestions(actor: Actor) -> tuple[int, list[tuple[PrivacySuggestion, bool]]]:
    """How many are open (up to COUNTED), and the oldest, each with whether the actor may decide."""
    rows = PrivacySuggestion.objects.filter(
        state=SuggestionState.OPEN, stream__in=_known(actor).order_by().values("pk")
    )
    oldest = rows.select_related("stream").order_by("first_seen_at", "pk")[:MOST_SUGGESTIONS]
    editable = set(
        access.permitted(
            actor, Permission.EDIT, Stream.objects.filter(pk__in=[row.stream_id for row in oldest])
        ).values_list("pk", flat=True)
    )
    return rows[:COUNTED].count(), [(row, row.stream_id in editable) for row in oldest]


def looks(actor: Actor) -> Looks | None:
    """Who saw personal values; None for who may not read the audit log."""
    if not actor.is_admin:
        return None
    rows = audit_log.looks(since=clock.now() - LOOKS_FOR)
    clear = rows.filter(action__in=audit_log.IN_CLEAR)
    return Looks(rows[:COUNTED].count(), clear[:COUNTED].count(), list(rows[:MOST_LOOKS]))


def _known(actor: Actor) -> QuerySet[Stream]:
    return access.discoverable(actor, Stream.objects.exclude(lifecycle="retired"))


def _labelled(actor: Actor) -> QuerySet[SchemaField]:
    return SchemaField.objects.filter(
        _LABELLED, stream__in=_known(actor).order_by().values("pk")
    ).order_by()


def _sealed(actor: Actor) -> int:
    """Letters that are kept sealed as they belong to no stream."""
    found = visible_totals(actor).filter(stream_id=0).aggregate(n=Sum("letters"))
    return int(found["n"] or 0)


def _options(row: SchemaField, said: Mapping[str, Any]) -> Mapping[str, Any]:
    options = said.get("x-privacy-options") if row.privacy else None
    return options if isinstance(options, Mapping) else {}


def _said(rows: Sequence[SchemaField]) -> dict[int, Mapping[str, Any]]:
    """What the contracts say of each of a page's fields."""
    documents = dict(
        SchemaVersion.objects.filter(pk__in={row.schema_version_id for row in rows}).values_list(
            "pk", "document"
        )
    )
    places = {
        pk: places_of(document) for pk, document in documents.items() if isinstance(document, dict)
    }
    return {
        row.pk: _at(
            documents.get(row.schema_version_id),
            places.get(row.schema_version_id, {}).get(row.path.removesuffix("[]")),
        )
        for row in rows
    }


def _at(document: Any, pointer: str | None) -> Mapping[str, Any]:
    node = document if pointer is not None else {}
    for step in (pointer or "").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            node = node[int(key)] if key.isdecimal() and int(key) < len(node) else {}
        else:
            node = node.get(key, {}) if isinstance(node, Mapping) else {}
    return node if isinstance(node, Mapping) else {}
