"""`manage.py demo [--follow]`: the demo workspace, and new events while it runs."""

import json
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ingest.store import close_writer
from portal.demo import loader
from portal.demo.workspace import HISTORY_DAYS


class Command(BaseCommand):
    help = "Load the demo workspace: a shop's streams, teams and 14 days of events. Can be cut."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--follow", action="store_true", help="keep new events coming")
        parser.add_argument("--days", type=int, default=HISTORY_DAYS)
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        accepted = loader.load(
            tell=self.stderr.write, is_stopped=stopped.is_set, days=options["days"]
        )
        if options["json"]:
            self.stdout.write(json.dumps({"accepted": accepted}))
        else:
            self.stdout.write(f"{accepted} events accepted")
        if options["follow"]:
            loader.follow(tell=self.stderr.write, is_stopped=stopped.is_set)
        close_writer()
