"""Fixtures that every test may use. `manage.py test` provides the servers and the variables."""

from collections.abc import Iterator

import pytest

from tests.support.database import empty_raw_tables

# Started first, so that in a run of two processes no long file is left for the end.
LONG = ("tests/launcher/", "tests/browser/", "tests/journeys/", "tests/catalog/")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(autouse=True)
def _raw_tables_are_left_empty(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test that commits; whatever runs next may count rows."""
    marker = request.node.get_closest_marker("django_db")
    yield
    if marker and marker.kwargs.get("transaction"):
        empty_raw_tables()
