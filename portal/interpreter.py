"""Which Python the environment is made of, with the standard library only.

`PORTAL_PYTHON` names one. Else it is the Python that ran the command; but where that was compiled
without optimisations, as pyenv does unless told otherwise, the system's of the same version, which
distributions compile with them (docs/decisions/0028).
"""

import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

SYSTEM = Path("/usr/bin")
NEEDED = "import ctypes, sqlite3, ssl, venv"


class UnusableError(Exception):
    """A sentence on the Python that was named."""


def other() -> str | None:
    """The Python to use in place of the running one; None: the running one.

    Raises UnusableError when PORTAL_PYTHON names one that does not work or is of another version.
    """
    named = os.environ.get("PORTAL_PYTHON")
    if named:
        if not _serves(named):
            raise UnusableError(
                f"PORTAL_PYTHON names {named}, which is no whole Python {_version()}, the version "
                "that ran this command."
            )
        return named
    if is_optimised(str(sysconfig.get_config_var("CONFIG_ARGS") or "")):
        return None
    systems = str(SYSTEM / f"python{_version()}")
    is_running = Path(systems).resolve() == Path(sys.executable).resolve()
    return systems if not is_running and _serves(systems) else None


def is_optimised(configured: str) -> bool:
    """Whether a Python was compiled with optimisations, by its arguments to `configure`; one that
    does not tell (Windows' has none) counts as such."""
    return not configured or "--enable-optimizations" in configured


def _version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _serves(python: str) -> bool:
    """Whether a Python is there, of the running one's version, and has what an environment needs."""
    code = f"{NEEDED}; import sys; assert sys.version_info[:2] == {sys.version_info[:2]}"
    try:
        done = subprocess.run(  # noqa: S603
            [python, "-c", code], capture_output=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def make_environment(python: str, place: Path) -> None:
    """An environment of another Python in place of whatever lies there, with the pip that comes with
    the running one: a system's Python may come without.

    Raises CalledProcessError.
    """
    spec = find_spec("ensurepip")
    places = (spec.submodule_search_locations if spec is not None else None) or ()
    wheels = [found for at in places for found in Path(at).glob("_bundled/pip-*.whl")]
    make = [python, "-m", "venv", "--clear", *(["--without-pip"] if wheels else []), str(place)]
    subprocess.run(make, capture_output=True, check=True)  # noqa: S603
    for wheel in wheels[:1]:
        install = [str(place / "bin" / "python"), f"{wheel}/pip", "install", "--no-index"]
        subprocess.run([*install, str(wheel)], capture_output=True, check=True)  # noqa: S603
