"""`manage.py audit verify|anchor|prove|public-key|hand-over`: the audit chain and what vouches for it."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from psycopg.conninfo import make_conninfo

from governance.chain import (
    anchors,
    exported,
    ownership,
    seals,
    second_place,
    signing,
    walking,
)
from governance.chain.anchors import Anchor, AnchorError
from governance.chain.exported import Checked
from governance.chain.signing import AuditKeyError
from governance.chain.walking import telling
from governance.models import AuditEntry, AuditVerification
from governance.selectors.audit_log import entries_of_export, entry_of
from governance.selectors.audit_proofs import ProofError, Proven, check_proof, proof_of
from governance.services.anchoring import BrokenChainError, anchor_chain
from governance.services.verification import verify_chain
from portal.http.rendering import dump
from portal.kernel import rfc3339
from portal.kernel.command import PortalCommand

STEPS: Final = ("verify", "anchor", "prove", "public-key", "hand-over")
_MAX_PROOF_BYTES: Final = 1024 * 1024


class Command(PortalCommand):
    help = (
        "Walk the audit chain, or a file that was exported of it, and recompute every hash beside the "
        "signed anchors. Exit code 1 when it does not hold."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The step, what it is done with, and whose word is taken for the signatures."""
        super().add_arguments(parser)
        parser.add_argument(
            "step",
            choices=STEPS,
            help="verify: recompute every hash; anchor: sign what is not signed yet; prove: the "
            "proof of one row, for who has nothing else; public-key: what anchors and proofs are "
            "checked with elsewhere; hand-over: make the chain another role's than the portal's, by "
            "PORTAL_OWNER_DATABASE_URL",
        )
        parser.add_argument(
            "what", nargs="?", metavar="FILE|ROW",
            help="verify: an export or a proof; prove: the number of a row",
        )  # fmt: skip
        parser.add_argument(
            "--anchors", type=Path, metavar="FILE",
            help="a copy of the anchors, beside an export; the signatures in it are checked",
        )  # fmt: skip
        parser.add_argument(
            "--sealed", action="store_true",
            help="verify: the file is to end in a seal, so that nothing can be cut off its end",
        )  # fmt: skip
        parser.add_argument(
            "--public-key", action="append", default=[], metavar="KEY",
            help="a key that is trusted (as public-key says it), instead of this portal's own",
        )  # fmt: skip
        parser.add_argument(
            "--before-migrating", action="store_true",
            help="hand-over: make the roles and let the portal's migrate; hand over again afterwards",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        step = options["step"]
        try:
            if step == "verify":
                self._verify(options)
            elif step == "anchor":
                self._anchor(is_json=options["json"])
            elif step == "prove":
                self._prove(options["what"])
            elif step == "hand-over":
                self._hand_over(is_before=options["before_migrating"], is_json=options["json"])
            else:
                self._public_key(is_json=options["json"])
        except (AuditKeyError, AnchorError, BrokenChainError) as error:
            raise CommandError(f"{str(error)[0].upper()}{str(error)[1:].rstrip('.')}.") from error

    def _verify(self, options: dict[str, Any]) -> None:
        file = Path(options["what"]) if options["what"] else None
        if file is None:
            found: walking.Verification | AuditVerification = verify_chain(self._tell)
        else:
            keys = _trusted(options["public_key"])
            proof = _proof_in(file)
            if proof is not None:
                self._say_proven(_checked(proof, keys), is_json=options["json"])
                return
            copy = options["anchors"]
            try:
                if options["sealed"] or _is_sealed(file):
                    self._say_checked(self._check(file, copy, keys), is_json=options["json"])
                    return
                found = self._walk(file, copy, keys)
            except OSError as error:
                raise CommandError(
                    f"{error.filename or file} cannot be read: {error.strerror}."
                ) from error
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise CommandError(
                    f"{file} holds a line that is no row of the audit chain."
                ) from error
        self._say(found, is_json=options["json"], is_file=file is not None)
        if not found.holds:
            sys.exit(1)

    def _tell(self, count: int) -> None:
        self.stderr.write(f"{count} looked at")

    def _check(self, file: Path, copy: Path | None, keys: dict[str, bytes]) -> Checked:
        with file.open("rb") as lines:
            told = telling(_rows_and_proofs(lines), self._tell)
            return exported.check(told, keys, _digests(copy, keys))

    def _walk(self, file: Path, copy: Path, keys: dict[str, bytes]) -> walking.Verification:
        """Rows alone, which do not say whether they are all."""
        with file.open("rb") as lines:
            told = telling(entries_of_export(lines), self._tell)
            return walking.verify(told, _anchors_of(copy, keys))

    def _say_checked(self, found: Checked, *, is_json: bool) -> None:
        if is_json:
            self.say_json(
                {
                    "holds": found.holds,
                    "rows": found.rows,
                    "proved": found.proved,
                    "whole": found.is_whole,
                    "asked": dict(found.asked),
                    "first_bad": found.first_bad,
                    "fault": found.fault,
                    "head_hash": found.head_hash,
                    "anchored_upto": found.anchored_upto,
                    "anchored_at": _spelled(found.anchored_at),
                    "sealed_at": _spelled(found.sealed_at),
                }
            )
        elif not found.holds:
            row = f"row {found.first_bad} " if found.first_bad is not None else ""
            self.stdout.write(f"Broken: {row}{found.fault}.")
        else:
            self.stdout.write(_verdict(found))
        if not found.holds:
            sys.exit(1)

    def _say(
        self, found: walking.Verification | AuditVerification, *, is_json: bool, is_file: bool
    ) -> None:
        if is_json:
            self.say_json(
                {
                    "holds": found.holds,
                    "rows": found.rows,
                    "first_bad": found.first_bad,
                    "fault": found.fault,
                    "head_hash": found.head_hash,
                    "anchored_upto": found.anchored_upto,
                    "anchored_at": _spelled(found.anchored_at),
                }
            )
            return
        if found.anchored_at:
            at = rfc3339.spell(found.anchored_at)
            signed = f"Signed up to row {found.anchored_upto}, at {at}."
        else:
            signed = "No row of them is signed."
        if found.holds:
            end = " It has no seal, so its end may have been cut off." if is_file else ""
            self.stdout.write(f"{found.rows} rows, unbroken. {signed}{end} Head {found.head_hash}")
        else:
            self.stdout.write(f"Broken: row {found.first_bad} {found.fault}. {signed}")

    def _anchor(self, *, is_json: bool) -> None:
        try:
            made = anchor_chain(self._tell)
        except OSError as error:
            raise CommandError(f"The copy of the anchors cannot be written: {error}.") from error
        if is_json:
            self.say_json({"anchors": made})
        else:
            self.stdout.write(f"{made} anchors signed.")

    def _prove(self, number: str | None) -> None:
        if number is None or not number.isdecimal() or len(number) > 18:
            raise CommandError("Say which row: audit prove NUMBER.")
        self.stdout.write(dump(proof_of(int(number))).decode())

    def _hand_over(self, *, is_before: bool, is_json: bool) -> None:
        owner_url = settings.OWNER_DATABASE_URL
        if not owner_url:
            raise CommandError(
                "PORTAL_OWNER_DATABASE_URL must name the role that owns the database "
                "(docs/runbooks/audit.md)."
            )
        ours: dict[str, Any] = settings.DATABASES["default"]
        portal_url = make_conninfo(user=ours["USER"], password=ours["PASSWORD"])
        try:
            ownership.make_roles(owner_url, portal_url)
            if is_before:
                changed = ownership.make_ready(owner_url, portal_url)
            else:
                changed = ownership.hand_over(owner_url, portal_url)
        except ownership.OwnershipError as error:
            raise CommandError(str(error)) from error
        if is_json:
            self.say_json({"handed_over": changed})
        else:
            self.stdout.write(f"{changed} tables and functions handed over.")

    def _public_key(self, *, is_json: bool) -> None:
        keys = {name: signing.spell_key(raw) for name, raw in signing.known_keys().items()}
        if is_json:
            self.say_json({"keys": keys})
            return
        if not keys:
            raise CommandError("There is no key yet: it is made with the first anchor.")
        for name, text in keys.items():
            self.stdout.write(f"{name} {text}")

    def _say_proven(self, found: Proven, *, is_json: bool) -> None:
        if is_json:
            self.say_json(
                {
                    "holds": True, "row": found.seq, "anchor": found.anchor, "key": found.key_id,
                    "anchored_at": rfc3339.spell(found.at),
                }
            )  # fmt: skip
            return
        self.stdout.write(
            f"Row {found.seq} stood in the chain so at {rfc3339.spell(found.at)}: anchor "
            f"{found.anchor}, key {found.key_id}."
        )


def _spelled(moment: datetime | None) -> str | None:
    return rfc3339.spell(moment) if moment else None


def _verdict(found: Checked) -> str:
    """What is said of an export in which nothing was touched."""
    behind = found.rows - found.proved
    rows = f"{found.rows} row{'' if found.rows == 1 else 's'}"
    if found.is_whole:
        signed = (
            f"Signed up to row {found.anchored_upto}, at {_spelled(found.anchored_at)}"
            if found.proved
            else "No row of them is signed"
        )
        count = f"{rows}, unbroken. {signed}"
    elif behind:
        count = f"A part: {rows}, {found.proved} proved"
    else:
        count = f"A part: {rows}, each proved"
    rest = f"; for {behind} that were too new the seal alone vouches" if behind else ""
    asked = f" Asked: {_as_question(found.asked)}." if found.asked else ""
    return f"{count}{rest}.{asked} Sealed at {_spelled(found.sealed_at)}. Head {found.head_hash}"


def _trusted(texts: list[str]) -> dict[str, bytes]:
    if not texts:
        return signing.known_keys()
    found = [signing.public_key(text) for text in texts]
    return {signing.key_id_of(raw): raw for raw in found}


def _proof_in(file: Path) -> dict[str, Any] | None:
    """The proof that a file holds; None for anything else."""
    try:
        if file.stat().st_size > _MAX_PROOF_BYTES:
            return None
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError:
        return None
    return document if isinstance(document, dict) and "path" in document else None


def _checked(proof: dict[str, Any], keys: dict[str, bytes]) -> Proven:
    try:
        return check_proof(proof, keys)
    except ProofError as error:
        raise CommandError(str(error)) from error


def _digests(copy: Path | None, keys: dict[str, bytes]) -> dict[int, bytes]:
    """What a copy says of each anchor, by number."""
    try:
        return {anchor.number: anchor.digest() for anchor in _anchors_of(copy, keys)}
    except OSError as error:
        raise CommandError(f"{copy} cannot be read: {error.strerror}.") from error


def _is_sealed(file: Path) -> bool:
    """Whether an export holds proofs or a seal."""
    with file.open("rb") as lines:
        return any(line.startswith(seals.STARTS) for line in lines)


def _rows_and_proofs(lines: Iterable[bytes]) -> Iterator[AuditEntry | bytes]:
    for line in lines:
        yield line if line.startswith(seals.STARTS) else entry_of(orjson.loads(line))


def _anchors_of(copy: Path | None, keys: dict[str, bytes]) -> Iterator[Anchor]:
    if copy is None:
        return
    before: Anchor | None = None
    for anchor in second_place.anchors_in(copy):
        anchors.check(anchor, before, keys)
        yield anchor
        before = anchor


def _as_question(asked: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in asked.items())
