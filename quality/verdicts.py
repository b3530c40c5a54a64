"""What the portal says of a stream and of its checks: in words, from facts only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from portal.http import words
from quality.trust import Trust

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


def stream_verdict(trust: Trust, *, lifecycle: str, consumers: int) -> SpokenVerdict:
    """The verdict of one stream."""
    readers = (
        f"{words.plural(consumers, 'consumer').capitalize()} {'relies' if consumers == 1 else 'rely'} on it."
        if consumers
        else "Nobody has declared to read it yet."
    )
    if lifecycle == "retired":
        return SpokenVerdict("bad", "This stream is retired. Nothing new arrives.", readers)
    if lifecycle == "draft":
        return SpokenVerdict("warn", "A draft: its contract is not published yet.", readers)
    if trust.failing:
        names = _names([part.name for part in trust.failing])
        evidence = " ".join(part.sentence for part in trust.failing)
        return SpokenVerdict(
            "bad", f"Do not build on this today: {names} fails.", f"{evidence} {readers}"
        )
    if trust.caring:
        names = _names([part.name for part in trust.caring])
        evidence = " ".join(part.sentence for part in trust.caring)
        return SpokenVerdict("warn", f"Usable with care: look at {names}.", f"{evidence} {readers}")
    if trust.unknown:
        names = _names([part.name for part in trust.unknown])
        return SpokenVerdict(
            "warn",
            f"Unproven: {names} is not measured yet.",
            f"{trust.unknown[0].sentence} {readers}",
        )
    return SpokenVerdict("ok", "You can build on this. All five trust signals hold.", readers)


def _names(names: list[str]) -> str:
    lower = [name.lower() for name in names]
    return lower[0] if len(lower) == 1 else ", ".join(lower[:-1]) + " and " + lower[-1]
