"""Which Python the environment is made of."""

import sys
import sysconfig
from pathlib import Path

import pytest

from portal import interpreter
from tests.launcher.test_bootstrap import make_checkout, run


def wrapper(place: Path, command: str = f'exec "{sys.executable}" "$@"') -> Path:
    """A Python at another path."""
    place.write_text(f"#!/bin/sh\n{command}\n")
    place.chmod(0o755)
    return place


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the system's Python of the running version; nothing is there yet."""
    monkeypatch.delenv("PORTAL_PYTHON", raising=False)
    monkeypatch.setattr(interpreter, "SYSTEM", tmp_path)
    return tmp_path / f"python{sys.version_info[0]}.{sys.version_info[1]}"


def configured(monkeypatch: pytest.MonkeyPatch, arguments: str | None) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: arguments)


def test_the_systems_python_replaces_one_without_optimisations(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch, "'--prefix=/home/jo/.pyenv/versions/3.11.7' '--enable-shared'")
    assert interpreter.other() is None, "there is none"
    wrapper(system)
    assert interpreter.other() == str(system)
    for arguments in ("'--enable-optimizations' '--with-lto'", None):
        configured(monkeypatch, arguments)
        assert interpreter.other() is None


def test_a_systems_python_that_lacks_something_is_left_alone(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch, "'--enable-shared'")
    wrapper(system, "exit 1")
    assert interpreter.other() is None
    system.unlink()
    system.symlink_to(sys.executable)
    assert interpreter.other() is None, "it is the running one"


def test_the_python_that_is_named_is_used(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "named")
    named = wrapper(tmp_path / "python-of-mine")
    done = run(checkout, PORTAL_PYTHON=str(named))
    assert done.stdout == "reached ['anything']\n"
    assert f"  with {named}\n" in done.stderr
    assert (checkout / ".venv" / "bin" / "pip").exists()


@pytest.mark.parametrize("command", ["exit 1", None])
def test_a_named_python_that_does_not_work_is_told_in_one_sentence(
    tmp_path: Path, command: str | None
) -> None:
    checkout = make_checkout(tmp_path / "broken")
    named = tmp_path / "python-of-mine"
    if command is not None:
        wrapper(named, command)
    done = run(checkout, PORTAL_PYTHON=str(named))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"PORTAL_PYTHON names {named}, which is no whole"
    )
    assert len(done.stderr.splitlines()) == 2, done.stderr
