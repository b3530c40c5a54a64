"""`manage.py audit verify`: recompute every hash of the audit chain."""

import sys
from typing import Any

from django.core.management.base import CommandParser

from governance.services.verification import verify_chain
from portal.kernel.command import PortalCommand


class Command(PortalCommand):
    help = "Walk the audit chain and recompute every hash. Exit code 1 when it does not hold."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("step", choices=["verify"], help="recompute every hash")

    def handle(self, *args: Any, **options: Any) -> None:
        found = verify_chain()
        if options["json"]:
            self.say_json(
                {
                    "holds": found.holds,
                    "rows": found.rows,
                    "first_bad": found.first_bad,
                    "head_hash": found.head_hash,
                }
            )
        elif found.holds:
            self.stdout.write(f"{found.rows} rows, unbroken. Head {found.head_hash}")
        else:
            self.stdout.write(f"Broken: row {found.first_bad} is the first that does not fit.")
        if not found.holds:
            sys.exit(1)
