"""Writing AsyncAPI 3.1: from streams to channels, messages and operations.

1. A stream is a channel of its name, each version a message of it. A stream that was read from
   AsyncAPI goes back under its own channel and message, with all that was kept of them.
2. Documents that the streams came from are laid over one another; what two of them call the same
   and mean differently gets a number.
3. The result is read again. What it does not give back goes beside it under `x-portal-…` keys, so
   that it does: a round trip is whole by construction.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from catalog.exchange import asyncapi_reading as reading
from catalog.exchange.asyncapi_document import FORMAT_2020, NEWEST
from catalog.exchange.documents import OutsideStream, OutsideVersion
from catalog.exchange.facts import STREAM_FACTS, VERSION_FACTS, value_of
from catalog.exchange.schema_references import (
    Tokens,
    pointer_of,
    put_at,
    tokens_of,
)

Role = Literal["catalog", "producer", "consumer"]

_ACTIONS: Final = {"producer": "send", "consumer": "receive"}
# What tools that make code of a document take as the key of a channel or operation.
_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_NOT_A_KEY: Final = re.compile(r"[^A-Za-z0-9._-]+")
# What draft 7, AsyncAPI's own format, does not know.
_NEW_WORDS: Final = frozenset(
    {
        "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef",
        "dependentRequired", "dependentSchemas", "maxContains", "minContains", "prefixItems",
        "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_FORMAT_7: Final = "application/schema+json;version=draft-07"


def write(
    streams: Sequence[OutsideStream],
    *,
    title: str,
    version: str = "1.0.0",
    role: Role = "catalog",
    party: str = "",
    description: str = "",
    extensions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A document of the streams; see `catalog.exchange.asyncapi.write`."""
    info = {"title": title, "version": version}
    if description:
        info["description"] = description
    writing = _Writing(info, role, party or reading.slug_of(title))
    written = [(writing.add(stream), stream) for stream in streams]
    document = writing.finish()
    for key, value in (extensions or {}).items():
        document.setdefault(key, value)
    _complete(document, written)
    return document


class _Writing:
    def __init__(self, info: dict[str, Any], role: Role, party: str) -> None:
        self.info = info
        self.role = role
        self.party = party
        self.channels: dict[str, dict[str, Any]] = {}
        self.origins: dict[str, tuple[Any, Any]] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        self.components: dict[str, dict[str, Any]] = {}
        self.servers: dict[str, Any] = {}
        # What each document calls its components and servers, as they were, and their names here.
        self.named: dict[tuple[int | str | None, ...], list[tuple[Any, str]]] = {}
        self.documents: list[Mapping[str, Any]] = []
        self.replies: list[tuple[dict[str, Any], str]] = []
        self.waiting: list[tuple[Tokens, dict[str, Any], OutsideVersion]] = []

    def add(self, stream: OutsideStream) -> tuple[str, int]:
        """Put a stream in; gives its channel's key and its place among the channel's streams."""
        kept = _object(stream.extensions.get(reading.EXTENSION))
        document = kept.get("document")
        number = self._document(document) if isinstance(document, Mapping) else None
        kept, names = self._laid_over(kept, number)
        key = self._channel(stream, kept, number)
        channel = self.channels[key]
        entry: dict[str, Any] = {"name": stream.name, "messages": []}
        if number is not None:
            entry["document"] = number
        for place, version in enumerate(stream.versions, start=1):
            entry["messages"].append(self._message(stream, key, place, version, number, names))
        channel[reading.STREAMS].append(entry)
        self._operations(stream, key, entry["messages"], kept, number)
        return key, len(channel[reading.STREAMS]) - 1

    def finish(self) -> dict[str, Any]:
        """The document; payloads whose pointers go through their place get it now."""
        for place, message, version in self.waiting:
            self._payload(place, message, version)
        for operation, channel in self.replies:
            if channel not in self.channels:
                operation[reading.OPERATION]["reply"] = operation.pop("reply")
        root: dict[str, Any] = {"asyncapi": NEWEST, "info": self.info}
        if len(self.documents) == 1:
            for name, item in self.documents[0].items():
                if name == "info" and isinstance(item, Mapping):
                    more = {key: one for key, one in item.items() if key not in self.info}
                    self.info.update(more)
                else:
                    root.setdefault(name, item)
        if self.servers:
            root["servers"] = self.servers
        root["channels"] = self.channels
        if self.operations:
            root["operations"] = self.operations
        if self.components:
            root["components"] = self.components
        if self.documents:
            root[reading.DOCUMENTS] = self.documents
        return root

    def _document(self, document: Mapping[str, Any]) -> int:
        if document not in self.documents:
            self.documents.append(document)
        return self.documents.index(document)

    # What a stream's document brings along

    def _laid_over(
        self, kept: Mapping[str, Any], number: int | None
    ) -> tuple[Mapping[str, Any], dict[Tokens, str]]:
        """Lay components and servers over those that are here; clashes are renamed throughout."""
        names: dict[Tokens, str] = {}
        for base, items, here in self._sections(kept):
            for key, item in items.items():
                known = self.named.setdefault((number, *base, key), [])
                name = next((name for one, name in known if one == item), None)
                if name is None:
                    name = _free(key, here.__contains__)
                    here[name] = item
                    known.append((item, name))
                if name != key:
                    names[*base, key] = name
        kept = _with_names(kept, names) if names else kept
        for base, items, here in self._sections(kept):
            here.update({names.get((*base, key), key): item for key, item in items.items()})
        return kept, names

    def _sections(
        self, kept: Mapping[str, Any]
    ) -> Iterator[tuple[Tokens, Mapping[str, Any], dict[str, Any]]]:
        """Each map of components, and the servers: its place, what is kept, what is here."""
        yield ("servers",), _object(kept.get("servers")), self.servers
        for section, items in _object(kept.get("components")).items():
            here = self.components.setdefault(section, {})
            yield ("components", section), _object(items), here

    def _channel(self, stream: OutsideStream, kept: Mapping[str, Any], number: int | None) -> str:
        raw = dict(_object(kept.get("channel")))
        wished = raw.pop("id", None)
        origin: tuple[Any, Any] = (number, raw)
        if number is None or not isinstance(wished, str) or not wished:
            wished = _NOT_A_NAME.sub("_", stream.name)
            own = {"address": stream.name, "title": stream.title, "description": stream.description}
            raw = {
                **{name: text for name, text in own.items() if text},
                **{name: item for name, item in raw.items() if name not in own},
            }
            if any(stream.tags) and "tags" not in raw:
                raw["tags"] = [{"name": tag} for tag in dict.fromkeys(stream.tags) if tag]
            origin = (stream.name, None)
        key = _free(wished, lambda name: self.origins.get(name, origin) != origin)
        if key not in self.channels:
            self.origins[key] = origin
            self.channels[key] = {**raw, "messages": {}, reading.STREAMS: []}
        return key

    # Messages

    def _message(
        self,
        stream: OutsideStream,
        channel: str,
        place: int,
        version: OutsideVersion,
        number: int | None,
        names: Mapping[Tokens, str],
    ) -> str:
        messages = self.channels[channel]["messages"]
        kept = _object(version.extensions.get(reading.EXTENSION))
        raw: dict[str, Any] = dict(_with_names(_object(kept.get("message")), names))
        wished = raw.pop("id", None)
        if not isinstance(wished, str) or not wished:
            wished = f"v{place}"
        key = _free(wished, lambda name: name in messages)
        if isinstance(kept.get("message"), Mapping):
            message = raw
        else:
            message = {"name": stream.name, "contentType": "application/json"}
        examples = message.get("examples")
        payloads = [
            one["payload"]
            for one in (examples if isinstance(examples, list) else [])
            if isinstance(one, Mapping) and "payload" in one
        ]
        # Examples of a trait are the message's already; if they differ, they go beside it.
        if payloads != list(version.examples) and ("examples" in raw or "traits" not in raw):
            message["examples"] = [{"payload": one} for one in version.examples]
        messages[key] = message
        self._default_type(message, number)
        self.waiting.append((("channels", channel, "messages", key), message, version))
        return key

    def _default_type(self, message: dict[str, Any], number: int | None) -> None:
        """Say the content type that the message's document has by default, if ours will not."""
        if number is None or "contentType" in message:
            return
        default = self.documents[number].get("defaultContentType")
        if isinstance(default, str) and len(self.documents) > 1:
            message["contentType"] = default

    def _payload(self, place: Tokens, message: dict[str, Any], version: OutsideVersion) -> None:
        kept = _object(version.extensions.get(reading.EXTENSION))
        stated = kept.get("schemaFormat")
        document = version.document
        schema_format = stated if isinstance(stated, str) else ""
        if not schema_format and ("message" not in kept or _is_taken_for_format(document)):
            schema_format = _format_for(document)
        home = (*place, "payload", "schema") if schema_format else (*place, "payload")
        payload: Any
        if put_at(document, ("x",)) == document:
            payload = document
            if schema_format:
                payload = {"schemaFormat": schema_format, "schema": document}
        else:
            schemas = self.components.setdefault("schemas", {})
            stem = _NOT_A_KEY.sub("_", f"{place[1]}-{place[3]}")
            key = _free(stem, lambda name: name in schemas)
            home = ("components", "schemas", key)
            payload = {"$ref": pointer_of(home)}
            if schema_format:
                home = (*home, "schema")
            inside = put_at(document, home)
            schemas[key] = (
                {"schemaFormat": schema_format, "schema": inside} if schema_format else inside
            )
        message["payload"] = payload

    # Operations

    def _operations(
        self,
        stream: OutsideStream,
        channel: str,
        messages: list[str],
        kept: Mapping[str, Any],
        number: int | None,
    ) -> None:
        title = ""
        if number is not None:
            title = str(_object(self.documents[number].get("info")).get("title", ""))
        source = reading.slug_of(title)
        done: set[tuple[str, str]] = set()
        for key, raw in _object(kept.get("operations")).items():
            action = _object(raw).get("action")
            if action in ("send", "receive") and self._wants(action, source):
                self._keep_operation(str(key), raw, channel, messages, source, number)
                done.add((action, source))
        for action, party in self._parties(stream):
            if (action, party) not in done:
                verb = "sends" if action == "send" else "receives"
                operation = {"action": action, reading.OPERATION: {"party": party, "made": True}}
                wished = f"{_NOT_A_NAME.sub('_', party)}-{verb}-{channel}"
                key = _free(wished, self.operations.__contains__)
                self.operations[key] = self._with_channel(operation, channel, messages)

    def _wants(self, action: str, party: str) -> bool:
        return self.role == "catalog" or (action == _ACTIONS[self.role] and party == self.party)

    def _parties(self, stream: OutsideStream) -> Iterator[tuple[str, str]]:
        if self.role != "catalog":
            yield _ACTIONS[self.role], self.party
            return
        for party in dict.fromkeys(stream.producers):
            yield "send", party
        for party in dict.fromkeys(stream.consumers):
            yield "receive", party

    def _keep_operation(
        self,
        wished: str,
        raw: Mapping[str, Any],
        channel: str,
        messages: list[str],
        source: str,
        number: int | None,
    ) -> None:
        """An operation of the stream's document; those of several streams become one again."""
        operation = {
            **raw,
            reading.OPERATION: {"party": source, "document": number},
        }
        same = self._with_channel(operation, channel, [])
        key = _free(wished, lambda name: not _is_same(self.operations.get(name, same), same))
        here = self.operations.setdefault(key, same)
        here["messages"] += self._with_channel({}, channel, messages)["messages"]
        reply = _object(here.get("reply"))
        target = tokens_of(str(_object(reply.get("channel")).get("$ref", ""))) or ()
        if target[:1] == ("channels",) and len(target) == 2 and here["messages"]:
            self.replies.append((here, target[1]))

    def _with_channel(
        self, operation: Mapping[str, Any], channel: str, messages: list[str]
    ) -> dict[str, Any]:
        place = ("channels", channel)
        return {
            **operation,
            "channel": {"$ref": pointer_of(place)},
            "messages": [{"$ref": pointer_of((*place, "messages", key))} for key in messages],
        }


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return {**one, "messages": None} == {**other, "messages": None}


def _format_for(document: Any) -> str:
    """The format to name where AsyncAPI's own would read the schema otherwise; "" where not."""
    if not isinstance(document, Mapping):
        return _FORMAT_7  # AsyncAPI's schema takes true and false there alone
    dialect = document.get("$schema")
    if isinstance(dialect, str) and "draft-04" in dialect:
        return "application/schema+json;version=draft-04"
    if _is_taken_for_format(document):
        is_old = isinstance(dialect, str) and "draft-0" in dialect
        return _FORMAT_7 if is_old else FORMAT_2020
    if isinstance(dialect, str) and "/draft-0" in dialect:
        return ""
    return FORMAT_2020 if _has_new_words(document) else ""


def _is_taken_for_format(document: Any) -> bool:
    """AsyncAPI takes whatever has a key `schema` for a schema with its format."""
    return not isinstance(document, Mapping) or "schema" in document


def _has_new_words(document: Any) -> bool:
    todo = [document]
    while todo:
        item = todo.pop()
        if isinstance(item, Mapping):
            if _NEW_WORDS & item.keys():
                return True
            todo += item.values()
        elif isinstance(item, list):
            todo += item
    return False


def _complete(
    document: dict[str, Any], written: list[tuple[tuple[str, int], OutsideStream]]
) -> None:
    """Put beside each stream what reading the document as it is does not give back."""
    found = reading.read_ours(document)
    mended = [_mend(document, place, found.get(place), wanted) for place, wanted in written]
    if any(mended):
        found = reading.read_ours(document)
    for place, wanted in written:
        entry, messages = _entry_of(document, place)
        _complete_entry(entry, messages, found.get(place), wanted)


def _entry_of(
    document: Mapping[str, Any], place: tuple[str, int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    channel = document["channels"][place[0]]
    return channel[reading.STREAMS][place[1]], channel["messages"]


def _mend(
    document: Mapping[str, Any],
    place: tuple[str, int],
    seen: OutsideStream | None,
    wanted: OutsideStream,
) -> bool:
    """Say title and description in the message where its own document says others, and keep the
    schemas whole where following their references finds a fault; gives whether anything changed."""
    entry, messages = _entry_of(document, place)
    if seen is None:
        for key, version in zip(entry["messages"], wanted.versions, strict=True):
            messages[key][reading.SCHEMA] = version.document
        return True
    if "document" not in entry or not entry["messages"]:
        return False
    stale = {
        name: text
        for name in ("title", "description")
        if (text := getattr(wanted, name)) and text != getattr(seen, name)
    }
    messages[entry["messages"][-1]].update(stale)
    return bool(stale)


def _complete_entry(
    entry: dict[str, Any],
    messages: Mapping[str, dict[str, Any]],
    seen: OutsideStream | None,
    wanted: OutsideStream,
) -> None:
    plain = seen or OutsideStream(name=wanted.name)
    for name in STREAM_FACTS:
        value = value_of(wanted, name)
        if value != value_of(plain, name):
            entry[name] = _extensions(wanted, plain) if name == "extensions" else value
    versions = plain.versions or (None,) * len(wanted.versions)
    for key, before, after in zip(entry["messages"], versions, wanted.versions, strict=True):
        _complete_version(messages[key], before, after)


def _complete_version(
    message: dict[str, Any], seen: OutsideVersion | None, wanted: OutsideVersion
) -> None:
    plain = seen or OutsideVersion(label="", document=None)
    stated: dict[str, Any] = {}
    for name in VERSION_FACTS:
        value = value_of(wanted, name)
        if value != value_of(plain, name):
            stated[name] = _extensions(wanted, plain) if name == "extensions" else value
    if stated:
        message[reading.VERSION] = stated
    if plain.document != wanted.document:
        message[reading.SCHEMA] = wanted.document


def _extensions(
    wanted: OutsideStream | OutsideVersion, seen: OutsideStream | OutsideVersion
) -> dict[str, Any]:
    """The extensions to state: AsyncAPI's own only where they read otherwise."""
    stated = dict(wanted.extensions)
    ours = stated.pop(reading.EXTENSION, None)
    if ours != seen.extensions.get(reading.EXTENSION):
        stated[reading.EXTENSION] = ours
    return stated


def _with_names(value: Any, names: Mapping[Tokens, str]) -> Any:
    """A copy whose references to renamed components and servers go to the new names."""
    if isinstance(value, Mapping):
        changed = {key: _with_names(item, names) for key, item in value.items()}
        reference = value.get("$ref")
        tokens = tokens_of(reference) if isinstance(reference, str) else None
        for base, name in names.items():
            if tokens is not None and tokens[: len(base)] == base:
                changed["$ref"] = pointer_of((*base[:-1], name, *tokens[len(base) :]))
        return changed
    if isinstance(value, list):
        return [_with_names(item, names) for item in value]
    return value


def _free(wished: str, is_taken: Callable[[str], bool]) -> str:
    name, number = wished, 2
    while is_taken(name):
        name, number = f"{wished}-{number}", number + 1
    return name


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
