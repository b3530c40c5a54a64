"""Reading the glossary. Terms are no secret; what uses one is shown as far as it may be known."""

from collections.abc import Iterable, Sequence

from django.db.models import Case, F, Func, IntegerField, Q, QuerySet, TextField, Value, When

from catalog.models import SchemaField, Stream, Term, TermUse
from catalog.selectors.streams import visible_streams
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

ORDER = ("rank", "name", "slug")


def find_terms(text: str = "") -> QuerySet[Term]:
    """Terms whose name, synonyms or definition hold the text, with `rank`: names come first."""
    needle = text.strip()[:200]
    rows = Term.objects.select_related("owner_team").annotate(
        also=Func(
            F("synonyms"), Value(" · "), function="array_to_string", output_field=TextField()
        ),
        rank=Case(
            When(name__iexact=needle, then=Value(0)),
            When(name__istartswith=needle, then=Value(1)),
            When(name__icontains=needle, then=Value(2)),
            default=Value(3),
            output_field=IntegerField(),
        )
        if needle
        else Value(0, output_field=IntegerField()),
    )
    if not needle:
        return rows
    return rows.filter(
        Q(name__icontains=needle) | Q(also__icontains=needle) | Q(definition__icontains=needle)
    )


def get_term(slug: str) -> Term:
    """One term with its owner. Raises NotFoundError."""
    found = Term.objects.select_related("owner_team").filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    return found


def visible_uses(actor: Actor, term: Term) -> QuerySet[TermUse]:
    """What a term was linked to, of what the actor may know of."""
    known = Q(stream=None) | Q(stream__in=visible_streams(actor).values("pk"))
    return (
        TermUse.objects.filter(known, term=term)
        .select_related("stream")
        .order_by(F("stream__name").asc(nulls_first=True), "field")
    )


def streams_using(actor: Actor, term: Term) -> QuerySet[Stream]:
    """The streams that are linked to a term or have a field that is, of those that are known."""
    fields = list(TermUse.objects.filter(term=term, stream=None).values_list("field", flat=True))
    by_field = SchemaField.objects.filter(Q(name__in=fields) | Q(path__in=fields), is_current=True)
    linked = TermUse.objects.filter(term=term, stream__isnull=False)
    return visible_streams(actor).filter(
        Q(pk__in=by_field.values("stream")) | Q(pk__in=linked.values("stream"))
    )


def fields_using(term: Term, streams: Iterable[Stream]) -> dict[int, list[str]]:
    """The paths that mean a term in each of these streams; two queries."""
    uses = list(TermUse.objects.filter(term=term))
    everywhere = {use.field for use in uses if use.stream_id is None}
    own = {(use.stream_id, use.field) for use in uses if use.stream_id and use.field}
    names = everywhere | {field for _, field in own}
    rows = SchemaField.objects.filter(
        Q(name__in=names) | Q(path__in=names),
        stream__in=[stream.pk for stream in streams],
        is_current=True,
    ).order_by("position")
    found: dict[int, list[str]] = {}
    for stream, name, path in rows.values_list("stream", "name", "path"):
        if {name, path} & everywhere or {(stream, name), (stream, path)} & own:
            found.setdefault(stream, []).append(path)
    return found


def terms_of_fields(stream: Stream, fields: Sequence[SchemaField]) -> dict[str, Term]:
    """The term that each field of a stream means, by path; one query.

    What was said of this stream's field goes before what holds everywhere, a path before a name.
    """
    names = {field.name for field in fields} | {field.path for field in fields}
    uses = (
        TermUse.objects.filter(Q(stream=stream) | Q(stream=None), field__in=names)
        .select_related("term")
        .order_by("term__slug")
    )
    said: dict[tuple[bool, str], Term] = {}
    for use in uses:
        said.setdefault((use.stream_id is not None, use.field), use.term)
    found = {}
    for field in fields:
        for place in (
            (True, field.path),
            (True, field.name),
            (False, field.path),
            (False, field.name),
        ):
            if place in said:
                found[field.path] = said[place]
                break
    return found
