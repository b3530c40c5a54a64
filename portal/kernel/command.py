"""The base of the portal's commands: a refusal is one sentence, results go to standard output."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.kernel.errors import PortalError, sentence


class PortalCommand(BaseCommand):
    """A command with `--json`. Progress goes to standard error, what was asked for to output."""

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it; the portal's errors leave as CommandError with one sentence."""
        try:
            return super().execute(*args, **options)
        except PortalError as error:
            raise CommandError(sentence(error)) from error

    def say_json(self, result: Mapping[str, Any]) -> None:
        """The one line of a `--json` run."""
        self.stdout.write(json.dumps(result))


def add_json(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
