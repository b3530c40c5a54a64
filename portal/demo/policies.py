"""The shop's policies: one of its own, one that it made stricter, and a waiver."""

from datetime import timedelta
from typing import Final

from governance.models import Policy, Waiver
from governance.services.policies import change_policy, create_policy
from governance.services.policy_runs import run_nightly
from governance.services.waivers import waive
from portal.kernel import clock
from portal.kernel.actor import SYSTEM

READ: Final = "t1-streams-read"
WAIVED: Final = "identity.consent_changed"


def build_policies() -> None:
    """Make them and have their first night; again changes nothing."""
    if not Policy.objects.filter(slug=READ).exists():
        create_policy(
            READ,
            actor=SYSTEM,
            title="T1 streams are read by somebody",
            sentence="What hurts that much when it is wrong has a consumer that says so.",
            subject="stream",
            expression='stream.tier != "T1" || stream.consumers > 0',
            remedy="Declare who reads it, or lower its tier.",
        )
    strict = Policy.objects.get(slug="t1-fields-deprecated-first")
    change_policy(
        strict, {"severity": "block"}, actor=SYSTEM, note="After the label outage of February."
    )
    policy = Policy.objects.get(slug=READ)
    if not Waiver.objects.filter(policy=policy, subject_key=WAIVED).exists():
        waive(
            policy, WAIVED, actor=SYSTEM, reason="Its reader is being built.",
            until=clock.now() + timedelta(days=14),
        )  # fmt: skip
    run_nightly()
