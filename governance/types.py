"""Values of governance that cross its border."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from django.db.models import TextChoices


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


class NoticeKind(TextChoices):
    """What people are told of."""

    PROPOSED = "proposed", "Proposed"
    VOTE_WANTED = "vote_wanted", "Waits for your vote"
    DECIDED = "decided", "Decided"
    ACTIVATED = "activated", "Active"
    DEPRECATED = "deprecated", "Deprecated"
    RETIRED = "retired", "Retired"
    CHANGED = "changed", "Changed"
    REQUEST_WAITING = "request_waiting", "Access asked for"
    REQUEST_DECIDED = "request_decided", "Access decided"
    ALARM_RAISED = "alarm_raised", "Alarm"
    ALARM_ENDED = "alarm_ended", "Alarm over"
    BREAK_GLASS = "break_glass", "Break-glass"
    SIGN_IN = "sign_in", "Your account"
    REVIEW_DUE = "review_due", "Review due"
    ERASURE = "erasure", "Erasure"
    SUBJECT_EXPORT = "subject_export", "Personal data taken out"


# What everybody it concerns is mailed at once, whatever mail they wish for.
LOUD: Final = frozenset({NoticeKind.BREAK_GLASS, NoticeKind.SUBJECT_EXPORT})


class ReviewPoint(TextChoices):
    """What an owner confirms of a thing in a review, in the order of the form."""

    OWNER = "owner", "Owner"
    DESCRIPTION = "description", "Description"
    CLASSIFICATION = "classification", "Classification"
    CONSUMERS = "consumers", "Consumers"
    RETENTION = "retention", "Retention"
    ACCESS = "access", "Access"


class ReviewOutcome(TextChoices):
    """What is said of a point: it is so, or it had to be changed (and was, or will be)."""

    CONFIRMED = "confirmed", "Confirmed"
    CHANGED = "changed", "Changed"


class BreakGlassVerdict(TextChoices):
    """What was said afterwards of access that somebody took without approval."""

    CONFIRMED = "confirmed", "It was right"
    OBJECTED = "objected", "It was not right"


class Severity(TextChoices):
    """What a broken policy does: it is told, it is told as a warning, or it stops a change."""

    INFORM = "inform", "Informs"
    WARN = "warn", "Warns"
    BLOCK = "block", "Blocks"


class PolicyOutcome(TextChoices):
    """What a policy says of one thing. `not_measured`: nobody measures a fact that it reads."""

    IN_ORDER = "in_order", "In order"
    BREAKS = "breaks", "Not in order"
    UNDECIDED = "undecided", "Could not be judged"
    NOT_MEASURED = "not_measured", "Not measured"


class MailWish(TextChoices):
    """How a person wants to be told beside the portal's own pages."""

    EACH = "each", "A mail for each"
    DAILY = "daily", "One mail a day"
    NONE = "none", "No mail"


class Density(TextChoices):
    """How much a person wants to see of tables and lists at once."""

    COMFORTABLE = "comfortable", "Comfortable"
    COMPACT = "compact", "Compact"


class MailState(TextChoices):
    """How far the mail about a notice is. `dropped`: there was no more reason to send it."""

    NONE = "none"
    DUE = "due"
    SENDING = "sending"
    SENT = "sent"
    DROPPED = "dropped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """Names a thing of any app: a kind ("stream") and its key (the stream's name)."""

    kind: str
    key: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}"

    def as_pair(self) -> tuple[str, str]:
        """The same for what lies below governance."""
        return self.kind, self.key


class Governed(Protocol):
    """What governance needs to know of a thing that it protects."""

    @property
    def ref(self) -> ResourceRef: ...

    @property
    def owner_team_id(self) -> int | None: ...
