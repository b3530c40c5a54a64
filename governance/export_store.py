"""Exports about persons as a store of personal data: an erasure removes those that are about them."""

from collections.abc import Mapping
from typing import Any, Final

from governance.erasing import Collected, Sought, Swept
from governance.models import ExportEnd, ExportState, SubjectExport
from governance.services.subject_exports import remove
from portal.kernel import rfc3339

_BATCH: Final = 100


class SubjectExports:
    """An export is about somebody when one of its marks is sought, whenever it was made: what it
    holds is older than its end."""

    key = "subject_exports"
    name = "Exports about persons"

    def size(self) -> int:
        return SubjectExport.objects.exclude(state=ExportState.GONE).count()

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        rows = self._rows(cursor)
        erased = sum(remove(row, ExportEnd.ERASED) for row in rows if _is_about(row, sought))
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


def _is_about(row: SubjectExport, sought: Sought) -> bool:
    return any(bytes.fromhex(mark) in sought.marks for mark in row.marks)
