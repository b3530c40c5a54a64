"""The key of `extensions` for what has a column here and no field in the shape of other tools.

Of a stream: `FACTS` that differ from a new stream's. Of a version: `compatibility_group: "new"` on
one that opened a group; `state: "deprecated"` with `sunset_at` (RFC 3339) and `migration`.
"""

from collections.abc import Mapping
from typing import Any, Final

PORTAL: Final = "portal"
FACTS: Final = (
    "enforcement",
    "restricted",
    "cadence_seconds",
    "late_seconds",
    "ahead_seconds",
    "events_per_second",
    "subject_meaning",
    "subject_classification",
    "subject_privacy",
    "minimise",
    "erased_subjects",
    "archive",
    "is_state",
    "state_key",
)


def portal_facts(extensions: Mapping[str, Any]) -> Mapping[str, Any]:
    """What stands under the portal's own key."""
    found = extensions.get(PORTAL)
    return found if isinstance(found, Mapping) else {}


def foreign(extensions: Mapping[str, Any]) -> dict[str, Any]:
    """What of a file is kept as it is: all but the portal's own key."""
    return {key: value for key, value in extensions.items() if key != PORTAL}
