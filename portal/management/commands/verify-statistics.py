"""`manage.py verify-statistics FILE…`: numeric cases against the shipped functions."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from portal.kernel.command import PortalCommand
from portal.statistics_cases import run_cases


class Command(PortalCommand):
    help = "Run numeric cases against the shipped statistical functions. Exit code 1 on a miss."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "files", nargs="+", type=Path, metavar="FILE", help="cases as JSON (tests/data)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        cases = [case for path in options["files"] for case in _cases(path)]
        misses = run_cases(cases)
        if options["json"]:
            self.say_json(
                {
                    "cases": len(cases),
                    "missed": len(misses),
                    "misses": [miss.as_dict() for miss in misses],
                }
            )
        else:
            for miss in misses:
                self.stdout.write(f"{miss.id} {miss.function}: {'; '.join(miss.reasons)}")
            self.stdout.write(
                f"{len(cases) - len(misses)} of {len(cases)} cases hold, {len(misses)} missed"
            )
        if misses:
            sys.exit(1)


def _cases(path: Path) -> list[dict[str, Any]]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}.") from error
    found = document.get("cases") if isinstance(document, dict) else document
    if not isinstance(found, list) or not all(isinstance(case, dict) for case in found):
        raise CommandError(f"{path} holds no list of cases.")
    return found
