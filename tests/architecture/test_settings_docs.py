"""docs/settings.md lists what is read from the environment, no more and no less."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Passed on between our own processes, not meant for people.
INTERNAL = {"PORTAL_EMBEDDED", "DJANGO_SETTINGS_MODULE"}


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    code = (ROOT / "portal" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', code))
    read |= set(re.findall(r'environ\.get\("([A-Z_]+)"', code))
    assert len(read) > 10
    files = [*(ROOT / "portal" / "launcher").glob("*.py"), ROOT / "portal" / "interpreter.py"]
    launcher = "".join(path.read_text() for path in files)
    by_launcher = set(re.findall(r'environ\.get\("((?:PORTAL|TEST)_[A-Z_]+)"', launcher))
    assert {"PORTAL_PG_BIN", "PORTAL_PYTHON"} <= by_launcher
    page = (ROOT / "docs" / "settings.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)`", page, re.MULTILINE))
    assert documented - INTERNAL == (read | by_launcher) - INTERNAL
