"""What the page of privacy shows: labelled fields and what becomes of them, suggestions, looks.

All of it is of streams that the actor may know of. Each count reads labelled fields alone (index
schema_field_labelled), so ten thousand streams with a few labels each cost no more than these labels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, F, Q, QuerySet, Sum

from catalog.models import SchemaField, SchemaVersion, Stream
from catalog.style_subject import places_of
from catalog.types import Classification
from governance import access
from governance.models import AuditEntry
from governance.selectors import audit_log
from governance.types import Permission
from ingest.models import PrivacySuggestion
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
    """A labelled field; `options` say how it is treated, as the contract does."""

    row: SchemaField
    options: Mapping[str, Any]


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
    options = _options(page.items)
    return Page([LabelledField(row, options.get(row.pk, {})) for row in page.items], page.next)


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


def _options(rows: Iterable[SchemaField]) -> dict[int, Mapping[str, Any]]:
    """What the contracts say of how each of a page's fields is treated."""
    treated = [row for row in rows if row.privacy]
    documents = dict(
        SchemaVersion.objects.filter(pk__in={row.schema_version_id for row in treated}).values_list(
            "pk", "document"
        )
    )
    places = {
        pk: places_of(document) for pk, document in documents.items() if isinstance(document, dict)
    }
    found: dict[int, Mapping[str, Any]] = {}
    for row in treated:
        pointer = places.get(row.schema_version_id, {}).get(row.path.removesuffix("[]"))
        said = _at(documents.get(row.schema_version_id), pointer).get("x-privacy-options")
        if isinstance(said, Mapping):
            found[row.pk] = said
    return found


def _at(document: Any, pointer: str | None) -> Mapping[str, Any]:
    node = document if pointer is not None else {}
    for step in (pointer or "").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            node = node[int(key)] if key.isdecimal() and int(key) < len(node) else {}
        else:
            node = node.get(key, {}) if isinstance(node, Mapping) else {}
    return node if isinstance(node, Mapping) else {}
