"""Finding a Chromium for the browser tests, or installing one by documented means."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOW_TO_GET_ONE: Final = (
    "The browser tests need a Chromium: install your system's package (`apt-get install chromium`) "
    "or run `.venv/bin/playwright install chromium-headless-shell`, or name one in PORTAL_BROWSER."
)


def find() -> str | None:
    """PORTAL_BROWSER, a Chromium on the PATH, or Playwright's own; None without one."""
    if named := os.environ.get("PORTAL_BROWSER"):
        return named
    for name in NAMES:
        if found := shutil.which(name):
            return found
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache/ms-playwright"))
    for pattern in ("chromium*/chrome-*/headless_shell", "chromium*/chrome-*/chrome*"):
        for found_path in sorted(cache.glob(pattern), reverse=True):
            if os.access(found_path, os.X_OK) and found_path.is_file():
                return str(found_path)
    return None


def find_or_install() -> str | None:
    """Like `find`, and when there is none, Playwright's download, then the system's package."""
    if found := find():
        return found
    attempts = [[sys.executable, "-m", "playwright", "install", "chromium-headless-shell"]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        attempts += [["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]]
    for command in attempts:
        try:
            subprocess.run(  # noqa: S603
                command, check=False, timeout=600, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            continue
        if found := find():
            return found
    return None
