"""The versions of the privacy keys with how far a renewal has come. No key is ever shown."""

from dataclasses import dataclass
from typing import Final

from governance.errors import RoleNeededError
from governance.models import Job, PrivacyKey
from governance.privacy import keys
from portal.http import words
from portal.kernel.actor import Actor

KIND: Final = "privacy_keys"
COUNTED: Final = 10_000
MOST_VERSIONS: Final = 50


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of the key-encryption key. `wraps` data keys, counted up to COUNTED."""

    version: int
    wraps: int
    is_current: bool
    is_at_hand: bool

    @property
    def is_bounded(self) -> bool:
        """Whether `wraps` stands at the bound of its counting: there may be more."""
        return self.wraps >= COUNTED

    @property
    def state(self) -> str:
        """`missing`, `in use`, `leaving` (data keys still need it) or `unused`."""
        if not self.is_at_hand:
            return "missing"
        if self.is_current:
            return "in use"
        return "leaving" if self.wraps else "unused"


def key_versions(actor: Actor) -> list[KeyVersion]:
    """The versions at hand and those that data keys need, the newest first; admins only."""
    if not actor.is_admin:
        raise RoleNeededError("Privacy keys are kept by admins.", "admin")
    ring = keys.ring()
    versions = set(ring.versions) | set(_needed())
    return [
        KeyVersion(
            version,
            PrivacyKey.objects.filter(version=version, wrapped__isnull=False)
            .order_by()[:COUNTED]
            .count(),
            is_current=version == ring.current,
            is_at_hand=version in ring.versions,
        )
        for version in sorted(versions, reverse=True)[:MOST_VERSIONS]
    ]


def headline(versions: list[KeyVersion], rotation: Job | None) -> str:
    """How the keys stand, in a sentence."""
    missing = [one for one in versions if one.state == "missing"]
    left = sum(one.wraps for one in versions if one.state == "leaving")
    current = next((one.version for one in versions if one.is_current), None)
    if missing:
        return f"Version {missing[0].version} of the privacy key is needed and not at hand."
    if rotation is not None and rotation.is_live:
        return f"Data keys are being rewrapped under version {current}."
    if left:
        verb = "is" if left == 1 else "are"
        named = words.capitalized(words.counted(left, "data key"))
        return f"{named} {verb} not under version {current} yet."
    return f"Every data key is under version {current}."


def rotation(actor: Actor) -> Job | None:
    """The newest renewal; None before the first one, and for others than admins."""
    if not actor.is_admin:
        return None
    return Job.objects.filter(kind=KIND).order_by("-created_at").first()


def _needed() -> list[int]:
    """Versions that data keys are wrapped by: one step of the index a version."""
    found: list[int] = []
    rows = PrivacyKey.objects.filter(wrapped__isnull=False).order_by("version")
    while len(found) < MOST_VERSIONS:
        above = rows.filter(version__gt=found[-1] if found else 0)
        version = above.values_list("version", flat=True).first()
        if version is None:
            break
        found.append(version)
    return found
