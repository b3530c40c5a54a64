"""Texts that somebody hands over, each of some format: what they declare, ready to be taken in."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from catalog.exchange import loading, portal_yaml
from catalog.exchange.documents import OutsideStream, Unreadable
from catalog.exchange.files import LINES, read_lines
from catalog.exchange.loading import Format, Loaded
from catalog.exchange.portal_yaml import PortalFile
from portal.kernel import strict_json
from portal.kernel.errors import PortalError

# What callers say beside what a parsed document may be: JSON lines of streams.
JSON_LINES: Final = "jsonl"
FORMATS: Final = (*(str(one).replace("_", "-") for one in Format), JSON_LINES)


@dataclass(frozen=True, slots=True)
class Text:
    """A file by its name, or a body that has none."""

    raw: bytes
    name: str = ""

    @property
    def where(self) -> str:
        return self.name or "body"


@dataclass(slots=True)
class Uploaded:
    """What texts hold: streams of other tools' files, and declarations, each with its text's name."""

    streams: list[OutsideStream | Unreadable] = field(default_factory=list)
    declared: list[tuple[str, PortalFile]] = field(default_factory=list)


def read_texts(texts: Iterable[Text], *, said: str = "") -> Uploaded:
    """Everything that the texts hold. `said` is one of FORMATS; sniffed where it is empty.

    Nothing is raised: what cannot be read stands among the streams, or in its declaration.
    """
    found = Uploaded()
    for text in texts:
        if said == JSON_LINES or (not said and _is_lines(text)):
            found.streams += read_lines(text.raw.splitlines(), name=text.where)
            continue
        wanted = Format(said.replace("-", "_")) if said else _format(text)
        if wanted is Format.PORTAL:
            found.declared.append((text.where, portal_yaml.read(text.raw, where=text.where)))
        else:
            found.streams += loading.read_bytes(text.raw, name=text.where, format_=wanted)
    return found


def _is_lines(text: Text) -> bool:
    """JSON lines by the name, or a body whose first line alone is a stream."""
    if text.name:
        return any(text.name.endswith(ending) for ending in LINES)
    first = text.raw.lstrip().split(b"\n", 1)[0]
    try:
        entry: Any = strict_json.decode_document(first)
    except PortalError:
        return False
    return isinstance(entry, dict) and bool({"subject", "versions"} & set(entry))


def _format(text: Text) -> Format | None:
    loaded = loading.load(text.raw, name=text.where)
    if not isinstance(loaded, Loaded) or not loaded.documents:
        return None
    return loading.format_of(loaded.documents[0])
