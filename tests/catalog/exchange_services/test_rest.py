"""Exchange over REST: files in, documents out, each within what the caller may know and do."""

import gzip
import json
from typing import Any

import pytest
import yaml
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from catalog.exchange.uploads import Text, read_texts
from catalog.models import Stream
from catalog.selectors import exchange
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.producers import create_producer
from catalog.services.uploads import take_in
from governance.models import AuditEntry, User
from governance.types import Role
from portal.kernel.actor import SYSTEM
from tests.catalog.exchange_services.conftest import BREAKING, FIRST, SECOND, schema
from tests.catalog.exchange_services.test_apply import declaration, text_of
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/import"


def client_of(person: User, *scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(person, *scopes)}"})


@pytest.fixture
def admin() -> Client:
    return client_of(make_person(Role.ADMIN))


def lines(*documents: Any, subject: str = "Shop/RefundIssued") -> bytes:
    versions = [
        {"version": f"1.{place}.0", "schema": document} for place, document in enumerate(documents)
    ]
    return json.dumps({"subject": subject, "versions": versions}).encode()


def send(client: Client, body: bytes, kind: str = "application/json", query: str = "") -> Any:
    return client.post(f"{URL}{query}", body, content_type=kind)


# --- In ---------------------------------------------------------------------------------------


def test_json_lines_come_in_with_counts_and_again_change_nothing(admin: Client) -> None:
    body = lines(FIRST, BREAKING) + b"\n{nope\n"
    answer = send(admin, body, "application/x-ndjson")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["streams_new"], told["versions_new"], told["applied"]) == (1, 2, True)
    assert [one["where"] for one in told["refused"]] == ["body:2"]
    assert told["entries"][0]["versions"][1]["opens_group"] is True
    again = send(admin, body, "application/x-ndjson").json()
    assert (again["streams_new"], again["streams_changed"], again["streams_known"]) == (0, 0, 1)
    assert (again["versions_new"], again["versions_known"]) == (0, 2)


def test_a_dry_run_tells_the_plan_and_keeps_nothing(admin: Client) -> None:
    rows = AuditEntry.objects.count()
    told = send(admin, lines(FIRST), query="?dry_run=true").json()
    assert (told["applied"], told["streams_new"]) == (False, 1)
    assert told["summary"] == "Plan: 1 to add, 0 to change, 0 to remove."
    assert (Stream.objects.count(), AuditEntry.objects.count()) == (0, rows)


def test_a_single_part_name_gets_the_domain_that_is_said(admin: Client) -> None:
    told = send(admin, lines(FIRST, subject="Refund Issued"), query="?domain=shop").json()
    assert told["entries"][0]["name"] == "shop.refund_issued"
    assert send(admin, lines(FIRST), query="?domain=Not%20one").status_code == 422


def test_a_form_of_files_comes_in_each_by_its_name(admin: Client) -> None:
    files = [
        SimpleUploadedFile("a.jsonl", lines(FIRST)),
        SimpleUploadedFile("refund_denied.json", json.dumps(SECOND).encode()),
    ]
    told = admin.post(URL, {"file": files}).json()
    assert told["streams_new"] == 2
    names = set(Stream.objects.values_list("name", flat=True))
    assert names == {"shop.refund_issued", "imported.refund_denied"}


def test_packed_bodies_are_unpacked_and_a_repeated_key_repeats_the_answer(admin: Client) -> None:
    body = gzip.compress(lines(FIRST))
    headers = {"Content-Encoding": "gzip", "Idempotency-Key": "once"}
    first = admin.post(URL, body, content_type="application/json", headers=headers)
    again = admin.post(URL, body, content_type="application/json", headers=headers)
    assert (first.status_code, again.json()) == (200, first.json())
    assert again["Idempotency-Replayed"] == "true"


def test_portal_yaml_is_applied_as_a_whole_or_not_at_all(admin: Client) -> None:
    whole = text_of(declaration()).encode()
    told = send(admin, whole, "application/yaml").json()
    assert (told["applied"], told["streams_new"], len(told["entries"])) == (True, 1, 5)
    worse = declaration({"label": "2", "schema": BREAKING}, description="Changed too.")
    planned = send(admin, text_of(worse).encode(), "text/yaml", "?dry_run=true").json()
    assert "amount_minor" in planned["refused"][0]["why"]
    refused = send(admin, text_of(worse).encode(), "application/yaml")
    assert (refused.status_code, refused.json()["code"]) == (422, "plan_refused")
    assert "amount_minor" in refused.json()["errors"][0]["detail"]
    assert Stream.objects.get().description == "Money went back."


@pytest.mark.parametrize(
    ("body", "kind", "query", "status", "code"),
    [
        (b"\xff\xfe", "application/json", "", 400, "bad_request"),
        (b"{nope", "application/json", "", 422, "unreadable"),
        (b"[1]", "application/json", "", 422, "unreadable"),
        (b"a: [", "application/yaml", "", 422, "unreadable"),
        (b"{}", "application/json", "?format=avro", 400, "parameter"),
        (b"{}", "application/json", "?format=odcs", 422, "unreadable"),
        (b"{}", "application/avro", "", 415, "unsupported_media_type"),
        (b"{}", "application/json; charset=latin-1", "", 415, "unsupported_media_type"),
        (b"nothing", "multipart/form-data; boundary=x", "", 400, "bad_request"),
        (b"nothing", "multipart/form-data", "", 400, "bad_request"),
    ],
)
def test_what_cannot_be_read_is_said(
    body: bytes, kind: str, query: str, status: int, code: str, admin: Client
) -> None:
    answer = send(admin, body, kind, query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_only_who_may_register_imports_and_only_with_the_scope_to_write() -> None:
    analyst = send(client_of(make_person(Role.ANALYST)), lines(FIRST))
    assert (analyst.status_code, analyst.json()["permission"]) == (403, "stream.register")
    reading = send(client_of(make_person(Role.ENGINEER), "read"), lines(FIRST))
    assert (reading.status_code, reading.json()["permission"]) == (403, "write")
    assert Stream.objects.count() == 0


def test_a_stranger_s_import_changes_nothing_and_tells_nothing_of_a_restricted_stream() -> None:
    make_stream(
        "shop.refund_issued", team=make_team(), schema=FIRST, extra={"restricted": True},
        description="Secret.",
    )  # fmt: skip
    stranger = client_of(make_person(Role.ENGINEER, team=make_team()))
    for document in (FIRST, SECOND):
        told = send(stranger, lines(document, subject="shop.refund_issued"))
        assert told.json()["refused"] == [{"where": "body:1", "why": "The name is taken."}]
        assert b"Secret." not in told.content
    assert Stream.objects.get().versions.count() == 1


def test_what_there_was_no_time_for_is_said_and_the_same_again_goes_on() -> None:
    body = b"\n".join(lines(FIRST, subject=f"shop/s{number}") for number in range(3))
    found = read_texts([Text(body)])
    part = take_in(found, actor=SYSTEM, domain="x", seconds=-1)
    assert (part.is_finished, part.plan.streams, Stream.objects.count()) == (False, (), 0)
    assert take_in(found, actor=SYSTEM, domain="x").is_finished
    assert Stream.objects.count() == 3


# --- Out --------------------------------------------------------------------------------------


@pytest.fixture
def shop() -> Stream:
    team = make_team()
    stream = make_stream("shop.refund_issued", team=team, schema=FIRST, aliases=("Shop/Refund",))
    hidden = make_stream(
        "shop.secret_plan", team=team, extra={"restricted": True}, description="Secret."
    )
    create_producer("till", actor=SYSTEM, streams=[stream, hidden])
    reader = create_consumer("books", actor=SYSTEM)
    for one in (stream, hidden):
        map_consumer(reader, one, actor=SYSTEM)
    return stream


ADDRESSES = [
    "/api/v1/export",
    *(f"/api/v1/export?format={one}" for one in ("asyncapi", "odcs", "json-schema", "portal")),
    "/api/v1/export?domain=shop",
    "/api/v1/export?producer=till&format=asyncapi",
    "/api/v1/export?consumer=books&format=odcs",
    "/api/v1/export?stream=shop.refund_issued&format=json-schema",
    "/api/v1/streams/shop.refund_issued/asyncapi.json",
    "/api/v1/streams/shop.refund_issued/odcs.yaml",
    "/api/v1/domains/shop/asyncapi.json",
    "/api/v1/producers/till/asyncapi.json",
    "/api/v1/consumers/books/asyncapi.json",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_export_holds_only_what_the_caller_may_know_of(address: str, shop: Stream) -> None:
    outsider = client_of(make_person(Role.ANALYST))
    answer = outsider.get(address)
    assert answer.status_code == 200
    assert b"refund_id" in answer.content
    for secret in (b"secret_plan", b"Secret."):
        assert secret not in answer.content
    assert "attachment" in answer["Content-Disposition"]
    same = outsider.get(address, headers={"If-None-Match": answer["ETag"]})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", answer["ETag"])
    whole = client_of(make_person(Role.ADMIN)).get(address)
    is_one = "refund_issued" in address
    assert (b"secret_plan" in whole.content) is not is_one
    assert (whole["ETag"] == answer["ETag"]) is is_one


@pytest.mark.parametrize(
    "address",
    [
        "/api/v1/streams/shop.secret_plan/asyncapi.json",
        "/api/v1/streams/shop.secret_plan/odcs.yaml",
        "/api/v1/export?stream=shop.secret_plan",
        "/api/v1/export?stream=shop.refund_issued,shop.secret_plan",
        "/api/v1/export?format=json-schema&stream=shop.secret_plan",
    ],
)
def test_a_stream_one_may_not_know_of_is_a_404_as_if_it_were_not(
    address: str, shop: Stream
) -> None:
    outsider = client_of(make_person(Role.ANALYST))
    answer = outsider.get(address)
    absent = outsider.get(address.replace("secret_plan", "no_such_plan"))
    assert (answer.status_code, absent.status_code) == (404, 404)
    assert answer.json()["detail"] == absent.json()["detail"]


@pytest.mark.parametrize("name", ["domain", "producer", "consumer"])
def test_an_unknown_party_is_a_404(name: str, admin: Client) -> None:
    assert admin.get(f"/api/v1/export?{name}=nothing").status_code == 404
    assert admin.get(f"/api/v1/{name}s/nothing/asyncapi.json").status_code == 404


def test_a_document_comes_as_the_caller_asks(shop: Stream, admin: Client) -> None:
    plain = admin.get("/api/v1/streams/shop.refund_issued/asyncapi.json")
    assert (plain["Content-Type"], plain.json()["asyncapi"][:2]) == ("application/json", "3.")
    as_yaml = admin.get(
        "/api/v1/streams/shop.refund_issued/asyncapi.json", headers={"Accept": "application/yaml"}
    )
    assert as_yaml["Content-Type"] == "application/yaml; charset=utf-8"
    assert yaml.safe_load(as_yaml.content) == plain.json()
    contract = yaml.safe_load(admin.get("/api/v1/streams/shop.refund_issued/odcs.yaml").content)
    assert (contract["kind"], contract["apiVersion"]) == ("DataContract", "v3.1.0")
    schema = admin.get("/api/v1/export?format=json-schema&stream=shop.refund_issued")
    assert json.loads(schema.content) == FIRST


@pytest.mark.parametrize("wanted", ["asyncapi", "odcs", "json-schema", "portal"])
def test_what_goes_out_comes_in_again_and_changes_nothing(
    wanted: str, shop: Stream, admin: Client
) -> None:
    out = admin.get(f"/api/v1/export?format={wanted}")
    kind = out["Content-Type"].split(";")[0]
    told = send(admin, out.content, kind).json()
    assert (told["streams_new"], told["streams_changed"], told["versions_new"]) == (0, 0, 0), told
    assert (told["streams_known"], told["refused"]) == (2, [])


def test_too_much_for_one_document_is_a_422_with_the_way_out(
    shop: Stream, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MAX_STREAMS", 1)
    answer = admin.get("/api/v1/export")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")
    assert "Narrow it by domain" in answer.json()["detail"]
    assert admin.get("/api/v1/export?stream=shop.refund_issued").status_code == 200


def test_an_export_asks_the_same_few_questions_of_two_streams_and_of_twenty(
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(20):
        make_stream(f"shop.event_{number}", team=make_team())
    person = client_of(make_person(Role.ADMIN))
    for address in ("/api/v1/export", "/api/v1/export?format=asyncapi"):
        with django_assert_max_num_queries(24):
            person.get(address)


TWO_MESSAGES = {
    "asyncapi": "3.0.0",
    "info": {"title": "The shop", "version": "1.0.0"},
    "channels": {
        "money": {
            "address": "shop/money",
            "messages": {
                "paid": {"payload": FIRST, "x-kept": {"as": "it is"}},
                "merger": {"payload": schema(hush_hush={"type": "string"})},
            },
        }
    },
}


def test_what_came_of_one_document_goes_out_apart(admin: Client) -> None:
    """A stream of a document that the caller may know of says nothing of the others in it."""
    told = send(admin, json.dumps(TWO_MESSAGES).encode()).json()
    names = [entry["name"] for entry in told["entries"]]
    assert len(names) == 2
    hidden = next(name for name in names if "merger" in name)
    Stream.objects.filter(name=hidden).update(restricted=True)
    outsider = client_of(make_person(Role.ANALYST))
    shown = next(name for name in names if name != hidden)
    for address in (
        f"/api/v1/streams/{shown}/asyncapi.json",
        f"/api/v1/streams/{shown}/odcs.yaml",
        *(f"/api/v1/export?format={one}" for one in ("asyncapi", "odcs", "json-schema", "portal")),
    ):
        content = outsider.get(address).content
        assert b"refund_id" in content
        for secret in (b"merger", b"hush_hush"):
            assert secret not in content, (address, content)
