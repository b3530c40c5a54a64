"""In which order a worker of several queues looks into them: in turn, the experimental one last.

`manage.py up` has one worker for all queues. Work on experimental streams gets its time there when
production's is done; on a server each queue has a worker of its own (`docker-compose.yml`).
"""

from collections.abc import Iterable

from portal.kernel.jobs import EXPERIMENTAL


class ExperimentalLast:
    """What kombu asks of a `queue_order_strategy`."""

    def __init__(self) -> None:
        self._queues: list[str] = []

    def update(self, queues: Iterable[str]) -> None:
        """From now on these are looked into."""
        self._queues = list(queues)

    def consume(self, count: int) -> list[str]:
        """The next queues, in the order in which they are looked into."""
        return sorted(self._queues[:count], key=lambda queue: queue == EXPERIMENTAL)

    def rotate(self, last_used: str) -> str:
        """Something came of this one: it goes to the end."""
        if last_used in self._queues:
            self._queues.remove(last_used)
            self._queues.append(last_used)
        return last_used
