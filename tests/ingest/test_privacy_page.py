"""The page of privacy: what is personal and treated, suggestions, keys, looks; letters in clear."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.field_index import fields_of
from catalog.models import SchemaField, SchemaVersion, Stream
from governance.models import AuditEntry, Job, Membership, Team, User
from governance.types import Permission, Role
from ingest.models import DeadLetter, PrivacySuggestion
from portal.kernel import clock
from tests.ingest.conftest import World
from tests.ingest.test_canaries import PERSON, Person, event, send
from tests.support.factories import make_grant, make_person, make_team, token_of


@pytest.fixture(scope="module", autouse=True)
def people(transactional_db: None) -> Iterator[None]:
    yield
    Job.objects.all().delete()
    Membership.objects.all().delete()
    Team.objects.all().delete()
    User.objects.all().delete()


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def labelled(world: World, **fields: Any) -> Stream:
    bare = {"plain": {"type": "string", "x-classification": "sensitive"}}
    cut = {"type": "string", "x-classification": "personal", "x-privacy": "truncate",
           "x-privacy-options": {"to": "month"}}  # fmt: skip
    schema = PERSON | {"properties": PERSON["properties"] | bare | {"day": cut}}  # type: ignore[operator]
    made = world.stream(schema, **fields)
    version = SchemaVersion.objects.get(stream=made)
    SchemaField.objects.bulk_create(
        SchemaField(
            schema_version=version, stream=made, path=row.path, name=row.name, depth=row.depth,
            position=row.position, types=list(row.types), classification=row.classification,
            privacy=row.privacy, is_current=True,
        )
        for row in fields_of(schema)
    )  # fmt: skip
    return made


def test_the_page_counts_filters_and_keeps_what_a_reader_may_not_know(world: World) -> None:
    team = make_team()
    ada, analyst = make_person(Role.ADMIN), make_person(Role.ANALYST)
    Membership.objects.create(team=team, user=analyst)
    mine = labelled(world, owner_team=team, subject_privacy="tokenize", minimise=True)
    hidden = labelled(world, restricted=True)
    now = clock.now()
    for stream in (mine, hidden):
        PrivacySuggestion.objects.create(
            stream=stream, path="note", kind="email", events=200, hits=41,
            first_seen_at=now, last_seen_at=now,
        )  # fmt: skip
    admin, reader = signed_in(ada), signed_in(analyst)
    page = reader.get("/privacy/").content.decode()
    assert _title(page) == "1 of 8\u00a0personal fields has no treatment."
    assert (mine.name in page, hidden.name in page) == (True, False)
    assert "Truncate, to month" in page
    assert "Admins see who looked." in page
    assert 'id="privacy-keys"' not in page
    assert "in 41 of 200" in page
    assert 'name="treatment" value="tokenize"' in page
    assert "admins erase persons" in page
    only = reader.get("/privacy/?treatment=none&class=sensitive").content.decode()
    assert "<code>plain</code>" in only
    assert "<code>iban</code>" not in only
    assert "No labelled field fits." in reader.get("/privacy/?stream=nothing").content.decode()
    assert reader.get("/privacy/?treatment=burn").status_code == 400
    first = reader.get("/privacy/?limit=4").content.decode()
    assert "Next page" in first
    everything = admin.get("/privacy/").content.decode()
    assert hidden.name in everything
    assert "version 1" in everything
    assert "In use" in everything
    assert reader.post("/privacy/rotate/").status_code == 403
    assert admin.post("/privacy/rotate/").status_code == 302
    assert Job.objects.filter(kind="privacy_keys").exists()
    number = PrivacySuggestion.objects.get(stream=mine).pk
    answer = reader.post(
        f"/streams/{mine.name}/suggestions/{number}/", {"reason": "a note", "back": "privacy"}
    )
    assert answer.headers["location"] == "/privacy/"
    assert PrivacySuggestion.objects.get(pk=number).state == "dismissed"
    before = _queries(admin)
    for _ in range(4):
        labelled(world)
    assert _queries(admin) == before, "its queries do not grow with the streams"
    PrivacySuggestion.objects.all().delete()


def _title(page: str) -> str:
    return page.partition("<h1>")[2].partition("</h1>")[0]


def _queries(client: Client) -> int:
    client.get("/privacy/")  # which notes, once a minute, that the browser is in use
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get("/privacy/").status_code == 200
    return len(seen)


def test_a_stream_says_on_its_page_what_is_done_with_its_subject(world: World) -> None:
    team = make_team()
    owner, other = make_person(Role.ENGINEER), make_person(Role.ANALYST)
    Membership.objects.create(team=team, user=owner)
    stream = world.stream(owner_team=team)
    path = f"/streams/{stream.name}/privacy/"
    client = signed_in(owner)
    said = {"subject_privacy": "tokenize", "minimise": "on"}
    assert signed_in(other).post(path, said).status_code == 403
    page = client.get(path).content.decode()
    assert page.count('name="subject_privacy"') == 3
    assert client.post(path, said).status_code == 302
    stream.refresh_from_db()
    assert (stream.subject_privacy, stream.minimise) == ("tokenize", True)
    refused = client.post(path, said | {"subject_privacy": "melt"})
    assert refused.status_code == 422
    shown = refused.content.decode()
    assert 'id="subject-error"' in shown
    assert "Choose one of these." in shown
    assert 'name="minimise" checked' in shown, "what was chosen beside it stays"
    stream.refresh_from_db()
    assert stream.subject_privacy == "tokenize"
    about = client.get(f"/streams/{stream.name}/").content.decode()
    assert "subject tokenized, unknown fields removed" in about


def test_a_letter_is_shown_in_clear_by_grant_and_with_a_reason_alone(world: World) -> None:
    stream = world.stream(PERSON, classification="sensitive", subject_privacy="tokenize")
    key = world.key(world.producer())
    who, sealed = Person("zqlet61k"), Person("zqlet62k")
    kind = f"{world.domain.slug}.never_heard"
    send(key, event(stream, who, id="treated", data=who.data | {"order": 7}))
    send(key, event(stream, sealed, id="sealed", type=kind))
    treated, whole = (DeadLetter.objects.get(event_id=name) for name in ("treated", "sealed"))
    on_call = make_person(Role.ON_CALL)
    headers = {"authorization": f"Bearer {token_of(on_call, 'read')}"}
    client = signed_in(on_call)

    def ask(letter: DeadLetter, reason: str = "case 17") -> tuple[int, object]:
        answer = client.get(
            f"/api/v1/dead-letters/{letter.id}/reveal", {"reason": reason}, headers=headers
        )
        return answer.status_code, answer.json()

    assert [ask(one)[0] for one in (treated, whole)] == [403, 403]
    assert client.post(f"/letters/{treated.id}/reveal/", {"reason": "x"}).status_code == 403
    make_grant(stream, on_call, Permission.READ_PERSONAL)
    make_grant(world.domain, on_call, Permission.READ_PERSONAL)
    assert ask(treated, " ")[0] == 422
    status, found = ask(treated)
    assert (status, isinstance(found, dict)) == (200, True)
    assert isinstance(found, dict)
    data = found["event"]["data"]
    assert (data["mail"], data["iban"]) == (who.data["mail"], who.data["iban"])
    assert "/data/mail" in found["revealed"]
    _, found = ask(whole)
    assert isinstance(found, dict)
    assert (found["event"]["subject"], found["revealed"][0]) == (sealed.subject, "")
    page = client.post(f"/letters/{treated.id}/reveal/", {"reason": "case 18"})
    assert who.data["mail"] in page.content.decode()
    assert page.headers["cache-control"] == "no-store"
    rows = AuditEntry.objects.filter(action="dead_letter.personal_revealed")
    assert [row.detail["after"]["reason"] for row in rows.order_by("seq")] == [
        "case 17", "case 17", "case 18",
    ]  # fmt: skip
    assert who.tag not in json.dumps([row.detail for row in rows])
    looks = signed_in(make_person(Role.ADMIN)).get("/privacy/").content.decode()
    assert "case 18" in looks


def test_a_stream_says_on_its_page_whether_the_erased_may_begin_afresh(world: World) -> None:
    team = make_team()
    owner, other = make_person(Role.ENGINEER), make_person(Role.ANALYST)
    Membership.objects.create(team=team, user=owner)
    stream = world.stream(owner_team=team)
    path = f"/streams/{stream.name}/privacy/"
    said = {"subject_privacy": "none", "erased_subjects": "fresh"}
    assert signed_in(other).post(path, said).status_code == 403
    client = signed_in(owner)
    assert 'value="refuse" checked' in client.get(path).content.decode()
    assert client.post(path, said).status_code == 302
    stream.refresh_from_db()
    assert stream.erased_subjects == "fresh"
    refused = client.post(path, said | {"erased_subjects": "perhaps"})
    assert refused.status_code == 422
    shown = refused.content.decode()
    assert 'id="erased-error"' in shown
    assert 'id="subject-error"' not in shown
    stream.refresh_from_db()
    assert stream.erased_subjects == "fresh"
    assert client.post(path, {"subject_privacy": "none"}).status_code == 302
    stream.refresh_from_db()
    assert stream.erased_subjects == "fresh", "a form that does not speak of it changes nothing"
