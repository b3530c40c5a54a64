"""`manage.py audit verify [FILE]`: recompute every hash of the audit chain."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from governance import audit
from governance.audit import Verification
from governance.models import AuditVerification
from governance.selectors.audit_log import entries_of_export
from governance.services.verification import verify_chain
from portal.kernel.command import PortalCommand


class Command(PortalCommand):
    help = (
        "Walk the audit chain, or a file that was exported of it, and recompute every hash. "
        "Exit code 1 when it does not hold."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("step", choices=["verify"], help="recompute every hash")
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="an export")

    def handle(self, *args: Any, **options: Any) -> None:
        found = _verify(options["file"])
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


def _verify(file: Path | None) -> Verification | AuditVerification:
    if file is None:
        return verify_chain()
    try:
        with file.open("rb") as lines:
            return audit.verify(entries_of_export(lines))
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(f"{file} holds a line that is no row of the audit chain.") from error
