"""People with passwords, and browsers in which they sign in."""

import hmac
import itertools
import struct
import time
from base64 import b32decode
from typing import Any

from django.test import Client

from governance.models import User
from governance.types import Role
from tests.support.factories import make_person

PASSWORD = "a long and odd pass phrase"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_addresses = itertools.count(1)


def with_password(*roles: Role, **fields: Any) -> User:
    person = make_person(*roles, **fields)
    person.set_password(PASSWORD)
    person.save()
    return person


def browser(agent: str = FIREFOX) -> Client:
    """A browser at an address of its own, as limits go by addresses."""
    number = next(_addresses)
    return Client(
        REMOTE_ADDR=f"10.9.{number // 250}.{number % 250 + 1}", headers={"User-Agent": agent}
    )


def sign_in(person: User, client: Client | None = None, *, password: str = PASSWORD) -> Client:
    """A browser in which the person gave their password."""
    client = client or browser()
    answer = client.post("/accounts/login/", {"login": person.email, "password": password})
    assert answer.status_code == 302, answer.content[:500]
    return client


def totp(secret: str, *, at: float | None = None) -> str:
    """The six digits of RFC 6238 for a secret in base32, worked out apart from the library's."""
    counter = struct.pack(">Q", int(at if at is not None else time.time()) // 30)
    digest = hmac.new(b32decode(secret), counter, "sha1").digest()
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
