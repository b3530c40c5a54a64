"""`manage.py soak`: hours of load and faults against a portal of its own, judged by the checker."""

import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from portal.kernel.command import PortalCommand
from portal.launcher.supervisor import say
from portal.soak.run import Plan, Soak, Summary
from portal.soak.running import StartError

DEFAULT_CYCLES = 30


class Command(PortalCommand):
    help = (
        "Start a portal in a temporary directory, send events to it, kill and stop its processes, "
        "and check after each fault that nothing was lost, doubled or made up. Exit code 1 on a "
        "violation; the directory with the evidence is kept then."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        length = parser.add_mutually_exclusive_group()
        length.add_argument("--minutes", type=float, help="how long to go on")
        length.add_argument("--cycles", type=int, help=f"how many faults ({DEFAULT_CYCLES})")
        parser.add_argument("--seed", type=int, help="the seed of an earlier run, to repeat it")
        parser.add_argument("--first", type=int, default=0, help="the number of the first cycle")
        parser.add_argument("--rate", type=float, default=300.0, help="events a second (300)")

    def handle(self, *args: Any, **options: Any) -> None:
        _refuse_nothing(options)
        place = Path(tempfile.mkdtemp(prefix="portal-soak-"))
        plan = _plan(place / "data", options)
        say(f"seed {plan.seed}; everything lies in {place}")
        stopping = _Stopping()
        try:
            summary = Soak(plan, say=say, is_stopping=stopping).run()
        except StartError as error:
            raise CommandError(str(error)) from error
        if not summary.violations:
            shutil.rmtree(place, ignore_errors=True)
        if options["json"]:
            evidence = str(place) if summary.violations else None
            self.say_json(summary.as_dict() | {"evidence": evidence})
        else:
            self._tell(summary, place)
        if summary.violations:
            sys.exit(1)

    def _tell(self, summary: Summary, place: Path) -> None:
        faults = ", ".join(f"{count} {name}" for name, count in summary.faults.most_common())
        self.stdout.write(
            f"{summary.cycles} cycles in {summary.seconds:.0f} s, seed {summary.seed}: {faults}\n"
            f"{summary.requests} requests, {summary.events} events stored once, "
            f"{summary.dead_letters} dead letters"
        )
        for number, violation in summary.violations:
            self.stdout.write(f"cycle {number}: {violation.kind}: {violation.detail}")
        if summary.violations:
            self.stdout.write(f"{len(summary.violations)} violations; the evidence lies in {place}")
        else:
            self.stdout.write("nothing lost, nothing doubled, nothing made up")


class _Stopping:
    """Whether Ctrl-C or SIGTERM came; the cycle that runs is finished first."""

    def __init__(self) -> None:
        self._is_wanted = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._want)

    def __call__(self) -> bool:
        return self._is_wanted

    def _want(self, *_: object) -> None:
        if not self._is_wanted:
            say("stopping after this cycle")
        self._is_wanted = True


def _refuse_nothing(options: dict[str, Any]) -> None:
    for name in ("cycles", "minutes", "rate"):
        if options[name] is not None and options[name] <= 0:
            raise CommandError(f"--{name} must be more than nothing.")


def _plan(data: Path, options: dict[str, Any]) -> Plan:
    cycles, minutes = options["cycles"], options["minutes"]
    if cycles is None and minutes is None:
        cycles = DEFAULT_CYCLES
    seed = options["seed"]
    return Plan(
        data,
        seed if seed is not None else random.SystemRandom().randrange(10**6),
        cycles=cycles,
        seconds=minutes * 60 if minutes is not None else None,
        rate=options["rate"],
        first=options["first"],
    )
