"""Who reads some fields, and what for: by what consumers declared, and by grants to personal fields.

A page of fields costs one question for each table of grants and one for what is declared, however many
streams and fields there are.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from catalog.models import ConsumerMapping, SchemaField, Stream
from catalog.selectors.compliance import personal_grants
from governance.projection import covers
from portal.kernel.actor import Actor

MOST_PURPOSES: Final = 20


@dataclass(frozen=True, slots=True)
class Readers:
    """Of one field: the consumers that declared to read it, by name, and how many hold a grant by which
    they see it as it is. `purposes` are those that consumers say, and of grants those on which the
    reader decides; each once, `more` beyond the first."""

    declared: tuple[str, ...] = ()
    granted: int = 0
    purposes: tuple[str, ...] = ()
    more: int = 0

    @property
    def count(self) -> int:
        """All of them; who declared it and holds a grant too counts twice."""
        return len(self.declared) + self.granted


def readers_of_fields(actor: Actor, fields: Sequence[SchemaField]) -> dict[int, Readers]:
    """The readers of each of some fields, with `stream` at hand, by the field's id."""
    streams = list({field.stream_id: field.stream for field in fields}.values())
    declared = _declared(streams)
    held = personal_grants(actor, streams)
    found = {}
    for field in fields:
        mappings = [
            (name, purpose)
            for name, paths, purpose in declared[field.stream_id]
            if not paths or _is_about(paths, field.path)
        ]
        grants = [
            one for one in held[field.stream_id]
            if not one.fields or _is_about(one.fields, field.path)
        ]  # fmt: skip
        said = [purpose for _, purpose in mappings]
        said += [one.purpose for one in grants if one.is_shown]
        purposes = list(dict.fromkeys(" ".join(text.split()) for text in said if text.strip()))
        found[field.pk] = Readers(
            declared=tuple(name for name, _ in mappings),
            granted=len(grants),
            purposes=tuple(purposes[:MOST_PURPOSES]),
            more=max(0, len(purposes) - MOST_PURPOSES),
        )
    return found


def _is_about(paths: Sequence[str], path: str) -> bool:
    """Whether one of the paths is the field, above it or below it."""
    return covers(paths, path) or any(covers([path], one) for one in paths)


def _declared(streams: Sequence[Stream]) -> dict[int, list[tuple[str, list[str], str]]]:
    found: dict[int, list[tuple[str, list[str], str]]] = defaultdict(list)
    rows = ConsumerMapping.objects.filter(stream__in=streams).order_by("consumer__name")
    for stream_id, name, paths, purpose in rows.values_list(
        "stream_id", "consumer__name", "fields", "purpose"
    ):
        found[stream_id].append((name, paths, purpose))
    return found
