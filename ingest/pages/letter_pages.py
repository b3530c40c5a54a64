"""What the pages of dead letters show of a group: ways to put it right, and what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from governance.models import Job
from ingest.letters.suggestions import Suggestion
from ingest.models import Repair, RepairState
from ingest.selectors import dead_letters
from ingest.selectors import repairs as selectors
from ingest.selectors.dead_letters import Group
from ingest.selectors.suggested import suggestions_for
from ingest.services import letters as services
from ingest.services.letter_jobs import RATES
from portal.http import words
from portal.kernel.actor import Actor

# What went away or came since may let these through as they are.
MAY_PASS: Final = frozenset(
    {"unknown_stream", "schema_unknown", "quarantined", "not_permitted", "version_retired",
     "out_of_window", "privacy_refused"}
)  # fmt: skip
PLAIN: Final = {
    "unknown_stream": "Once its type is registered and its producer may publish it",
    "schema_unknown": "Once the version it names is published",
    "quarantined": "Once the quarantine is lifted",
    "not_permitted": "Once its producer may publish it",
    "version_retired": "Once the version is back, or its practice is over",
    "out_of_window": "Once the window of its stream is wide enough",
    "privacy_refused": "Once the privacy rule of its stream takes it",
}
LIVE: Final = (RepairState.DRAFT, RepairState.CHECKING, RepairState.WAITING, RepairState.APPROVED,
               RepairState.APPLYING)  # fmt: skip
STANDINGS: Final[Mapping[str, tuple[str, str]]] = {
    "draft": ("", "Draft"),
    "checking": ("info", "Dry run under way"),
    "waiting": ("warn", "Waits for approval"),
    "approved": ("ok", "Approved"),
    "applying": ("info", "Under way"),
    "applied": ("ok", "Done"),
    "part_applied": ("warn", "Part done"),
    "declined": ("", "Declined"),
    "paused": ("warn", "Paused"),
    "stopped": ("", "Stopped"),
    "failed": ("bad", "Failed"),
}
NAMES: Final = {"repair": "Repair", "replay": "Replay", "discard": "Discard"}


@dataclass(frozen=True, slots=True)
class Faults:
    """What would still be refused for one cause."""

    events: int
    pointer: str
    detail: str
    reason: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One repair, replay or discard as lists show it."""

    row: Repair
    job: Job | None
    kind: str
    css: str
    word: str
    said: list[str]
    passed: int
    checked: int
    is_live: bool

    @property
    def key(self) -> str:
        return self.row.group_keys[0] if self.row.group_keys else ""

    @property
    def group_id(self) -> str:
        return dead_letters.group_id(self.key)

    @property
    def verdict(self) -> str:
        """How the dry run went: ok, warn or bad."""
        if not self.passed:
            return "bad"
        return "ok" if self.passed * 20 >= self.checked * 19 else "warn"


@dataclass(frozen=True, slots=True)
class Hands:
    """What somebody may do about one, and what its page says beside it."""

    faults: list[Faults]
    may_handle: bool
    may_approve: bool
    is_own: bool
    streams: list[str]


def listed(rows: Sequence[Repair]) -> list[Shown]:
    """Many, with their work in one query."""
    jobs = selectors.jobs_of(rows)
    return [shown(row, jobs.get(str(row.pk))) for row in rows]


def shown(row: Repair, job: Job | None) -> Shown:
    standing = selectors.standing_of(row, job)
    css, word = STANDINGS[standing]
    counts = row.outcome or row.dry_run
    return Shown(
        row=row,
        job=job,
        kind=NAMES[row.kind],
        css=css,
        word=word,
        said=selectors.steps_of(row).said,
        passed=counts.get("accepted", 0) + counts.get("duplicate", 0),
        checked=counts.get("checked", 0),
        is_live=standing in ("checking", "applying"),
    )


def hands(actor: Actor, row: Repair) -> Hands:
    counts = row.outcome or row.dry_run
    faults = sorted(counts.get("faults", {}).values(), key=lambda fault: -fault["events"])
    return Hands(
        faults=[
            Faults(fault["events"], fault["pointer"], fault["detail"], fault["reason"])
            for fault in faults[:6]
        ],
        may_handle=services.may_handle(actor, row.stream),
        may_approve=services.may_approve(actor, row),
        is_own=actor.is_person and row.declared_by_user == actor.id,
        streams=[stream.name for stream in services.landings_of(row)],
    )


def put_right(
    actor: Actor, group: Group, *, document: object = None, own_steps: str = ""
) -> dict[str, Any]:
    """The ways to put a group right, for its pane; `document` is the event that is shown."""
    event = document if isinstance(document, Mapping) else None
    found = suggestions_for(actor, group, document=event)
    return {
        "may_handle": services.may_handle(actor, services.stream_of(group)),
        "suggestions": found,
        "plain_says": PLAIN.get(group.reason, "Only helps when the contract changed since"),
        "plain_first": group.reason in MAY_PASS and not found,
        "rates": rate_choices(group.count),
        "default_rate": services.DEFAULT_RATE,
        "own_steps": own_steps,
    }


def rate_choices(letters: int) -> list[tuple[int, str, str]]:
    """Rates with their short name and how long so many letters take."""
    return [
        (rate, f"{rate // 1000} k", words.duration(services.seconds_left(letters, rate)))
        for rate in RATES
    ]


def done_about(actor: Actor, group: Group) -> dict[str, Any]:
    """What was done about a group: what waits or runs first, then what is over."""
    rows = listed(selectors.repairs_of_group(actor, group.key))
    live = [row for row in rows if row.row.state in LIVE and row.word != "Stopped"]
    return {"live": live[0] if live else None, "past": [row for row in rows if row not in live[:1]]}


def chosen_steps(suggestions: list[Suggestion], how: str) -> list[Any] | None:
    """The steps of the suggestion that a form named, by its place."""
    place = how.removeprefix("s")
    if how.startswith("s") and place.isdigit() and int(place) < len(suggestions):
        return [dict(step) for step in suggestions[int(place)].steps]
    return None
