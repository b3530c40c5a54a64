"""`manage.py replay`: dead letters through the door again, as they are or put right."""

import sys
import time
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from catalog.selectors.streams import get_stream
from governance.models import Job
from governance.models.jobs import JobState
from governance.services import jobs
from ingest.models import Repair, RepairState
from ingest.selectors import dead_letters
from ingest.selectors import repairs as selectors
from ingest.services import letters
from ingest.services.letter_jobs import RATES
from portal.kernel.actor import SYSTEM
from portal.kernel.command import PortalCommand


class Command(PortalCommand):
    help = "List groups of dead letters, or replay one: as it is, or by a repair that was approved."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--group", help="the group, as it stands in the address of its page")
        parser.add_argument("--stream", help="the events that waited for this stream")
        parser.add_argument("--repair", type=UUID, help="a repair: its dry run, or its replay")
        parser.add_argument(
            "--dry-run", action="store_true", help="judge every event, store nothing"
        )
        parser.add_argument("--rate", type=int, choices=RATES, default=letters.DEFAULT_RATE)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["repair"] is None and not options["group"] and not options["stream"]:
            self._list(options)
            return
        repair = self._begun(options)
        self._work(repair)
        repair.refresh_from_db()
        self._say(repair, options)

    def _list(self, options: dict[str, Any]) -> None:
        rows = [
            {"group": row.id, "reason": row.reason, "type": row.type, "stream": row.stream,
             "producers": list(row.producers), "events": row.count, "detail": row.detail}
            for row in dead_letters.groups(SYSTEM, limit=200)
        ]  # fmt: skip
        if options["json"]:
            self.say_json({"groups": rows})
            return
        for row in rows:
            self.stdout.write(f"{row['events']:>9}  {row['reason']}  {row['type']}  {row['group']}")
        self.stdout.write(f"{len(rows)} groups of open dead letters")

    def _begun(self, options: dict[str, Any]) -> Repair:
        """Start what was asked for, and give what stands for it."""
        if options["repair"] is not None:
            repair = selectors.get_repair(SYSTEM, options["repair"])
            if options["dry_run"]:
                letters.start_dry_run(repair, actor=SYSTEM)
            else:
                letters.apply_repair(repair, actor=SYSTEM, rate=options["rate"])
            return repair
        if options["dry_run"]:
            raise CommandError("A dry run is of a repair: name one with --repair.")
        if options["stream"]:
            stream = get_stream(SYSTEM, options["stream"])
            return letters.replay_waiting(stream, actor=SYSTEM, rate=options["rate"])
        group = dead_letters.group_of(SYSTEM, dead_letters.key_of(options["group"]))
        return letters.replay_group(group, actor=SYSTEM, rate=options["rate"])

    def _work(self, repair: Repair) -> None:
        """Do the work here, beside the workers; whoever comes first does a step."""
        while True:
            job = selectors.job_of(Repair.objects.get(pk=repair.pk))
            if job is None or not job.is_live:
                return
            if job.state == JobState.PAUSED:
                raise CommandError("It was paused. Resume it on its page.")
            jobs.run_due_jobs(budget_seconds=2.0)
            job = Job.objects.get(pk=job.pk)
            print(f"{job.done} of {job.total or '?'}: {job.said}", file=sys.stderr)
            if job.is_live:
                time.sleep(0.2)

    def _say(self, repair: Repair, options: dict[str, Any]) -> None:
        counts = repair.dry_run if options["dry_run"] else repair.outcome
        result = {
            "repair": str(repair.pk),
            "state": repair.state,
            **{
                name: counts.get(name, 0)
                for name in ("checked", "accepted", "duplicate", "refused")
            },
            "faults": list(counts.get("faults", {}).values()),
        }
        if options["json"]:
            self.say_json(result)
        else:
            self.stdout.write(
                f"{result['checked']} looked at: {result['accepted']} accepted, "
                f"{result['duplicate']} stored already, {result['refused']} still refused"
            )
            for fault in result["faults"]:
                self.stdout.write(f"  {fault['events']}  {fault['pointer']} {fault['detail']}")
        if repair.state not in (RepairState.WAITING, RepairState.APPLIED):
            sys.exit(1)  # something is left, or it was stopped
