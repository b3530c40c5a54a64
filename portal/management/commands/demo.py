"""`manage.py demo [--follow]`: the demo workspace, and new events while it runs."""

import signal
import threading
from typing import Any

from django.core.management.base import CommandParser

from ingest.log.store import close_writer
from portal.demo import loader
from portal.demo.workspace import HISTORY_DAYS
from portal.kernel.command import PortalCommand


class Command(PortalCommand):
    help = (
        "Load the demo workspace: a shop's streams, teams and 14 days of events. Can be cut at any "
        "moment: the next run goes on where this one stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--follow", action="store_true", help="keep new events coming")
        parser.add_argument(
            "--days", type=int, choices=range(1, HISTORY_DAYS + 1), default=HISTORY_DAYS,
            metavar="N", help=f"days of history, 1 to {HISTORY_DAYS} ({HISTORY_DAYS})",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        accepted = loader.load(
            tell=self.stderr.write, is_stopped=stopped.is_set, days=options["days"]
        )
        if options["json"]:
            self.say_json({"accepted": accepted})
        else:
            self.stdout.write(f"{accepted} events accepted")
        if options["follow"]:
            loader.follow(tell=self.stderr.write, is_stopped=stopped.is_set)
        close_writer()
