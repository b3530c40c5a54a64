"""By what somebody is known: the texts that a person names, and the tokens that stand for them.

Nothing is made here: a value that was never tokenized has no token afterwards either.
"""

from collections.abc import Iterable
from typing import Final

import orjson

from governance.models import PrivacyToken
from governance.privacy import vault
from portal.kernel import strict_json
from portal.kernel.errors import FieldError, InvalidError

MOST: Final = 100
LONGEST: Final = 256
_MOST_PURPOSES: Final = 1000


def identifiers_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The identifiers of a request, each once, without spaces around them.

    Raises InvalidError at `/identifiers` for none, too many, or one that is empty or too long.
    """
    found = tuple(dict.fromkeys(text.strip() for text in texts))
    fault = ""
    if not found or "" in found:
        fault = "name the person by 1 to 100 texts, none of them empty"
    elif len(found) > MOST:
        fault = f"may have {MOST} entries at most"
    elif any(len(one) > LONGEST for one in found):
        fault = f"each may have {LONGEST} characters at most"
    if fault:
        raise InvalidError(
            "Say whom it is about.", errors=[FieldError("/identifiers", "value", fault)]
        )
    return found


def spellings(text: str) -> tuple[bytes, ...]:
    """The JSON texts under which the vault may know a value: as text, and as a number if it is one."""
    as_text = orjson.dumps(text)
    try:
        number = orjson.loads(text)
    except orjson.JSONDecodeError:
        return (as_text,)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return (as_text,)
    return as_text, strict_json.canonical(number)


def purposes() -> list[str]:
    """The purposes of which there are tokens, sorted: one step of the index each."""
    found: list[str] = []
    rows = PrivacyToken.objects.order_by("purpose").values_list("purpose", flat=True)
    while len(found) < _MOST_PURPOSES:
        above = rows.filter(purpose__gt=found[-1]) if found else rows
        purpose = above.first()
        if purpose is None:
            break
        found.append(purpose)
    return found


def tokens_of(texts: Iterable[str], *, purpose: str | None = None) -> dict[str, list[PrivacyToken]]:
    """For each text the rows of the tokens that stand for it, in one purpose or in all there are."""
    of = [purpose] if purpose is not None else purposes()
    meant: dict[bytes, str] = {}
    for text in texts:
        for spelled in spellings(text):
            meant |= {vault.value_ref(each, spelled): text for each in of}
    found: dict[str, list[PrivacyToken]] = {}
    for row in PrivacyToken.objects.filter(ref__in=list(meant)).order_by("purpose", "token"):
        found.setdefault(meant[bytes(row.ref)], []).append(row)
    return found


def known_as(identifiers: Iterable[str]) -> tuple[str, ...]:
    """The identifiers and the tokens that stand for them in every purpose."""
    texts = tuple(identifiers)
    rows = tokens_of(texts)
    return (*texts, *(row.token for each in rows.values() for row in each))
