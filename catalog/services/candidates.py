"""Checking a candidate without proposing it: what its change report would say, within one request.

The report's own code says it (`static_report`); stored events are tried on a bounded sample that
says how large it was. Nothing is stored.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from catalog import impact
from catalog.compatibility.budget import Budget
from catalog.models import Stream
from catalog.schema_safety import check_schema
from catalog.services.changes import approvals_needed
from catalog.services.reports import static_report
from governance import access
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import Actor

NOT_MEASURED: Final = "not measured"
REPLAY_SECONDS: Final = 2.0
OTHERS_SECONDS: Final = 2.0
_PLURALS: Final = {kind: f"{kind}s" for kind in impact.KINDS}


def check_candidate(stream: Stream, document: Mapping[str, Any], *, actor: Actor) -> dict[str, Any]:
    """What proposing a document would show, for who may propose it; nothing is kept.

    What nobody measures is the text `not measured`. Raises InvalidError for a document that
    cannot be taken.
    """
    access.require(actor, Permission.EDIT, stream)
    check_schema(document)
    began = time.monotonic()
    report = static_report(stream, document, budget=Budget(seconds=OTHERS_SECONDS))
    dependents = report.pop("dependents")
    sampler = impact.sampler()
    found = {
        **report,
        "computed_at": clock.now(),
        "stream": stream.name,
        **{_PLURALS[kind]: _or_not(things) for kind, things in dependents.items()},
        "policy": _policy(stream, report, actor),
        "replay": _or_not(
            sampler(stream, document, budget_seconds=REPLAY_SECONDS) if sampler else None
        ),
    }
    return found | {"seconds": round(time.monotonic() - began, 3)}


def _or_not(found: Any) -> Any:
    return NOT_MEASURED if found is None else found


def _policy(stream: Stream, report: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """What stands between the candidate and being active, as the stream's rules have it now."""
    return {
        "needed_approvals": approvals_needed(stream, actor),
        "needs_group": not report["verdict"]["compatible"],
        "privacy": [field["path"] for field in report["privacy"]],
        "track": stream.track,
        "enforcement": stream.enforcement,
    }
