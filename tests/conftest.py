"""Fixtures that every test may use. `manage.py test` provides the servers and the variables."""

import gc
from collections.abc import Iterator

import pytest

from governance.privacy import vault
from tests.support.database import empty_raw_tables, flush_by_deleting

# Started first, so that in a run of two processes nothing long is left for the end.
LONG = ("tests/browser/", "tests/launcher/", "tests/journeys/", "tests/catalog/registry/")

flush_by_deleting()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        found = [at for at, start in enumerate(LONG) if item.nodeid.startswith(start)]
        return found[0] if found else len(LONG)

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: no collection need walk over it again.

    It is 350,000 objects and more; walking over them took a sixth of the processor's time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _raw_tables_are_left_empty(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test that commits; whatever runs next may count rows."""
    marker = request.node.get_closest_marker("django_db")
    yield
    vault.close()  # a database that somebody is connected to cannot be dropped
    if marker and marker.kwargs.get("transaction"):
        empty_raw_tables()
        vault.forget()  # what its caches hold was in tables that are empty now
