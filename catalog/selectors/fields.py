"""The field explorer: every field over all streams by name, and where streams disagree about one.

Fields of one name conflict when streams give it another type (whether it may be null aside),
format, unit or classification. In the order of names a page walks the index schema_field_explored
until it is full; the order of use counts every name first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import (
    Case,
    Count,
    F,
    Func,
    IntegerField,
    Max,
    Min,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from catalog.models import SchemaField, Stream
from catalog.selectors.streams import visible_streams
from governance.described import FieldFacts
from portal.kernel.actor import Actor

ORDERINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "name": ("name",),
    "uses": ("-uses", "name"),
}
ASPECTS: Final = ("type", "format", "unit", "classification")
_KIND: Final = Func(
    Func(F("types"), Value("null"), function="array_remove"),
    Value(" or "),
    function="array_to_string",
    output_field=TextField(),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """How some streams have a field: one of them by name, and one of its paths, as examples."""

    kind: str
    format: str
    unit: str
    classification: str
    streams: int
    example: str
    path: str


@dataclass(frozen=True, slots=True)
class FieldName:
    """A name over all streams, its variants by use, and in which aspects they conflict."""

    name: str
    streams: int
    conflicts: tuple[str, ...]
    variants: Sequence[Variant]

    @property
    def types(self) -> list[str]:
        """The types that streams give it, the most used first; empty for any."""
        kinds = [kind for variant in self.variants for kind in variant.kind.split(" or ") if kind]
        return list(dict.fromkeys(kinds))


def explore_fields(
    actor: Actor, *, text: str = "", classification: str = "", conflicts: bool | None = None
) -> QuerySet[Any]:
    """Names with `uses` and the least and greatest of each aspect, as rows for `named_fields`.

    `uses` counts places: a stream that has a name twice counts twice, which spares a sort.
    """
    fields = SchemaField.objects.filter(
        is_current=True, stream__in=visible_streams(actor).order_by().values("pk")
    )
    needle = text.strip().lower()[:200]
    if needle:
        fields = fields.filter(Q(name__icontains=needle) | Q(path__icontains=needle))
    ends: dict[str, Any] = {}
    for aspect, column in zip(
        ASPECTS, (_KIND, F("format"), F("unit"), F("classification")), strict=True
    ):
        ends |= {f"{aspect}_low": Min(column), f"{aspect}_high": Max(column)}
    rows = fields.values("name").annotate(uses=Count("stream"), **ends)
    if classification:
        is_so = When(classification=classification, then=Value(1))
        held = Max(Case(is_so, default=Value(0), output_field=IntegerField()))
        rows = rows.annotate(held=Coalesce(held, 0)).filter(held=1)
    if conflicts is not None:
        differs = Q()
        for aspect in ASPECTS:
            differs |= Q(**{f"{aspect}_low__lt": F(f"{aspect}_high")})
        rows = rows.filter(differs if conflicts else ~differs)
    return rows


def named_fields(actor: Actor, rows: Iterable[Mapping[str, Any]]) -> list[FieldName]:
    """The names of a page with their variants; two queries, over the fields of these names."""
    page = list(rows)
    mine = SchemaField.objects.filter(
        is_current=True,
        name__in=[row["name"] for row in page],
        stream__in=visible_streams(actor).order_by().values("pk"),
    )
    counted = mine.order_by().values_list("name").annotate(n=Count("stream", distinct=True))
    streams = dict(counted)
    found: dict[str, list[Variant]] = defaultdict(list)
    variants = (
        mine.values("name", "format", "unit", "classification", kind=_KIND)
        .annotate(
            streams=Count("stream", distinct=True),
            example=Min("stream__name"),
            path=Min("path"),
        )
        .order_by("name", "-streams", "kind", "format", "unit", "classification")
    )
    for row in variants:
        found[row["name"]].append(
            Variant(
                kind=row["kind"],
                format=row["format"],
                unit=row["unit"],
                classification=row["classification"],
                streams=row["streams"],
                example=row["example"],
                path=row["path"],
            )
        )
    return [
        FieldName(
            row["name"],
            streams.get(row["name"], 0),
            tuple(aspect for aspect in ASPECTS if row[f"{aspect}_low"] != row[f"{aspect}_high"]),
            found[row["name"]],
        )
        for row in page
    ]


def described_fields(name: str) -> dict[str, FieldFacts]:
    """What the present contract of a stream says of its fields, by path, and what the
    stream says of its subject; nothing of one that is not known."""
    stream = Stream.objects.filter(name=name).first()
    if stream is None:
        return {}
    rows = SchemaField.objects.filter(stream=stream, is_current=True).order_by("position")
    found = {
        path: FieldFacts(description or title, classification)
        for path, title, description, classification in rows.values_list(
            "path", "title", "description", "classification"
        )
    }
    subject = FieldFacts("Whom or what the event is about.", stream.subject_classification)
    return {"subject": subject, **found}


def granted_fields(stream: Stream) -> Mapping[str, str]:
    """What a grant on a stream may be about: the fields of its present contract, by path in the
    contract's order, each with its classification."""
    rows = SchemaField.objects.filter(stream=stream, is_current=True).order_by("position")
    return dict(rows.values_list("path", "classification"))
