"""Taking a group of dead letters out: lines with their bytes, for who may read the payload.

Each page judges anew whether they may, so that a grant which ends while an export runs ends it. An
export leaves one audit row when it begins.
"""

import base64
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from governance import access, audit
from governance.types import Permission
from ingest.models import DeadLetter
from ingest.privacy import sealing
from ingest.privacy.marks import mark
from ingest.selectors import dead_letters
from portal.kernel import rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import BadRequestError, FieldError, NotPermittedError

MAX_LETTERS: Final = 10_000
PAGE: Final = 200


class Export:
    """The letters of a group after a place, in pages."""

    def __init__(self, actor: Actor, key: str, after: tuple[datetime, UUID] | None) -> None:
        self._actor = actor
        self._key = key
        self._after = after
        self._given = 0
        self._is_over = False

    def next_rows(self) -> list[dict[str, Any]]:
        """The next page; the last line of a cut export says where the next one begins."""
        if self._is_over:
            return []
        with transaction.atomic():
            rows = self._read()
        self._given += len(rows)
        lines = [_line(row) for row in rows]
        if rows:
            self._after = (rows[-1].received_at, rows[-1].id)
        if len(rows) < PAGE:
            self._is_over = True
        elif self._given >= MAX_LETTERS:
            self._is_over = True
            lines.append({"next": f"{rfc3339.spell(rows[-1].received_at)}~{rows[-1].id}"})
        return lines

    def _read(self) -> list[DeadLetter]:
        # All states are named for the index (state, group, receipt); `received_at__gte` besides the
        # place lets the days before it be left out, so that a page costs the same wherever it is.
        rows = dead_letters.visible_dead_letters(self._actor).filter(
            state__in=dead_letters.STATES, group_key=self._key
        )
        if self._after is not None:
            at, letter = self._after
            rows = rows.filter(received_at__gte=at).filter(
                Q(received_at__gt=at) | Q(received_at=at, id__gt=letter)
            )
        found = list(rows.order_by("received_at", "id")[:PAGE])
        if found and not dead_letters.may_read_body(self._actor, found[0]):
            self._is_over = True
            return []
        return found


def begin_export(actor: Actor, key: str, *, after: str = "") -> Export:
    """An export of a group; NotPermittedError for who may not read its bytes."""
    place = _place(after) if after else None
    newest = (
        dead_letters.visible_dead_letters(actor)
        .filter(group_key=key)
        .order_by("-received_at", "id")
        .first()
    )
    ref = dead_letters.ref_of(newest) if newest is not None else None
    if newest is not None and ref is not None and not dead_letters.may_read_body(actor, newest):
        raise NotPermittedError(
            f"This needs the permission {Permission.READ_PAYLOAD.value} on {ref}.",
            code="permission_missing",
            permission=Permission.READ_PAYLOAD.value,
            request_at=access.ask_url(ref),
            about=ref.as_pair(),
        )
    if newest is not None and ref is not None:
        with transaction.atomic():
            audit.record(
                actor,
                "dead_letter.exported",
                ref,
                summary=f"took dead letters of {ref.key or 'no type'} out",
                after={"group": mark("group", key), "after": after},
            )
    return Export(actor, key, place)


def _place(after: str) -> tuple[datetime, UUID]:
    at, _, letter = after.partition("~")
    try:
        return rfc3339.parse(at), UUID(letter)
    except ValueError as error:
        raise BadRequestError(
            "The place cannot be read.", errors=[FieldError("/after", "unreadable", "is no place")]
        ) from error


def _line(row: DeadLetter) -> dict[str, Any]:
    raw = sealing.opened(bytes(row.body), row.id)
    try:
        body: dict[str, str] = {"body": raw.decode("utf-8")}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(raw).decode("ascii")}
    return {
        "id": str(row.id),
        "received_at": row.received_at,
        "reason": row.reason,
        "type": row.type,
        "event_id": row.event_id,
        "errors": row.errors,
        "state": row.state,
        "content_type": row.content_type,
        **body,
    }
