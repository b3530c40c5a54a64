"""From a bare Python to the portal's own environment, with the standard library only.

1. Choose the lock file: `test` needs the developers' one, every other command the runtime's.
2. Under a file lock, make `.venv` and install the lock, unless its stamp says it is there.
3. Run the command in that environment.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


class BootstrapError(Exception):
    """A sentence for the person who started the command."""


def main(argv: list[str]) -> int:
    """Run a manage command in the portal's environment and give its exit code."""
    try:
        return _main(argv)
    except BootstrapError as error:
        print(f"{error}", file=sys.stderr)  # noqa: T201  # before any logging exists
        return 1


def _main(argv: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036  # this is what tells people so
        raise BootstrapError("The portal needs Python 3.11 or newer; run it with that.")
    if sys.platform == "win32":
        raise BootstrapError("Windows is not supported; use Linux, macOS or docker compose.")
    command = argv[1] if len(argv) > 1 else "help"
    _install("requirements-dev.lock" if command == "test" else "requirements.lock")
    if Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(PYTHON, [str(PYTHON), *argv])  # noqa: S606  # one process, so signals arrive
    return _run(argv, command)


def _run(argv: list[str], command: str) -> int:
    if command == "test":
        from portal.launcher import test_command  # noqa: PLC0415  # needs the environment

        return test_command.main(argv[2:])
    from portal.launcher import commands  # noqa: PLC0415  # needs the environment

    return commands.main(argv)


def _install(lock_name: str) -> None:
    """Install the lock once. The developers' lock holds the runtime's, so either stamp serves."""
    stamps = {
        name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
        for name in ("requirements.lock", "requirements-dev.lock")
    }
    wanted = stamps[lock_name]
    accepted = {wanted, stamps["requirements-dev.lock"]}
    stamp = VENV / "portal-lock.sha256"
    if stamp.exists() and stamp.read_text() in accepted:
        return
    try:
        with (ROOT / ".venv.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if stamp.exists() and stamp.read_text() in accepted:
                return
            _say(f"Preparing the environment from {lock_name} (once, about a minute) …")
            if not PYTHON.exists():
                venv.create(VENV, with_pip=True)
            _install_lock(lock_name)
            stamp.write_text(wanted)
    except OSError as error:
        raise BootstrapError(
            f"The environment could not be made in {VENV}: {error.strerror}. Free some disk space "
            "or make the directory writable, then run the command again."
        ) from error


def _install_lock(lock_name: str) -> None:
    """Install by uv, which is fast; by pip, which speaks for itself, where uv cannot."""
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    if _install_by_uv(pip, ROOT / lock_name):
        return
    command = [*pip, "--no-deps", "--no-compile", "--require-hashes", "-r", str(ROOT / lock_name)]
    if subprocess.run(command, check=False).returncode != 0:  # noqa: S603
        raise BootstrapError(
            "The packages could not be installed; pip says why above. Check the network and pip's "
            "index setting, then run the command again."
        )


def _install_by_uv(pip: list[str], lock: Path) -> bool:
    """Whether uv did it. It trusts the machine's certificates, as pip does."""
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        bootstrap = [*pip, "--require-hashes", "-r", str(ROOT / "requirements-bootstrap.lock")]
        if subprocess.run(bootstrap, capture_output=True, check=False).returncode != 0:  # noqa: S603
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
