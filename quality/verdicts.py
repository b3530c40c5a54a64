"""What the portal says of a stream and of its checks: in words, from facts only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from portal.http import words
from portal.kernel import clock
from quality.models import Alarm, Check, CheckKind
from quality.stories import Story
from quality.trust import Part, Trust, fresh_sentence

RULES: Final[Mapping[str, str]] = {
    "validity": "Fires when the share of events that break the contract is above its goal, beyond "
    "chance, in three of five evaluations.",
    "freshness": "Fires when the silence is longer than the stream's own rhythm allows: one chance "
    "in a thousand, three times of five, or one in a million twice.",
    "volume": "Fires when the number of events leaves the range of the same hour in past weeks by "
    "more than four deviations and 20 %, in three of five evaluations.",
}


@dataclass(frozen=True, slots=True)
class SpokenVerdict:
    """`kind` is ok, warn or bad; `say` has at most 90 characters; `because` holds the evidence."""

    kind: str
    say: str
    because: str


# How a part fails, needs care or is unknown, as it ends a sentence.
FAILS: Final[Mapping[str, str]] = {
    "Owned": "nobody answers for it",
    "Stable": "it is past its sunset",
    "Fresh": "it has gone silent",
    "Clean": "an alarm is open",
    "Cleared": "personal fields are untreated",
}
NEEDS_CARE: Final[Mapping[str, str]] = {
    "Owned": "its review is overdue",
    "Stable": "it is deprecated",
    "Fresh": "it is later than usual",
    "Clean": "a check is in doubt",
    "Cleared": "its personal data needs a look",
}
UNKNOWN: Final[Mapping[str, str]] = {
    "Owned": "its owner is not known",
    "Stable": "it has no contract",
    "Fresh": "its rhythm is not known yet",
    "Clean": "no check has judged it yet",
    "Cleared": "no field is known yet",
}


def stream_verdict(trust: Trust, *, lifecycle: str, consumers: int) -> SpokenVerdict:
    """The verdict of one stream."""
    verb = "relies" if consumers == 1 else "rely"
    readers = (
        f"{words.capitalized(words.counted(consumers, 'consumer'))} {verb} on it."
        if consumers
        else "Nobody has declared to read it yet."
    )
    if lifecycle == "retired":
        return SpokenVerdict("bad", "This stream is retired. Nothing new arrives.", readers)
    if lifecycle == "draft":
        return SpokenVerdict("warn", "A draft: its contract is not published yet.", readers)
    if trust.failing:
        say = f"Do not build on this today: {_why(trust.failing, FAILS, 'fail')}."
        return SpokenVerdict("bad", say, f"{_evidence(trust.failing)} {readers}")
    if trust.caring:
        say = f"Usable with care: {_why(trust.caring, NEEDS_CARE, 'need care')}."
        return SpokenVerdict("warn", say, f"{_evidence(trust.caring)} {readers}")
    if trust.unknown:
        say = f"Unproven: {_why(trust.unknown, UNKNOWN, 'are not measured yet')}."
        return SpokenVerdict("warn", say, f"{trust.unknown[0].sentence} {readers}")
    return SpokenVerdict("ok", "You can build on this. All five trust signals hold.", readers)


def _why(parts: Sequence[Part], said: Mapping[str, str], verb: str) -> str:
    """What is the matter: up to two parts in words, more as a count."""
    if len(parts) > 2:
        return f"{words.counted(len(parts), 'signal')} {verb}"
    return words.listed([said[part.name] for part in parts])


def _evidence(parts: Sequence[Part]) -> str:
    """What the parts say, once each: one alarm may fail two of them."""
    return " ".join(dict.fromkeys(part.sentence for part in parts))


def alarm_title(alarm: Alarm) -> str:
    """An alarm's name: what is wrong with which stream."""
    said = {
        CheckKind.VALIDITY: "Events that break the contract of",
        CheckKind.FRESHNESS: "Silence of",
        CheckKind.VOLUME: "An unusual number of events of",
    }[CheckKind(alarm.kind)]
    return f"{said} {alarm.stream.name}"


def alarm_verdict(alarm: Alarm, story: Story) -> tuple[str, str]:
    """What an alarm's page opens with: what is true now, and why it is said."""
    if alarm.closed_at is not None:
        lasted = words.duration((alarm.closed_at - alarm.opened_at).total_seconds())
        return f"It is over. It lasted {lasted}.", f"It opened with: {alarm.sentence}"
    if story.first_bad is not None and story.first_bad.errors:
        error = story.first_bad.errors[0]
        field = error["pointer"].rpartition("/")[2] or "The body"
        return f"{field} {error['detail']}.", (
            f"So says the first event that was refused, {words.since(story.first_bad.received_at)}. "
            "Refused events are kept; nothing is lost."
        )
    return (
        f"It has not gone away since {words.since(alarm.opened_at)}.",
        f"It opened with: {alarm.sentence}",
    )


def spoken(check: Check, last_event_at: datetime | None) -> str:
    """What a check says now, as pages show it."""
    if check.kind == CheckKind.FRESHNESS and check.level is not None:
        return fresh_sentence(check.level, check.sentence, last_event_at, clock.now())
    return check.sentence
