"""The verbs of the audit sentence: every action belongs to one, and an index knows which.

What is not named here is a change, so that an action nobody thought of is found by the word for most
of them rather than by none. `tests/architecture/test_audit_verbs.py` holds each action in the code
against this.
"""

from collections.abc import Mapping
from typing import Final

from django.db.models import Case, CharField, Value, When

# Looks at payload or personal values.
SAW: Final = (
    "event.personal_read", "event.personal_revealed",
    "dead_letter.personal_read", "dead_letter.personal_revealed",
    "vault.looked_up",
)  # fmt: skip
# What left the portal as a file.
EXPORTED: Final = ("dead_letter.exported", "subject_export.downloaded")
REFUSED: Final = "access.refused"
_ACCESS: Final = "access."  # what is asked, decided and ended

TOUCHED: Final = "touched"
CHANGED: Final = "changed"
VERBS: Final = (TOUCHED, "saw", CHANGED, "granted", "exported", "was refused")
# What older portals called them; questions that were kept still say so.
RENAMED: Final[Mapping[str, str]] = {"did anything to": TOUCHED, "signed": CHANGED}

# Spelt as the index `governance_audit_verb` is (migration 0023): another spelling is not found by it.
VERB: Final = Case(
    When(action__in=SAW, then=Value("saw")),
    When(action__in=EXPORTED, then=Value("exported")),
    When(action=REFUSED, then=Value("was refused")),
    When(action__startswith=_ACCESS, then=Value("granted")),
    default=Value(CHANGED),
    output_field=CharField(),
)


def verb_of(action: str) -> str:
    """The one verb of an action."""
    if action in SAW:
        return "saw"
    if action in EXPORTED:
        return "exported"
    if action == REFUSED:
        return "was refused"
    return "granted" if action.startswith(_ACCESS) else CHANGED
