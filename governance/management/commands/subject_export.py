"""`manage.py subject_export gather|read|delete`: what is kept about a person, by the machine's authority."""

import sys
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from governance.models import Job, SubjectExport
from governance.selectors.subject_exports import get_export
from governance.services import subject_exports as services
from governance.services.jobs import run_due_jobs
from portal.kernel.actor import SYSTEM
from portal.kernel.command import PortalCommand


class Command(PortalCommand):
    help = "Gather what is kept about a person into a sealed file, read it, remove it."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "step",
            choices=("gather", "read", "delete"),
            help="gather: ask all stores for what they keep about whom standard input names, one "
            "identifier a line; read: write an export in clear to standard output; delete: remove it",
        )
        parser.add_argument("id", nargs="?", type=UUID, help="the export to read or delete")
        parser.add_argument("--reason", default="", help="why it is gathered; names nobody")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["step"] == "gather":
            self._gather(options["reason"], is_json=options["json"])
            return
        if options["id"] is None:
            raise CommandError(f"Say which: subject_export {options['step']} ID.")
        if options["step"] == "read":
            for part in services.download_export(options["id"], actor=SYSTEM):
                self.stdout.write(part.decode(), ending="")
            return
        services.delete_export(options["id"], actor=SYSTEM)
        if options["json"]:
            self.say_json({"id": str(options["id"]), "state": "removed"})
        else:
            self.stdout.write("removed; its key is destroyed")

    def _gather(self, reason: str, *, is_json: bool) -> None:
        # From standard input: arguments stand in the shell's history and in lists of processes.
        names = [line.strip() for line in sys.stdin if line.strip()]
        export = services.request_export(names, reason=reason, actor=SYSTEM)
        found = self._wait(export)
        if is_json:
            self.say_json({"id": str(found.pk), "state": found.state, "items": found.items})
        else:
            self.stdout.write(f"{found.pk}: {found.items} items; subject_export read {found.pk}")

    def _wait(self, export: SubjectExport) -> SubjectExport:
        """Do due work as a worker does, until this is through."""
        while True:
            run_due_jobs(budget_seconds=1.0)
            job = Job.objects.get(kind=services.KIND, object_key=str(export.pk))
            sys.stderr.write(f"{job.done} of {job.total or '?'} looked at. {job.said}\n")
            if not job.is_live:
                break
        found = get_export(SYSTEM, export.pk)
        if found.state != "ready":
            raise CommandError(f"The work is {job.state}: {job.said}")
        return found
