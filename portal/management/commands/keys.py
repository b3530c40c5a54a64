"""`manage.py keys create|revoke`: credentials from the command line."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.kernel.errors import PortalError
from portal.key_commands import NewKey, create, revoke


class Command(BaseCommand):
    help = "Make or revoke a key. A producer or consumer of the name is made where there is none."

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        made = steps.add_parser("create")
        made.add_argument("--kind", required=True, choices=["user", "producer", "consumer", "flag"])
        made.add_argument("--name", required=True)
        made.add_argument("--streams", default="*", metavar="GLOB")
        made.add_argument("--scopes", default="", help="of a user key, joined by commas")
        made.add_argument("--owner", default="", metavar="EMAIL", help="of a user key")
        made.add_argument("--json", action="store_true")
        ended = steps.add_parser("revoke")
        ended.add_argument("id")
        ended.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["step"] == "revoke":
                revoke(options["id"])
                said: dict[str, str] = {"id": options["id"], "state": "revoked"}
            else:
                key, text = create(
                    NewKey(
                        kind=options["kind"],
                        name=options["name"],
                        streams=options["streams"],
                        scopes=tuple(part for part in options["scopes"].split(",") if part),
                        owner=options["owner"],
                    )
                )
                said = {"id": key.pk, "key": text}
        except PortalError as error:
            raise CommandError(error.detail) from error
        if options["json"]:
            self.stdout.write(json.dumps(said))
        else:
            for name, value in said.items():
                self.stdout.write(f"{name}: {value}")
