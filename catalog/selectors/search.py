"""Finding streams: full text, facets, and forgiveness for typing errors.

A query's words must all match, each as a prefix of a word of the stream (name, title, description,
owner, tags, aliases, fields: `catalog/sql/index_stream.sql`) or by its English stem. When nothing
matches, words that the catalog does not know are replaced by the nearest known one, and the answer
says so. The vocabulary holds unrestricted streams only, so a correction gives nothing away.

Among what fits about as well, what is used and can be trusted comes first (`_standing`): it weighs
as much as a match in another column, and less than a match in the name.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import (
    Case,
    Count,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Cast, Coalesce, Least
from rapidfuzz import fuzz, process

from catalog.models import ConsumerMapping, SchemaField, Stream
from catalog.selectors.streams import visible_streams
from portal.kernel import clock, sql
from portal.kernel.actor import Actor

_WORDS: Final = re.compile(r"[^\W_]+")
MAX_WORDS: Final = 8
FACETS: Final = ("domain", "owner", "tier", "track", "lifecycle", "classification")
ORDERINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "relevance": ("-rank", "name"),
    "name": ("name",),
    "newest": ("-created_at", "id"),
    "readers": ("-readers", "name"),
}
FIELD_ORDER: Final = ("rank", "-streams", "name", "kinds")
_VOCABULARY: Final = sql.load("catalog", "search_vocabulary")
_VOCABULARY_SECONDS: Final = 60.0
_LIKENESS: Final = 72
_MATCHING_FIELDS: Final = 3
MOST_READERS: Final = 20
FLOWS: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class OutsideFacet:
    """A facet that an app above the catalog knows: its values, and the streams that have them."""

    values: tuple[str, ...]
    streams: Callable[[frozenset[str]], Q]


_outside_facets: dict[str, OutsideFacet] = {}
_doubts: list[Callable[[], Q]] = []


def add_facet(name: str, values: tuple[str, ...], streams: Callable[[frozenset[str]], Q]) -> None:
    """Let questions name a facet of an app above; called once when that app is ready."""
    _outside_facets[name] = OutsideFacet(values, streams)


def add_doubt(streams: Callable[[], Q]) -> None:
    """Let an app above name streams that are less to be trusted now, which lowers their rank."""
    _doubts.append(streams)


def outside_facets() -> Mapping[str, OutsideFacet]:
    """By name the facets that apps above the catalog added."""
    return _outside_facets


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for. Each facet holds the accepted values; none means any."""

    text: str = ""
    facets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tag: str = ""
    field_name: str = ""
    hide_retired: bool = False
    outside: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FacetCount:
    """A value of a facet and how many streams have it, whatever else of it is chosen."""

    value: str
    label: str
    count: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a question found: rows to be ordered and paged, and what the words were read as."""

    rows: QuerySet[Stream]
    count: int
    facets: Mapping[str, Sequence[FacetCount]]
    corrected: str = ""


def find_streams(actor: Actor, question: Question, *, with_facets: bool = True) -> Found:
    """Streams that fit the question and that the actor may know of; facet counts beside them.

    Three queries at most, whatever the number of facets. A facet's counts ignore its own choice,
    so that a second value of it can be added.
    """
    matching, corrected = _matching(actor, question)
    rows = matching
    for name in FACETS:
        chosen = question.facets.get(name)
        if chosen:
            rows = rows.filter(**{f"{_COLUMNS[name]}__in": chosen})
    rows = _ranked(rows, corrected or question.text)
    if not with_facets:
        return Found(rows, rows.count(), {}, corrected)
    values = list(matching.order_by().values_list(*(_COLUMNS[name] for name in FACETS)))
    counts, total = _count(values, question.facets)
    return Found(rows, total, counts, corrected)


def find_fields(actor: Actor, text: str) -> QuerySet[Any]:
    """Field names that fit the text, with their types and the number of streams that have them."""
    fields = SchemaField.objects.filter(
        is_current=True, stream__in=visible_streams(actor).values("pk")
    )
    needle = text.strip().lower()[:200]
    if needle:
        fields = fields.filter(Q(name__startswith=needle) | Q(path__contains=needle))
    return fields.values("name", "types").annotate(
        streams=Count("stream", distinct=True),
        kinds=Func(F("types"), Value(","), function="array_to_string", output_field=TextField()),
        rank=Case(When(name=needle, then=Value(0)), default=Value(1), output_field=IntegerField()),
    )


def matching_fields(streams: Iterable[Stream], words: Sequence[str]) -> dict[int, list[str]]:
    """The fields of each of these streams whose name holds a word, at most three; one query."""
    found: dict[int, list[str]] = {}
    if not words:
        return found
    fits = Q()
    for word in words:
        fits |= Q(name__icontains=word)
    rows = SchemaField.objects.filter(fits, stream__in=[s.pk for s in streams], is_current=True)
    for stream_id, name in rows.order_by("position").values_list("stream", "name"):
        names = found.setdefault(stream_id, [])
        if len(names) < _MATCHING_FIELDS and name not in names:
            names.append(name)
    return found


_COLUMNS: Final = {
    "domain": "domain__slug",
    "owner": "owner_team__slug",
    "tier": "tier",
    "track": "track",
    "lifecycle": "lifecycle",
    "classification": "classification",
}


def _matching(actor: Actor, question: Question) -> tuple[QuerySet[Stream], str]:
    rows = visible_streams(actor)
    if question.hide_retired and not question.facets.get("lifecycle"):
        rows = rows.exclude(lifecycle="retired")
    if question.tag:
        rows = rows.filter(tags__slug=question.tag)
    if question.field_name:
        needle = question.field_name
        rows = rows.filter(
            pk__in=SchemaField.objects.filter(
                Q(name=needle) | Q(path=needle), is_current=True
            ).values("stream")
        )
    for name, values in question.outside.items():
        rows = rows.filter(_outside_facets[name].streams(values))
    words = words_of(question.text)
    if not words:
        return rows, ""
    found = rows.filter(_fits(words))
    if found.exists():
        return found, ""
    nearest = corrected_words(words)
    if nearest == words:
        return found, ""
    return rows.filter(_fits(nearest)), " ".join(nearest)


def words_of(text: str) -> list[str]:
    """The words of a query, lower case, at most eight."""
    return [word.lower() for word in _WORDS.findall(text)][:MAX_WORDS]


def _query(words: Sequence[str]) -> SearchQuery:
    prefixes = " & ".join(f"'{word}':*" for word in words)
    return SearchQuery(prefixes, config="simple", search_type="raw") | SearchQuery(
        " ".join(words), config="english", search_type="plain"
    )


def _fits(words: Sequence[str]) -> Q:
    return Q(search=_query(words))


def _ranked(rows: QuerySet[Stream], text: str) -> QuerySet[Stream]:
    """Adds `rank` (a whole number, so that a cursor compares it exactly) and `readers`."""
    words = words_of(text)
    annotated = rows.annotate(readers=_readers())
    if not words:
        return annotated.annotate(rank=Value(0, output_field=IntegerField()))
    exact = "_".join(words)
    return annotated.annotate(
        rank=Cast(SearchRank(F("search"), _query(words)) * 1_000_000, IntegerField())
        + _standing()
        + Case(
            When(name=text.strip().lower(), then=Value(4_000_000)),
            When(name__endswith=f".{exact}", then=Value(2_000_000)),
            When(name__contains=exact, then=Value(1_000_000)),
            default=Value(0),
            output_field=IntegerField(),
        )
    )


def _readers() -> Coalesce:
    """How many consumers read a stream: counted for the rows that are shown, where no order asks."""
    mappings = ConsumerMapping.objects.filter(stream=OuterRef("pk")).order_by().values("stream")
    return Coalesce(Subquery(mappings.annotate(n=Count("pk")).values("n")), 0)


def _standing() -> CombinedExpression:
    """Points for use and trust, from -950,000 to 250,000; a rank in the text is 0 to 1,000,000."""
    points = Least(F("readers"), MOST_READERS) * Value(5_000)
    flows = When(last_event_at__gte=clock.now() - FLOWS, then=Value(100_000))
    owned = When(owner_team__isnull=False, then=Value(50_000))
    ended = (
        When(lifecycle="retired", then=Value(-800_000)),
        When(lifecycle="deprecated", then=Value(-400_000)),
    )
    doubted = (When(doubt(), then=Value(-150_000)) for doubt in _doubts)
    for whens in ((flows,), (owned,), ended, tuple(doubted)):
        if whens:
            points += Case(*whens, default=Value(0), output_field=IntegerField())
    return points


def _count(
    values: Sequence[Sequence[Any]], chosen: Mapping[str, frozenset[str]]
) -> tuple[dict[str, list[FacetCount]], int]:
    counters: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    total = 0
    wanted = [chosen.get(name) or None for name in FACETS]
    for row in values:
        misses = [
            index
            for index, accepted in enumerate(wanted)
            if accepted is not None and row[index] not in accepted
        ]
        if not misses:
            total += 1
            for name, value in zip(FACETS, row, strict=True):
                counters[name][value or ""] += 1
        elif len(misses) == 1:
            name = FACETS[misses[0]]
            counters[name][row[misses[0]] or ""] += 1
    return {
        name: [
            FacetCount(value, value, count, value in (chosen.get(name) or ()))
            for value, count in sorted(counters[name].items(), key=lambda item: (-item[1], item[0]))
            if value
        ]
        for name in FACETS
    }, total


class _Vocabulary:
    """The catalog's words in this process, read again once a minute."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._known: frozenset[str] = frozenset()
        self._until = 0.0
        self._lock = threading.Lock()

    def words(self) -> tuple[list[str], frozenset[str]]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._words = [row["word"] for row in sql.fetch_all(_VOCABULARY)]
                self._known = frozenset(self._words)
                self._until = time.monotonic() + _VOCABULARY_SECONDS
            return self._words, self._known

    def forget(self) -> None:
        with self._lock:
            self._until = 0.0


vocabulary: Final = _Vocabulary()


def corrected_words(words: Sequence[str]) -> list[str]:
    """Each word the catalog does not know replaced by the nearest one it knows, if any is near."""
    known_list, known = vocabulary.words()
    corrected = []
    for word in words:
        if word in known or len(word) < 3:
            corrected.append(word)
            continue
        best = process.extractOne(word, known_list, scorer=fuzz.ratio, score_cutoff=_LIKENESS)
        corrected.append(best[0] if best else word)
    return corrected
