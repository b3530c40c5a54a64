"""Fixtures that every test may use. `manage.py test` provides the servers and the variables."""

import pytest

# Started first, so that in a run of two processes no long file is left for the end.
LONG = ("tests/launcher/", "tests/browser/", "tests/journeys/", "tests/catalog/")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
