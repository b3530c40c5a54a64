"""What SDKs tell of a person beside the event: Segment's `context`, cut down before it is kept.

The contract speaks of the event's data. Of `context` and of the ids beside it nobody declares
anything, and SDKs fill them by themselves, so there is one plan for all streams:

1. an address of the internet keeps its network; coordinates keep one decimal; the user agent keeps
   the name and main version of the browser or client;
2. addresses of pages lose their query, fragment and user part; `search` goes;
3. `traits`, what else names a person, and ids of devices go; so does of a location all but city, region,
   country and the cut coordinates.

Whoever needs one of these sends it in the event's data, where the contract says how it is treated.
What was cut once is left as it is: a dead letter may take the road again.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import orjson

from ingest.treatments import InapplicableError, truncate

NAME: Final = "context"
_PRODUCT: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,30})/(\d{1,4})")
# The likelier first: what calls itself Chrome and something else is something else.
_FAMILIES: Final = ("Edg", "OPR", "SamsungBrowser", "Firefox", "CriOS", "FxiOS", "Chrome", "Safari")
_WHERE: Final = frozenset({"city", "region", "country"})
_COORDINATES: Final = frozenset({"latitude", "longitude"})
_GONE: Final = frozenset(
    {"traits", "userid", "anonymousid", "useragentdata", "externalids",
     "email", "phone", "name", "firstname", "lastname", "username", "address", "birthday"}
)  # fmt: skip
_ID_OF_DEVICE: Final = frozenset({"id", "advertisingid", "token", "name", "adid", "idfa", "idfv"})
_ADDRESSES: Final = frozenset({"url", "referrer", "link"})
_IP: Final = frozenset({"ip", "ipaddress", "clientip"})


def has(extensions: Mapping[str, Any]) -> bool:
    return NAME in extensions


def reduced_text(text: Any) -> Any:
    """The extension `context` cut down. What is no JSON object is nothing that an SDK sends, and is
    left to the stream's plan."""
    if isinstance(text, dict):
        return reduced(text)
    if not isinstance(text, str) or not text.startswith("{"):
        return text
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return orjson.dumps(reduced(found), option=orjson.OPT_SORT_KEYS).decode()


def reduced(context: Mapping[str, Any]) -> dict[str, Any]:
    """A context without what tells who somebody is."""
    return {name: made for name, value in context.items() if (made := _made(name, value)) != ""}


def _made(name: str, value: Any) -> Any:
    """A member of the context as it is kept; empty when it is not."""
    folded = name.casefold().replace("_", "")
    if folded in _GONE:
        return ""
    if folded in _IP:
        return _network(value)
    if folded == "useragent":
        return _family(value)
    if folded == "location":
        return _kept(value, _place)
    if folded == "device":
        return _kept(value, lambda own, one: "" if own in _ID_OF_DEVICE else one)
    if folded in ("page", "referrer"):
        return _kept(value, _page) if isinstance(value, dict) else _bare(value)
    return value


def _kept(value: Any, rule: Callable[[str, Any], Any]) -> Any:
    """An object by a rule for its members; anything else in its place is no object of an SDK."""
    if not isinstance(value, dict):
        return ""
    made = {
        name: rule(name.casefold().replace("_", ""), one)
        for name, one in value.items()
        if not isinstance(one, dict | list)
    }
    return {name: one for name, one in made.items() if one != ""}


def _place(name: str, value: Any) -> Any:
    if name in _COORDINATES and isinstance(value, int | float) and not isinstance(value, bool):
        return truncate(float(value), {"decimals": 1})
    return value if name in _WHERE else ""


def _page(name: str, value: Any) -> Any:
    if name == "search":
        return ""
    return _bare(value) if name in _ADDRESSES else value


def _network(value: Any) -> Any:
    """The network of an address; nothing of what is none."""
    if not isinstance(value, str):
        return ""
    try:
        made = str(truncate(value, {"keep": 0}))
    except InapplicableError:
        return ""
    return made if ":" in made or made.count(".") == 3 else ""


def _bare(value: Any) -> str:
    """An address without its query, fragment, user and password."""
    if not isinstance(value, str):
        return ""
    try:
        found = urlsplit(value)
    except ValueError:
        return ""
    return urlunsplit((found.scheme, found.netloc.rpartition("@")[2], found.path, "", ""))


def _family(value: Any) -> str:
    """`Chrome/126` of a user agent; the first client that it names when it names no browser."""
    if not isinstance(value, str):
        return ""
    named = _PRODUCT.findall(value)
    by_name = dict(reversed(named))
    for family in _FAMILIES:
        if family in by_name:
            return f"{family}/{by_name[family]}"
    return f"{named[0][0]}/{named[0][1]}" if named else ""
