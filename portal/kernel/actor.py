"""Who does something: the one value that services and selectors take instead of a request."""

from dataclasses import dataclass, field
from enum import StrEnum


class ActorKind(StrEnum):
    PERSON = "person"
    PRODUCER = "producer"
    CONSUMER = "consumer"
    FLAG_CLIENT = "flag_client"
    SYSTEM = "system"


ALL_SCOPES = frozenset({"read", "write", "approve", "admin", "metrics"})


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated person, key holder or the portal itself.

    `id` is the primary key of the user, producer or consumer (0 for the system). `roles` are the
    names of a person's roles, `team_ids` their teams. `scopes` narrow what a personal token may
    do; a signed-in session holds all of them. `streams` is the glob of a program's key: it narrows
    what grants give it. `request_id` ties audit rows to one request.
    """

    kind: ActorKind
    id: int
    label: str
    roles: frozenset[str] = frozenset()
    team_ids: frozenset[int] = frozenset()
    scopes: frozenset[str] = ALL_SCOPES
    key_id: str = ""
    streams: str = "*"
    request_id: str = field(default="", compare=False)

    @property
    def is_person(self) -> bool:
        return self.kind is ActorKind.PERSON

    @property
    def is_system(self) -> bool:
        return self.kind is ActorKind.SYSTEM

    @property
    def is_admin(self) -> bool:
        """Whether it is the portal itself, or an admin acting with the scope `admin`."""
        return self.is_system or ("admin" in self.roles and "admin" in self.scopes)

    def has_role(self, *names: str) -> bool:
        """Whether it has any of these roles."""
        return not self.roles.isdisjoint(names)


SYSTEM = Actor(kind=ActorKind.SYSTEM, id=0, label="portal")
