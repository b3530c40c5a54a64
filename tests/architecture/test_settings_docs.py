import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    code = (ROOT / "portal" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', code))
    read |= set(re.findall(r'environ\.get\("([A-Z_]+)"', code))
    page = (ROOT / "docs" / "settings.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)`", page, re.MULTILINE))
    assert documented == read
    assert len(read) > 10
