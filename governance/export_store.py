"""Exports about persons as a store of personal data: an erasure removes what was asked for before it.

An event about Ada that names Bob stands whole in the file about Ada. What is sealed there is not looked
into: any export of before may hold anybody, and is asked for anew. Later ones are not gathered while the
erasure runs (`governance.services.subject_exports`).
"""

from collections.abc import Mapping
from typing import Any, Final

from governance.erasing import Collected, Sought, Swept
from governance.models import ExportState, SubjectExport
from governance.privacy.whom import SETTLE
from governance.services.subject_exports import remove_for_erasure
from portal.kernel import rfc3339

_BATCH: Final = 100


class SubjectExports:
    """An export that is about somebody who is sought goes whenever it was made: what it holds is older
    than its end. Others go when they were asked for before the erasure, or in the moment after it, when
    their work may not have known of it yet."""

    key = "subject_exports"
    name = "Exports about persons"

    def size(self) -> int:
        return SubjectExport.objects.exclude(state=ExportState.GONE).count()

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        rows = self._rows(cursor)
        erased = sum(remove_for_erasure(row) for row in rows if _may_name(row, sought))
        return Swept(self._next(rows), looked_at=len(rows), erased=erased)

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        """When something was taken out about them before, not what it was."""
        rows = self._rows(cursor)
        items = tuple(
            {"time": rfc3339.spell(row.created_at), "what": "An export of what is kept about them."}
            for row in rows
            if row.state == ExportState.READY and _is_about(row, sought)
        )
        return Collected(self._next(rows), looked_at=len(rows), items=items)

    def _rows(self, cursor: Mapping[str, Any]) -> list[SubjectExport]:
        live = SubjectExport.objects.exclude(state=ExportState.GONE).order_by("pk")
        after = cursor.get("after")
        return list((live.filter(pk__gt=after) if after else live)[:_BATCH])

    def _next(self, rows: list[SubjectExport]) -> Mapping[str, Any] | None:
        return {"after": str(rows[-1].pk)} if len(rows) == _BATCH else None


def _may_name(row: SubjectExport, sought: Sought) -> bool:
    latest = max(sought.marks.values(), default=None)
    is_older = latest is not None and row.created_at <= latest + SETTLE
    return is_older or _is_about(row, sought)


def _is_about(row: SubjectExport, sought: Sought) -> bool:
    return any(bytes.fromhex(mark) in sought.marks for mark in row.marks)
