"""Personal values that nobody labelled are suspected, shown without a value, and decided on."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.detector import kinds_in
from catalog.models import Draft, Stream
from governance.models import AuditEntry, Membership, Team, User
from governance.types import Role
from ingest.models import PrivacyScan, PrivacySuggestion
from ingest.services import suspects
from portal.kernel import clock
from quality.selectors.trust import trust_of
from tests.ingest.conftest import World
from tests.ingest.test_canaries import MANY, send
from tests.support import canaries
from tests.support.factories import make_person, make_team, token_of


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("ring me, mail is ada.l@example.org.", {"email"}),
        ("IBAN: DE89 3704 0044 0532 0130 00, thanks", {"iban"}),
        ("DE88 3704 0044 0532 0130 00", set()),
        ("card 4111-1111-1111-1111 exp", {"card"}), ("4111 1111 1111 1112", set()),
        (4111111111111111, {"card"}), (1700000000123, set()),
        ("from 203.0.113.9 to", {"ip"}), ("version 1.2.3", set()), ("999.1.1.1", set()),
        ("at 2001:db8:0:1:2:3:4:5 now", {"ip"}), ("10:30:45 today", set()),
        ("call +49 (170) 123-4567 now", {"phone"}), ("0049 170 1234567", {"phone"}),
        ("ssn 219-09-9999", {"identity"}), ("000-12-3456", set()),
        ("ni QQ 12 34 56 C", set()), ("ni AB 12 34 56 C", {"identity"}),
        ("order_20260117_0001", set()), ("6f1c2f0e-7b1e-4c58-9d55-0a1b2c3d4e5f", set()),
        ("2026-11-26T07:00:00Z", set()), (True, set()), (None, set()), ("x" * 100_000, set()),
        ("ada@example.org 203.0.113.9", {"email", "ip"}),
    ],
)  # fmt: skip
def test_kinds_are_found_inside_texts_and_look_alikes_are_not(text: Any, kinds: set[str]) -> None:
    assert kinds_in(text) == kinds


@pytest.fixture(scope="module", autouse=True)
def people(transactional_db: None) -> Iterator[None]:
    """Made before the world, and taken away after it."""
    yield
    Membership.objects.all().delete()
    Team.objects.all().delete()
    User.objects.all().delete()


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "string"},
        "note": {"type": "string"},
        "known": {"type": "string", "x-classification": "personal"},
        "made": {"type": "string", "x-privacy": "tokenize"},
        "lines": {"type": "array", "items": {"properties": {"remark": {"type": "string"}}}},
    },
}


@pytest.fixture
def stream(world: World) -> Iterator[Stream]:
    made = world.stream(SCHEMA, owner_team=make_team())
    key = world.key(world.producer())
    mail = "zqsuspect@canary.example"
    events = [
        {"specversion": "1.0", "id": f"s{number}", "source": "/s", "type": made.name,
         "data": {"order": "o", "note": f"mail {mail}" if number % 2 else "fine", "known": mail,
                  "made": mail, "lines": [{"remark": "ring +49 170 1234567"}],
                  "extra": {mail: mail}}}
        for number in range(10)
    ]  # fmt: skip
    assert send(key, events, MANY).json["accepted"] == 10
    Stream.objects.filter(pk=made.pk).update(last_event_at=clock.now())
    made.refresh_from_db()
    yield made
    Draft.objects.all().delete()
    PrivacySuggestion.objects.all().delete()
    PrivacyScan.objects.all().delete()


def test_what_is_found_is_counted_once_by_field_and_holds_no_value(stream: Stream) -> None:
    assert suspects.suspect_due_streams() >= 1
    assert suspects.suspect(stream) == 0, "those events were looked at"
    rows = PrivacySuggestion.objects.filter(stream=stream).order_by("path")
    assert [(row.path, row.kind, row.hits, row.events) for row in rows] == [
        ("extra.*", "email", 10, 10), ("lines[].remark", "phone", 10, 10), ("note", "email", 5, 10),
    ]  # fmt: skip
    assert rows[2].share == 0.5
    held = [(p, t) for p, t in canaries.database() if "suggestion" in p or "audit" in p]
    assert canaries.search(held, ["zqsuspect@canary.example", "+49 170 1234567"]) == []
    cleared = trust_of([stream])[stream.pk].parts[-1]
    assert cleared.name == "Cleared"
    assert cleared.sentence.replace("\u00a0", " ").startswith("3 fields may be personal")


def test_its_team_accepts_into_a_draft_or_dismisses_with_a_reason(
    stream: Stream, client: Client
) -> None:
    suspects.suspect(stream)
    assert stream.owner_team is not None
    owner = make_person(Role.ENGINEER, team=stream.owner_team)
    other = make_person(Role.ENGINEER)
    base = f"/api/v1/streams/{stream.name}/privacy-suggestions"
    headers = {"authorization": f"Bearer {token_of(owner, 'read', 'write')}"}
    listed = {row["path"]: row for row in client.get(base, headers=headers).json()["items"]}
    assert set(listed) == {"extra.*", "lines[].remark", "note"}

    def post(path: str, what: str, body: Any, by: dict[str, str] = headers) -> Any:
        return client.post(
            f"{base}/{listed[path]['number']}/{what}", json.dumps(body), "application/json",
            headers=by,
        )  # fmt: skip

    stranger = {"authorization": f"Bearer {token_of(other, 'read', 'write')}"}
    assert post("note", "dismiss", {"reason": "x"}, stranger).status_code == 403
    assert post("note", "accept", {"treatment": "tokenize"}, stranger).status_code == 403
    assert post("note", "dismiss", {"reason": " "}).status_code == 422
    assert post("note", "accept", {"treatment": "shred"}).status_code in (400, 422)
    taken = post("lines[].remark", "accept", {"treatment": "drop"})
    assert taken.status_code == 201, taken.content
    document = Draft.objects.get(pk=taken.json()["draft"]).content["schema"]
    remark = document["properties"]["lines"]["items"]["properties"]["remark"]
    assert remark == {"type": "string", "x-classification": "personal", "x-privacy": "drop"}
    assert post("lines[].remark", "dismiss", {"reason": "late"}).status_code == 409
    assert post("extra.*", "accept", {"treatment": "drop"}).status_code == 422
    assert post("note", "dismiss", {"reason": "Only test data."}).json()["state"] == "dismissed"
    actions = AuditEntry.objects.filter(object_key=stream.name).values_list("action", flat=True)
    assert set(actions) >= {"privacy_suggestion.accepted", "privacy_suggestion.dismissed"}
    assert (
        client.get(f"{base}?state=dismissed", headers=headers).json()["items"][0]["path"] == "note"
    )
    # What is found again stays decided.
    PrivacyScan.objects.all().delete()
    suspects.suspect(stream)
    note = PrivacySuggestion.objects.get(stream=stream, path="note")
    assert (note.state, note.events) == ("dismissed", 20)
    PrivacySuggestion.objects.filter(path="lines[].remark").update(
        decided_at=clock.now() - timedelta(days=8)
    )
    PrivacyScan.objects.all().delete()
    suspects.suspect(stream)
    assert PrivacySuggestion.objects.get(stream=stream, path="lines[].remark").state == "open"


def test_the_page_of_the_stream_shows_them_and_takes_the_decision(
    stream: Stream, client: Client
) -> None:
    suspects.suspect(stream)
    assert stream.owner_team is not None
    client.force_login(make_person(Role.ENGINEER, team=stream.owner_team))
    page = client.get(f"/streams/{stream.name}/").content.decode()
    assert "lines[].remark" in page
    assert "A phone number" in page
    note = PrivacySuggestion.objects.get(stream=stream, path="note")
    address = f"/streams/{stream.name}/suggestions/{note.pk}/"
    assert address in page
    assert client.post(address, {"reason": ""}).status_code == 302
    note.refresh_from_db()
    assert note.state == "open"
    answer = client.post(address, {"treatment": "tokenize"})
    assert answer.headers["Location"].startswith("/drafts/")
    note.refresh_from_db()
    assert note.state == "accepted"
    client.force_login(make_person(Role.ENGINEER))
    assert address not in client.get(f"/streams/{stream.name}/").content.decode()
    assert client.post(address, {"reason": "x"}).status_code == 403
