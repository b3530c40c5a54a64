"""The lock files agree with one another, and the runtime's does not hold what is an extra."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([a-z0-9_.-]+)==([^ ;\\]+)", text, re.M))


def test_the_archive_is_an_extra_that_the_tests_have() -> None:
    (archive,) = pins("requirements-archive.lock").items()
    assert archive in pins("requirements-dev.lock").items()
    assert archive[0] == "pyarrow"
    assert "pyarrow" not in pins("requirements.lock")
    assert "--hash=sha256:" in (ROOT / "requirements-archive.lock").read_text()
