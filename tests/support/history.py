"""What clients sent and were told, and whether what is stored agrees with it.

The checker of the fault tests. It judges the promise of an answer: after a 202 every event of the
body is in exactly one of accepted and dead letters, once; nothing else is stored.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Attempt:
    """One request: its event ids and the status it got (None: no answer arrived)."""

    ids: tuple[str, ...]
    status: int | None


@dataclass
class History:
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def sent(self) -> set[str]:
        return {name for attempt in self.attempts for name in attempt.ids}

    @property
    def acknowledged(self) -> set[str]:
        return {name for attempt in self.attempts if attempt.status == 202 for name in attempt.ids}

    def statuses(self) -> Counter[int | None]:
        return Counter(attempt.status for attempt in self.attempts)


def faults(history: History, accepted: Iterable[str], dead: Iterable[str]) -> list[str]:
    """Each way in which the stored rows break the promise; empty when they keep it.

    `accepted` and `dead` are the event ids of the stored rows, one entry for each row.
    """
    accepted_rows, dead_rows = Counter(accepted), Counter(dead)
    stored = set(accepted_rows) | set(dead_rows)
    found = [f"lost: {name}" for name in sorted(history.acknowledged - stored)]
    found += [f"in both: {name}" for name in sorted(set(accepted_rows) & set(dead_rows))]
    found += [f"accepted {n} times: {name}" for name, n in accepted_rows.items() if n > 1]
    found += [f"dead {n} times: {name}" for name, n in dead_rows.items() if n > 1]
    found += [f"never sent: {name}" for name in sorted(stored - history.sent)]
    return found
