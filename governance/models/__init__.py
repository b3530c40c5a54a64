from governance.models.access import AccessRequest, TermedPermission
from governance.models.audit import AuditEntry
from governance.models.keys import Key
from governance.models.people import Membership, Team, User

__all__ = ["AccessRequest", "AuditEntry", "Key", "Membership", "Team", "TermedPermission", "User"]
