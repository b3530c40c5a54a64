"""`manage.py apply FILE… [--dry-run]`: make the catalog as portal YAML says, after a plan."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from catalog.exchange import portal_yaml
from catalog.exchange.plans import Action, Plan
from catalog.exchange.portal_yaml import PortalFile
from catalog.services.exchange import apply_files
from portal.kernel.actor import SYSTEM
from portal.kernel.command import PortalCommand


class Command(PortalCommand):
    help = (
        "Make the catalog as portal YAML says. Each file is applied as a whole or not at all; what "
        "it does not mention is left alone, and nothing is ever removed. A schema that differs "
        "from a stream's newest becomes its next version; one that breaks the stream's mode is "
        "refused unless it says `compatibility_group: new`. Exit code 1 when anything was refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="portal YAML")
        parser.add_argument(
            "--dry-run", action="store_true", help="show the plan and change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        paths: list[Path] = options["files"]
        plans = apply_files(
            [_read(path) for path in paths], actor=SYSTEM, dry_run=options["dry_run"]
        )
        files = [
            {"file": str(path), "summary": _summary(plan, options["dry_run"]), **plan.as_dict()}
            for path, plan in zip(paths, plans, strict=True)
        ]
        if options["json"]:
            self.say_json({"dry_run": options["dry_run"], "files": files})
        else:
            for path, plan in zip(paths, plans, strict=True):
                self._show(path, plan, options["dry_run"])
        if any(plan.refused for plan in plans):
            sys.exit(1)

    def _show(self, path: Path, plan: Plan, dry_run: bool) -> None:
        self.stdout.write(f"{path}:")
        for line in plan.lines():
            self.stdout.write(f"  {line}")
        self.stdout.write(_summary(plan, dry_run))


def _read(path: Path) -> PortalFile:
    try:
        return portal_yaml.read(path.read_bytes(), where=path.name)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error


def _summary(plan: Plan, dry_run: bool) -> str:
    if plan.refused and not dry_run:
        return f"Nothing was applied. {plan.summary()}"
    if not plan.has_work and not plan.refused:
        return f"Nothing to do: {plan.count(Action.UNCHANGED)} unchanged. {plan.summary()}"
    return plan.summary()
