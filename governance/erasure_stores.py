"""The stores of governance: what people wrote into its tables, and the vault.

What it keeps else names nobody: the audit log takes no personal value, answers that are kept for an
Idempotency-Key are sealed with that key, which the portal does not keep, and are gone after a day.
"""

from collections.abc import Mapping
from typing import Any, Final

from django.db.models import Model, Q

from governance.erasing import Collected, Sought, Swept
from governance.erasing_tables import ERASED, Column, Tables, about
from governance.models import (
    AccessRequest,
    BreakGlass,
    Delegation,
    Job,
    Notice,
    PolicyFinding,
    PrivacyToken,
    Review,
    SavedView,
    Waiver,
)
from governance.models.jobs import LIVE
from governance.privacy import vault, whom

# What still runs needs its cursor, and gives it up with its last step where it may name a row.
_ENDED: Final = ~Q(state__in=LIVE)


def _words(model: type[Model], name: str, at: str, **more: Any) -> Column:
    return Column(model, name, at=at, is_plain=True, instead=ERASED, **more)


def _json(model: type[Model], name: str, at: str, **more: Any) -> Column:
    return Column(model, name, at=at, instead=ERASED, **more)


WORDS: Final = Tables(
    "governance",
    "Requests, notices, saved questions and jobs",
    (
        _words(AccessRequest, "purpose", "created_at"),
        _words(AccessRequest, "decision_reason", "created_at"),
        _words(BreakGlass, "reason", "taken_at"),
        _words(BreakGlass, "review", "taken_at"),
        _words(Delegation, "note", "created_at"),
        _words(Job, "said", "created_at", only=_ENDED),
        _json(Job, "cursor", "created_at", only=_ENDED),
        _words(Notice, "title", "created_at"),
        _words(Notice, "sentence", "created_at"),
        _words(PolicyFinding, "detail", ""),
        _json(Review, "points", "opened_at"),
        _json(Review, "snapshot", "opened_at"),
        # Names of questions are their owner's once: two of them must not meet.
        _words(SavedView, "name", "created_at", is_unique=True),
        _json(SavedView, "asked", "created_at"),
        _words(Waiver, "reason", "given_at"),
    ),
)


class Vault:
    """Data keys of subjects, and tokens by what they stand for. Each token is opened and compared."""

    key = "vault"
    name = "Vault of keys and tokens"

    def size(self) -> int:
        return about(PrivacyToken)

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        after = bytes.fromhex(cursor.get("after", ""))
        erased = 0
        if not after and sought.clear:
            refs = sorted({vault.subject_ref(text) for text in sought.clear})
            latest = max(sought.marks.values())
            erased += whom.destroy_keys(refs, made_until=latest + whom.SETTLE)
        page = whom.page_of_tokens(sought, after)
        for one in page.found:
            erased += whom.delete_tokens([one.ref], made_until=one.until + whom.SETTLE)
        then = {"after": page.last.hex()} if page.last is not None else None
        return Swept(then, looked_at=page.looked_at, erased=erased)

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        page = whom.page_of_tokens(sought, bytes.fromhex(cursor.get("after", "")))
        refs = [one.ref for one in page.found]
        rows = PrivacyToken.objects.filter(ref__in=refs).order_by("created_at")
        items = tuple(
            {"token": row.token, "purpose": row.purpose, "made_at": row.created_at} for row in rows
        )
        then = {"after": page.last.hex()} if page.last is not None else None
        return Collected(then, looked_at=page.looked_at, items=items)
