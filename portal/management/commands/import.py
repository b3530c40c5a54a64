"""`manage.py import PATH… [--domain D] [--events]`: contracts from files into the catalog."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from catalog import naming
from portal.importing import import_paths
from portal.kernel.actor import SYSTEM
from portal.kernel.command import PortalCommand


class Command(PortalCommand):
    help = (
        "Take in JSON lines of streams, JSON Schemas, AsyncAPI 3, ODCS 3, Segment tracking plans, or "
        "directories of them. Names that break the house rules are mapped and kept as aliases. "
        "Exit code 1 when anything was refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "paths", nargs="+", type=Path, metavar="PATH",
            help="a .jsonl file of streams, a .json or .yaml contract, or a directory of them",
        )  # fmt: skip
        parser.add_argument(
            "--domain", default="imported", help="for names of a single part (imported)"
        )
        parser.add_argument(
            "--events", action="store_true", help="also send the example events through ingest"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        naming.check_stream_name(f"{options['domain']}.event")
        counts = import_paths(
            options["paths"],
            actor=SYSTEM,
            domain=options["domain"],
            with_events=options["events"],
            tell=self.stderr.write,
        )
        if options["json"]:
            self.say_json(counts.as_dict())
        else:
            self.stdout.write(
                f"{counts.streams_new} streams new, {counts.streams_known} known "
                f"({counts.streams_changed} of them changed); "
                f"{counts.versions_new} versions new, {counts.versions_known} known"
            )
            if options["events"]:
                self.stdout.write(
                    f"{counts.events_accepted} events accepted, {counts.events_duplicate} "
                    f"duplicate, {counts.events_dead_lettered} dead letters"
                )
            for note in counts.left_out:
                self.stdout.write(f"left out {note['where']}: {note['why']}")
            for refusal in counts.refused:
                self.stdout.write(f"refused {refusal['where']}: {refusal['why']}")
        if counts.refused:
            sys.exit(1)
