"""The portal's own declarative YAML (`apiVersion: portal/v1`), read and written."""

from dataclasses import dataclass

from catalog.exchange.documents import OutsideStream, Unreadable


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
    unreadable: tuple[Unreadable, ...] = ()


def read(text: bytes | str, *, where: str) -> PortalFile:
    """What the text declares. Nothing is raised: faults stand in `unreadable`."""
    raise NotImplementedError


def write(declared: PortalFile) -> str:
    """The same as YAML; `read` gives it again, but for `where`."""
    raise NotImplementedError
