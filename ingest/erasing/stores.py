"""The stores of ingest, in the order of a walk: a row that moves on the way moves to one that comes later."""

from typing import Final

from governance.erasing import Store
from ingest.erasing.archives import Archives
from ingest.erasing.events import Events, Restored
from ingest.erasing.identities import Identities
from ingest.erasing.letters import Groups, Letters
from ingest.erasing.tables import TABLES

STORES: Final[tuple[Store, ...]] = (
    Letters(), Groups(), Events(), Identities(), Archives(), Restored(), TABLES,
)  # fmt: skip
