"""The first passwords that `first_run` made: for whom they still are, and when they end unused.

They stand in `logins.json` of the data directory, which only its owner reads. Fourteen days after that
file was written a first password that nobody signed in with opens nothing any more; the next
`first_run`, which `up` and the compose file run at each start, makes a new one and writes it there.
"""

import hmac
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from governance.models import User

UNUSED_DAYS: Final = 14
_UNUSED: Final = timedelta(days=UNUSED_DAYS).total_seconds()


def place() -> Path:
    """Where they are kept."""
    return Path(settings.DATA_DIR) / "logins.json"


def is_old() -> bool:
    """Whether the file was written longer ago than a first password waits for its person."""
    try:
        return time.time() - place().stat().st_mtime > _UNUSED
    except OSError:
        return False


def is_over(email: str, password: str) -> bool:
    """Whether a sign-in is the first one by a first password that waited too long."""
    if not is_old():
        return False
    try:
        known: list[dict[str, Any]] = list(json.loads(place().read_text())["logins"].values())
    except (OSError, ValueError, KeyError):
        return False
    typed = password.encode()
    is_first = any(
        one["email"] == email and hmac.compare_digest(one["password"].encode(), typed)
        for one in known
    )
    return is_first and email in unused([email])


def unused(emails: list[str]) -> set[str]:
    """Which of these accounts nobody ever signed in to."""
    never = User.objects.filter(email__in=emails, last_login=None)
    return set(never.values_list("email", flat=True))
