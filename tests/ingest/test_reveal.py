"""Treated values in clear: for who holds the grant, one row of the audit chain a look."""

import json
from collections.abc import Iterator

import pytest
from django.test import Client

from catalog.models import Stream
from governance.models import AuditEntry, PrivacyToken, User
from governance.privacy import keyring, vault
from governance.types import Permission, Role
from tests.ingest.conftest import World
from tests.ingest.test_canaries import PERSON, Person, event, send
from tests.support.factories import make_grant, make_person, token_of

WHO = Person("seen81")


@pytest.fixture(scope="module", autouse=True)
def people(transactional_db: None) -> Iterator[None]:
    """Made before the world, and taken away after it with the grants they hold."""
    yield
    User.objects.all().delete()


@pytest.fixture
def stream(world: World) -> Stream:
    return world.stream(
        PERSON, classification="sensitive", subject_classification="personal",
        subject_privacy="tokenize",
    )  # fmt: skip


@pytest.fixture
def sent(world: World, stream: Stream) -> Iterator[str]:
    key = world.key(world.producer())
    assert send(key, event(stream, WHO, id="seen")).json["accepted"] == 1
    yield f"/api/v1/streams/{stream.name}/events/seen/reveal"
    vault.forget()


def test_the_grant_to_personal_fields_shows_them_and_leaves_one_row_without_a_value(
    stream: Stream, sent: str, client: Client
) -> None:
    reader, other = make_person(Role.ANALYST), make_person(Role.ADMIN)
    make_grant(stream, reader, Permission.READ_PERSONAL)
    refused = client.get(sent, headers={"authorization": f"Bearer {token_of(other, 'read')}"})
    assert (refused.status_code, refused.json()["permission"]) == (403, "read_personal")
    answer = client.get(sent, headers={"authorization": f"Bearer {token_of(reader, 'read')}"})
    found = answer.json()
    data = found["event"]["data"]
    assert (data["mail"], data["iban"]) == (WHO.data["mail"], WHO.data["iban"])
    assert data["kin"] == WHO.data["kin"]
    assert found["event"]["subject"] == WHO.subject
    assert data["born"] == "1981-03-01", "what is truncated is gone for good"
    assert found["revealed"] == [
        "/data/iban", "/data/kin/0/mail", "/data/mail", "/partitionkey", "/subject",
    ]  # fmt: skip
    (row,) = AuditEntry.objects.filter(object_key=stream.name, action__startswith="event.")
    assert row.action == "event.personal_revealed"
    assert WHO.tag not in json.dumps(row.detail) + row.summary


def test_an_erased_token_means_nothing_and_a_key_that_is_away_is_a_503(
    stream: Stream, sent: str, client: Client, settings: object
) -> None:
    reader = make_person(Role.ANALYST)
    make_grant(stream, reader, Permission.READ_PERSONAL)
    headers = {"authorization": f"Bearer {token_of(reader, 'read')}"}
    PrivacyToken.objects.all().delete()
    vault.forget()
    found = client.get(sent, headers=headers).json()
    assert found["event"]["data"]["mail"].startswith("tok_")
    assert found["revealed"] == ["/data/iban"]
    blind = settings.PRIVACY_KEYS.split()[0]  # type: ignore[attr-defined]
    settings.PRIVACY_KEYS = f"{blind}\n2:{keyring.new_key()}"  # type: ignore[attr-defined]
    assert client.get(sent, headers=headers).status_code == 503
