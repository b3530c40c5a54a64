"""What SDKs tell of a person beside the event, cut down before it is kept: Segment's `context` and
`integrations`.

The contract speaks of the event's data. Of `context` and of the ids beside it nobody declares
anything, and SDKs fill them by themselves, so there is one plan for all streams:

1. only members whose name and form are known to tell no person apart stay; what an SDK or an
   application adds under a name of its own goes, and so does all that is nested deeper;
2. an address of the internet keeps its network; coordinates keep one decimal; the user agent keeps
   the name and main version of the browser or client;
3. addresses of pages lose their query, fragment and user part; titles of pages and `search` go;
4. of `integrations` there stays which are on: options of a destination may hold anything.

Whoever needs one of these sends it in the event's data, where the contract says how it is treated.
What was cut once is left as it is: a dead letter may take the road again.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import orjson

from ingest.privacy.treatments import InapplicableError, truncate

NAME: Final = "context"
INTEGRATIONS: Final = "integrations"
# Names are compared in lower case and without underscores.
_SAFE: Final[Mapping[str, frozenset[str]]] = {
    "app": frozenset({"name", "version", "build", "namespace"}),
    "campaign": frozenset({"name", "source", "medium", "term", "content"}),
    "device": frozenset({"model", "manufacturer", "brand", "type", "adtrackingenabled"}),
    "library": frozenset({"name", "version"}),
    "location": frozenset({"city", "region", "country", "latitude", "longitude"}),
    "network": frozenset({"bluetooth", "carrier", "cellular", "wifi"}),
    "os": frozenset({"name", "version"}),
    "page": frozenset(
        {"path", "url", "referrer", "initialreferrer", "referringdomain", "initialreferringdomain"}
    ),
    "referrer": frozenset({"id", "type", "name", "url", "link"}),
    "screen": frozenset({"width", "height", "density", "innerwidth", "innerheight"}),
}
_COORDINATES: Final = frozenset({"latitude", "longitude"})
_ADDRESSES: Final = frozenset({"path", "url", "referrer", "initialreferrer", "link"})
_IP: Final = frozenset({"ip", "ipaddress", "clientip"})
# What a value that stands alone has to look like.
_ALONE: Final = {
    "channel": re.compile(r"[a-z]{1,20}"),
    "locale": re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}"),
    "timezone": re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,31}){0,2}"),
}
_MAX_TEXT: Final = 200
_DESTINATION: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ._()-]{0,59}")
_PRODUCT: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,30})/(\d{1,4})")
# The likelier first: what calls itself Chrome and something else is something else.
_FAMILIES: Final = ("Edg", "OPR", "SamsungBrowser", "Firefox", "CriOS", "FxiOS", "Chrome", "Safari")


def has(extensions: Mapping[str, Any]) -> bool:
    """Whether an event carries what SDKs tell beside it, which is to be cut down."""
    return NAME in extensions or INTEGRATIONS in extensions


def stands_in(raw: bytes) -> bool:
    """Whether the bytes of an event may have one of the members, also with letters escaped."""
    return any(part in raw for part in (b'"context"', b'"integrations"', b"\\u00"))


def without(extensions: Mapping[str, Any]) -> dict[str, Any]:
    """The extensions with what SDKs tell beside an event cut down."""
    made = dict(extensions)
    for name in (NAME, INTEGRATIONS):
        if name in made:
            made[name] = reduced_member(name, made[name])
    return made


def reduced_member(name: str, text: Any) -> Any:
    """The extension `context` or `integrations` cut down. What is no JSON object is nothing that an
    SDK sends, and is left to the stream's plan."""
    rule = reduced if name == NAME else _switches
    if isinstance(text, dict):
        return rule(text)
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return text
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return orjson.dumps(rule(found), option=orjson.OPT_SORT_KEYS).decode()


def reduced(context: Mapping[str, Any]) -> dict[str, Any]:
    """A context without what tells who somebody is."""
    return {name: made for name, value in context.items() if (made := _made(name, value)) != ""}


def _switches(integrations: Mapping[str, Any]) -> dict[str, bool]:
    """Which destinations are on; one with options is."""
    return {
        name: value if isinstance(value, bool) else True
        for name, value in integrations.items()
        if isinstance(value, bool | dict) and _DESTINATION.fullmatch(name)
    }


def _made(name: str, value: Any) -> Any:
    """A member of the context as it is kept; empty when it is not."""
    folded = _folded(name)
    if folded in _SAFE:
        if isinstance(value, dict):
            return _members(folded, value)
        return _bare(value) if folded in ("page", "referrer") else ""
    if folded in _ALONE:
        return value if isinstance(value, str) and _ALONE[folded].fullmatch(value) else ""
    if folded in _IP:
        return _network(value)
    if folded == "useragent":
        return _family(value)
    return value if folded == "active" and isinstance(value, bool) else ""


def _folded(name: str) -> str:
    return name.casefold().replace("_", "")


def _members(holder: str, value: Mapping[str, Any]) -> Any:
    """What stays of an object of the context; empty when nothing does."""
    known = _SAFE[holder]
    made = {
        name: _kept(holder, folded, one)
        for name, one in value.items()
        if (folded := _folded(name)) in known
    }
    return {name: one for name, one in made.items() if one != ""} or ""


def _kept(holder: str, name: str, value: Any) -> Any:
    if name in _ADDRESSES:
        return _bare(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return truncate(float(value), {"decimals": 1}) if name in _COORDINATES else value
    if not isinstance(value, str) or name in _COORDINATES or len(value) > _MAX_TEXT:
        return ""
    # Links of letters say in `campaign` to whom they were sent.
    return "" if holder == "campaign" and "@" in value else value


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
