"""What the pages of dead letters show of a group: ways to put it right, and what was done."""

import json
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
from portal.kernel.errors import InvalidError

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
# What no event passed is not half done, and waits for nobody.
NONE_PASSED: Final = ("bad", "No event passes")
ICONS: Final = {"repair": "wand", "replay": "replay", "discard": "x"}
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
    icon: str
    standing: str
    css: str
    word: str
    said: list[str]
    passed: int
    checked: int
    is_live: bool

    @property
    def key(self) -> str:
        """The key of its group, the first one where it has several; empty for none."""
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

    @property
    def ended(self) -> tuple[str, str, str] | None:
        """How the work itself ended or where it stands still: kind, sentence, why; None before."""
        if self.row.applied_at is None or self.is_live:
            return None
        return _ended(self)

    @property
    def steps_again(self) -> str:
        """Its steps as they are written, to be changed."""
        return written(self.row.steps)


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
    """What pages show of a repair, a replay or a discard; `job` is its latest work, if there is any."""
    standing = selectors.standing_of(row, job)
    css, word = STANDINGS[standing]
    counts = row.outcome or row.dry_run
    passed = counts.get("accepted", 0) + counts.get("duplicate", 0)
    if not passed and standing in ("waiting", "part_applied"):
        css, word = NONE_PASSED
    return Shown(
        row=row,
        job=job,
        kind=NAMES[row.kind],
        icon=ICONS[row.kind],
        standing=standing,
        css=css,
        word=word,
        said=selectors.steps_of(row).said,
        passed=passed,
        checked=counts.get("checked", 0),
        is_live=standing in ("checking", "applying"),
    )


def _ended(one: Shown) -> tuple[str, str, str]:
    counts, events = one.row.outcome, words.plural(one.checked, "event")
    refused, again = counts.get("refused", 0), counts.get("duplicate", 0)
    stay = f"{words.number(refused)} stay open in their group, with what they met."
    stored = f"{words.number(again)} of them were stored already. " if again else ""
    if one.standing in ("failed", "stopped", "paused"):
        total = one.job.total if one.job is not None else None
        far = f"{words.number(one.checked)} of {words.plural(total, 'event')}" if total else events
        if one.standing == "stopped":
            return "warn", f"Stopped after {far}.", "What was done stays; the others wait on."
        if one.standing == "paused":
            return "warn", f"Paused after {far}.", "Resume goes on where it stopped."
        return "bad", f"Failed after {far}. Nothing is lost.", "Resume goes on where it failed."
    if one.row.kind == "discard":
        return "ok", f"{events} discarded.", f"Reason: {one.row.note}"
    if not one.checked:
        return "ok", "No event was left to replay.", "Somebody settled them meanwhile."
    if not one.passed:
        return "bad", f"None of {events} passed.", f"Nothing was stored. {words.capitalized(stay)}"
    if refused:
        return "warn", f"{words.number(one.passed)} of {events} replayed.", stored + stay
    return "ok", f"{events} replayed.", f"{stored}Consumers see them as late events."


def written(steps: Sequence[Any]) -> str:
    """Steps as people write them: JSON, a step a line."""
    lines = [json.dumps(step, ensure_ascii=False) for step in steps]
    return "[" + ",\n ".join(lines) + "]" if lines else ""


@dataclass(frozen=True, slots=True)
class Tried:
    """What somebody sent from the form of a group that could not be taken, to be mended there.

    `faults` are places (of a step, or empty) with what is wrong with each.
    """

    how: str
    steps: str
    reason: str
    faults: list[tuple[str, str]]


def tried(how: str, steps: str, reason: str, error: InvalidError) -> Tried:
    """What was sent with its faults, ten at most: of own steps by place, else the whole error."""
    places = [(_place(fault.pointer), fault.detail) for fault in error.errors]
    found = [(place, detail) for place, detail in places if place] if how == "own" else []
    return Tried(how, steps, reason, found[:10] or [("", error.detail)])


def _place(pointer: str) -> str:
    """`/steps/0/at` is "Step 1, at"."""
    parts = pointer.split("/")[2:]
    if not parts or not parts[0].isdigit():
        return ""
    return ", ".join([f"Step {int(parts[0]) + 1}", *parts[1:2]])


def hands(actor: Actor, row: Repair) -> Hands:
    """What the actor may do about a repair; the six most frequent faults of its latest work."""
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
    actor: Actor,
    group: Group,
    *,
    document: object = None,
    own_steps: str = "",
    wrong: Tried | None = None,
) -> dict[str, Any]:
    """The ways to put a group right, for its pane; `document` is the event that is shown.

    `wrong` is what was sent and refused: its way stays chosen, and its text stays written.
    """
    event = document if isinstance(document, Mapping) else None
    found = suggestions_for(actor, group, document=event)
    plain_first = group.reason in MAY_PASS and not found
    chosen = "own" if own_steps else "s0" if found else "plain" if plain_first else "own"
    return {
        "may_handle": services.may_handle(actor, services.stream_of(group)),
        "suggestions": found,
        "plain_says": PLAIN.get(group.reason, "Only helps when the contract changed since"),
        "chosen_way": wrong.how if wrong is not None else chosen,
        "wrong": wrong,
        "rates": rate_choices(group.count),
        "default_rate": services.DEFAULT_RATE,
        "own_steps": wrong.steps if wrong is not None else own_steps or _begun(group, found),
    }


def _begun(group: Group, found: Sequence[Suggestion]) -> str:
    """Steps to begin with: those of the first suggestion, else one at the place of the fault."""
    if found:
        return written(found[0].steps)
    pointer = group.detail.partition(" ")[0]
    place = pointer if pointer.startswith("/data/") else "/data/field"
    return written([{"do": "cast", "at": place, "to": "integer"}])


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
