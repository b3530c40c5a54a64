"""From a bare Python to the portal's own environment, with the standard library only.

1. Choose the lock file: `test` needs the developers' one, every other command the runtime's.
2. Under a file lock, make `.venv` of a Python (`portal.interpreter`) and install the lock, unless its
   stamp says it is there. The stamp goes before the work begins: an environment without one is
   unfinished, and made anew.
3. Run the command in that environment.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

from portal import interpreter

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "portal-lock.sha256"
INTERRUPTED = 130


class BootstrapError(Exception):
    """A sentence for the person who started the command."""


def main(argv: list[str]) -> int:
    """Run a manage command in the portal's environment and give its exit code."""
    try:
        return _main(argv)
    except BootstrapError as error:
        print(f"{error}", file=sys.stderr)  # noqa: T201  # before any logging exists
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _main(argv: list[str]) -> int:
    if sys.platform == "win32":
        raise BootstrapError("Windows is not supported; use Linux, macOS or docker compose.")
    command = argv[1] if len(argv) > 1 else "help"
    is_made = _install("requirements-dev.lock" if command == "test" else "requirements.lock")
    _keep_bytecode()
    if is_made or Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(PYTHON, [str(PYTHON), *argv])  # noqa: S606  # one process, so signals arrive
    return _run(argv, command)


def _keep_bytecode() -> None:
    """Let each module be compiled once, beside the environment and not in the tree.

    A start of the portal is seven interpreters of 2,000 modules each. Where nothing may keep what
    they compiled (PYTHONDONTWRITEBYTECODE, which many containers set), it takes twice as long.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ.get("PYTHONPYCACHEPREFIX") or str(VENV / "pycache")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def _run(argv: list[str], command: str) -> int:
    if command == "test":
        from portal.launcher import test_command  # noqa: PLC0415  # needs the environment

        return test_command.main(argv[2:])
    from portal.launcher import commands  # noqa: PLC0415  # needs the environment

    return commands.main(argv)


def _install(lock_name: str) -> bool:
    """Whether the lock had to be installed. The developers' holds the runtime's: either serves."""
    stamps = {
        name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
        for name in ("requirements.lock", "requirements-dev.lock")
    }
    wanted = stamps[lock_name]
    accepted = {wanted, stamps["requirements-dev.lock"]}
    if _stamped() in accepted:
        return False
    try:
        with (ROOT / ".venv.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _stamped() in accepted:
                return False
            _say(f"Preparing the environment from {lock_name} (once, about a minute) …")
            is_begun = _stamped() is not None
            STAMP.unlink(missing_ok=True)
            if not is_begun:
                _make_environment()
            _install_lock(lock_name)
            STAMP.write_text(f"{wanted} {PYTHON.resolve()}")
    except OSError as error:
        raise BootstrapError(
            f"The environment could not be made in {VENV}: {error.strerror}. Free some disk space "
            "or make the directory writable, then run the command again."
        ) from error
    return True


def _stamped() -> str | None:
    """The lock an earlier run finished with, if its Python is still the one it was made for."""
    try:
        lock, _, python = STAMP.read_text().partition(" ")
    except OSError:
        return None
    is_same = str(PYTHON.resolve()) == python and os.access(PYTHON, os.X_OK)
    return lock if is_same else None


def _make_environment() -> None:
    """A new virtual environment in place of whatever lies there."""
    try:
        other = interpreter.other()
        if other is None:
            venv.EnvBuilder(clear=True, symlinks=True, with_pip=True).create(VENV)
        else:
            _say(f"  with {other}")
            interpreter.make_environment(other, VENV)
    except interpreter.UnusableError as error:
        raise BootstrapError(f"{error}") from error
    except subprocess.CalledProcessError as error:
        raise BootstrapError(
            "This Python cannot make a virtual environment with pip. Install its venv package (on "
            "Debian and Ubuntu: python3-venv) or use another Python 3.11 or newer."
        ) from error


def _install_lock(lock_name: str) -> None:
    """Install by uv, which is fast; by pip, which says what is wrong, where uv cannot."""
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    if _install_by_uv(pip, ROOT / lock_name):
        return
    command = [*pip, "--no-deps", "--no-compile", "--require-hashes", "-r", str(ROOT / lock_name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise BootstrapError(_reason(done.stderr))


def _reason(said: str) -> str:
    """What pip's many lines come to."""
    if "connection broken" in said or "(from versions: none)" in said:
        why = "no package index that has them answers"
    else:
        errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
        why = (errors or said.splitlines() or ["pip gave no reason"])[-1].removeprefix("ERROR: ")
    return (
        f"The packages could not be installed: {why.rstrip('.')}. Check the network and pip's "
        "index setting (`pip config list`), then run the command again."
    )


def _install_by_uv(pip: list[str], lock: Path) -> bool:
    """Whether uv did it. It trusts the machine's certificates, as pip does."""
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        bootstrap = [*pip, "--require-hashes", "-r", str(ROOT / "requirements-bootstrap.lock")]
        subprocess.run(bootstrap, capture_output=True, check=False)  # noqa: S603
    if not uv.exists():
        return False
    command = [str(uv), "pip", "sync", "--quiet", "--require-hashes", "--python", str(PYTHON)]
    done = subprocess.run(  # noqa: S603
        [*command, str(lock)],
        env={**os.environ, "UV_SYSTEM_CERTS": "1"},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # progress before any logging exists
