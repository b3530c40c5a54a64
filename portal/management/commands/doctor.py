"""`manage.py doctor`: what a portal needs, looked at; exit code 1 when something fails."""

import sys
from collections import Counter
from typing import Any, Final

from django.core.management.base import CommandParser

from portal.doctor.examination import CHECKS, examine
from portal.doctor.types import Checked, State
from portal.kernel.command import PortalCommand

_MARKS: Final = {
    State.OK: "ok", State.WARN: "WARN", State.FAIL: "FAIL", State.UNMEASURED: "not measured"
}  # fmt: skip


class Command(PortalCommand):
    help = (
        "Look at the database, Redis, workers, files and settings, and say what to do. Changes "
        "nothing. Exit code 1 when a check fails; warnings are no failure."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--before-start",
            action="store_true",
            help="leave out workers, beat and signing, which only a running portal has",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found: list[Checked] = []

        def tell(name: str) -> None:
            print(f"{len(found) + 1} of {count}: {name}", file=sys.stderr)

        count = len(CHECKS)
        if options["before_start"]:
            count -= sum(check.runs for check in CHECKS)

        for checked in examine(before_start=options["before_start"], tell=tell):
            found.append(checked)
            if not options["json"]:
                self._say(checked)
        counts = Counter(checked.state for checked in found)
        has_failed = counts[State.FAIL] > 0
        if options["json"]:
            self.say_json({
                "ok": not has_failed,
                "counts": {state.value: counts[state] for state in State},
                "checks": [checked.as_dict() for checked in found],
            })  # fmt: skip
        else:
            told = [f"{counts[state]} {_MARKS[state].lower()}" for state in State]
            self.stdout.write(", ".join(told))
        if has_failed:
            sys.exit(1)

    def _say(self, checked: Checked) -> None:
        self.stdout.write(f"{_MARKS[checked.state]:<13} {checked.name:<18} {checked.found}")
        if checked.todo:
            self.stdout.write(f"{'':<13} {'':<18} -> {checked.todo}")
