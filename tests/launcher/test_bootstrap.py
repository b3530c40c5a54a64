"""From a bare Python to the environment: what an interruption, a change or no network leaves."""

import ast
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.live import heard

ROOT = Path(__file__).resolve().parents[2]
# What the command after the bootstrap would be; here only that it was reached matters.
REACHED = "def main(argv):\n    print('reached', argv[1:])\n    return 0\n"
STAMP = ".venv/portal-lock.sha256"
PACKAGE = "amqp==5.4.2 --hash=sha256:" + "0" * 64 + "\n"


def make_checkout(place: Path) -> Path:
    """A checkout whose locks ask for nothing, so that no network is needed."""
    (place / "portal" / "launcher").mkdir(parents=True)
    for name in ("manage.py", "portal/__init__.py", "portal/bootstrap.py",
                 "portal/interpreter.py"):  # fmt: skip
        shutil.copy(ROOT / name, place / name)
    (place / "portal/launcher/__init__.py").touch()
    (place / "portal/launcher/commands.py").write_text(REACHED)
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-bootstrap.lock"):
        (place / name).write_text(f"# {name}\n")
    return place


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with its environment made, shared because making one takes seconds."""
    place = make_checkout(tmp_path_factory.mktemp("finished"))
    done = run(place)
    assert "Preparing the environment" in done.stderr
    assert done.stdout == "reached ['anything']\n"
    return place


@pytest.fixture
def checkout(finished: Path) -> Iterator[Path]:
    """The finished checkout, its lock and stamp put back afterwards."""
    kept = {name: (finished / name).read_bytes() for name in ("requirements.lock", STAMP)}
    yield finished
    for name, content in kept.items():
        (finished / name).write_bytes(content)


def run(checkout: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "anything"], cwd=checkout, env=os.environ | variables,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_environment_is_made_once(checkout: Path) -> None:
    done = run(checkout)
    assert done.stdout == "reached ['anything']\n"
    assert done.stderr == ""


def test_an_interrupted_environment_is_made_anew(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "interrupted")
    with heard(signal.SIGINT):
        process = subprocess.Popen(
            [sys.executable, "manage.py", "anything"],
            cwd=checkout,
            stderr=subprocess.PIPE,
            text=True,
        )
    while not (checkout / ".venv" / "bin" / "python").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert run(checkout).stdout == "reached ['anything']\n"


def test_an_environment_of_a_python_that_is_gone_is_made_anew(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.11")
    done = run(checkout)
    assert done.stdout == "reached ['anything']\n"
    assert "Preparing" in done.stderr


def test_a_changed_lock_is_installed(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text("# another\n")
    done = run(checkout)
    assert done.stdout == "reached ['anything']\n"
    assert "Preparing" in done.stderr


def test_without_a_package_index_it_says_one_sentence(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text(PACKAGE)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_RETRIES": "0",
               "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}  # fmt: skip
    done = run(checkout, **nowhere)
    assert done.returncode == 1
    assert "no package index that has them answers" in done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) == 2, done.stderr


def test_a_wrong_hash_is_named(checkout: Path) -> None:
    wheels = checkout / "wheels"
    wheels.mkdir()
    (wheels / "amqp-5.4.2-py3-none-any.whl").write_bytes(b"not what the lock names")
    (checkout / "requirements.lock").write_text(PACKAGE)
    done = run(checkout, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("The packages could not be installed: ")


def test_a_place_that_cannot_hold_the_environment_is_named(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "blocked")
    (checkout / ".venv.lock").mkdir()
    done = run(checkout)
    assert done.returncode == 1
    assert done.stderr.startswith("The environment could not be made in ")
    assert len(done.stderr.splitlines()) == 1


def test_the_first_lines_can_be_read_by_any_python() -> None:
    text = (ROOT / "manage.py").read_text()
    ast.parse(text, feature_version=(3, 4))
    assert text.index("sys.version_info") < text.index("from pathlib")


def test_modules_are_compiled_once_and_beside_the_tree_whatever_the_caller_says(
    checkout: Path,
) -> None:
    kept = checkout / ".venv" / "pycache"
    shutil.rmtree(kept, ignore_errors=True)
    done = run(checkout, PYTHONDONTWRITEBYTECODE="1", PYTHONPYCACHEPREFIX="")
    assert done.stdout == "reached ['anything']\n"
    assert [*kept.rglob("commands.*.pyc")], "the interpreter that runs the command keeps it"
    assert not [*checkout.glob("portal/**/*.pyc")]
