"""What the portal concludes of a change, as a sentence: from the report, by templates.

The first that holds: it is incompatible and does not open a group; readers break; stored events
would be refused; something needs a look; nothing breaks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from portal.http import words

MEASURING: Final = "Being measured."


@dataclass(frozen=True, slots=True)
class ChangeVerdict:
    """`kind` is ok, warn or bad."""

    kind: str
    say: str
    because: str


def change_verdict(
    report: Mapping[str, Any], replay: Mapping[str, Any], *, version: int, opens_group: bool
) -> ChangeVerdict:
    """The verdict of a change as far as it is measured."""
    if not report:
        return ChangeVerdict("warn", MEASURING, "Workers look at it now; this page follows.")
    readers = [*report["consumers"], *undeclared_readers(report)]
    broken = [row for row in readers if row["effect"] == "breaks"]
    if not report["verdict"]["compatible"] and not opens_group:
        return ChangeVerdict("bad", "It cannot be activated as it is.", _why_incompatible(report))
    if broken:
        return ChangeVerdict("warn", _broken_say(broken, readers), _broken_because(broken, version))
    if replay.get("refused"):
        return ChangeVerdict(
            "warn", f"{_share(replay)} of real events would be refused.", _replayed(replay)
        )
    unsure = [row for row in readers if row["effect"] in ("care", "unknown")]
    if unsure:
        verb = "has" if len(unsure) == 1 else "have"
        say = f"Nothing breaks. {words.plural(len(unsure), 'consumer')} {verb} to look."
        return ChangeVerdict("ok", say, _replayed(replay))
    say = "Nothing breaks." if not readers else f"All {len(readers)} consumers are safe."
    return ChangeVerdict("ok", say if len(readers) != 1 else "Its consumer is safe.",
                         _replayed(replay))  # fmt: skip


def undeclared_readers(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Consumers that a report saw read the stream without having declared it."""
    return [row for row in report.get("observed") or () if not row["declared"]]


def _why_incompatible(report: Mapping[str, Any]) -> str:
    breaks = [row for row in report["differences"] if row["refuses"]]
    mode, policy = report["verdict"]["mode"], report["verdict"]["policy"]
    rest = f" And {words.plural(len(breaks) - 1, 'more difference')}." if len(breaks) > 1 else ""
    first = breaks[0]["detail"] if breaks else "It could not be decided in time."
    return f"Under {mode} ({policy}): {first}{rest}"


def _broken_say(broken: Sequence[Mapping[str, Any]], readers: Sequence[object]) -> str:
    safe = len(readers) - len(broken)
    would = f"{len(broken)} would break on the first event."
    if not safe:
        return "Its consumer would break." if len(readers) == 1 else f"All {would}"
    return f"{safe} of {len(readers)} consumers {'is' if safe == 1 else 'are'} safe. {would}"


def _broken_because(broken: Sequence[Mapping[str, Any]], version: int) -> str:
    first = broken[0]
    cause = next(item for item in first["causes"] if item["effect"] == "breaks")
    names = [row["title"] for row in broken[:3]]
    who = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
    reads = "reads" if len(broken) == 1 else "read"
    return f"{who}{more} {reads} fields that v{version} changes: {cause['path']} {cause['detail']}."


def _share(replay: Mapping[str, Any]) -> str:
    return words.share(replay["refused"] / max(replay["checked"], 1))


def _replayed(replay: Mapping[str, Any]) -> str:
    if not replay:
        return "Stored events were not replayed yet."
    if not replay["total"]:
        return "There are no stored events of the last seven days to try it on."
    of = words.number(replay["total"])
    if replay["phase"] == "sample":
        return f"A sample of {words.number(replay['checked'])} of {of} events was tried."
    refused, checked = replay["refused"], replay["checked"]
    so_far = "" if checked >= replay["total"] else " so far"
    if not refused:
        return f"{words.number(checked)} of {of} events of the last seven days fit{so_far}."
    return f"{words.number(refused)} of {words.number(checked)} events{so_far} do not fit."
