"""`manage.py first_run`: what a database needs before the first page.

With --migrate its tables; the partitions of the coming days; the five roles, one account each, and an
admin token. Work that was done is not done again, but first passwords that nobody used in time are
made anew. One command, for each interpreter costs a start
more than a second.
"""

import gc
import json
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandParser

from governance import first_logins, keys
from governance.models import Key
from governance.services.people import FIRST_PEOPLE, make_first_people, renew_first_passwords
from ingest.log import partitions
from ingest.log.connection import connect
from portal.kernel.command import PortalCommand
from portal.kernel.files import write_private


class Command(PortalCommand):
    help = (
        "Make the partitions of the coming days, and once the five role accounts and an admin token; "
        "show them again later. They stay in logins.json in the data directory."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--migrate", action="store_true", help="run the migrations first")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing and print the logins, as JSON where asked."""
        if options["migrate"]:
            # Each step makes the classes of all models anew: 200 MB that are not worth walking over.
            gc.disable()
            call_command("migrate", verbosity=0, interactive=False)
            gc.enable()
        with connect() as connection:
            partitions.make_window(connection)
        path = first_logins.place()
        known = _known(path)
        if known is None:
            made = make_first_people()
            known = {
                "logins": {
                    role.value: {"email": FIRST_PEOPLE[role][0], "password": password}
                    for role, password in made.passwords.items()
                },
                "admin_token": made.admin_token,
            }
            write_private(path, json.dumps(known))
        elif first_logins.is_old():
            _renew(known, path)
        if options["json"]:
            self.say_json(known)
            return
        for role, login in known["logins"].items():
            self.stdout.write(f"{role:16} {login['email']:28} {login['password']}")


def _renew(known: dict[str, Any], path: Path) -> None:
    """Put new passwords in the place of those that nobody used, in `known` and in its file."""
    made = renew_first_passwords([login["email"] for login in known["logins"].values()])
    for login in known["logins"].values():
        login["password"] = made.get(login["email"], login["password"])
    if made:
        write_private(path, json.dumps(known))


def _known(path: Path) -> dict[str, Any] | None:
    """What an earlier run made in this very database: another one does not have the token's row."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        token = keys.parse(found["admin_token"])
    except (OSError, ValueError, KeyError):
        return None
    return found if token is not None and Key.objects.filter(pk=token.id).exists() else None
