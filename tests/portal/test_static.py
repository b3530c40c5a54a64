"""Static files as a server gets them: hashed, compressed, and the style sheet in one piece."""

import gzip
import json
import re
from pathlib import Path

from django.core.management import call_command
from pytest_django import Settings

from tests.support.live import ROOT

SHEET = ROOT / "static" / "css" / "app.css"
IMPORT = re.compile(r'@import url\("(.+)"\) layer\((.+)\);')


def test_the_style_sheet_is_one_file_with_each_part_in_its_layer(
    tmp_path: Path, settings: Settings
) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "portal.http.static.Storage"}
    }
    parts = IMPORT.findall(SHEET.read_text())
    assert len(parts) > 50
    hashed = set()
    for _ in range(2):  # a second time nothing is taken for a part that was joined before
        call_command("collectstatic", interactive=False, verbosity=0)
        manifest = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
        hashed.add(manifest["css/app.css"])
        made = (tmp_path / manifest["css/app.css"]).read_text()
        assert "@import" not in made
        assert made.index("@layer reset, tokens, base") < made.index("@layer reset {")
        places = []
        for name, layer in parts:
            content = (SHEET.parent / name).read_text()
            places.append(made.index(f"@layer {layer} {{\n{content}}}"))
        assert places == sorted(places), "what comes later wins, as it does in the tree"
        zipped = (tmp_path / f"{manifest['css/app.css']}.gz").read_bytes()
        assert gzip.decompress(zipped).decode() == made
    assert len(hashed) == 1


def test_no_part_imports_another_or_names_an_address_beside_itself() -> None:
    """Joined, it would be another address."""
    for path in (ROOT / "static" / "css").rglob("*.css"):
        if path != SHEET:
            assert not re.search(r"@import|@charset|url\((?!['\"]?data:)", path.read_text()), path
