"""Values of governance that cross its border."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """The five roles; each is a Django group of this name."""

    PRODUCT_MANAGER = "product_manager"
    ENGINEER = "engineer"
    ADMIN = "admin"
    ANALYST = "analyst"
    ON_CALL = "on_call"


class Permission(StrEnum):
    """Object permissions on domains (inherited) and streams."""

    DISCOVER = "discover"
    READ_PAYLOAD = "read_payload"
    READ_PERSONAL = "read_personal"
    PUBLISH = "publish"
    EDIT = "edit"
    APPROVE = "approve"
    ADMINISTER = "administer"


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """Names a thing of any app: a kind ("stream") and its key (the stream's name)."""

    kind: str
    key: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}"


class Governed(Protocol):
    """What governance needs to know of a thing that it protects."""

    @property
    def ref(self) -> ResourceRef: ...

    @property
    def owner_team_id(self) -> int | None: ...
