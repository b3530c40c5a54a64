"""Fixtures that every test may use. `manage.py test` provides the servers and the variables.

Examples of Hypothesis are the same in each run, so that a landing is refused for what it changes and
not for what another draw brings to light. PORTAL_TEST_EXPLORE=1 draws others, and keeps what fails.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings

from catalog.compatibility import budget, engine
from catalog.services import candidates
from governance import tombstones
from governance.privacy import aside, vault
from portal import metrics
from tests.support.database import empty_raw_tables, flush_by_deleting

# Started first, so that in a run of two processes nothing long is left for the end.
LONG = ("tests/browser/", "tests/launcher/", "tests/journeys/", "tests/catalog/registry/")

flush_by_deleting()

# No example has a time to keep: the machine may have other work.
hypothesis.settings.register_profile(
    "landing", deadline=None, derandomize=True, print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)  # fmt: skip
hypothesis.settings.register_profile(
    "explore", hypothesis.settings.get_profile("landing"), derandomize=False
)
hypothesis.settings.load_profile("explore" if os.environ.get("PORTAL_TEST_EXPLORE") else "landing")

# So may the server of the tests' database: two seconds are for a portal that has others to ask.
_options: Any = settings.DATABASES["default"]["OPTIONS"]
_options["connect_timeout"] = 30

# So may the tests' Redis, whose disk is everybody's.
_options = settings.CACHES["default"]["OPTIONS"]
_options |= {"socket_timeout": 30, "socket_connect_timeout": 30}
metrics._REDIS_SECONDS = 30.0  # type: ignore[misc]

# And a comparison of contracts ends by the work it does alone; else it may find no example one day.
budget.WALL_RATIO = 100.0  # type: ignore[misc]
engine.MAX_EXAMPLE_SECONDS = 3.0  # type: ignore[attr-defined]
candidates.REPLAY_SECONDS = 60.0  # type: ignore[misc]


# Where anchors of the tests' chain lie, unless a test says otherwise.
_ANCHORS = Path(settings.AUDIT_ANCHORS)


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
    """After a test that commits; whatever runs next may count rows, or walk over the audit chain."""
    marker = request.node.get_closest_marker("django_db")
    tombstones.forget()
    if marker is None and not {"db", "transactional_db"} & set(request.fixturenames):
        tombstones.hold_for_good({})  # a test without a database is not asked to connect to one
    yield
    _ANCHORS.unlink(missing_ok=True)  # what they vouch for is rolled back, or emptied below
    aside.close()  # a database that somebody is connected to cannot be dropped
    if marker and marker.kwargs.get("transaction"):
        empty_raw_tables()
        vault.forget()  # what its caches hold was in tables that are empty now
