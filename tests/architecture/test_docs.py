"""What the docs state as fact is checked against the code."""

import re
from pathlib import Path

from django.apps import apps

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), target


def test_the_readme_lists_every_app_in_the_order_of_the_imports() -> None:
    listed = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "README.md").read_text(), re.M)
    configuration = (ROOT / "pyproject.toml").read_text()
    assert listed == ["portal", "experiments", "analytics", "quality", "delivery", "ingest",
                      "catalog", "governance"]  # fmt: skip
    assert all(apps.is_installed(name) for name in listed)
    assert "experiments" in configuration


def test_every_file_that_the_docs_name_exists() -> None:
    for page in [*ROOT.glob("docs/**/*.md"), ROOT / "CONTRIBUTING.md"]:
        for name in re.findall(r"`([a-z_]+/[a-z_/]+\.(?:py|html|sql|md))`", page.read_text()):
            found = (ROOT / name).exists() or (ROOT / "templates" / name).exists()
            assert found, f"{page.name}: {name}"


def test_decisions_are_numbered_without_gaps_and_short() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert all(len(page.read_text().splitlines()) <= 80 for page in pages)
