"""Reading changes nothing: no GET of any route writes a row, but for what is said here."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import ObservedRead
from catalog.services.consumers import create_consumer
from governance.types import Permission, Role
from portal.kernel.actor import SYSTEM
from tests.api.conftest import Secret, addresses, credential
from tests.support.factories import make_grant, make_person, token_of

pytestmark = pytest.mark.django_db
# Our own files of SQL begin with what they are for.
_COMMENTS = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
WRITES = re.compile(
    rf"^{_COMMENTS}(?:INSERT|UPDATE|DELETE|TRUNCATE|MERGE|COPY|ALTER|DROP|CREATE)\b", re.I | re.S
)
# Tables that a GET may write, each with its reason.
MAY = {
    "django_session": "the session's own end",
    "governance_personsession": "when a browser was last used",
    "governance_key": "when a key was last used",
    "governance_key_use": "when a key was last used",
    "catalog_streamconsumerpermission": "when a grant to read was last used",
    "governance_audit_anchor": "what an export of the log is signed up to",
    "catalog_observedread": "what a consumer's key was given",
}


def written(client: Client, path: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as seen:
        answer: Any = client.get(path)
        if answer.streaming and not answer.is_async:
            list(answer.streaming_content)
    return [
        query["sql"][:120]
        for query in seen.captured_queries
        if WRITES.match(query["sql"])
        and not any(f'"{table}"' in query["sql"] or f" {table} " in query["sql"] for table in MAY)
    ]


def test_no_get_writes_a_row(secret: Secret) -> None:
    person = Client()
    person.force_login(make_person(Role.ADMIN))
    owner = Client()
    owner.force_login(secret.owner)
    machine = Client(headers={"Authorization": f"Bearer {token_of(make_person(Role.ADMIN))}"})
    consumer = create_consumer("warehouse", actor=SYSTEM)
    make_grant(secret.stream, consumer, Permission.READ_PAYLOAD)
    program = Client(headers={"Authorization": f"Bearer {credential('cons', consumer.pk)}"})
    found = {}
    for path in (one.path for one in addresses(secret)):
        for client in (person, owner, machine, program):
            if rows := written(client, path):
                found[path] = rows
    assert found == {}
    assert ObservedRead.objects.exists(), "the key was given no event, so its walk proves nothing"


def test_a_write_would_be_seen(secret: Secret) -> None:
    client = Client()
    client.force_login(secret.owner)
    with CaptureQueriesContext(connection) as seen:
        client.post("/api/v1/glossary", {"name": "x"}, "application/json")
        client.post(f"/streams/{secret.stream.name}/follow/")
    assert any(WRITES.match(query["sql"]) for query in seen.captured_queries)
