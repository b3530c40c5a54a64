"""`manage.py partitions`: make the days ahead, and say which there are."""

from typing import Any

from ingest import partitions
from ingest.connection import connect
from portal.kernel.command import PortalCommand


class Command(PortalCommand):
    help = "Make the partitions of the standing window and report what exists."

    def handle(self, *args: Any, **options: Any) -> None:
        with connect() as connection:
            made = partitions.make_window(connection)
            days = {
                parent: [day.isoformat() for day in partitions.existing_days(connection, parent)]
                for parent in partitions.PARENTS
            }
        if options["json"]:
            self.say_json({"made": made, "days": days})
            return
        self.stdout.write(f"{made} partitions made")
        for parent, known in days.items():
            self.stdout.write(f"{parent}: {len(known)} days, {known[0]} to {known[-1]}")
