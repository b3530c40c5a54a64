"""The registry's answers and errors, endpoint by endpoint."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.compatibility.types import Mode
from catalog.models import RegistrySchema, Stream
from catalog.registry import requests
from catalog.registry.errors import RegistryError
from catalog.services.lifecycle import deprecate_version, retire_version
from catalog.services.schemas import add_version
from catalog.services.streams import change_stream
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.catalog.registry.conftest import BREAKING, ORDER, V1, WIDER, Caller, sent
from tests.support.factories import make_stream

pytestmark = pytest.mark.django_db
REGISTER = "/subjects/shop.paid/versions"


def test_streams_made_elsewhere_are_subjects_with_ids(admin: Caller) -> None:
    make_stream("shop.order_paid", schema=ORDER)
    assert admin.expect("GET", "/subjects") == ["shop.order_paid"]
    native = admin.expect("GET", "/subjects/shop.order_paid/versions/latest")
    assert json.loads(native["schema"]) == ORDER
    assert native["schemaType"] == "JSON"
    shuffled = dict(reversed(ORDER.items()))
    assert admin.expect("POST", "/subjects/shop.order_paid", sent(shuffled))["version"] == 1
    assert admin.register("Else.Where", shuffled)["id"] == native["id"]
    assert admin.register("shop.order_paid-value", ORDER)["version"] == 1
    assert admin.expect("GET", f"/schemas/ids/{native['id']}/subjects") == [
        "Else.Where", "shop.order_paid", "shop.order_paid-value",
    ]  # fmt: skip


def test_registering_answers_id_version_and_what_was_sent(admin: Caller) -> None:
    text = json.dumps(ORDER, indent=2)
    made = admin.register("shop.paid", text)
    assert (made["id"], made["version"], made["schema"]) == (made["id"], 1, text)
    assert (made["subject"], made["schemaType"]) == ("shop.paid", "JSON")
    assert admin.register("shop.paid", ORDER) == made
    sorted_text = json.dumps(WIDER, sort_keys=True, separators=(",", ":"))
    assert admin.register("shop.paid", WIDER, query="?normalize=True")["schema"] == sorted_text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"schema": "{}"}, "none named means Avro"),
        ({"schema": "{}", "schemaType": "AVRO"}, "not AVRO"),
        ({"schema": "{}", "schemaType": "PROTOBUF"}, "not PROTOBUF"),
        ({"schemaType": "JSON"}, "Empty schema"),
        ({"schema": "", "schemaType": "JSON"}, "Empty schema"),
        ({"schema": {}, "schemaType": "JSON"}, "must be a text"),
        ({"schema": "{nope", "schemaType": "JSON"}, "Invalid schema"),
        ({"schema": "[]", "schemaType": "JSON"}, "must be a JSON object"),
        ({"schema": '{"type": "nope"}', "schemaType": "JSON"}, "not a valid JSON Schema"),
        ({"schema": '{"$ref": "other.json"}', "schemaType": "JSON"}, "$ref"),
        ({"schema": '{"$ref": "file:///etc/passwd"}', "schemaType": "JSON"}, "$ref"),
        ({"schema": '{"a": "\\u0000"}', "schemaType": "JSON"}, "Invalid schema"),
        ({"schema": "{}", "schemaType": "JSON", "references": 5}, "references"),
        ({"schema": "{}", "schemaType": "JSON", "references": [{"name": "a"}]}, "reference"),
        (
            {
                "schema": "{}",
                "schemaType": "JSON",
                "references": [{"name": "a", "subject": "no.such", "version": 1}],
            },
            "does not exist",
        ),
    ],
)
def test_what_is_no_json_schema_is_42201(admin: Caller, body: Any, says: str) -> None:
    assert says in admin.fail("POST", REGISTER, body, status=422, code=42201)
    assert not Stream.objects.exists()
    assert not RegistrySchema.objects.exists()


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'{"a": 1, "a": 2}', b"null"])
def test_a_body_that_cannot_be_read_is_400(admin: Caller, raw: bytes) -> None:
    assert admin.fail("POST", REGISTER, raw, status=400, code=400)
    assert not Stream.objects.exists()


def test_sizes_media_types_and_methods_are_answered_in_the_registrys_shape(admin: Caller) -> None:
    admin.fail("POST", REGISTER, b" " * (5 * 1024 * 1024 + 1), status=413, code=413)
    admin.fail("PUT", "/subjects", {}, status=405, code=405)
    admin.fail("GET", "/nothing/at/all", status=404, code=404)
    admin.fail("GET", "/associations/resources/-/orders", status=404, code=404)
    client = Client(headers={"Authorization": f"Bearer {admin.key}"})
    for kind, status in (
        ("application/json", 200),
        ("application/vnd.schemaregistry+json; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/json; charset=latin-1", 415),
    ):
        answer = client.generic(
            "POST", f"/registry{REGISTER}", json.dumps(sent(ORDER)), content_type=kind
        )
        assert answer.status_code == status
        assert answer["Content-Type"] == V1
    plain = client.get("/registry/subjects", headers={"Accept": "application/json"})
    assert plain["Content-Type"] == "application/json"
    null = client.get("/registry/subjects/a%00b/versions")
    assert (null.status_code, null.json()["error_code"]) == (400, 400)


def test_versions_are_named_by_number_or_latest(admin: Caller) -> None:
    admin.register("shop.paid", ORDER)
    admin.register("shop.paid", WIDER)
    assert admin.expect("GET", f"{REGISTER}/latest")["version"] == 2
    assert admin.expect("GET", f"{REGISTER}/-1")["version"] == 2
    assert admin.expect("GET", f"{REGISTER}/1/schema") == ORDER
    for name in ("0", "newest", "1.0", "99999999999", "²"):
        admin.fail("GET", f"{REGISTER}/{name}", status=422, code=42202)
    admin.fail("GET", f"{REGISTER}/3", status=404, code=40402)
    admin.fail("DELETE", f"{REGISTER}/3", status=404, code=40402)
    admin.fail("GET", "/subjects/no.such/versions/1", status=404, code=40401)
    admin.fail("POST", "/subjects/no.such", sent(ORDER), status=404, code=40401)
    admin.fail("POST", "/subjects/shop.paid", sent(BREAKING), status=404, code=40403)
    for number in ("0", "None", "2147483647", "99999999999999999999"):
        admin.fail("GET", f"/schemas/ids/{number}", status=404, code=40403)
    admin.fail("GET", "/schemas/guids/nope", status=404, code=40403)


@pytest.mark.parametrize("subject", [":.other:orders", "%20" * 256, "%0A"])
def test_what_cannot_be_a_subject_is_42208(admin: Caller, subject: str) -> None:
    assert admin.fail("POST", f"/subjects/{subject}/versions", sent(ORDER), status=422, code=42208)
    assert not Stream.objects.exists()


def test_the_default_context_may_be_written(admin: Caller) -> None:
    made = admin.register(":.:orders", ORDER)
    assert made["subject"] == ":.:orders"
    assert admin.expect("GET", "/subjects/orders/versions") == [1]
    assert admin.expect("GET", "/subjects?subjectPrefix=:*:") == ["orders"]


def test_lists_are_cut_by_offset_and_limit_and_booleans_come_in_any_case(admin: Caller) -> None:
    for number in range(5):
        admin.register(f"shop.s{number}", {**ORDER, "title": str(number)})
    assert admin.expect("GET", "/subjects?offset=1&limit=2") == ["shop.s1", "shop.s2"]
    assert len(admin.expect("GET", "/subjects?limit=-1")) == 5
    assert admin.expect("GET", "/subjects?limit=0") == []
    admin.fail("GET", "/subjects?limit=x", status=400, code=400)
    assert admin.expect("DELETE", "/subjects/shop.s0") == [1]
    for word in ("TRUE", "True", "true"):
        assert "shop.s0" in admin.expect("GET", f"/subjects?deleted={word}")
    assert admin.expect("GET", "/subjects?deletedOnly=true") == ["shop.s0"]
    listed = admin.expect("GET", "/schemas?subjectPrefix=shop.s&deleted=true&offset=0&limit=2")
    assert [(one["subject"], one.get("deleted")) for one in listed] == [
        ("shop.s0", True), ("shop.s1", None),
    ]  # fmt: skip
    admin.register("shop.s1", {**WIDER, "title": "1"})
    newest = admin.expect("GET", "/schemas?latestOnly=true&subjectPrefix=shop.s1")
    assert [one["version"] for one in newest] == [2]
    highest = admin.expect("GET", f"/schemas/ids/{newest[0]['id']}?fetchMaxId=true")["maxId"]
    assert highest == newest[0]["id"]


def test_compatibility_says_why_in_sentences(admin: Caller) -> None:
    path = "/compatibility/subjects/shop.paid/versions"
    assert admin.expect("POST", f"{path}/latest", sent(ORDER))["is_compatible"]
    admin.fail("POST", f"{path}/1", sent(ORDER), status=404, code=40402)
    admin.register("shop.paid", ORDER)
    assert admin.expect("POST", f"{path}/latest", sent(BREAKING)) == {
        "is_compatible": False, "messages": [],
    }  # fmt: skip
    told = admin.expect("POST", f"{path}/latest?verbose=True", sent(BREAKING))["messages"]
    assert "amount" in told[0]
    assert told[-1] == "{compatibility: 'BACKWARD'}"
    assert admin.expect("POST", f"{path}?verbose=true", sent(WIDER)) == {
        "is_compatible": True, "messages": [],
    }  # fmt: skip
    admin.fail("POST", f"{path}/latest", sent("{nope"), status=422, code=42201)
    message = admin.fail("POST", REGISTER, sent(BREAKING), status=409, code=409)
    assert told[0] in message


def test_every_level_is_taken_and_judged_by(admin: Caller) -> None:
    path = "/compatibility/subjects/shop.paid/versions/latest"
    admin.register("shop.paid", ORDER)
    allowed = {"NONE", "BACKWARD", "BACKWARD_TRANSITIVE"}
    for mode in Mode:
        answer = admin.expect("PUT", "/config/shop.paid", {"compatibility": mode.value})
        assert answer == {"compatibility": mode.value}
        assert Stream.objects.get().compatibility_mode == mode.value
        verdict = admin.expect("POST", path, sent(WIDER))["is_compatible"]
        assert verdict is (mode.value in allowed), mode


def test_streams_the_registry_made_follow_the_global_level_until_they_have_their_own(
    admin: Caller,
) -> None:
    native = make_stream("shop.native")
    admin.register("shop.a", ORDER)
    admin.register("shop.b", ORDER)
    admin.fail("GET", "/config/shop.a", status=404, code=40408)
    admin.expect("PUT", "/config/shop.b", {"compatibility": "FULL"})
    admin.expect("PUT", "/config", {"compatibility": "FORWARD"})
    assert admin.expect("GET", "/config") == {"compatibilityLevel": "FORWARD"}
    levels = {row.name: row.compatibility_mode for row in Stream.objects.all()}
    assert levels == {"shop.a": "FORWARD", "shop.b": "FULL", native.name: "BACKWARD"}
    assert admin.expect("GET", "/config/shop.a?defaultToGlobal=TRUE") == {
        "compatibilityLevel": "FORWARD"
    }
    admin.register("shop.c", ORDER)
    assert Stream.objects.get(name="shop.c").compatibility_mode == "FORWARD"
    assert admin.expect("DELETE", "/config/shop.b") == {"compatibilityLevel": "FULL"}
    assert Stream.objects.get(name="shop.b").compatibility_mode == "FORWARD"
    admin.fail("DELETE", "/config/shop.b", status=404, code=40401)
    assert admin.expect("DELETE", "/config") == {"compatibilityLevel": "FORWARD"}
    assert admin.expect("GET", "/config") == {"compatibilityLevel": "BACKWARD"}
    assert Stream.objects.get(name="shop.a").compatibility_mode == "BACKWARD"
    admin.fail("PUT", "/config", {"compatibility": "SIDEWAYS"}, status=422, code=42203)
    admin.fail("PUT", "/config/shop.a", {}, status=422, code=42203)


def test_a_level_set_by_people_is_what_the_registry_tells_and_judges_by(admin: Caller) -> None:
    admin.register("shop.a", ORDER)
    change_stream(Stream.objects.get(), {"compatibility_mode": "NONE"}, actor=SYSTEM)
    told = admin.expect("GET", "/config/shop.a?defaultToGlobal=true")
    assert told == {"compatibilityLevel": "NONE"}
    admin.register("shop.a", BREAKING)


def test_read_only_refuses_writes_and_still_finds(admin: Caller) -> None:
    made = admin.register("shop.paid", ORDER)
    assert admin.expect("GET", "/mode") == {"mode": "READWRITE"}
    admin.fail("GET", "/mode/shop.paid", status=404, code=40409)
    assert admin.expect("GET", "/mode/shop.paid?defaultToGlobal=true") == {"mode": "READWRITE"}
    assert admin.expect("PUT", "/mode", {"mode": "READONLY"}) == {"mode": "READONLY"}
    assert admin.register("shop.paid", ORDER) == made
    admin.fail("POST", REGISTER, sent(WIDER), status=422, code=42205)
    admin.fail("POST", "/subjects/new.one/versions", sent(ORDER), status=422, code=42205)
    admin.fail("DELETE", f"{REGISTER}/1", status=422, code=42205)
    admin.expect("PUT", "/mode/shop.paid", {"mode": "readwrite"})
    admin.register("shop.paid", WIDER)
    assert admin.expect("DELETE", "/mode/shop.paid") == {"mode": "READWRITE"}
    assert admin.expect("DELETE", "/mode") == {"mode": "READONLY"}
    admin.fail("PUT", "/mode/shop.paid", {"mode": "SIDEWAYS"}, status=422, code=42204)
    admin.fail("PUT", "/mode/shop.paid", {}, status=422, code=42204)


def test_import_takes_ids_of_elsewhere_and_gives_none_of_them_again(admin: Caller) -> None:
    admin.fail("POST", REGISTER, sent(ORDER, id=700), status=422, code=42205)
    admin.expect("PUT", "/mode/shop.paid", {"mode": "IMPORT"})
    admin.fail("POST", REGISTER, sent(ORDER), status=422, code=42205)
    assert admin.register("shop.paid", ORDER, id=700, version=1)["id"] == 700
    admin.fail("POST", REGISTER, sent(BREAKING, id=700), status=422, code=42205)
    assert admin.register("shop.paid", BREAKING, id=701, version=2)["id"] == 701
    admin.fail("POST", REGISTER, sent(WIDER, id=702, version=7), status=422, code=42201)
    admin.expect("DELETE", "/mode/shop.paid")
    assert admin.register("shop.other", {**ORDER, "title": "Else"})["id"] > 701
    assert admin.register("shop.third", ORDER)["id"] == 700
    admin.fail("PUT", "/mode/shop.paid", {"mode": "IMPORT"}, status=422, code=42205)
    admin.expect("PUT", "/mode/shop.paid?force=true", {"mode": "IMPORT"})
    admin.fail("PUT", "/mode", {"mode": "IMPORT"}, status=422, code=42205)


def test_deleting_a_subject_forgets_its_settings_and_what_it_was_compared_with(
    admin: Caller,
) -> None:
    admin.register("shop.paid", ORDER)
    admin.expect("PUT", "/config/shop.paid", {"compatibility": "FULL"})
    admin.expect("PUT", "/mode/shop.paid", {"mode": "READWRITE"})
    assert admin.expect("DELETE", "/subjects/shop.paid") == [1]
    admin.fail("GET", "/config/shop.paid", status=404, code=40408)
    admin.fail("GET", "/mode/shop.paid", status=404, code=40409)
    assert admin.register("shop.paid", BREAKING)["version"] == 2
    admin.fail("POST", REGISTER, sent(ORDER), status=409, code=409)
    stream = Stream.objects.get()
    assert stream.versions.filter(state="active").count() == 2
    assert stream.default_version == 2


def test_a_version_the_catalog_retired_is_to_clients_a_deleted_one(admin: Caller) -> None:
    made = admin.register("shop.paid", ORDER)
    admin.register("shop.paid", WIDER)
    first = Stream.objects.get().versions.get(version=1)
    deprecate_version(
        first, actor=SYSTEM, sunset_at=clock.now() + timedelta(days=9000), migration="Use 2."
    )
    assert admin.expect("GET", REGISTER) == [1, 2]
    retire_version(first, actor=SYSTEM)
    assert admin.expect("GET", REGISTER) == [2]
    assert admin.expect("GET", f"{REGISTER}?deleted=true") == [1, 2]
    assert admin.expect("GET", f"/schemas/ids/{made['id']}")["schema"] == made["schema"]
    admin.fail("DELETE", f"{REGISTER}/1", status=404, code=40406)
    assert admin.expect("DELETE", f"{REGISTER}/1?permanent=true") == 1
    admin.fail("GET", f"/schemas/ids/{made['id']}", status=404, code=40403)


def test_versions_made_in_the_portal_are_seen_at_once(admin: Caller) -> None:
    admin.register("shop.paid", ORDER)
    version, _ = add_version(Stream.objects.get(), WIDER, actor=SYSTEM)
    latest = admin.expect("GET", f"{REGISTER}/latest")
    assert latest["version"] == version.version == 2
    assert admin.register("shop.paid", WIDER)["id"] == latest["id"]


def test_house_rules_never_refuse_and_are_reported(admin: Caller) -> None:
    admin.register("shop.paid", {"type": "object", "properties": {"Bad Name": {}}})
    assert Stream.objects.get().versions.get().findings != []


def test_a_clash_of_mapped_names_gets_a_number(admin: Caller) -> None:
    admin.register("a-b", ORDER)
    admin.register("a_b", WIDER)
    assert {row.name for row in Stream.objects.all()} == {"imported.a_b", "imported.a_b_2"}
    assert admin.expect("GET", "/subjects") == ["a-b", "a_b"]
    assert admin.expect("GET", "/subjects/imported.a_b/versions") == [1]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("0000000000012", 12),
        ("2147483647", 2_147_483_647),
        ("latest", None),
        ("-1", None),
    ],
)
def test_a_version_is_read_whatever_zeros_it_begins_with(text: str, number: int | None) -> None:
    assert requests.read_version(text) == number


@pytest.mark.parametrize("text", ["0", "00", "", "2147483648", "00000000002147483648", "1.0", "²"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(RegistryError):
        requests.read_version(text)
