"""`manage.py erase [list|go-on|replay|verify]`: erasing persons by the authority of the machine."""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from governance import receipts
from governance.chain import signing
from governance.chain.signing import AuditKeyError
from governance.erasure_ledger import LedgerError
from governance.models import Erasure, ErasureBasis, Job
from governance.receipts import ReceiptError
from governance.selectors import erasures as selectors
from governance.services import erasures as services
from governance.services.erasure_replay import replay_ledger
from governance.services.jobs import run_due_jobs
from portal.http.rendering import dump
from portal.kernel import rfc3339
from portal.kernel.actor import SYSTEM
from portal.kernel.command import PortalCommand

STEPS: Final = ("run", "list", "go-on", "replay", "verify")
_TURN_SECONDS: Final = 2.0
_MAX_RECEIPT_BYTES: Final = 1024 * 1024


class Command(PortalCommand):
    help = (
        "Erase the person whom standard input names, one identifier a line, in every store; or look at "
        "erasures, replay them after a restore, verify a receipt (docs/erasure.md)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "step", nargs="?", default="run", choices=STEPS,
            help="run (default): erase whom standard input names; list: what was asked for and how "
            "far it is; go-on: have one go on that was stopped or failed; replay: erase again what "
            "the ledger knows and this database does not; verify: check a receipt's signature",
        )  # fmt: skip
        parser.add_argument(
            "what", nargs="?", metavar="ID|FILE", help="go-on: the erasure; verify: the receipt"
        )
        parser.add_argument(
            "--basis", choices=ErasureBasis.values, help="run: the ground, article 17 (1) GDPR"
        )
        parser.add_argument("--reason", default="", help="run: why, without naming the person")
        parser.add_argument(
            "--all", action="store_true",
            help="replay: everything in the ledger, also what this database knows as done",
        )  # fmt: skip
        parser.add_argument(
            "--public-key", action="append", default=[], metavar="KEY",
            help="verify: a key that is trusted (as audit public-key says it), instead of this "
            "portal's own",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        step = options["step"]
        if step == "run":
            self._run(options)
        elif step == "list":
            self._list(is_json=options["json"])
        elif step == "go-on":
            self._follow(services.go_on(_uuid(options["what"]), actor=SYSTEM), options["json"])
        elif step == "replay":
            self._replay(whole=options["all"], is_json=options["json"])
        else:
            self._verify(options)

    def _run(self, options: dict[str, Any]) -> None:
        if options["basis"] is None:
            raise CommandError("Say on which ground: --basis.")
        # From standard input: arguments stand in the shell's history and in lists of processes.
        lines = [line.strip() for line in sys.stdin if line.strip()]
        row = services.request_erasure(
            lines, actor=SYSTEM, basis=options["basis"], reason=options["reason"]
        )
        self._follow(services.approve_erasure(row.pk, actor=SYSTEM), options["json"])

    def _follow(self, row: Erasure, is_json: bool) -> None:
        """Say how far it is until it has ended, and help where no worker is free."""
        assert row.job_id is not None
        _say(f"erasure {row.pk}; it goes on by itself when this is interrupted")
        said = ""
        while (job := Job.objects.get(pk=row.job_id)).is_live:
            told = f"{job.percent if job.percent is not None else 0} %: {job.said or 'waits'}"
            if told != said:
                said = told
                _say(told)
            run_due_jobs(budget_seconds=_TURN_SECONDS)
            if Job.objects.filter(pk=job.pk, state=job.state, done=job.done).exists():
                time.sleep(_TURN_SECONDS)
        row.refresh_from_db()
        if row.receipt is None:
            raise CommandError(f"The work {job.state}: {job.said} Then: erase go-on {row.pk}")
        if is_json:
            self.say_json(row.receipt)
        else:
            self.stdout.write(dump(row.receipt).decode())

    def _list(self, *, is_json: bool) -> None:
        rows = selectors.visible_erasures(SYSTEM).order_by("created_at", "id")
        if is_json:
            self.say_json({"erasures": [_said(row) for row in rows.iterator()]})
            return
        for row in rows.iterator():
            said = _said(row)
            self.stdout.write(
                f"{said['id']} {said['state']:<9} {said['basis']:<18} "
                f"identifiers: {said['identifiers']:<4} asked {said['created_at']} by {row.requested_by}"
            )

    def _replay(self, *, whole: bool, is_json: bool) -> None:
        try:
            done = replay_ledger(whole=whole, tell=_say)
        except LedgerError as error:
            raise CommandError(f"The ledger is not in order: {error}.") from error
        except OSError as error:
            raise CommandError(f"The ledger cannot be read: {error.strerror}.") from error
        if is_json:
            self.say_json({"erasures": done.erasures, "walks": done.walks, "stores": done.stores})
        else:
            self.stdout.write(f"erasures replayed: {done.erasures}")

    def _verify(self, options: dict[str, Any]) -> None:
        if options["what"] is None:
            raise CommandError("Say which file: erase verify FILE.")
        file = Path(options["what"])
        try:
            if file.stat().st_size > _MAX_RECEIPT_BYTES:
                raise CommandError(f"{file} is too large for a receipt.")
            receipt = receipts.check(json.loads(file.read_bytes()), _trusted(options["public_key"]))
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise CommandError(f"{file} is no JSON.") from error
        except (ReceiptError, AuditKeyError) as error:
            raise CommandError(f"{file} proves nothing: {str(error).rstrip('.')}.") from error
        if options["json"]:
            self.say_json({"holds": True, "receipt": receipt})
        else:
            self.stdout.write(
                f"Erasure {receipt['erasure']} was done at {receipt['finished_at']}. Identifiers: "
                f"{receipt['identifiers']}, stores: {len(receipt['stores'])}."
            )


def _said(row: Erasure) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "state": row.state,
        "basis": row.basis,
        "identifiers": row.identifiers,
        "requested_by": row.requested_by,
        "decided_by": row.decided_by,
        "created_at": rfc3339.spell(row.created_at),
        "finished_at": rfc3339.spell(row.finished_at) if row.finished_at else None,
        "percent": row.job.percent if row.job is not None else None,
        "said": row.job.said if row.job is not None else "",
    }


def _trusted(texts: list[str]) -> dict[str, bytes]:
    if not texts:
        return signing.known_keys()
    found = [signing.public_key(text) for text in texts]
    return {signing.key_id_of(raw): raw for raw in found}


def _uuid(text: str | None) -> UUID:
    try:
        return UUID(text or "")
    except ValueError as error:
        raise CommandError("Say which erasure, by its id.") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
