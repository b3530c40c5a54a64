"""How the audit log and notices name what came in an event, for neither forgets: by a mark of it.

An id, a group of dead letters (its key holds the type and the names of members) and a member that no
contract names may be somebody's name. A mark is a keyed hash, stable for the life of the portal: rows
about one thing are known to be about one, and nobody reads what it is.
"""

from collections.abc import Iterable
from typing import Final

from catalog.models import SchemaField, Stream
from governance.privacy import keys

_HEX: Final = 32
# Members of an event that are the portal's and the standards' own words.
_OWN: Final = frozenset({"data", "extra", "subject", "anonymousid", "previousid", "partitionkey"})
UNNAMED: Final = "*"


def mark(kind: str, text: str) -> str:
    """32 hex digits that stand for a text of an event; `kind` tells apart what may be spelled alike."""
    content = f"named in the log\0{kind}\0{text}".encode("utf-8", "surrogatepass")
    return keys.blind("subject", content).hex()[:_HEX]


def named_places(stream: Stream | None, pointers: Iterable[str]) -> list[str]:
    """Places in an event without the names of members that no contract of its stream has: a star
    stands for each. Sorted, each once."""
    known = set(_OWN)
    if stream is not None:
        names = SchemaField.objects.filter(stream=stream).order_by()
        known.update(names.values_list("name", flat=True).distinct())
    return sorted({"/".join(_step(step, known) for step in each.split("/")) for each in pointers})


def _step(step: str, known: set[str]) -> str:
    plain = step.replace("~1", "/").replace("~0", "~")
    return step if not step or step.isdigit() or plain in known else UNNAMED
