"""Dead letters over HTTP: the pages without a script, REST, export, and discovered types."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from catalog.models import ProducerStream, Stream
from catalog.services.changes import publish_schema
from governance.models import AuditEntry, User
from governance.types import Permission, Role
from ingest.judging.admission import directory
from ingest.log.store import close_writer
from ingest.models import Repair
from ingest.services import letters
from portal.kernel.actor import SYSTEM
from tests.catalog.test_register_page import form_of
from tests.ingest.shop import CAST, SCHEMA, Shop, run
from tests.support.factories import make_grant, make_person, make_team, token_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> Iterator[Shop]:
    directory.forget_all()
    yield Shop()
    close_writer()
    directory.forget_all()


def page_of(user_id: int) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=user_id))
    return client


def api(user: User | int, *scopes: str) -> Client:
    person = user if isinstance(user, User) else User.objects.get(pk=user)
    return Client(headers={"Authorization": f"Bearer {token_of(person, *scopes)}"})


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"/api/v1/{path}", body, content_type="application/json")


def lines_of(answer: Any) -> list[Any]:
    async def collect() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    return [json.loads(line) for line in async_to_sync(collect)().splitlines()]


def text(answer: Any) -> str:
    return str(answer.content.decode().replace("\u00a0", " "))


def test_the_pages_lead_from_a_group_to_stored_events_without_a_script(shop: Shop) -> None:
    shop.send({"n": "1"}, {"n": "NaN"})
    shop.send({"n": "3"}, start=2)  # the newest is shown, and decides what is suggested
    ada, ben = page_of(shop.ada.id), page_of(shop.ben.id)
    listed = text(ada.get("/dead-letters/"))
    assert "Convert it to a whole number, then replay" in listed
    group = shop.group()
    place = f"/dead-letters/{group.id}/"
    assert place in listed
    begun = ada.post(place, {"how": "s0"})
    run()
    repair = Repair.objects.get()
    assert begun["Location"] == f"/replays/{repair.pk}/"
    found = text(ada.get(begun["Location"]))
    assert "Dry run: 2 of 3 events pass." in found
    assert "Somebody else of the owner team" in found
    assert 'value="approve"' not in found
    assert "<b>1</b> <code>/data/n</code> is text that is no whole number" in found
    decided = text(ben.get(begun["Location"]))
    assert "NaN" in decided, "who may read the bytes sees examples"
    assert 'value="approve"' in decided
    ben.post(begun["Location"], {"do": "approve", "text": "Fine."})
    assert "Replay 2 events" in text(ada.get(begun["Location"]))
    ada.post(begun["Location"], {"do": "apply", "rate": "1000"})
    run()
    over = text(ada.get(begun["Location"]))
    assert "Part done" in over
    assert len(shop.stored()) == 2
    left = text(ada.get(place))
    assert "The last replay left it here" in left
    assert "1 open, 2 replayed, 0 discarded" in left
    refused = ada.post(place, {"how": "discard", "reason": ""}, follow=True)
    assert "Say why." in text(refused)
    ada.post(place, {"how": "discard", "reason": "A test device."})
    run()
    assert "0 open, 2 replayed, 1 discarded" in text(ada.get(place))
    event = text(ada.get(f"/streams/{shop.stream.name}/events/e0/"))
    assert "Refused first, and kept with its bytes" in event


def test_groups_are_taken_and_known_from_the_list(shop: Shop) -> None:
    shop.send({"n": "1"})
    ada, name = page_of(shop.ada.id), shop.group().id
    assert "Choose a group first." in text(
        ada.post("/dead-letters/", {"do": "assign"}, follow=True)
    )
    ada.post("/dead-letters/", {"do": "assign", "group": name})
    ada.post(f"/dead-letters/{name}/", {"how": "known", "note": "9.14.1 comes."})
    assert f"Known: 9.14.1 comes. · {shop.ada.label}" in text(ada.get("/dead-letters/"))


def test_steps_of_ones_own_are_read_and_refused_with_their_place(shop: Shop) -> None:
    shop.send({"n": "1"})
    ada, place = page_of(shop.ada.id), f"/dead-letters/{shop.group().id}/"
    for steps, said in (
        ("[", "not JSON"),
        ("{}", "a JSON list"),
        ('[{"do": "cast", "at": "/id", "to": "string"}]', "<b>Step 1, at</b>: id is part of"),
        ("[]", "Declare one step"),
    ):
        answer = ada.post(place, {"how": "own", "steps": steps})
        assert answer.status_code == 422
        assert said in text(answer), steps
        assert f"{escape(steps)}</textarea>" in text(answer), "what was written stays"
        assert 'value="own" checked' in text(answer)
    ada.post(place, {"how": "own", "steps": json.dumps(CAST)})
    assert Repair.objects.get().steps == CAST


def test_a_stranger_meets_nothing_on_any_page_or_route(shop: Shop) -> None:
    shop.send({"n": "1"})
    group = shop.group().id
    ada = api(shop.ada.id)
    made = post(ada, "dead-letters/repairs", group=group, steps=CAST).json()
    person = make_person(Role.ENGINEER, team=make_team())
    page, rest = page_of(person.pk), api(person)
    for path in (f"/dead-letters/{group}/", f"/replays/{made['id']}/"):
        assert page.get(path).status_code == 404
        assert page.post(path, {"how": "plain", "do": "apply"}).status_code == 404
    for path, body in (
        ("dead-letters/replay", {"group": group}),
        ("dead-letters/discard", {"group": group, "reason": "x"}),
        ("dead-letters/repairs", {"group": group, "steps": CAST}),
        (f"dead-letters/repairs/{made['id']}/approve", {}),
        (f"dead-letters/repairs/{made['id']}/apply", {}),
        (f"dead-letters/repairs/{made['id']}/dry-run", {}),
        (f"dead-letters/groups/{group}/known", {"note": "x"}),
    ):
        assert post(rest, path, **body).status_code == 404, path
    assert rest.get(f"/api/v1/dead-letters/export?group={group}").status_code == 404
    assert rest.get("/api/v1/dead-letters/repairs").json()["items"] == []
    assert Repair.objects.count() == 1


def test_the_whole_way_over_rest(shop: Shop) -> None:
    shop.send({"n": "1"}, {"n": "x"})
    ada, ben, group = api(shop.ada.id), api(shop.ben.id), shop.group().id
    found = ada.get(f"/api/v1/dead-letters/groups/{group}").json()
    assert found["states"] == {"open": 2, "replayed": 0, "discarded": 0}
    assert found["suggestions"][0]["steps"] == CAST
    wrong = post(ada, "dead-letters/repairs", group=group, steps=[{"do": "erase", "at": "/data"}])
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/steps/0/do")
    made = post(ada, "dead-letters/repairs", group=group, steps=CAST)
    assert made.status_code == 201
    place = made["Location"].removeprefix("/api/v1/")
    assert post(ada, f"{place}/dry-run").status_code == 202
    run()
    seen = ada.get(made["Location"])
    assert seen.json()["dry_run"]["pass_ratio"] == 0.5
    assert seen.json()["examples"][0]["before"]["data"] == {"n": "x"}
    own = post(ada, f"{place}/approve")
    assert (own.status_code, own.json()["code"]) == (403, "own_request")
    narrow = post(api(shop.ben.id, "read", "write"), f"{place}/approve")
    assert (narrow.status_code, narrow.json()["code"]) == (403, "scope")
    assert post(ben, f"{place}/approve", comment="Yes.").json()["state"] == "approved"
    assert post(ben, f"{place}/approve").status_code == 409
    assert post(ada, f"{place}/apply", rate=7).status_code == 422
    headers = {"Idempotency-Key": "once"}
    for _ in range(2):
        path = f"/api/v1/{place}/apply"
        answer = ada.post(path, {"rate": 1000}, content_type="application/json", headers=headers)
        assert answer.status_code == 202
    run()
    over = ada.get(f"/api/v1/replays/{made.json()['id']}").json()
    assert (over["standing"], over["outcome"]["accepted"]) == ("part_applied", 1)
    (row,) = ada.get("/api/v1/dead-letters?state=open").json()["items"]
    assert row["tried"]["reason"] == "repair_failed"
    (item,) = ada.get(f"/api/v1/streams/{shop.stream.name}/events").json()["items"]
    assert item["portal"]["replayed"] is True
    assert post(ada, "dead-letters/replay").status_code == 422
    assert post(ada, f"dead-letters/groups/{group}/assign", to="nobody@x").status_code == 422
    given = post(ada, f"dead-letters/groups/{group}/assign", to=shop.ben.label)
    assert given.json()["assignee"] == shop.ben.label


def test_an_export_is_lines_for_who_may_read_and_leaves_one_row(shop: Shop) -> None:
    shop.send({"n": "1"}, {"n": "2"}, {"n": "3"})
    group = shop.group().id
    path = f"/api/v1/dead-letters/export?group={group}"
    answer = api(shop.ada.id).get(path)
    lines = lines_of(answer)
    assert {json.loads(line["body"])["data"]["n"] for line in lines} == {"1", "2", "3"}
    assert AuditEntry.objects.filter(action="dead_letter.exported").count() == 1
    person = make_person(Role.ON_CALL)
    refused = api(person).get(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")
    make_grant(shop.stream, person, Permission.READ_PAYLOAD)
    after = f"{lines[0]['received_at']}~{lines[0]['id']}"
    rest = api(person).get(path, {"group": group, "after": after})
    assert [line["id"] for line in lines_of(rest)] == [line["id"] for line in lines[1:]]
    assert api(person).get(f"{path}&after=nonsense").status_code == 400
    assert api(person).get("/api/v1/dead-letters/export").status_code == 422


def test_the_command_lists_groups_replays_and_says_what_is_left(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.send({"n": 5}, dataschema="2")
    call_command("replay", "--json")
    (row,) = json.loads(capsys.readouterr().out)["groups"]
    assert (row["reason"], row["events"]) == ("schema_unknown", 1)
    with pytest.raises(SystemExit):
        call_command("replay", "--group", row["group"], "--json")
    assert json.loads(capsys.readouterr().out)["refused"] == 1
    wider = {**SCHEMA, "properties": {**SCHEMA["properties"], "more": {"type": "string"}}}
    publish_schema(shop.stream, wider, actor=SYSTEM)
    call_command("replay", "--group", row["group"], "--json")
    said = json.loads(capsys.readouterr().out)
    assert (said["accepted"], said["state"]) == (1, "applied")
    assert set(shop.stored()) == {"e0"}


def test_a_discovered_type_is_registered_and_its_events_are_replayed(shop: Shop) -> None:
    producer = shop.producer
    type(producer).objects.filter(pk=producer.pk).update(team=shop.team)
    shop.stream.name = kind = "Order Placed"
    shop.send(*[{"order": number, "channel": "web"} for number in range(3)])
    ada = page_of(shop.ada.id)
    listed = text(ada.get("/discovered/"))
    assert "Order Placed" in listed
    assert "Infer its shape" in listed
    assert "channel" not in listed
    shape = text(ada.get("/discovered/?type=Order%20Placed"))
    assert "<code>channel</code>" in shape
    stranger = make_person(Role.ENGINEER, team=make_team())
    assert "Order Placed" not in text(page_of(stranger.pk).get("/discovered/"))
    (item,) = api(shop.ada.id).get("/api/v1/dead-letters/discovered").json()["items"]
    assert (item["type"], item["events"]) == (kind, 3)
    assert api(stranger).get("/api/v1/dead-letters/discovered").json()["items"] == []
    form = form_of(ada.get(item["register_at"]).content.decode())
    form |= {"description": "An order.", "do": "accept"}
    form = form_of(ada.post("/streams/new/", form).content.decode())
    made = ada.post("/streams/new/", {**form, "do": "publish"})
    stream = Stream.objects.get(aliases__alias=kind)
    page = text(ada.get(f"/streams/{stream.name}/"))
    assert "3 events wait" in page, made["Location"]
    ProducerStream.objects.create(producer=producer, stream=stream)
    begun = ada.post(f"/streams/{stream.name}/waiting/")
    assert re.fullmatch(r"/replays/[0-9a-f-]+/", begun["Location"])
    run()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ingest_event WHERE stream_id = %s", [stream.pk])
        assert cursor.fetchone() == (3,)
    assert "wait" not in text(ada.get(f"/streams/{stream.name}/")).split("Schema")[0]
    again = text(ada.post(f"/streams/{stream.name}/waiting/", follow=True))
    assert "No event waits for this stream." in again
    assert page_of(stranger.pk).post(f"/streams/{stream.name}/waiting/").status_code in (302, 403)
    assert Repair.objects.count() == 1


def test_lists_of_replays_ask_no_more_for_more_rows(shop: Shop) -> None:
    shop.send({"n": "1"})
    group, page, rest = shop.group(), page_of(shop.ada.id), api(shop.ada.id)
    counts = []
    for many in (1, 5):
        for _ in range(many):
            repair = letters.declare_repair(group, CAST, actor=shop.ada)
            letters.start_dry_run(repair, actor=shop.ada)
        found = []
        for client, path in (
            (page, "/replays/"), (page, f"/dead-letters/{group.id}/"),
            (rest, "/api/v1/dead-letters/repairs"),
        ):  # fmt: skip
            client.get(path)
            with CaptureQueriesContext(connection) as queries:
                assert client.get(path).status_code == 200
            found.append(len(queries))
        counts.append(found)
    assert counts[0] == counts[1]
