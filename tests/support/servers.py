"""A parallel run: which servers a process of it has, and which files go to one process together.

Loaded before the settings are read. Databases of one PostgreSQL share their transaction ids, and
readers of the log wait for the oldest running one: two processes of tests on one server would wait
for each other's tests.
"""

import json
import os
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# The files of such a directory share one portal, which each process would start anew.
TOGETHER = ("tests/browser", "tests/catalog/registry")

_worker = os.environ.get("PYTEST_XDIST_WORKER")
if _worker:
    _sets = json.loads(os.environ["PORTAL_TEST_SERVERS"])
    os.environ.update(_sets[int(_worker.removeprefix("gw"))])


class _Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        place = file.rpartition("/")[0]
        return place if place in TOGETHER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """A file, or what shares a portal, is one process's."""
    return _Scheduling(config, log)
