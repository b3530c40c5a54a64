"""What became of a batch, in the words that answers carry."""

from collections.abc import Sequence

from ingest.log.group import Item
from ingest.types import WAITING, AnswerDict, ResultDict, Status


def status_of(items: Sequence[Item]) -> int:
    """202, or 422 when every event was refused and none only waits for the portal."""
    if items and all(
        item.status is Status.DEAD_LETTERED and item.reason not in WAITING for item in items
    ):
        return 422
    return 202


def answer(items: Sequence[Item], *, name_all: bool = False) -> AnswerDict:
    """The counts, and every event that is not plainly accepted (or all), in input order."""
    accepted = duplicate = dead = 0
    results: list[ResultDict] = []
    for index, item in enumerate(items):
        status = item.status
        if status is Status.ACCEPTED:
            accepted += 1
            if not item.errors and not item.note and not name_all:
                continue
        elif status is Status.DUPLICATE:
            duplicate += 1
        else:
            dead += 1
        result: ResultDict = {"index": index, "id": item.id, "status": status.value}
        if status is Status.DEAD_LETTERED and item.reason is not None:
            result["reason"] = item.reason.value
            if item.dead_letter is not None:
                result["dead_letter"] = str(item.dead_letter)
        if item.errors and status is not Status.DUPLICATE:
            result["errors"] = [error.as_dict() for error in item.errors]
        if item.note:
            result["note"] = item.note
        results.append(result)
    return {
        "received": len(items),
        "accepted": accepted,
        "duplicate": duplicate,
        "dead_lettered": dead,
        "results": results,
    }
