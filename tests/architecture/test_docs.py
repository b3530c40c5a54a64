"""What the docs state as fact is checked against the code."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.db import connection

from ingest.types import Reason
from portal.kernel.errors import PortalError
from portal.launcher import up
from portal.launcher.commands import COMMANDS, overview

ROOT = Path(__file__).resolve().parents[2]
APPS = ("portal", "experiments", "analytics", "quality", "delivery", "ingest", "catalog",
        "governance")  # fmt: skip
# Where errors stand besides the kernel's.
ERROR_MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for app in APPS
    for path in sorted((ROOT / app).rglob("*.py"))
    if re.search(r"^class \w+\(\w*Error\)", path.read_text(), re.M)
]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]  # fmt: skip


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_readme_is_short_and_shows_a_small_picture() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert (ROOT / picture).stat().st_size < 300_000


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_readme_lists_every_app_in_the_order_of_the_imports() -> None:
    listed = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "README.md").read_text(), re.M)
    configuration = (ROOT / "pyproject.toml").read_text()
    assert listed == list(APPS)
    assert all(apps.is_installed(name) for name in listed)
    order = ", ".join(f'"{name}"' for name in listed[1:])
    assert order in " ".join(configuration.split())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"`([a-z_.-]+/[a-z0-9_/.-]+\.(?:py|html|sql|md|yml))`", text):
        found = (ROOT / name).exists() or (ROOT / "templates" / name).exists()
        assert found, name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    known = set(get_commands()) | {"up", "test", "help"}
    assert set(re.findall(r"manage\.py ([a-z][a-z_-]+)", text)) <= known | {"anything"}
    assert set(re.findall(r"python -m django ([a-z_]+)", text)) <= known
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets


def test_the_options_of_up_that_the_readme_names_exist() -> None:
    (named,) = re.findall(r"the options \(([^)]+)\)", (ROOT / "README.md").read_text())
    parser = up.parser()
    known = {option for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"--[a-z-]+", named)) <= known


def test_every_command_of_ours_is_in_the_overview_and_speaks_json() -> None:
    ours = {name for name, app in get_commands().items() if app in APPS}
    assert ours - {"first_run"} | {"up", "test"} == set(COMMANDS)
    assert all(name in overview() for name in COMMANDS)
    for name in ours - {"keys"}:
        command: Any = load_command_class(get_commands()[name], name)
        assert "--json" in command.create_parser("manage.py", name).format_help(), name


@pytest.mark.django_db
@pytest.mark.parametrize("app", APPS)
def test_every_app_has_its_page_with_all_its_tables(app: str) -> None:
    text = (ROOT / "docs" / "apps" / f"{app}.md").read_text()
    assert 15 <= len(text.splitlines()) <= 50
    named = set(re.findall(rf"`({app}_[a-z_]+)`", text))
    models = apps.get_app_config(app).get_models()
    assert {model._meta.db_table for model in models} <= named
    with connection.cursor() as cursor:
        relations = set(connection.introspection.table_names(cursor))
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'p'")
        relations |= {row[0] for row in cursor.fetchall()}
        cursor.execute("SELECT proname FROM pg_proc")
        relations |= {row[0] for row in cursor.fetchall()}
    assert named <= relations


def test_the_catalogue_of_errors_is_the_hierarchy_in_code() -> None:
    for module in ERROR_MODULES:
        import_module(module)
    text = (ROOT / "docs/api/errors.md").read_text()
    listed = {
        (int(status), code) for status, code in re.findall(r"^\| (\d+) \| `(\w+)`", text, re.M)
    }
    kinds: list[type[PortalError]] = [PortalError, *below(PortalError)]
    assert listed == {(kind.status, kind.code) for kind in kinds}
    reasons = re.findall(r"^\| `(\w+)` \|", text, re.M)
    assert reasons == [reason.value for reason in Reason]


def below(kind: type[PortalError]) -> list[type[PortalError]]:
    return [found for child in kind.__subclasses__() for found in (child, *below(child))]


def test_every_runbook_is_listed() -> None:
    folder = ROOT / "docs" / "runbooks"
    listed = set(re.findall(r"\(([a-z0-9-]+\.md)\)", (folder / "README.md").read_text()))
    assert listed == {page.name for page in folder.glob("*.md")} - {"README.md"}


def test_every_threat_is_answered_by_tests() -> None:
    rows = re.findall(
        r"^\| (?!threat|---)(.+) \|$", (ROOT / "docs/threat-model.md").read_text(), re.M
    )
    assert len(rows) >= 15
    assert all("`tests/" in row.split(" | ")[2] for row in rows)


def test_decisions_are_numbered_without_gaps_and_short() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert all(len(page.read_text().splitlines()) <= 80 for page in pages)
