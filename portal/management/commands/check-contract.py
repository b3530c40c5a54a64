"""`manage.py check-contract FILE…`: a producer's contract check for CI."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from catalog import contract_checks as told
from catalog import naming
from catalog.contract_checks import ContractCheck
from catalog.exchange.documents import OutsideStream, Unreadable
from catalog.exchange.files import read_paths
from catalog.services.contract_checks import check_contract
from portal.kernel.actor import SYSTEM
from portal.kernel.command import PortalCommand
from portal.remote_contracts import RemoteError, RemotePortal

TOKEN: str = "PORTAL_TOKEN"  # noqa: S105  # the name of a variable


class Command(PortalCommand):
    help = (
        "Check contracts before they are published: JSON Schema, AsyncAPI, ODCS, Segment plans, "
        "JSON lines or portal YAML. The newest version of each stream in a file is compared with "
        "the catalog's active ones under the stream's mode and policy; style and the consumers "
        "that read what changes are told too, and so is what policies say, as far as it can be judged "
        "here; one that blocks fails the check. Exit codes: 0 all compatible (or new), 1 something "
        "breaks, is stopped by a policy or has errors, 2 something could not be checked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "files", nargs="+", type=Path, metavar="FILE", help="a contract or a directory of them"
        )
        parser.add_argument(
            "--stream", default="", metavar="NAME",
            help="the stream that a single JSON Schema is of (its file's name)",
        )  # fmt: skip
        parser.add_argument(
            "--domain", default="imported", help="for names of a single part (imported)"
        )
        parser.add_argument(
            "--strict", action="store_true", help="new warnings of style are errors too"
        )
        parser.add_argument(
            "--junit", type=Path, metavar="FILE", help="also write the report as JUnit XML"
        )
        parser.add_argument(
            "--url", default="", help="a portal elsewhere, such as https://portal.example.com"
        )
        parser.add_argument(
            "--token-file", type=Path, metavar="FILE",
            help="holds a personal token for --url (else the variable PORTAL_TOKEN)",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        naming.check_stream_name(f"{options['domain']}.event")
        found = list(_named(read_paths(options["files"]), options["stream"]))
        try:
            check = self._checker(options)
            checks = [check(one) for one in found]
        except RemoteError as error:
            raise CommandError(str(error), returncode=2) from error
        if options["strict"]:
            checks = [told.strictly(one) for one in checks]
        self._tell(checks, options)
        sys.exit(told.exit_code(checks))

    def _checker(
        self, options: dict[str, Any]
    ) -> Callable[[OutsideStream | Unreadable], ContractCheck]:
        domain = options["domain"]
        if not options["url"]:
            return lambda one: check_contract(one, actor=SYSTEM, domain=domain)
        remote = RemotePortal(options["url"], _token(options["token_file"]))
        return lambda one: remote.check(one, domain=domain)

    def _tell(self, checks: list[ContractCheck], options: dict[str, Any]) -> None:
        if options["junit"]:
            try:
                options["junit"].write_bytes(told.junit(checks))
            except OSError as error:
                raise CommandError(
                    f"{options['junit']} cannot be written: {error.strerror}.", returncode=2
                ) from error
        if options["json"]:
            self.say_json({
                "summary": told.summary(checks),
                "exit_code": told.exit_code(checks),
                "contracts": [one.as_dict() for one in checks],
            })  # fmt: skip
            return
        for check in checks:
            for line in check.lines():
                self.stdout.write(line)
        self.stdout.write(told.summary(checks))


def _named(
    found: Iterator[OutsideStream | Unreadable], name: str
) -> Iterator[OutsideStream | Unreadable]:
    """What was read; with `name` there must be one stream, which is called so."""
    streams = list(found)
    if name:
        if len(streams) != 1:
            raise CommandError(
                f"--stream is for one contract; the files hold {len(streams)}.", returncode=2
            )
        streams = [one if isinstance(one, Unreadable) else _renamed(one, name) for one in streams]
    yield from streams


def _renamed(stream: OutsideStream, name: str) -> OutsideStream:
    return OutsideStream(name=name, where=stream.where, versions=stream.versions)


def _token(path: Path | None) -> str:
    if path is None:
        found = os.environ.get(TOKEN, "")
        if not found:
            raise CommandError(
                f"--url needs a personal token: --token-file FILE or {TOKEN}.", returncode=2
            )
        return found.strip()
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read as a token.", returncode=2) from error
