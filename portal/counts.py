"""How much waits for somebody, as the sidebar shows it: one small query a number."""

from dataclasses import dataclass

from catalog.models import Stream
from catalog.selectors.changes import waiting_for
from governance import access
from governance.selectors.audit_log import newest_verification
from governance.selectors.requests import requests_to_decide
from ingest.selectors.dead_letters import group_count
from portal.kernel.actor import Actor
from quality.selectors.checks import open_alarms


@dataclass(frozen=True, slots=True)
class Counts:
    """What each place of the sidebar counts, and what makes up the platform's state: alarms, and for
    admins whether the last walk over the audit chain found a row that does not fit."""

    streams: int = 0
    requests: int = 0
    alarms: int = 0
    dead_letter_groups: int = 0
    changes: int = 0
    chain_is_broken: bool = False


def counts_for(actor: Actor) -> Counts:
    """The numbers for one person; what they may not know of is not counted."""
    return Counts(
        streams=access.discoverable(actor, Stream.objects.exclude(lifecycle="retired")).count(),
        requests=requests_to_decide(actor).count(),
        alarms=open_alarms(actor).count(),
        dead_letter_groups=group_count(actor),
        changes=waiting_for(actor).count(),
        chain_is_broken=actor.is_admin and _chain_is_broken(),
    )


def _chain_is_broken() -> bool:
    newest = newest_verification()
    return newest is not None and not newest.holds
