"""Gives each process of a parallel run servers of its own; loaded before the settings are read.

Databases of one PostgreSQL share their transaction ids, and readers of the log wait for the oldest
running one: two processes of tests on one server would wait for each other's tests.
"""

import json
import os

_worker = os.environ.get("PYTEST_XDIST_WORKER")
if _worker:
    _sets = json.loads(os.environ["PORTAL_TEST_SERVERS"])
    os.environ.update(_sets[int(_worker.removeprefix("gw"))])
