"""`manage.py keys create|revoke`: credentials from the command line."""

from typing import Any

from django.core.management.base import CommandParser

from portal.kernel.command import PortalCommand, add_json
from portal.key_commands import NewKey, create, revoke


class Command(PortalCommand):
    help = "Make or revoke a key. A producer or consumer of the name is made where there is none."

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        made = steps.add_parser("create", help="make a key and show it, this once")
        made.add_argument("--kind", required=True, choices=["user", "producer", "consumer", "flag"])
        made.add_argument("--name", required=True, help="of the producer, consumer or key")
        made.add_argument(
            "--streams", default="*", metavar="GLOB", help="streams it is for, such as shop.* (all)"
        )
        made.add_argument(
            "--origins", nargs="+", default=[], metavar="ORIGIN",
            help="of a producer key that stands in web pages: where, such as https://shop.example",
        )  # fmt: skip
        made.add_argument(
            "--scopes", nargs="+", default=[], metavar="SCOPE",
            help="of a user key: read, write, approve, admin, metrics (all)",
        )  # fmt: skip
        made.add_argument(
            "--owner", default="", metavar="EMAIL", help="of a user key (the first admin)"
        )
        add_json(made)
        ended = steps.add_parser("revoke", help="end a key at once")
        ended.add_argument("id", help="the eight characters after ep_<kind>_")
        add_json(ended)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["step"] == "revoke":
            revoke(options["id"])
            said = {"id": options["id"], "state": "revoked"}
        else:
            said = self._create(options)
        if options["json"]:
            self.say_json(said)
        else:
            for name, value in said.items():
                self.stdout.write(f"{name}: {value}")

    def _create(self, options: dict[str, Any]) -> dict[str, str]:
        scopes = [part for words in options["scopes"] for part in words.split(",") if part]
        if options["kind"] != "user" and (scopes or options["owner"]):
            self.stderr.write("--scopes and --owner are of user keys; they change nothing here.")
        if options["kind"] != "producer" and options["origins"]:
            self.stderr.write("--origins are of producer keys; they change nothing here.")
        key, text = create(
            NewKey(
                kind=options["kind"],
                name=options["name"],
                streams=options["streams"],
                scopes=tuple(scopes),
                owner=options["owner"],
                origins=tuple(options["origins"]),
            )
        )
        return {"id": key.pk, "key": text}
