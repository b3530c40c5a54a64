"""Fixtures of erasures: a ledger and a store of the test's own, and two admins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from governance.privacy import vault
from governance.types import Role
from portal.kernel.actor import Actor
from tests.support.erasing import Guestbook, guestbook
from tests.support.factories import make_actor


@pytest.fixture
def ledger(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Where the ledger is; the vault's caches are empty before and after."""
    settings.ERASURE_LEDGER = tmp_path / "ledger" / "erasures.jsonl"
    settings.AUDIT_ANCHORS = tmp_path / "anchors.jsonl"
    vault.forget()
    yield settings.ERASURE_LEDGER
    vault.forget()


@pytest.fixture
def book(ledger: Path) -> Iterator[Guestbook]:
    with guestbook() as made:
        yield made


@pytest.fixture
def ada() -> Actor:
    return make_actor(Role.ADMIN)


@pytest.fixture
def ben() -> Actor:
    return make_actor(Role.ADMIN)
