"""`manage.py partitions`: make the days ahead, and say which there are."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ingest import partitions
from ingest.connection import connect


class Command(BaseCommand):
    help = "Make the partitions of the standing window and report what exists."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        with connect() as connection:
            made = partitions.make_window(connection)
            days = {
                parent: [day.isoformat() for day in partitions.existing_days(connection, parent)]
                for parent in partitions.PARENTS
            }
        if options["json"]:
            self.stdout.write(json.dumps({"made": made, "days": days}))
            return
        self.stdout.write(f"{made} partitions made")
        for parent, known in days.items():
            self.stdout.write(f"{parent}: {len(known)} days, {known[0]} to {known[-1]}")
