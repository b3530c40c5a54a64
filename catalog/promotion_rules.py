"""What production asks of a stream: policies that stop a move there, and rules of the move itself.

Policies are admins': one that is switched off asks for nothing, and a waiver holds here too. The
rules of the move are about what only a move makes necessary, and are judged in the same language.
"""

from typing import Final

from governance.policies.judging import Rule
from governance.types import Severity

# Built-in policies that only warn elsewhere and stop a move to production.
ASKED: Final = frozenset(
    {
        "owner-present",
        "described",
        "personal-fields-planned",
        "personal-subject-planned",
        "retention-within-limits",
        "t1-two-approvers",
    }
)
TO_PRODUCTION: Final = (
    Rule(
        "live",
        "It is in use",
        "stream",
        'stream.lifecycle == "active"',
        Severity.BLOCK,
        "Take its end back first.",
    ),
    Rule(
        "contract",
        "It has an active contract",
        "stream",
        "contract.version > 0",
        Severity.BLOCK,
        "Publish a version of its contract and make it the default.",
    ),
    Rule(
        "enforced",
        "Its contract is enforced",
        "stream",
        'stream.enforcement == "enforce"',
        Severity.BLOCK,
        "Climb the ladder of enforcement to enforce.",
    ),
    Rule(
        "read",
        "Somebody reads it",
        "stream",
        "stream.consumers > 0",
        Severity.INFORM,
        "Declare who reads it, so that they are told of changes.",
    ),
)
TO_TRIAL: Final = (
    Rule(
        "unread",
        "Nobody depends on it",
        "stream",
        "stream.consumers == 0",
        Severity.WARN,
        "Tell its readers first: changes of its contract need nobody's approval there.",
    ),
)
# Where what a rule or policy asks for is mended, below the stream's page.
MENDED_AT: Final = {
    "contract": "change/",
    "enforced": "quality/",
    "read": "consumers/",
    "unread": "consumers/",
    "live": "end/",
    "retention-within-limits": "retention/",
    "personal-subject-planned": "privacy/",
    "personal-fields-planned": "change/",
    "fields-described": "change/",
}
