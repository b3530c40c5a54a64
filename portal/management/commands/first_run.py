"""`manage.py first_run`: the five roles, one account each, and an admin token; once."""

import json
import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from governance.services.people import FIRST_PEOPLE, make_first_people


class Command(BaseCommand):
    help = "Make the five role accounts and an admin token, once; show them again later."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print them as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.DATA_DIR / "logins.json"
        if not path.exists():
            made = make_first_people()
            logins = {
                role.value: {"email": FIRST_PEOPLE[role][0], "password": password}
                for role, password in made.passwords.items()
            }
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                json.dump({"logins": logins, "admin_token": made.admin_token}, handle)
        if options["json"]:
            self.stdout.write(path.read_text())
