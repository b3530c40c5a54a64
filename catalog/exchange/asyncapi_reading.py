"""Reading AsyncAPI 3: from channels, messages and operations to streams.

1. A message of a channel is a stream. It is called after the channel's address (its key where it has
   none); where a channel has several messages, after the address, `/` and the message's key.
2. What we wrote says so: `x-portal-streams` on a channel lists streams, which of the messages are
   their versions, and those facts that no key of AsyncAPI holds.
3. `send` makes the application a producer of the stream, `receive` a consumer.
4. What has no field stays whole in `extensions["asyncapi"]`: the document's own keys, the channel,
   its operations, and the components and servers that these refer to; with each version its
   message. There traits and references stand as they stood.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from catalog.exchange.asyncapi_document import (
    DRAFT_7,
    KNOWN,
    NEWEST,
    Needs,
    dialect_of,
    follow,
    follow_schema,
    with_traits,
)
from catalog.exchange.bounded_yaml import MAX_DEPTH
from catalog.exchange.documents import OutsideStream, OutsideVersion, Unreadable
from catalog.exchange.facts import STREAM_FACTS, VERSION_FACTS, facts_in
from catalog.exchange.schema_references import (
    Budget,
    FaultError,
    Tokens,
    pointer_of,
    put_at,
    taken_from,
)
from portal.kernel.strict_json import depth_of

EXTENSION: Final = "asyncapi"
STREAMS: Final = "x-portal-streams"
VERSION: Final = "x-portal-version"
SCHEMA: Final = "x-portal-schema"
OPERATION: Final = "x-portal-operation"
DOCUMENTS: Final = "x-portal-documents"
MAX_MESSAGES: Final = 5_000

_OURS: Final = "x-portal-"
_APART: Final = frozenset({"channels", "operations", "components", "servers"})
_LABEL: Final = "x-eventcatalog-message-version"
# Constructs that draft 7 and 2020-12 read differently, or only draft 7 reads.
_OLD_WORDS: Final = frozenset({"additionalItems", "dependencies"})


def read(document: Any, *, where: str) -> list[OutsideStream | Unreadable]:
    """The streams of a document; see `catalog.exchange.asyncapi.read`."""
    if not isinstance(document, Mapping):
        return [Unreadable(where, "is no AsyncAPI document: it must be an object")]
    version = document.get("asyncapi")
    if not isinstance(version, str) or not KNOWN.fullmatch(version):
        said = version if isinstance(version, str) else "of no version"
        return [
            Unreadable(
                where,
                f"is AsyncAPI {said[:40]}, and 3.0 and 3.1 are read here: convert it to {NEWEST} "
                "first (AsyncAPI's converter does)",
            )
        ]
    if depth_of(document) > MAX_DEPTH:
        return [Unreadable(where, f"is nested deeper than {MAX_DEPTH} levels")]
    return list(_Reading(document, where).run())


def read_ours(document: Mapping[str, Any]) -> dict[tuple[str, int], OutsideStream]:
    """The streams that our own words in a document list, by channel and place in its list."""
    reading = _Reading(document, "")
    faults = list(reading.read_operations())
    found: dict[tuple[str, int], OutsideStream] = {}
    for key in document["channels"] if not faults else ():
        channel = reading.channel(key)
        for number, entry in enumerate(channel.raw[STREAMS]):
            with suppress(FaultError):
                found[key, number] = reading.ours(channel, entry)
    return found


def slug_of(title: str) -> str:
    """The name of a party from an application's title, as the catalog spells names."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation: which messages of which channel its party sends or receives."""

    key: str
    raw: Mapping[str, Any]
    action: str
    party: str
    is_made: bool
    channel: Tokens
    messages: frozenset[Tokens] | None


@dataclass(frozen=True, slots=True)
class _Channel:
    """A channel, where it really stands, and where its messages do, by their keys."""

    key: str
    raw: Mapping[str, Any]
    place: Tokens
    messages: dict[str, Tokens] = field(default_factory=dict)


class _Reading:
    def __init__(self, root: Mapping[str, Any], where: str) -> None:
        self.root = root
        self.where = where
        self.needs = Needs(root)
        self.budget = Budget()
        self.schemas: dict[Tokens, Any] = {}
        info = root.get("info")
        self.info: Mapping[str, Any] = info if isinstance(info, Mapping) else {}
        self.party = slug_of(_text(self.info.get("title")))
        self.operations: dict[Tokens, list[_Operation]] = {}
        self.left = MAX_MESSAGES

    def run(self) -> Iterator[OutsideStream | Unreadable]:
        channels = self.root.get("channels")
        if not isinstance(channels, Mapping) or not channels:
            yield Unreadable(self.where, "has no channels, so no streams")
            return
        for name in ("components", "servers", "operations"):
            if not isinstance(self.root.get(name, {}), Mapping):
                yield self._said(FaultError((name,), "must be an object"))
                return
        yield from self.read_operations()
        for key in channels:
            try:
                channel = self.channel(str(key))
                entries = self._entries(channel)
            except FaultError as fault:
                yield self._said(fault)
                continue
            yield from self._streams(channel, entries)

    def _said(self, fault: FaultError) -> Unreadable:
        return Unreadable(f"{self.where}{pointer_of(fault.place)}", fault.why)

    # Operations

    def read_operations(self) -> Iterator[Unreadable]:
        for key in self.root.get("operations", {}):
            try:
                operation = self._operation(str(key))
            except FaultError as fault:
                yield self._said(fault)
                continue
            self.operations.setdefault(operation.channel, []).append(operation)

    def _operation(self, key: str) -> _Operation:
        place = ("operations", key)
        raw, there = follow(self.root, place)
        if not isinstance(raw, Mapping):
            raise FaultError(place, "is no operation (an object)")
        action = raw.get("action")
        if action not in ("send", "receive"):
            raise FaultError((*place, "action"), "must be send or receive")
        if not isinstance(raw.get("channel"), Mapping) or "$ref" not in raw["channel"]:
            raise FaultError((*place, "channel"), "must be a reference to a channel")
        channel, channel_place = follow(self.root, (*there, "channel"))
        if not isinstance(channel, Mapping):
            raise FaultError((*place, "channel"), "refers to what is no channel")
        messages = raw.get("messages")
        if messages is not None and not isinstance(messages, list):
            raise FaultError((*place, "messages"), "must be a list of references")
        named = (
            None
            if messages is None
            else frozenset(
                follow(self.root, (*there, "messages", str(number)))[1]
                for number in range(len(messages))
            )
        )
        portal = raw.get(OPERATION)
        portal = portal if isinstance(portal, Mapping) else {}
        return _Operation(
            key=key,
            raw=raw,
            action=action,
            party=_text(portal.get("party")) or self.party,
            is_made=portal.get("made") is True,
            channel=channel_place,
            messages=named,
        )

    def _operations_on(self, channel: _Channel, message: Tokens | None) -> list[_Operation]:
        return [
            one
            for one in self.operations.get(channel.place, ())
            if one.messages is None or message is None or message in one.messages
        ]

    # Channels

    def channel(self, key: str) -> _Channel:
        raw, place = follow(self.root, ("channels", key))
        if not isinstance(raw, Mapping):
            raise FaultError(("channels", key), "is no channel (an object)")
        address = raw.get("address")
        if address is not None and not isinstance(address, str):
            raise FaultError(("channels", key, "address"), "must be text or null")
        messages = raw.get("messages", {})
        if not isinstance(messages, Mapping):
            raise FaultError(("channels", key, "messages"), "must be an object")
        return _Channel(
            key, raw, place, {str(name): (*place, "messages", str(name)) for name in messages}
        )

    def _entries(self, channel: _Channel) -> list[Mapping[str, Any]]:
        entries = channel.raw.get(STREAMS, [])
        place = ("channels", channel.key, STREAMS)
        if not isinstance(entries, list):
            raise FaultError(place, "must be a list")
        for number, entry in enumerate(entries):
            if not (
                isinstance(entry, Mapping)
                and isinstance(entry.get("name"), str)
                and isinstance(entry.get("messages"), list)
            ):
                raise FaultError((*place, str(number)), "must have a name and a list of messages")
            for name in entry["messages"]:
                if not isinstance(name, str) or name not in channel.messages:
                    raise FaultError(
                        (*place, str(number)), "names a message that the channel lacks"
                    )
        return entries

    def _streams(
        self, channel: _Channel, entries: list[Mapping[str, Any]]
    ) -> Iterator[OutsideStream | Unreadable]:
        taken: set[str] = set()
        for number, entry in enumerate(entries):
            taken.update(entry["messages"])
            try:
                yield self.ours(channel, entry)
            except FaultError as fault:
                yield self._said(fault)
            except ValueError as error:
                name, must = error.args
                yield self._said(
                    FaultError(("channels", channel.key, STREAMS, str(number), name), must)
                )
        others = [name for name in channel.messages if name not in taken]
        if not others and not entries:
            yield self._said(FaultError(("channels", channel.key), "has no messages, so no stream"))
        address = _text(channel.raw.get("address")) or channel.key
        for name in others:
            self.left -= 1
            if self.left < 0:
                yield Unreadable(self.where, f"has more than {MAX_MESSAGES} messages")
                return
            called = address if len(channel.messages) == 1 else f"{address}/{name}"
            try:
                yield self._foreign(channel, name, called)
            except FaultError as fault:
                yield self._said(fault)

    # Streams

    def _foreign(self, channel: _Channel, key: str, called: str) -> OutsideStream:
        stream = self._plain(channel, (key,), called)
        parts = self._kept(channel, (key,))
        message = self._message(channel, key)[0]
        document = {name: item for name, item in self.root.items() if name not in _APART}
        needed = self._needed(channel, parts, [message, document])
        kept = {"document": _without_ours(document), **parts, **needed}
        return replace(stream, extensions={EXTENSION: kept})

    def ours(self, channel: _Channel, entry: Mapping[str, Any]) -> OutsideStream:
        keys = tuple(entry["messages"])
        facts = facts_in(entry, STREAM_FACTS)
        stream = self._plain(channel, keys, entry["name"], entry=entry)
        stated = dict(facts.pop("extensions", {}))
        if EXTENSION not in stated:
            kept = self._kept_of_ours(channel, keys, entry)
            if kept:
                stated[EXTENSION] = kept
        elif stated[EXTENSION] is None:
            del stated[EXTENSION]
        return replace(stream, **facts, extensions=stated)

    def _kept_of_ours(
        self, channel: _Channel, keys: tuple[str, ...], entry: Mapping[str, Any]
    ) -> dict[str, Any]:
        parts = self._kept(channel, keys)
        document = self._kept_document(entry)
        if document is None:
            generated = {"id", "address", "title", "description"}
            if all(isinstance(tag, Mapping) and set(tag) == {"name"} for tag in _tags(channel.raw)):
                generated.add("tags")
            if not set(parts["channel"]) - generated:
                del parts["channel"]
            return parts if parts else {}
        messages = [self._message(channel, key)[0] for key in keys]
        return {
            "document": document,
            **parts,
            **self._needed(channel, parts, [*messages, document]),
        }

    def _kept_document(self, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
        number = entry.get("document")
        documents = self.root.get(DOCUMENTS)
        if not isinstance(number, int) or not isinstance(documents, list):
            return None
        document = documents[number] if 0 <= number < len(documents) else None
        return document if isinstance(document, Mapping) else None

    def _kept(self, channel: _Channel, keys: tuple[str, ...]) -> dict[str, Any]:
        """The channel and the operations as they stand, but for what is written anew each time."""
        raw = {name: item for name, item in channel.raw.items() if name != "messages"}
        parts: dict[str, Any] = {"channel": {"id": channel.key, **_without_ours(raw)}}
        places: list[Tokens | None] = [
            follow(self.root, channel.messages[key])[1] for key in keys
        ] or [None]
        operations = {
            one.key: {
                name: item
                for name, item in _without_ours(one.raw).items()
                if name not in ("channel", "messages")
            }
            for place in places
            for one in self._operations_on(channel, place)
            if not one.is_made
        }
        if operations:
            parts["operations"] = operations
        return parts

    def _needed(
        self, channel: _Channel, parts: Mapping[str, Any], more: list[Any]
    ) -> dict[str, Any]:
        messages = [
            {name: item for name, item in one.items() if name != "payload"}
            if isinstance(one, Mapping)
            else one
            for one in more
        ]
        servers = self.root.get("servers", {})
        components = self.needs.of([dict(parts), *messages, servers], channel.place)
        found: dict[str, Any] = {}
        if servers:
            found["servers"] = servers
        if components:
            found["components"] = components
        return found

    def _plain(
        self,
        channel: _Channel,
        keys: tuple[str, ...],
        called: str,
        *,
        entry: Mapping[str, Any] | None = None,
    ) -> OutsideStream:
        """The stream as AsyncAPI's own keys describe it."""
        place: Tokens = ("channels", channel.key)
        merged: Mapping[str, Any] = {}
        versions: list[OutsideVersion] = []
        operations: dict[str, _Operation] = {}
        for key in keys:
            raw, there = self._message(channel, key)
            merged = with_traits(self.root, raw, there)
            versions.append(self._version(channel, key, raw, merged, there, entry))
            for one in self._operations_on(channel, there):
                operations[one.key] = one
        if not keys:
            operations = {one.key: one for one in self._operations_on(channel, None)}
        else:
            place = (*place, "messages", keys[-1])
        parties = {
            action: tuple(
                dict.fromkeys(
                    one.party for one in operations.values() if one.action == action and one.party
                )
            )
            for action in ("send", "receive")
        }
        both = (merged, channel.raw)
        return OutsideStream(
            name=called,
            where=f"{self.where}{pointer_of(place)}",
            title=_first(both, ("title",)),
            description=_first(both, ("description", "summary")),
            tags=tuple(dict.fromkeys(self._tag_names(channel.raw, channel.place)))
            + tuple(
                name
                for name in dict.fromkeys(self._tag_names(merged, place))
                if name not in set(self._tag_names(channel.raw, channel.place))
            ),
            producers=parties["send"],
            consumers=parties["receive"],
            versions=tuple(versions),
        )

    def _tag_names(self, holder: Mapping[str, Any], place: Tokens) -> list[str]:
        names = []
        for tag in _tags(holder):
            found = tag
            if isinstance(tag, Mapping) and isinstance(tag.get("$ref"), str):
                found = follow({**self.root, "x-tag": tag}, ("x-tag",))[0]
            name = found.get("name") if isinstance(found, Mapping) else None
            if not isinstance(name, str) or not name:
                raise FaultError((*place, "tags"), "must be a list of tags, each with a name")
            names.append(name)
        return names

    # Messages

    def _message(self, channel: _Channel, key: str) -> tuple[Mapping[str, Any], Tokens]:
        raw, place = follow(self.root, channel.messages[key])
        if not isinstance(raw, Mapping):
            raise FaultError(channel.messages[key], "is no message (an object)")
        return raw, place

    def _version(
        self,
        channel: _Channel,
        key: str,
        raw: Mapping[str, Any],
        merged: Mapping[str, Any],
        place: Tokens,
        entry: Mapping[str, Any] | None,
    ) -> OutsideVersion:
        document, schema_format = self._schema(raw, place)
        examples = merged.get("examples", [])
        if not isinstance(examples, list):
            raise FaultError((*place, "examples"), "must be a list")
        label = merged.get(_LABEL, self.info.get("version"))
        version = OutsideVersion(
            label=str(label) if isinstance(label, str | int | float) else "",
            document=document,
            examples=tuple(
                one["payload"] for one in examples if isinstance(one, Mapping) and "payload" in one
            ),
        )
        kept: dict[str, Any] = {
            "message": {
                "id": key,
                **{name: item for name, item in _without_ours(raw).items() if name != "payload"},
            }
        }
        if schema_format:
            kept["schemaFormat"] = schema_format
        if entry is None:
            return replace(version, extensions={EXTENSION: kept})
        if self._kept_document(entry) is None and _is_generated(kept, version):
            kept = {}
        return _with_stated(version, raw.get(VERSION), kept, place)

    def _schema(self, message: Mapping[str, Any], place: Tokens) -> tuple[Any, str]:
        """The schema of a message's payload as a document of its own, and its stated format."""
        if "payload" not in message:
            raise FaultError(place, "has no payload, so no schema")
        kept = message.get(SCHEMA)
        value, there = follow_schema(self.root, (*place, "payload"), kept)
        stated: str | None = None
        dialect: str | None = None
        if isinstance(value, Mapping) and "schema" in value:
            stated = value.get("schemaFormat")
            if stated is not None and not isinstance(stated, str):
                raise FaultError((*there, "schemaFormat"), "must be text")
            dialect = dialect_of(stated, there) if stated is not None else None
            value, there = follow_schema(self.root, (*there, "schema"), kept)
        if not isinstance(value, Mapping | bool):
            raise FaultError(there, "is no JSON Schema: it must be an object or true or false")
        if isinstance(kept, Mapping) and put_at(kept, there) == value:
            return kept, stated or ""
        if there not in self.schemas:
            try:
                self.schemas[there] = taken_from(self.root, there, self.budget)
            except FaultError as fault:
                raise FaultError(fault.place or there, fault.why) from None
        return _in_dialect(self.schemas[there], dialect), stated or ""


def _with_stated(
    version: OutsideVersion, stated: Any, kept: Mapping[str, Any], place: Tokens
) -> OutsideVersion:
    """A version of ours with the facts that its message states beside AsyncAPI's keys."""
    if stated is None:
        stated = {}
    if not isinstance(stated, Mapping):
        raise FaultError((*place, VERSION), "must be an object")
    try:
        facts = facts_in(stated, VERSION_FACTS)
    except ValueError as error:
        raise FaultError((*place, VERSION, error.args[0]), error.args[1]) from None
    extensions = dict(facts.pop("extensions", {}))
    if EXTENSION not in extensions:
        if kept:
            extensions[EXTENSION] = kept
    elif extensions[EXTENSION] is None:
        del extensions[EXTENSION]
    return replace(version, **facts, extensions=extensions)


def _is_generated(kept: Mapping[str, Any], version: OutsideVersion) -> bool:
    """Whether a message of ours holds only what is written anew each time."""
    message = kept["message"]
    return (
        set(message) <= {"id", "name", "contentType", "examples"}
        and message.get("contentType") == "application/json"
        and message.get("examples", []) == [{"payload": one} for one in version.examples]
    )


def _in_dialect(schema: Any, dialect: str | None) -> Any:
    """The schema with the `$schema` that its format means, where it does not say so itself.

    AsyncAPI's own format is draft 7; that is said only where the catalog's default, 2020-12, would
    read the schema differently.
    """
    if not isinstance(schema, Mapping) or "$schema" in schema:
        return schema
    if dialect is None:
        dialect = DRAFT_7 if _reads_differently(schema) else None
    elif dialect.endswith("2020-12/schema"):
        dialect = None
    return {"$schema": dialect, **schema} if dialect else schema


def _reads_differently(schema: Any) -> bool:
    todo = [schema]
    while todo:
        item = todo.pop()
        if isinstance(item, Mapping):
            if isinstance(item.get("items"), list) or _OLD_WORDS & item.keys():
                return True
            todo += item.values()
        elif isinstance(item, list):
            todo += item
    return False


def _without_ours(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if not str(key).startswith(_OURS)}


def _tags(holder: Mapping[str, Any]) -> list[Any]:
    tags = holder.get("tags", [])
    return tags if isinstance(tags, list) else [None]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _first(holders: tuple[Mapping[str, Any], ...], keys: tuple[str, ...]) -> str:
    """The first text that is stated: each holder's keys in turn."""
    for holder in holders:
        for key in keys:
            if text := _text(holder.get(key)).strip():
                return text
    return ""
