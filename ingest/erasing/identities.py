"""The store of the ledger of identities: which events without a time of their own were taken.

It holds ids of events and keyed hashes for seven days. What somebody is known by can stand in an id
alone. The other rows stay: by them a late retry of an erased event is known for what it is.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from governance.erasing import Collected, Sought, Swept
from governance.whole_values import Names
from ingest.erasing.walking import BUDGET_SECONDS
from portal.kernel import sql

BATCH: Final = 5_000
_WALK: Final = sql.load("ingest", "walk_identities")
_ERASE: Final = sql.load("ingest", "erase_identities")
_COUNT: Final = sql.load("ingest", "count_identities")


class Identities:
    """The ledger. A cursor names the last identity that was looked at."""

    key = "identities"
    name = "Identities of events without a time"

    def size(self) -> int:
        """As the planner last counted."""
        found = sql.fetch_one(_COUNT)
        return int(found["n_rows"]) if found is not None else 0

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        """As `Store.erase`."""
        names = Names(sought)
        stream, name = cursor.get("stream", -1), cursor.get("id", "")
        looked_at = erased = 0
        deadline = time.monotonic() + BUDGET_SECONDS
        while True:
            rows = sql.fetch_all(_WALK, {"after_stream": stream, "after_id": name, "batch": BATCH})
            looked_at += len(rows)
            gone = [
                row
                for row in rows
                if (until := names.until(row["event_id"])) is not None
                and row["occurred_at"] <= until
            ]
            if gone:
                streams = [row["stream_id"] for row in gone]
                ids = [row["event_id"] for row in gone]
                erased += sql.execute(_ERASE, {"streams": streams, "ids": ids})
            if len(rows) < BATCH:
                return Swept(None, looked_at, erased)
            stream, name = rows[-1]["stream_id"], rows[-1]["event_id"]
            if time.monotonic() >= deadline:
                return Swept({"stream": stream, "id": name}, looked_at, erased)

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        """As `Store.collect`: an identity tells nothing that its event does not."""
        return Collected(None)
