"""`manage.py verify-statistics FILE…`: numeric cases against the shipped functions."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.statistics_cases import run_cases


class Command(BaseCommand):
    help = "Run numeric cases against the shipped statistical functions. Exit code 1 on a miss."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        cases = [case for path in options["files"] for case in _cases(path)]
        misses = run_cases(cases)
        if options["json"]:
            said = {
                "cases": len(cases),
                "missed": len(misses),
                "misses": [miss.as_dict() for miss in misses],
            }
            self.stdout.write(json.dumps(said))
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
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read as JSON: {error}") from error
    found = document.get("cases") if isinstance(document, dict) else document
    if not isinstance(found, list):
        raise CommandError(f"{path} holds no list of cases.")
    return found
