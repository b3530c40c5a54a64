"""The portal's own declarative YAML (`apiVersion: portal/v1`), read and written.

A file holds one or more YAML documents; a document is sections, one declaration, or a list of such:

    apiVersion: portal/v1
    streams:
      - name: checkout.order_placed
        tier: T1
        versions:
          - label: "1"
            schema: {type: object}
    ---
    apiVersion: portal/v1
    kind: Team
    slug: checkout

Read strictly: an unknown key, a value of another type and an unknown word are refused where they
stand, with what is allowed there. Dates and words such as `yes` are text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from catalog.exchange import bounded_yaml, yaml_writing
from catalog.exchange.documents import OutsideStream, OutsideVersion, Unreadable
from catalog.exchange.facts import (
    LISTS,
    STREAM_FACTS,
    TEXTS,
    VERSION_FACTS,
    is_object,
    is_text,
    is_texts,
    is_whole,
    value_of,
)
from catalog.exchange.portal_keys import PORTAL, foreign, portal_facts
from catalog.types import (
    Classification,
    CompatibilityMode,
    CompatibilityPolicy,
    Enforcement,
    ErasedSubjects,
    SubjectPrivacy,
    Tier,
    Track,
    VersionState,
)
from governance.types import Severity
from portal.kernel.slugs import LONGEST, SLUG
from portal.kernel.strict_json import pointer_part

API_VERSION: Final = "portal/v1"
MAX_BYTES: Final = 20 * 1024 * 1024
MAX_FAULTS: Final = 100


@dataclass(frozen=True, slots=True)
class DomainEntry:
    """A domain. `owner` is a team's slug. What the file does not state is None."""

    slug: str
    name: str | None = None
    description: str | None = None
    owner: str | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class TeamEntry:
    """A team. What the file does not state is None."""

    slug: str
    name: str | None = None
    description: str | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class ProducerEntry:
    """A producer. `team` is a team's slug; `streams` are names or aliases, `globs` patterns of
    names; `sources` are CloudEvents sources. What the file does not state is None."""

    name: str
    title: str | None = None
    description: str | None = None
    team: str | None = None
    default_domain: str | None = None
    is_test: bool | None = None
    sources: tuple[str, ...] | None = None
    streams: tuple[str, ...] | None = None
    globs: tuple[str, ...] | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class MappingEntry:
    """A stream that a consumer reads: which fields (none named: all) of which version, and why."""

    stream: str
    fields: tuple[str, ...] = ()
    version: int | None = None
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class ConsumerEntry:
    """A consumer and all that it reads. What the file does not state is None."""

    name: str
    title: str | None = None
    description: str | None = None
    kind: str | None = None
    team: str | None = None
    mappings: tuple[MappingEntry, ...] | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A policy. What the file does not state is None; a new one needs all but `remedy`, `severity`."""

    slug: str
    title: str | None = None
    sentence: str | None = None
    subject: str | None = None
    expression: str | None = None
    remedy: str | None = None
    severity: str | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class PortalFile:
    """What a file declares, in its order. With anything in `unreadable` nothing should be applied.

    `where` of each entry, and of `unreadable`, is `<where>#<JSON Pointer>`; in a file of several
    YAML documents `<where>[2]#…` for the second. A stream may have no versions: then its facts only
    are declared.
    """

    domains: tuple[DomainEntry, ...] = ()
    teams: tuple[TeamEntry, ...] = ()
    streams: tuple[OutsideStream, ...] = ()
    producers: tuple[ProducerEntry, ...] = ()
    consumers: tuple[ConsumerEntry, ...] = ()
    policies: tuple[PolicyEntry, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


def read(text: bytes | str, *, where: str) -> PortalFile:
    """What the text declares. Nothing is raised: faults stand in `unreadable`."""
    if len(text) > MAX_BYTES:
        return _refused(where, f"is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        documents = bounded_yaml.load_all(decoded)
    except UnicodeDecodeError:
        return _refused(where, "is not text in UTF-8")
    except bounded_yaml.YamlFaultError as fault:
        return _refused(where, str(fault))
    if not documents:
        return _refused(where, "is empty")
    return read_documents(documents, where=where)


def read_documents(documents: Iterable[Any], *, where: str) -> PortalFile:
    """The same of parsed documents, which hold JSON's types alone."""
    reading = _Reading()
    found = list(documents)
    for place, document in enumerate(found, start=1):
        reading.document(document, where if len(found) == 1 else f"{where}[{place}]")
    return PortalFile(
        **{section: tuple(entries) for section, entries in reading.entries.items()},
        unreadable=tuple(reading.faults[:MAX_FAULTS]),
    )


def write(declared: PortalFile) -> str:
    """The same as one YAML document; `read` gives it again, but for `where`."""
    document: dict[str, Any] = {"apiVersion": API_VERSION}
    for section in SECTIONS:
        entries = [_plain(entry) for entry in getattr(declared, section)]
        if entries:
            document[section] = entries
    return yaml_writing.dump_yaml(document)


def _refused(where: str, why: str) -> PortalFile:
    return PortalFile(unreadable=(Unreadable(where, why),))


# What may stand where


@dataclass(frozen=True, slots=True)
class _Key:
    """What a key may hold: a test, and its rule in words."""

    accepts: Callable[[object], bool]
    rule: str
    needed: bool = False


def _one_of(words: Iterable[str]) -> _Key:
    allowed = tuple(words)
    return _Key(lambda value: value in allowed, f"must be one of {', '.join(allowed)}")


def _needed(key: _Key) -> _Key:
    return _Key(key.accepts, key.rule, needed=True)


def _is_slug(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST and bool(SLUG.fullmatch(value))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value.strip()) > 0 and len(value) <= 255


_TEXT: Final = _Key(is_text, "must be text (a number or a word such as true needs quotes)")
_NAMES: Final = _Key(is_texts, "must be a list of texts")
_SLUG: Final = _Key(_is_slug, f"must be lower case letters, digits and dashes, at most {LONGEST}")
_NAME: Final = _Key(_is_name, "must be text of 1 to 255 characters")
_OBJECT: Final = _Key(is_object, "must be a mapping")
_LIST: Final = _Key(lambda value: isinstance(value, list), "must be a list")
_FLAG: Final = _Key(lambda value: isinstance(value, bool), "must be true or false")
_COUNT: Final = _Key(is_whole, "must be a whole number, 0 or more")
_VERSION: Final = _Key(
    lambda value: is_whole(value) and value != 0, "must be a version's number, 1 or more"
)
_SCHEMA: Final = _Key(
    lambda value: isinstance(value, Mapping | bool), "must be a JSON Schema as a mapping"
)

# What stands in `extensions` under the portal's own key (`portal_keys`), here as plain keys.
_STREAM_OWN: Final[dict[str, _Key]] = {
    "enforcement": _one_of(Enforcement.values),
    "restricted": _FLAG,
    **dict.fromkeys(
        ("cadence_seconds", "late_seconds", "ahead_seconds", "events_per_second"), _COUNT
    ),
    "subject_meaning": _TEXT,
    "subject_classification": _one_of(Classification.values),
    "subject_privacy": _one_of(SubjectPrivacy.values),
    "erased_subjects": _one_of(ErasedSubjects.values),
    "state_key": _TEXT,
    **dict.fromkeys(("minimise", "archive", "is_state"), _FLAG),
}
_VERSION_OWN: Final[dict[str, _Key]] = {
    "compatibility_group": _one_of(("new",)),
    "state": _one_of((VersionState.DEPRECATED.value,)),
    "sunset_at": _TEXT,
    "migration": _TEXT,
}
_STREAM: Final[dict[str, _Key]] = {
    "name": _needed(_NAME),
    **dict.fromkeys(TEXTS, _TEXT),
    "domain": _SLUG,
    "owner": _SLUG,
    "tier": _one_of(Tier.values),
    "track": _one_of(Track.values),
    "classification": _one_of(Classification.values),
    "compatibility_mode": _one_of(CompatibilityMode.values),
    "compatibility_policy": _one_of(CompatibilityPolicy.values),
    "retention_days": _COUNT,
    **_STREAM_OWN,
    **dict.fromkeys(LISTS, _NAMES),
    "versions": _LIST,
    "extensions": _OBJECT,
}
_VERSION_KEYS: Final[dict[str, _Key]] = {
    "label": _TEXT,
    "note": _TEXT,
    **_VERSION_OWN,
    "schema": _needed(_SCHEMA),
    "examples": _LIST,
    "extensions": _OBJECT,
}
_MAPPING: Final[dict[str, _Key]] = {
    "stream": _needed(_NAME),
    "fields": _NAMES,
    "version": _VERSION,
    "purpose": _TEXT,
}
_KINDS: Final = ("service", "dashboard", "warehouse", "model", "experiment")
SECTIONS: Final[dict[str, dict[str, _Key]]] = {
    "teams": {"slug": _needed(_SLUG), "name": _TEXT, "description": _TEXT},
    "domains": {"slug": _needed(_SLUG), "name": _TEXT, "description": _TEXT, "owner": _SLUG},
    "streams": _STREAM,
    "producers": {
        "name": _needed(_SLUG),
        "title": _TEXT,
        "description": _TEXT,
        "team": _SLUG,
        "default_domain": _SLUG,
        "is_test": _FLAG,
        **dict.fromkeys(("sources", "streams", "globs"), _NAMES),
    },
    "consumers": {
        "name": _needed(_SLUG),
        "title": _TEXT,
        "description": _TEXT,
        "kind": _one_of(_KINDS),
        "team": _SLUG,
        "mappings": _LIST,
    },
    "policies": {
        "slug": _needed(_SLUG),
        **dict.fromkeys(("title", "sentence", "subject", "expression", "remedy"), _TEXT),
        "severity": _one_of(Severity.values),
    },
}
_SINGLE: Final = {
    "Team": "teams", "Domain": "domains", "Stream": "streams", "Producer": "producers",
    "Consumer": "consumers", "Policy": "policies",
}  # fmt: skip
_ENTRIES: Final[dict[str, Callable[..., Any]]] = {
    "teams": TeamEntry, "domains": DomainEntry, "producers": ProducerEntry,
    "policies": PolicyEntry,
}  # fmt: skip


@dataclass(slots=True)
class _Reading:
    """Goes through documents and notes declarations and faults."""

    entries: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in SECTIONS})
    faults: list[Unreadable] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def document(self, document: Any, where: str) -> None:
        self._document(document, where, "")

    def _document(self, document: Any, where: str, at: str) -> None:
        if isinstance(document, list) and not at:
            for number, one in enumerate(document):
                self._document(one, where, f"/{number}")
            return
        if not isinstance(document, Mapping):
            self._fault(where, at, "must be a mapping that begins with apiVersion: portal/v1")
            return
        if document.get("apiVersion") != API_VERSION:
            self._fault(where, f"{at}/apiVersion", f"must be {API_VERSION}")
            return
        rest = {key: item for key, item in document.items() if key != "apiVersion"}
        if "kind" in rest:
            kind = rest.pop("kind")
            if not isinstance(kind, str) or kind not in _SINGLE:
                self._fault(where, f"{at}/kind", f"must be one of {', '.join(_SINGLE)}")
                return
            self._entry(_SINGLE[kind], rest, where, at)
            return
        for key, items in rest.items():
            there = f"{at}/{pointer_part(key)}"
            if key not in SECTIONS:
                self._fault(where, there, _unknown((*SECTIONS, "kind")))
            elif not isinstance(items, list):
                self._fault(where, there, "must be a list")
            else:
                for number, item in enumerate(items):
                    self._entry(key, item, where, f"{there}/{number}")
        if not rest:
            self._fault(where, at, f"declares nothing; it may hold {', '.join(SECTIONS)}")

    def _entry(self, section: str, item: Any, where: str, at: str) -> None:
        values = self._checked(item, SECTIONS[section], where, at)
        if values is None:
            return
        identity = values["slug" if "slug" in SECTIONS[section] else "name"]
        if (section, identity) in self.seen:
            self._fault(where, at, f"declares {identity} of {section} a second time")
            return
        self.seen.add((section, identity))
        place = f"{where}#{at}"
        made: Any
        if section == "streams":
            made = self._stream(values, where, at)
        elif section == "consumers":
            made = self._consumer(values, where, at)
        else:
            made = _ENTRIES[section](**_frozen(values), where=place)
        if made is not None:
            self.entries[section].append(made)

    def _stream(self, values: dict[str, Any], where: str, at: str) -> OutsideStream | None:
        versions = []
        for number, item in enumerate(values.pop("versions", [])):
            version = self._checked(item, _VERSION_KEYS, where, f"{at}/versions/{number}")
            if version is None:
                return None
            document = version.pop("schema")
            _gather(version, _VERSION_OWN)
            versions.append(OutsideVersion(**{"label": "", **_frozen(version)}, document=document))
        _gather(values, _STREAM_OWN)
        return OutsideStream(**_frozen(values), versions=tuple(versions), where=f"{where}#{at}")

    def _consumer(self, values: dict[str, Any], where: str, at: str) -> ConsumerEntry | None:
        items = values.pop("mappings", None)
        mappings = []
        for number, item in enumerate(items or []):
            mapping = self._checked(item, _MAPPING, where, f"{at}/mappings/{number}")
            if mapping is None:
                return None
            mappings.append(MappingEntry(**_frozen(mapping)))
        return ConsumerEntry(
            **_frozen(values),
            mappings=None if items is None else tuple(mappings),
            where=f"{where}#{at}",
        )

    def _checked(
        self, item: Any, keys: Mapping[str, _Key], where: str, at: str
    ) -> dict[str, Any] | None:
        """The values of a mapping when each is as its key wants it; None after noting faults."""
        if not isinstance(item, Mapping):
            self._fault(where, at, f"must be a mapping of {', '.join(keys)}")
            return None
        before = len(self.faults)
        for key, value in item.items():
            there = f"{at}/{pointer_part(key)}"
            if key not in keys:
                self._fault(where, there, _unknown(keys))
            elif not keys[key].accepts(value):
                self._fault(where, there, keys[key].rule)
        for key, rule in keys.items():
            if rule.needed and key not in item:
                self._fault(where, at, f"needs {key}, which {rule.rule}")
        return dict(item) if len(self.faults) == before else None

    def _fault(self, where: str, at: str, why: str) -> None:
        self.faults.append(Unreadable(f"{where}#{at}", why))


def _unknown(allowed: Iterable[str]) -> str:
    return f"is not known; allowed are {', '.join(allowed)}"


def _gather(values: dict[str, Any], own: Mapping[str, object]) -> None:
    """Move the portal's own keys to where every other format has them."""
    found = {key: values.pop(key) for key in own if key in values}
    if found:
        extensions = values.get("extensions", {})
        values["extensions"] = {**extensions, PORTAL: {**portal_facts(extensions), **found}}


def _spread(facts: dict[str, Any]) -> dict[str, Any]:
    """The portal's own keys beside the others, as `_gather` takes them."""
    extensions = facts.pop("extensions")
    return {**facts, **portal_facts(extensions), "extensions": foreign(extensions)}


def _frozen(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }


# Writing


def _plain(entry: Any) -> dict[str, Any]:
    if isinstance(entry, OutsideStream):
        return _plain_stream(entry)
    return dict(_stated(entry))


def _stated(entry: Any) -> Iterator[tuple[str, Any]]:
    """The fields of an entry that state something."""
    for one in fields(entry):
        value = getattr(entry, one.name)
        if one.name == "where" or value is None or value == one.default:
            continue
        if one.name == "mappings":
            value = [dict(_stated(mapping)) for mapping in value]
        yield one.name, list(value) if isinstance(value, tuple) else value


def _plain_stream(stream: OutsideStream) -> dict[str, Any]:
    facts = _spread({name: value_of(stream, name) for name in STREAM_FACTS})
    plain = {"name": stream.name, **{key: value for key, value in facts.items() if _says(value)}}
    if stream.versions:
        plain["versions"] = [_plain_version(version) for version in stream.versions]
    return plain


def _plain_version(version: OutsideVersion) -> dict[str, Any]:
    facts = _spread({name: value_of(version, name) for name in VERSION_FACTS})
    plain = {key: value for key, value in facts.items() if _says(value)}
    return {**plain, "schema": version.document}


def _says(value: Any) -> bool:
    return value not in (None, "", [], {})
