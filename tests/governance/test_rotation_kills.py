"""Privacy keys renewed while the worker that does it is killed; the benchmark does it 100 times."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rotating import Rotating, read, seal
from governance.models import PrivacyKey
from governance.privacy import keyring, vault
from governance.services import privacy_keys

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fresh_caches() -> Iterator[None]:
    vault.forget()
    yield
    vault.forget()


@pytest.fixture
def keyring_file(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A keyring of its own, in a file that the worker reads too."""
    file = tmp_path / "keys"
    file.write_text(keyring.new_text())
    monkeypatch.setenv("PORTAL_PRIVACY_KEYS_FILE", str(file))
    settings.PRIVACY_KEYS = file.read_text().strip()
    return file


def test_a_renewal_whose_worker_is_killed_five_times_leaves_no_key_behind_and_loses_none(
    keyring_file: Path,
) -> None:
    kept = seal(4000, 100)
    found = Rotating(kept, keyring_file, random.Random(7), longest_seconds=0.4).go(5)
    assert found.unreadable == []
    assert (found.kills, found.left_behind) == (5, 0)
    assert found.reads > 0
    assert found.full_reads >= 6
    current = keyring.parse(keyring_file.read_text()).current
    assert privacy_keys.counts() == {current: PrivacyKey.objects.count()}


def test_the_reader_tells_of_values_that_do_not_open(keyring_file: Path) -> None:
    kept = seal(3, 2)
    PrivacyKey.objects.filter(ref=vault.subject_ref("subject 1")).update(version=9)
    assert len(read(kept, range(3), [])) == 1, "the version is not at hand"
    PrivacyKey.objects.filter(ref=vault.subject_ref("subject 1")).delete()
    assert read(kept, range(3), range(2)) == ["value 1 does not open"]
    kept.tokens[0] = kept.tokens[1]
    assert read(kept, [], range(2)) == ["token 0 means nothing"]
