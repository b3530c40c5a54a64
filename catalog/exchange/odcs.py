"""Open Data Contract Standard 3: a contract of one stream, read and written.

1. An object of a contract's `schema` is a stream; what no field holds stays whole in
   `extensions["odcs"]`: the contract with the stream, the object with its version.
2. Written, the newest version is the contract's object, and its JSON Schema stands beside it as the
   custom property `jsonSchema`. It is taken again as long as object and schema say the same.
3. What ODCS has no place for goes into the custom properties `portalStream` (facts),
   `portalVersion` (of the newest version) and `portalVersions` (those before it).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from catalog.exchange.asyncapi_reading import slug_of
from catalog.exchange.bounded_yaml import MAX_DEPTH
from catalog.exchange.documents import OutsideStream, OutsideVersion, Unreadable
from catalog.exchange.facts import STREAM_FACTS, VERSION_FACTS, facts_in, value_of
from catalog.exchange.odcs_schema import object_of, outline, overlaid, schema_of
from catalog.exchange.schema_references import FaultError, pointer_of
from portal.kernel.strict_json import depth_of

EXTENSION: Final = "odcs"
WRITTEN: Final = "v3.1.0"
READ: Final = ("v3.0.", "v3.1.", "v3.2.")
STREAM: Final = "portalStream"
VERSION: Final = "portalVersion"
VERSIONS: Final = "portalVersions"
SCHEMA: Final = "jsonSchema"

_OURS: Final = (STREAM, VERSION, VERSIONS, SCHEMA)
_DAYS: Final = {"d": 1, "day": 1, "days": 1, "y": 365, "yr": 365, "year": 365, "years": 365}
_WORDS: Final = ("status", "name", "version", "id")


def read(document: Mapping[str, Any], *, where: str) -> list[OutsideStream | Unreadable]:
    """The streams of a contract: one per object of its `schema`. Nothing is raised."""
    try:
        _check(document)
        objects = document.get("schema", [])
        if not objects:
            return [_without_versions(document, where)]
    except FaultError as fault:
        return [_said(where, fault)]
    found: list[OutsideStream | Unreadable] = []
    for number in range(len(objects)):
        try:
            found.append(_stream(document, number, where))
        except FaultError as fault:
            found.append(_said(where, fault))
    return found


def write(stream: OutsideStream, *, status: str = "active") -> dict[str, Any]:
    """A contract (ODCS v3.1.0) of the stream's newest version. `read` gives the stream again, but
    for `where`, all its versions included. `status` is the contract's own (`draft`, `active`, …);
    a contract that the stream was read from keeps its own."""
    contract = _contract(stream, status)
    if stream.versions:
        contract["schema"] = [_object(stream)]
    _complete(contract, stream)
    return contract


# Reading


def _check(document: Any) -> None:
    if not isinstance(document, Mapping):
        raise FaultError((), "is no data contract: it must be an object")
    version = document.get("apiVersion")
    if "dataContractSpecification" in document:
        raise FaultError((), "is of the Data Contract Specification; convert it to ODCS 3.1 first")
    if not isinstance(version, str) or not version.startswith(READ):
        said = version[:40] if isinstance(version, str) else "nothing"
        raise FaultError(("apiVersion",), f"says {said}; ODCS is read from v3.0 to v3.2")
    if depth_of(document) > MAX_DEPTH:
        raise FaultError((), f"is nested deeper than {MAX_DEPTH} levels")
    if not isinstance(document.get("id"), str) or not document["id"]:
        raise FaultError(("id",), "must be text")
    objects = document.get("schema", [])
    if not isinstance(objects, list):
        raise FaultError(("schema",), "must be a list of objects")
    for key, kind, must in (
        ("tags", list, "a list"), ("slaProperties", list, "a list"),
        ("customProperties", list, "a list"), ("domain", str, "text"), ("name", str, "text"),
        ("team", Mapping | list, "an object or a list"),
        ("description", Mapping | str, "an object"),
    ):  # fmt: skip
        if document.get(key) is not None and not isinstance(document[key], kind):
            raise FaultError((key,), f"must be {must}")


def _without_versions(document: Mapping[str, Any], where: str) -> OutsideStream:
    stated = _custom(document).get(STREAM)
    if not isinstance(stated, Mapping):
        raise FaultError(("schema",), "has no objects, so no stream")
    kept = _kept_contract(document, stated)
    plain = OutsideStream(name=document["id"], **_facts(document, {}))
    return _stated_stream(plain, document, stated, kept, where)


def _stream(document: Mapping[str, Any], number: int, where: str) -> OutsideStream:
    place = ("schema", str(number))
    element = document["schema"][number]
    if not isinstance(element, Mapping) or not isinstance(element.get("name"), str):
        raise FaultError(place, "must be an object with a name")
    if not isinstance(element.get("customProperties", []), list):
        raise FaultError((*place, "customProperties"), "must be a list")
    is_only = len(document["schema"]) == 1
    custom = _custom(document) if is_only else {}
    stated = custom.get(STREAM)
    label = document.get("version")
    version = OutsideVersion(
        label=str(label) if isinstance(label, str | int | float) else "",
        document=_document(element, place),
    )
    plain = OutsideStream(
        name=_name(document, element, is_only=is_only), **_facts(document, element)
    )
    own = {key: item for key, item in element.items() if key != "customProperties"}
    if others := _others(element):
        own["customProperties"] = others
    if not isinstance(stated, Mapping):
        return replace(
            plain,
            where=f"{where}{pointer_of(place)}",
            versions=(replace(version, extensions={EXTENSION: {"object": own}}),),
            extensions={EXTENSION: {"contract": _own_contract(document)}},
        )
    made = object_of(version.document, plain.name)
    kept = {} if own == {**made, "name": own["name"]} else {EXTENSION: {"object": own}}
    newest = _stated_version(version, custom.get(VERSION, {}), kept, VERSION)
    plain = replace(plain, versions=(*_versions_before(custom), newest))
    return _stated_stream(plain, document, stated, _kept_contract(document, stated), where)


def _document(element: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    """The JSON Schema that stands beside the object, while both say the same; else what it says."""
    kept = _custom(element).get(SCHEMA)
    if isinstance(kept, Mapping | bool):
        made = object_of(kept, element["name"])
        if outline(made) == outline(element):
            return kept
    return schema_of(element, place)


def _name(document: Mapping[str, Any], element: Mapping[str, Any], *, is_only: bool) -> str:
    """The object's name, after the contract's where that is another."""
    own: str = element["name"]
    contract = document.get("name") or document["id"]
    if is_only and slug_of(contract) in (slug_of(own), ""):
        return own
    return f"{contract}/{own}"


def _facts(document: Mapping[str, Any], element: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that ODCS has keys for."""
    team = document.get("team")
    owner = team.get("name") if isinstance(team, Mapping) else None
    description = document.get("description")
    if isinstance(description, Mapping):
        description = description.get("purpose") or description.get("usage")
    tags = document.get("tags") or []
    return {
        "title": _text(element.get("businessName")) or _text(document.get("name")),
        "description": _text(description) or _text(element.get("description")),
        "domain": slug_of(_text(document.get("domain"))),
        "owner": slug_of(_text(owner)),
        "tags": tuple(dict.fromkeys(tag for tag in tags if isinstance(tag, str))),
        "retention_days": _retention(document.get("slaProperties") or []),
    }


def _retention(promises: list[Any]) -> int | None:
    for promise in promises:
        if not isinstance(promise, Mapping) or promise.get("property") != "retention":
            continue
        value = promise.get("value")
        days = _DAYS.get(str(promise.get("unit", "d")).lower())
        if isinstance(value, int) and not isinstance(value, bool) and days and value >= 0:
            return value * days
    return None


def _custom(holder: Mapping[str, Any]) -> dict[str, Any]:
    """Our custom properties of a contract or object, by name."""
    return {
        one["property"]: one.get("value")
        for one in holder.get("customProperties") or []
        if isinstance(one, Mapping) and one.get("property") in _OURS
    }


def _others(holder: Mapping[str, Any]) -> list[Any]:
    return [
        one
        for one in holder.get("customProperties") or []
        if not isinstance(one, Mapping) or one.get("property") not in _OURS
    ]


def _own_contract(document: Mapping[str, Any]) -> dict[str, Any]:
    own = {key: item for key, item in document.items() if key not in ("schema", "customProperties")}
    if others := _others(document):
        own["customProperties"] = others
    return own


def _kept_contract(document: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's own keys, when they are more than we write of the facts anyway."""
    own = _own_contract(document)
    if stated.get("contract") is True:
        return {EXTENSION: {"contract": own}}
    made = {
        "apiVersion", "kind", "id", "name", "version", "status", "domain", "description", "tags",
        "team", "slaProperties",
    }  # fmt: skip
    return {EXTENSION: {"contract": own}} if set(own) - made else {}


def _versions_before(custom: Mapping[str, Any]) -> tuple[OutsideVersion, ...]:
    before = custom.get(VERSIONS, [])
    if not isinstance(before, list):
        raise FaultError(("customProperties", VERSIONS), "must be a list of versions")
    found = []
    for one in before:
        if not isinstance(one, Mapping) or not isinstance(one.get("schema"), Mapping | bool):
            raise FaultError(("customProperties", VERSIONS), "must be versions, each with a schema")
        plain = OutsideVersion(label="", document=one["schema"])
        found.append(_stated_version(plain, one, {}, VERSIONS))
    return tuple(found)


def _stated_version(
    plain: OutsideVersion, stated: Any, kept: Mapping[str, Any], name: str
) -> OutsideVersion:
    facts = _stated(stated, VERSION_FACTS, name)
    return replace(plain, **facts, extensions=_with_kept(stated, kept))


def _stated_stream(
    plain: OutsideStream,
    document: Mapping[str, Any],
    stated: Mapping[str, Any],
    kept: Mapping[str, Any],
    where: str,
) -> OutsideStream:
    facts = _stated(stated, STREAM_FACTS, STREAM)
    name = stated.get("name", document["id"])
    if not isinstance(name, str):
        raise FaultError(("customProperties", STREAM, "name"), "must be text")
    return replace(plain, **facts, name=name, where=where, extensions=_with_kept(stated, kept))


def _stated(stated: Any, names: tuple[str, ...], name: str) -> dict[str, Any]:
    if not isinstance(stated, Mapping):
        raise FaultError(("customProperties", name), "must be an object")
    try:
        facts = facts_in(stated, names)
    except ValueError as error:
        raise FaultError(("customProperties", name, error.args[0]), error.args[1]) from None
    facts.pop("extensions", None)
    return facts


def _with_kept(stated: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    extensions = dict(stated.get("extensions", {}))
    if EXTENSION not in extensions:
        return {**extensions, **kept}
    return {key: one for key, one in extensions.items() if key != EXTENSION or one is not None}


def _said(where: str, fault: FaultError) -> Unreadable:
    return Unreadable(f"{where}{pointer_of(fault.place) if fault.place else ''}", fault.why)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


# Writing


def _contract(stream: OutsideStream, status: str) -> dict[str, Any]:
    """The contract without its objects: its own keys, with the facts as they are now."""
    kept = stream.extensions.get(EXTENSION)
    own = kept.get("contract") if isinstance(kept, Mapping) else None
    contract: dict[str, Any] = {
        "apiVersion": WRITTEN,
        "kind": "DataContract",
        "id": stream.name,
        "name": stream.title or stream.name,
        "version": "1",
        "status": status,
    }
    if isinstance(own, Mapping):
        contract |= own
    if stream.versions and stream.versions[-1].label:
        contract["version"] = stream.versions[-1].label
    try:
        _check(contract)
    except FaultError:  # somebody wrote into what was kept; the facts are ours
        contract = {key: contract[key] for key in _WORDS} | {
            "apiVersion": WRITTEN,
            "kind": "DataContract",
            "id": stream.name,
        }
    seen = _facts(contract, {})
    if stream.domain != seen["domain"]:
        _set(contract, "domain", stream.domain)
    if stream.description != seen["description"]:
        stated = contract.get("description")
        words = dict(stated) if isinstance(stated, Mapping) else {}
        _set(words, "purpose", stream.description)
        _set(contract, "description", words)
    if stream.owner != seen["owner"]:
        team = contract.get("team")
        words = dict(team) if isinstance(team, Mapping) else {}
        if isinstance(team, list):
            words["members"] = team
        _set(words, "name", stream.owner)
        _set(contract, "team", words)
    if stream.tags != seen["tags"]:
        _set(contract, "tags", list(stream.tags))
    if stream.retention_days != seen["retention_days"]:
        others = [
            one
            for one in contract.get("slaProperties") or []
            if not isinstance(one, Mapping) or one.get("property") != "retention"
        ]
        if stream.retention_days is not None:
            others.append({"property": "retention", "value": stream.retention_days, "unit": "d"})
        _set(contract, "slaProperties", others)
    return contract


def _set(holder: dict[str, Any], key: str, value: Any) -> None:
    if value:
        holder[key] = value
    else:
        holder.pop(key, None)


def _object(stream: OutsideStream) -> dict[str, Any]:
    version = stream.versions[-1]
    kept = version.extensions.get(EXTENSION)
    own = kept.get("object") if isinstance(kept, Mapping) else None
    made = object_of(version.document, stream.name)
    if isinstance(own, Mapping) and isinstance(own.get("name"), str):
        made["name"] = own["name"]
        made = dict(own) if _says(own, version.document) else overlaid(own, made)
    custom = made.get("customProperties")
    others = custom if isinstance(custom, list) else []
    made["customProperties"] = [*others, {"property": SCHEMA, "value": version.document}]
    return made


def _says(own: Mapping[str, Any], document: Any) -> bool:
    """Whether the object that was read says the schema that the version has."""
    try:
        return bool(schema_of(own, ()) == document)
    except FaultError:
        return False


def _complete(contract: dict[str, Any], stream: OutsideStream) -> None:
    """Put what reading the contract as it is does not give back into custom properties."""
    entry: dict[str, Any] = {"name": stream.name}
    kept = stream.extensions.get(EXTENSION)
    if isinstance(kept, Mapping) and isinstance(kept.get("contract"), Mapping):
        entry["contract"] = True
    stated: list[dict[str, Any]] = [{"property": STREAM, "value": entry}]
    if len(stream.versions) > 1:
        before = [_version_entry(one) for one in stream.versions[:-1]]
        stated.append({"property": VERSIONS, "value": before})
    own = contract.get("customProperties")
    others = own if isinstance(own, list) else []
    contract["customProperties"] = [*others, *stated]
    seen = read(contract, where="")[0]
    if isinstance(seen, Unreadable):
        seen = OutsideStream(name=stream.name)
    for name in STREAM_FACTS:
        value = value_of(stream, name)
        if value != value_of(seen, name):
            entry[name] = _extensions(stream, seen) if name == "extensions" else value
    if stream.versions:
        newest = stream.versions[-1]
        plain = seen.versions[-1] if seen.versions else OutsideVersion(label="", document=None)
        facts = {
            name: _extensions(newest, plain) if name == "extensions" else value_of(newest, name)
            for name in VERSION_FACTS
            if value_of(newest, name) != value_of(plain, name)
        }
        if facts:
            contract["customProperties"].append({"property": VERSION, "value": facts})


def _version_entry(version: OutsideVersion) -> dict[str, Any]:
    facts = {name: value_of(version, name) for name in VERSION_FACTS}
    return {
        "schema": version.document,
        **{name: value for name, value in facts.items() if value},
    }


def _extensions(
    wanted: OutsideStream | OutsideVersion, seen: OutsideStream | OutsideVersion
) -> dict[str, Any]:
    stated = dict(wanted.extensions)
    ours = stated.pop(EXTENSION, None)
    if ours != seen.extensions.get(EXTENSION):
        stated[EXTENSION] = ours
    return stated
