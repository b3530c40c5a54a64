from governance.models.access import AccessRequest, Delegation, TermedPermission
from governance.models.answers import KeptAnswer
from governance.models.audit import AuditAnchor, AuditEntry
from governance.models.erasures import Erasure, ErasureBasis, ErasureState, Tombstone
from governance.models.jobs import Job, JobState
from governance.models.keys import Key, KeyKind, KeyMinute, RefusalTotal
from governance.models.notices import Notice
from governance.models.outlets import AuditOutlet
from governance.models.people import Membership, Team, User
from governance.models.policies import Policy, PolicyFinding, PolicyVersion, Waiver
from governance.models.privacy import PrivacyKey, PrivacyToken
from governance.models.reviews import Review
from governance.models.sign_in import BreakGlass, PersonSession
from governance.models.subject_exports import ExportEnd, ExportState, SubjectExport
from governance.models.verification import AuditVerification
from governance.models.views import SavedView

__all__ = [
    "AccessRequest",
    "AuditAnchor",
    "AuditEntry",
    "AuditOutlet",
    "AuditVerification",
    "BreakGlass",
    "Delegation",
    "Erasure",
    "ErasureBasis",
    "ErasureState",
    "ExportEnd",
    "ExportState",
    "Job",
    "JobState",
    "KeptAnswer",
    "Key",
    "KeyKind",
    "KeyMinute",
    "Membership",
    "Notice",
    "PersonSession",
    "Policy",
    "PolicyFinding",
    "PolicyVersion",
    "PrivacyKey",
    "PrivacyToken",
    "RefusalTotal",
    "Review",
    "SavedView",
    "SubjectExport",
    "Team",
    "TermedPermission",
    "Tombstone",
    "User",
    "Waiver",
]
