"""The page of privacy: what is personal and treated, suggestions, keys, looks; letters in clear."""

import html
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.field_index import fields_of
from catalog.models import (
    Consumer,
    ConsumerMapping,
    DomainUserPermission,
    SchemaField,
    SchemaVersion,
    Stream,
)
from governance.models import AuditEntry, Job, Membership, Team, User
from governance.services.grants import grant_access
from governance.types import Permission, Role
from ingest.models import DeadLetter, FieldExpiry, PrivacySuggestion
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
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


def labelled(world: World, *, life: str = "", **fields: Any) -> Stream:
    bare = {"plain": {"type": "string", "x-classification": "sensitive"}}
    cut: dict[str, Any] = {"type": "string", "x-classification": "personal", "x-privacy": "truncate",
           "x-privacy-options": {"to": "month"}}  # fmt: skip
    if life:
        cut["x-retention"] = life
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


def _row_of(page: str, stream: Stream, path: str) -> str:
    """The row of a field, its tags taken out."""
    for row in page.split("<tr>")[1:]:
        if f"<code>{path}</code>" in row and stream.name.partition(".")[2] in row:
            text = re.sub(r"<svg.*?</svg>|<wbr>", "", row.partition("</tr>")[0], flags=re.DOTALL)
            return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())
    raise AssertionError(f"no row of {path}")


@pytest.fixture
def no_consumers(world: World) -> Iterator[None]:
    """None is left behind, and no grant of another test on the domain counts."""
    DomainUserPermission.objects.filter(content_object=world.domain).delete()
    yield
    Consumer.objects.all().delete()


@pytest.mark.usefixtures("no_consumers")
def test_a_field_says_who_reads_it_and_what_for(world: World) -> None:
    team = make_team()
    ada, ben, cy = make_person(Role.ADMIN), make_person(), make_person(Role.ANALYST)
    stream = labelled(world, owner_team=team)
    mail, note = "iban", "plain"
    for name, paths, purpose in (
        ("billing", [mail], "To pay back."), ("crm", [], "To answer."), ("maps", [note], ""),
    ):  # fmt: skip
        consumer = Consumer.objects.create(name=f"{name}-{stream.pk}")
        ConsumerMapping.objects.create(
            consumer=consumer, stream=stream, fields=paths, purpose=purpose
        )
    grant_access(
        stream.ref, actor=SYSTEM, permission=Permission.READ_PERSONAL, holder=ben,
        purpose="To look into fraud.", until=clock.now() + timedelta(days=9), fields=[mail],
    )  # fmt: skip
    make_grant(stream, cy, Permission.READ_PAYLOAD)
    address = f"/privacy/?stream={stream.name}"
    page = signed_in(ada).get(address).content.decode()
    said = _row_of(page, stream, mail)
    assert f"billing-{stream.pk} and crm-{stream.pk} 2 declared, 1 by grant" in said
    assert "To pay back. To answer. and others To look into fraud." in said
    said = _row_of(page, stream, note)
    assert f"crm-{stream.pk} and maps-{stream.pk} 2 declared" in said
    assert "by grant" not in said
    page = signed_in(cy).get(address).content.decode()
    assert "1 by grant" in _row_of(page, stream, mail)
    assert "fraud" not in page, "what others were granted for is told to who decides on it"
    before = _queries(signed_in(ada))
    for number in range(6):
        consumer = Consumer.objects.create(name=f"more-{stream.pk}-{number}")
        ConsumerMapping.objects.create(consumer=consumer, stream=stream, purpose=f"Use {number}.")
        make_grant(stream, make_person(), Permission.READ_PERSONAL)
    assert _queries(signed_in(ada)) == before
    page = signed_in(ada).get(address).content.decode()
    assert "and 5 more 8 declared, 7 by grant" in _row_of(page, stream, mail)


def test_a_field_that_lies_longer_than_its_own_life_is_over_term(world: World) -> None:
    ada = signed_in(make_person(Role.ADMIN))
    stream = labelled(world, life="P90D", retention_days=400)

    def said() -> str:
        page = ada.get(f"/privacy/?stream={stream.name}").content.decode()
        assert "Over term" not in _row_of(page, stream, "iban")
        return _row_of(page, stream, "day")

    assert "90 days of its own" in said()
    assert said().endswith("In order"), "a new contract has a day"
    with clock.at(clock.now() + timedelta(days=2)):
        assert said().endswith("Over term"), "it was never looked at"
        place = FieldExpiry.objects.create(
            stream_id=stream.pk, days=90, plan="x", done_before=clock.now() - timedelta(days=90)
        )
        assert said().endswith("In order")
    with clock.at(clock.now() + timedelta(days=4)):
        assert said().endswith("Over term"), "what takes it out has stood still"
    place.delete()
