"""Checks of files and disks on this machine."""

import os
import shutil
import stat
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

from django.conf import settings

from governance.chain import signing
from governance.chain.signing import AuditKeyError
from portal.doctor.types import Finding, fail, ok, warn
from portal.kernel import clock

GIB: Final = 1024**3
# Versions below these have weaknesses that can be reached here.
FLOORS: Final = {"django": (5, 2, 17), "djangorestframework": (3, 18, 2)}
# The day that requirements.lock was made anew on, and how old docs/security.md lets it become.
LOCKED_ON: Final = date(2026, 11, 28)
RENEWED_WITHIN: Final = timedelta(days=90)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_FILES: Final = (
    "DATABASE_URL_FILE", "REDIS_URL_FILE", "PORTAL_SECRET_KEY_FILE", "PORTAL_PRIVACY_KEYS_FILE",
    "PORTAL_AUDIT_KEY_FILE", "PORTAL_AUDIT_HTTP_SECRET_FILE", "PORTAL_EMAIL_PASSWORD_FILE",
)  # fmt: skip


def secret_files() -> Finding:
    """Files that hold secrets are for their owner alone."""
    place = settings.DATA_DIR / "secrets"
    ours = [place, *sorted(place.iterdir())] if place.is_dir() else []
    logins = settings.DATA_DIR / "logins.json"
    ours += [logins] if logins.exists() else []
    open_ones = [path for path in ours if path.stat().st_mode & _OTHERS]
    if open_ones:
        names = ", ".join(path.name for path in open_ones)
        return fail(f"others may read {names}", f"chmod 700 {place}; chmod 600 {place}/* {logins}")
    told = [Path(path) for name in _FILES if (path := os.environ.get(name))]
    elsewhere = [path for path in told if path.exists() and path.stat().st_mode & stat.S_IROTH]
    if elsewhere:
        names = ", ".join(str(path) for path in elsewhere)
        return warn(f"everybody on the machine may read {names}", "chmod 600 them.")
    return ok(f"{sum(path.is_file() for path in ours) + len(told)} files, for their owner alone")


def audit_key() -> Finding:
    try:
        known = signing.known_keys()
    except AuditKeyError as error:
        return fail(str(error), "Set PORTAL_AUDIT_KEY or PORTAL_AUDIT_KEY_FILE.")
    if not known:
        return warn("none yet", "It is made with the first anchor; copy it away from the database.")
    return ok(f"{len(known)} at hand, the first signs as {next(iter(known))}")


def anchors() -> Finding:
    """The copy of what was signed: writable, and not beside the database."""
    path = settings.AUDIT_ANCHORS
    place = next(parent for parent in (path, *path.parents) if parent.exists())
    if not os.access(place, os.W_OK):
        return fail(f"{path} cannot be written", "Make it writable, or set PORTAL_AUDIT_ANCHORS.")
    if settings.EMBEDDED and settings.DATA_DIR in path.parents:
        return warn(
            "the copy lies beside the embedded database",
            "Point PORTAL_AUDIT_ANCHORS at a disk that who administers the database cannot write.",
        )
    return ok("writable, apart from the database")


def disk() -> Finding:
    place = settings.DATA_DIR
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    ratio = usage.free / usage.total
    said = f"{usage.free / GIB:.1f} GiB free, {ratio:.0%}"
    if usage.free < GIB or ratio < 0.03:
        return fail(said, "Free some space: at 0 nothing is taken any more.")
    if usage.free < 5 * GIB or ratio < 0.1:
        return warn(said, "Free some space, or shorten retention.")
    return ok(said)


def libraries() -> Finding:
    """Whether no library is below a floor, and the lock no older than docs/security.md promises."""
    old = []
    for name, floor in FLOORS.items():
        found = version(name)
        if tuple(int(part) for part in found.split(".")[:3] if part.isdigit()) < floor:
            old.append(f"{name} {found}")
    if old:
        return fail(f"{', '.join(old)} has known weaknesses", "Install from requirements.lock.")
    age = clock.now().date() - LOCKED_ON
    if age > RENEWED_WITHIN:
        return warn(
            f"the lock of {LOCKED_ON} is {age.days} days old",
            "Install a newer release; until then compare requirements.lock with published weaknesses.",
        )
    return ok(f"at or above their floors, locked on {LOCKED_ON}")
