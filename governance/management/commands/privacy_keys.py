"""`manage.py privacy_keys status|add|rotate|drop|destroy`: the keys that personal values are sealed with."""

import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from governance.privacy import keyring, keys
from governance.services import privacy_keys as services
from portal.kernel.actor import SYSTEM
from portal.kernel.command import PortalCommand
from portal.kernel.files import write_private


class Command(PortalCommand):
    help = "Look at, add, rotate and drop versions of the privacy keys (docs/privacy.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "step",
            choices=("status", "add", "rotate", "drop", "destroy"),
            help="status: which versions there are and what they wrap; add: write a new version "
            "into the file of the keys; rotate: wrap every data key under the current version; "
            "drop: take a version that nothing needs out of the file; destroy: destroy the keys of "
            "the subject that standard input names, for good",
        )
        parser.add_argument("version", nargs="?", type=int, help="the version to drop")
        parser.add_argument("--reason", default="", help="why a subject's keys are destroyed")

    def handle(self, *args: Any, **options: Any) -> None:
        step = options["step"]
        if step == "add":
            self._write(keyring.with_new_version)
        elif step == "rotate":
            self._rotate()
        elif step == "drop":
            if options["version"] is None:
                raise CommandError("Say which version: privacy_keys drop VERSION.")
            services.require_unused(options["version"])
            self._write(lambda text: keyring.without_version(text, options["version"]))
        elif step == "destroy":
            self._destroy(options["reason"], is_json=options["json"])
            return
        said = {
            "current": keys.read_again().current,
            "versions": {str(version): n for version, n in sorted(services.counts().items())},
            "missing": services.missing_versions(),
        }
        if options["json"]:
            self.say_json(said)
            return
        for version, count in sorted(services.counts().items()):
            mark = " (current)" if version == said["current"] else ""
            self.stdout.write(f"version {version}{mark}: {count} data keys")
        if said["missing"]:
            raise CommandError(f"Not at hand and needed: {said['missing']}")

    def _write(self, change: Any) -> None:
        path = os.environ.get("PORTAL_PRIVACY_KEYS_FILE")
        if not path:
            raise CommandError(
                "The keys stand in PORTAL_PRIVACY_KEYS: change them there (docs/privacy.md)."
            )
        try:
            write_private(Path(path), change(Path(path).read_text("utf-8")))
        except keyring.KeyringError as error:
            raise CommandError(f"The keys stay as they are: {error}.") from error

    def _destroy(self, reason: str, *, is_json: bool) -> None:
        # From standard input: an argument would stand in the shell's history and in lists of
        # processes.
        subject = sys.stdin.readline().rstrip("\r\n")
        done = services.destroy_subject(subject, reason=reason, actor=SYSTEM)
        if is_json:
            self.say_json({"keys": done.keys, "tokens": done.tokens})
        else:
            self.stdout.write(f"destroyed {done.keys} data keys and {done.tokens} tokens")

    def _rotate(self) -> None:
        services.rotate_keys(actor=SYSTEM)
        done = 0
        at: services.Place | None = services.START
        while at is not None:
            with transaction.atomic():
                found = services.rewrap_some(at)
            done, at = done + found.count, found.at
            sys.stderr.write(f"{done} data keys wrapped\n")
