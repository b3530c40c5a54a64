"""The policies that every portal has. Admins change what they do, and switch them off.

They warn and never block by themselves: a portal that refuses is one whose admins said so. One that
grants is an example, which is off until an admin switches it on.
"""

from dataclasses import dataclass
from typing import Final

from governance.types import Severity

_PERSONAL: Final = '["personal", "sensitive"]'


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A policy as `governance.models.Policy` has it."""

    slug: str
    title: str
    sentence: str
    subject: str
    expression: str
    remedy: str
    severity: str = Severity.WARN
    is_off: bool = False  # an example, until an admin switches it on


BUILT_IN: Final = (
    BuiltIn(
        "owner-present",
        "Every stream has an owner",
        "A team owns the stream, or its domain: somebody answers for it and decides on access.",
        "stream",
        'stream.lifecycle == "retired" || stream.owner != ""',
        "Name an owner team, of the stream or of its domain.",
    ),
    BuiltIn(
        "described",
        "Every stream says what it is",
        "The stream has a description: whoever finds it knows what happened when an event came.",
        "stream",
        'stream.lifecycle == "retired" || stream.description != ""',
        "Describe the stream in a sentence.",
    ),
    BuiltIn(
        "fields-described",
        "Every field is described",
        "Each field of the contract has a title or a description.",
        "stream",
        'contract.fields.filter(f, f.description == "" && f.title == "").map(f, f.path)',
        "Describe these fields in the contract.",
        Severity.INFORM,
    ),
    BuiltIn(
        "personal-fields-planned",
        "Personal fields have a privacy plan",
        "A field that is personal or sensitive says with x-privacy how it is treated before it "
        "is kept.",
        "stream",
        f'contract.fields.filter(f, f.classification in {_PERSONAL} && f.privacy == "")'
        ".map(f, f.path)",
        "Give these fields x-privacy: drop, tokenize, encrypt, truncate or bucket.",
    ),
    BuiltIn(
        "personal-subject-planned",
        "A personal subject has a privacy plan",
        "A subject that is personal or sensitive is tokenized or dropped.",
        "stream",
        f'!(stream.subject_classification in {_PERSONAL}) || stream.subject_privacy != "none"',
        "Have the subject tokenized or dropped.",
    ),
    BuiltIn(
        "retention-within-limits",
        "Nothing is kept too long",
        "Events with personal data are kept for 400 days at most, others for three years.",
        "stream",
        "stream.retention_days <= (stream.is_personal ? 400 : 1096)",
        "Shorten the retention, or keep older days in the archive.",
    ),
    BuiltIn(
        "t1-two-approvers",
        "T1 streams have two approvers",
        "At least two people may approve changes of a T1 stream, so that one may be away.",
        "stream",
        'stream.tier != "T1" || stream.lifecycle == "retired" || stream.approvers >= 2',
        "Add somebody to the owner team, or grant somebody approve.",
    ),
    BuiltIn(
        "review-not-overdue",
        "Reviews are not overdue",
        "What is said of the stream was reviewed when it was due.",
        "stream",
        'stream.lifecycle == "retired" || stream.review_overdue_days <= 0',
        "Review the stream.",
    ),
    BuiltIn(
        "t1-fields-deprecated-first",
        "T1 fields are not removed in one step",
        "A field of a T1 stream that a consumer reads is deprecated before it is removed.",
        "change",
        'stream.tier != "T1" ? [] : '
        "change.removed.filter(f, f.readers > 0 && !f.deprecated).map(f, f.path)",
        "Deprecate these fields first, tell their readers, and remove them in a later version.",
    ),
    BuiltIn(
        "consumer-owned",
        "Every consumer has a team",
        "A team answers for the consumer, and is told when what it reads changes.",
        "consumer",
        'consumer.team != ""',
        "Name the consumer's team.",
    ),
    BuiltIn(
        "no-orphan-consumers",
        "No consumer is an orphan",
        "A consumer reads a stream that is not retired; a new one has a week.",
        "consumer",
        "consumer.age_days < 7 || consumer.streams > consumer.retired_streams",
        "Declare what it reads, or move it to the successor of what was retired.",
    ),
    BuiltIn(
        "internal-read-at-once",
        "What is internal is read without waiting",
        "Whoever asks to read a stream without anything personal, for 30 days at most, is granted "
        "it at once.",
        "access_request",
        'request.permission == "read_payload" && resource.classification in ["public", "internal"] '
        "&& !request.is_personal && !resource.restricted && request.days <= 30 "
        '? {"answer": "approve"} : {"answer": "none"}',
        "",
        Severity.INFORM,
        is_off=True,
    ),
)
