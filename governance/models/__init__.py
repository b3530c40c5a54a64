from governance.models.access import AccessRequest, TermedPermission
from governance.models.audit import AuditEntry
from governance.models.keys import Key, KeyKind
from governance.models.people import Membership, Team, User

__all__ = [
    "AccessRequest",
    "AuditEntry",
    "Key",
    "KeyKind",
    "Membership",
    "Team",
    "TermedPermission",
    "User",
]
