"""`manage.py partitions`: make the days ahead, say which there are; look after them and the archive."""

from datetime import date
from typing import Any

from django.core.management.base import CommandError, CommandParser

from catalog.selectors.streams import get_stream
from ingest.log import partitions
from ingest.log.connection import connect
from ingest.log.lives import EXPERIMENTAL, PRODUCTION, ahead, lives
from ingest.models import ArchivedPart
from ingest.services import archives, compaction, field_expiry, retention, storage
from ingest.services.storage_runs import begin
from portal.kernel.actor import SYSTEM
from portal.kernel.command import PortalCommand

KEEPERS = {
    "sweep": retention.keep_retention,
    "fields": field_expiry.expire_fields,
    "compact": compaction.compact_state,
    "measure": storage.measure_storage,
}


class Command(PortalCommand):
    help = (
        "Make the partitions of the standing window and report what exists; or run a keeper of "
        "storage now (sweep, fields, compact, measure), or work with the archive of a stream "
        "(archive, restore, list, verify)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        does = ("make", *KEEPERS, "archive", "restore", "list", "verify")
        parser.add_argument("do", nargs="?", default="make", choices=does)
        parser.add_argument("stream", nargs="?", help="for archive and restore; list takes one")
        parser.add_argument("since", nargs="?", type=date.fromisoformat, help="the first day")
        parser.add_argument("until", nargs="?", type=date.fromisoformat, help="the last day")

    def handle(self, *args: Any, **options: Any) -> None:
        do = options["do"]
        if do == "make":
            self._make(is_json=options["json"])
        elif do in KEEPERS:
            self._say(dict(KEEPERS[do]()), is_json=options["json"])
        else:
            self._say(self._archive(do, options), is_json=options["json"])

    def _make(self, *, is_json: bool) -> None:
        made = storage.make_ahead()
        with connect(autocommit=True) as connection:
            days = {
                parent: [day.isoformat() for day in partitions.existing_days(connection, parent)]
                for parent in partitions.PARENTS
            }
            left = ahead(connection)
        if is_json:
            self.say_json({"made": made, "days": days, "ahead": left})
            return
        self.stdout.write(f"{made} partitions made")
        for parent, known in days.items():
            self.stdout.write(f"{parent}: {len(known)} days, {known[0]} to {known[-1]}")
        for word, count in left.items():
            if count < partitions.FEWEST_AHEAD:
                self.stderr.write(f"Only {count} days of {word} are ahead.")

    def _archive(self, do: str, options: dict[str, Any]) -> dict[str, Any]:
        name, since, until = options["stream"], options["since"], options["until"]
        if do in ("list", "verify"):
            rows = ArchivedPart.objects.order_by("stream_name", "day", "part")
            parts = list(rows.filter(stream_name=name) if name else rows)
            if do == "verify":
                for part in parts:
                    archives.check_part(part)
                return {"verified": len(parts)}
            return {part.path: part.events for part in parts}
        if name is None or since is None:
            raise CommandError(f"Say which stream and day: partitions {do} STREAM DAY [LAST DAY]")
        stream = get_stream(SYSTEM, name)
        if do == "restore":
            made = archives.start_restore(stream, since=since, until=until or since, actor=SYSTEM)
            return {"restore": str(made.pk)}
        life = lives()[stream.pk]
        with begin("archive") as run:
            for track in (PRODUCTION, EXPERIMENTAL):
                run.add("archived", archives.archive_day(life, track, since, run))
        return run.result

    def _say(self, result: dict[str, Any], *, is_json: bool) -> None:
        if is_json:
            self.say_json(result)
            return
        for name, value in result.items():
            self.stdout.write(f"{name}: {value}")
