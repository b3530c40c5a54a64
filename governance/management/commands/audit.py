"""`manage.py audit verify`: recompute every hash of the audit chain."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from governance.services.verification import verify_chain


class Command(BaseCommand):
    help = "Walk the audit chain and recompute every hash. Exit code 1 when it does not hold."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("step", choices=["verify"])
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        found = verify_chain()
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "holds": found.holds,
                        "rows": found.rows,
                        "first_bad": found.first_bad,
                        "head_hash": found.head_hash,
                    }
                )
            )
        elif found.holds:
            self.stdout.write(f"{found.rows} rows, unbroken. Head {found.head_hash}")
        else:
            self.stdout.write(f"Broken: row {found.first_bad} is the first that does not fit.")
        if not found.holds:
            sys.exit(1)
