"""The official client against a running portal, unmodified: everything it can do."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    SchemaRegistryError,
)
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.schema_registry_client import (
    ConfigCompatibilityLevel,
    Metadata,
    MetadataProperties,
    ServerConfig,
)
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.catalog.registry.conftest import BREAKING, ORDER, WIDER, Registry, sent

pytestmark = pytest.mark.slow


def schema(document: Any, *references: SchemaReference, **more: Any) -> Schema:
    return Schema(json.dumps(document), "JSON", list(references), **more)


def refused(error: pytest.ExceptionInfo[SchemaRegistryError]) -> tuple[int, int]:
    return error.value.http_status_code, error.value.error_code


@pytest.fixture
def client(registry: Registry) -> SchemaRegistryClient:
    return registry.client()


def test_it_registers_looks_up_and_reads_back(
    registry: Registry, client: SchemaRegistryClient, subject: str
) -> None:
    first = client.register_schema(subject, schema(ORDER))
    assert registry.client().register_schema(subject, schema(ORDER)) == first
    full = registry.client().register_schema_full_response(subject, schema(WIDER))
    assert (full.version, full.subject) == (2, subject)
    assert full.schema_id != first
    found = client.lookup_schema(subject, schema(WIDER))
    assert (found.schema_id, found.version, found.subject) == (full.schema_id, 2, subject)
    assert client.get_versions(subject) == [1, 2]
    latest = client.get_latest_version(subject)
    assert (latest.version, latest.schema_id, latest.guid) == (2, full.schema_id, full.guid)
    assert latest.schema.schema_type == "JSON"
    assert json.loads(latest.schema.schema_str or "") == WIDER
    one = client.get_version(subject, 1)
    assert (one.version, one.schema_id) == (1, first)
    fresh = registry.client()
    assert fresh.get_schema(first).schema_str == json.dumps(ORDER)
    assert fresh.get_schema(first, subject).schema_type == "JSON"
    assert fresh.get_schema_by_guid(str(full.guid)).schema_str == json.dumps(WIDER)
    assert subject in fresh.get_subjects()
    assert fresh.get_subjects(subject_prefix=subject[:8], limit=1, offset=0) != []
    assert subject in fresh.get_subjects_by_schema_id(first)
    places = {(one.subject, one.version) for one in fresh.get_schema_versions(first)}
    assert (subject, 1) in places
    assert fresh.get_schema_types() == ["JSON"]
    assert fresh.get_contexts() == ["."]


def test_the_same_schema_has_one_id_over_subjects_and_the_catalog(
    registry: Registry, client: SchemaRegistryClient, subject: str
) -> None:
    document = {**ORDER, "title": subject}
    other = f"{subject}-other"
    first = client.register_schema(subject, schema(document))
    assert client.register_schema(other, schema(dict(reversed(document.items())))) == first
    stream = registry.portal.get(f"/api/v1/streams/{subject}")
    assert stream["track"] == "experimental"
    assert stream["compatibility"] == {"mode": "BACKWARD", "policy": "strict"}
    assert stream["default_version"] == 1
    assert set(client.get_subjects_by_schema_id(first)) == {subject, other}


def test_compatibility_is_told_and_kept(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, schema(ORDER))
    assert client.test_compatibility(subject, schema(WIDER))
    assert not client.test_compatibility(subject, schema(BREAKING), version=1)
    assert client.test_compatibility_all_versions(subject, schema(WIDER))
    with pytest.raises(SchemaRegistryError) as error:
        client.register_schema(subject, schema(BREAKING))
    assert refused(error) == (409, 409)
    assert "amount" in error.value.error_message
    client.set_compatibility(subject, "NONE")
    assert client.get_compatibility(subject) == "NONE"
    client.register_schema(subject, schema(BREAKING))
    assert client.get_versions(subject) == [1, 2]


def test_levels_and_modes_are_set_before_a_subject_exists_and_taken_back(
    client: SchemaRegistryClient, subject: str
) -> None:
    with pytest.raises(SchemaRegistryError) as error:
        client.get_compatibility(subject)
    assert refused(error) == (404, 40408)
    client.set_config(subject, ServerConfig(compatibility=ConfigCompatibilityLevel.FULL))
    assert client.get_compatibility(subject) == "FULL"
    client.register_schema(subject, schema(ORDER))
    with pytest.raises(SchemaRegistryError) as error:
        client.register_schema(subject, schema(WIDER))
    assert refused(error) == (409, 409)
    assert str(client.delete_config(subject).compatibility_level) == "FULL"
    client.register_schema(subject, schema(WIDER))
    assert client.update_mode(subject, "READONLY") == "READONLY"
    with pytest.raises(SchemaRegistryError) as error:
        client.register_schema(subject, schema({**WIDER, "title": "Other"}))
    assert refused(error) == (422, 42205)
    with pytest.raises(SchemaRegistryError) as error:
        client.delete_subject(subject)
    assert refused(error) == (422, 42205)
    assert client.get_mode(subject) == "READONLY"
    assert client.delete_mode(subject) == "READONLY"
    with pytest.raises(SchemaRegistryError) as error:
        client.set_compatibility(subject, "SIDEWAYS")
    assert refused(error) == (422, 42203)
    with pytest.raises(SchemaRegistryError) as error:
        client.update_mode(subject, "SIDEWAYS")
    assert refused(error) == (422, 42204)


def test_schemas_refer_to_each_other(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, schema(ORDER))
    basket = {"type": "object", "properties": {"order": {"$ref": "order.json"}}}
    reference = SchemaReference("order.json", subject, 1)
    user = f"{subject}-ref"
    made = client.register_schema(user, schema(basket, reference))
    read = client.get_latest_version(user).schema
    assert json.loads(read.schema_str or "") == basket
    assert read.references == [reference]
    assert client.get_referenced_by(subject, 1) == [made]
    with pytest.raises(SchemaRegistryError) as error:
        client.delete_version(subject, 1)
    assert refused(error) == (422, 42206)
    client.delete_subject(user)
    assert client.get_referenced_by(subject, 1) == []
    assert client.delete_version(subject, 1) == 1


def test_deletion_is_soft_first_and_numbers_are_not_used_again(
    registry: Registry, client: SchemaRegistryClient, subject: str
) -> None:
    first = client.register_schema(subject, schema(ORDER))
    client.register_schema(subject, schema(WIDER))
    for permanent, code in ((True, 40407), (False, 0), (False, 40406)):
        if code:
            with pytest.raises(SchemaRegistryError) as error:
                registry.client().delete_version(subject, 1, permanent=permanent)
            assert refused(error) == (404, code)
        else:
            assert client.delete_version(subject, 1) == 1
    assert client.get_versions(subject) == [2]
    assert client.get_versions(subject, deleted=True) == [1, 2]
    assert client.get_versions(subject, deleted_only=True) == [1]
    assert client.get_version(subject, 1, deleted=True).schema_id == first
    with pytest.raises(SchemaRegistryError) as error:
        client.delete_subject(subject, permanent=True)
    assert refused(error) == (404, 40405)
    assert client.delete_subject(subject) == [2]
    with pytest.raises(SchemaRegistryError) as error:
        client.delete_subject(subject)
    assert refused(error) == (404, 40404)
    assert subject not in client.get_subjects()
    assert subject in client.get_subjects(deleted=True)
    assert subject in client.get_subjects(deleted_only=True)
    again = registry.client()
    assert again.register_schema(subject, schema(ORDER)) == first
    assert again.get_versions(subject) == [3]
    assert again.delete_subject(subject) == [3]
    assert again.delete_subject(subject, permanent=True) == [1, 2, 3]
    for deleted in (False, True):
        with pytest.raises(SchemaRegistryError) as error:
            again.get_versions(subject, deleted=deleted)
        assert refused(error) == (404, 40401)
    assert registry.portal.get(f"/api/v1/streams/{subject}/schemas/1")["version"] == 1


def test_metadata_makes_another_version_and_finds_it(
    client: SchemaRegistryClient, subject: str
) -> None:
    beta, gold = (
        Metadata(None, MetadataProperties({"stage": stage}), []) for stage in ("beta", "gold")
    )
    for metadata in (beta, gold):
        client.register_schema(subject, schema(ORDER, metadata=metadata))
    found = client.get_latest_with_metadata(subject, {"stage": "beta"})
    assert (found.version, found.schema.metadata) == (1, beta)
    assert client.get_versions(subject) == [1, 2]


@pytest.mark.parametrize("name", ["a/b {c}", "Päckchen", "a%2Fb", "shop.v/1-value", "x?y#z", "a+b"])
def test_any_subject_is_answered_as_it_was_sent(
    client: SchemaRegistryClient, subject: str, name: str
) -> None:
    spelled = f"{subject}.{name}"
    client.register_schema(spelled, schema(ORDER))
    assert client.get_latest_version(spelled).subject == spelled
    assert spelled in client.get_subjects()
    assert client.get_versions(spelled) == [1]
    assert client.delete_subject(spelled) == [1]


def test_a_house_name_is_one_subject_with_and_without_value(
    registry: Registry, client: SchemaRegistryClient, subject: str
) -> None:
    name = "registry." + subject.removesuffix("-value").replace("-", "_")
    made = client.register_schema(f"{name}-value", schema(ORDER))
    assert registry.portal.get(f"/api/v1/streams/{name}")["name"] == name
    assert client.get_latest_version(name).schema_id == made
    assert client.get_subjects(subject_prefix=name) == [f"{name}-value"]
    client.register_schema(f"{name}-key", Schema('{"type": "string"}', "JSON"))
    assert len(client.get_subjects(subject_prefix=name)) == 2


def test_the_serializer_and_deserializer_go_round(registry: Registry, subject: str) -> None:
    topic = subject.removesuffix("-value")
    context = SerializationContext(topic, MessageField.VALUE)
    order = {"id": "o-1", "amount": 12.5}
    write = JSONSerializer(json.dumps(ORDER), registry.client())
    message = write(order, context)
    assert message is not None
    assert message[0] == 0
    read = JSONDeserializer(None, schema_registry_client=registry.client())
    assert read(message, context) == order
    known = JSONSerializer(
        json.dumps(ORDER), registry.client(), conf={"auto.register.schemas": False}
    )
    assert known(order, context) == message
    newest = JSONSerializer(
        json.dumps(ORDER),
        registry.client(),
        conf={"auto.register.schemas": False, "use.latest.version": True},
    )
    assert newest(order, context) == message


def test_the_serializer_goes_round_with_references(registry: Registry, subject: str) -> None:
    client = registry.client()
    client.register_schema(f"{subject}-order", schema(ORDER))
    basket = schema(
        {"type": "object", "properties": {"order": {"$ref": "order.json"}}},
        SchemaReference("order.json", f"{subject}-order", 1),
    )
    context = SerializationContext(subject, MessageField.VALUE)
    value = {"order": {"id": "o-1", "amount": 1}}
    message = JSONSerializer(basket, client)(value, context)
    read = JSONDeserializer(basket, schema_registry_client=registry.client())
    assert message is not None
    assert read(message, context) == value


def test_of_twenty_clients_at_once_all_get_the_one_version_and_id(
    registry: Registry, subject: str
) -> None:
    def register(document: Any) -> int:
        return int(registry.client().register_schema(subject, schema(document)))

    with ThreadPoolExecutor(20) as pool:
        ids = set(pool.map(register, [ORDER] * 20))
    assert len(ids) == 1
    assert registry.client().get_versions(subject) == [1]
    wider = [
        {**ORDER, "properties": {**ORDER["properties"], f"note_{number}": {"type": "string"}}}
        for number in range(20)
    ]

    def attempt(document: Any) -> int:
        try:
            return 200 if register(document) else 0
        except SchemaRegistryError as error:
            return error.http_status_code

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(attempt, wider))
    assert sorted(outcomes) == [200] + [409] * 19
    assert registry.client().get_versions(subject) == [1, 2]


def test_many_new_subjects_of_a_new_domain_at_once_share_domain_and_id(
    registry: Registry, subject: str
) -> None:
    domain = subject.removesuffix("-value").replace("-", "")
    subjects = [f"{domain}.event_{number}-value" for number in range(20)]

    def register(name: str) -> tuple[int, str]:
        body = sent({**ORDER, "title": domain})
        answer = registry.send("POST", f"/subjects/{name}/versions", body)
        while answer.status_code == 503:  # waited too long for the others
            answer = registry.send("POST", f"/subjects/{name}/versions", body)
        return answer.status_code, str(answer.json().get("id"))

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(register, subjects))
    assert {status for status, _ in answers} == {200}  # the client would try a 500 again
    ids = {int(schema_id) for _, schema_id in answers}
    assert len(ids) == 1
    assert set(registry.client().get_subjects_by_schema_id(ids.pop())) == set(subjects)


def test_keys_come_as_basic_user_name_password_or_bearer(registry: Registry, subject: str) -> None:
    made = registry.portal.manage_json(
        "keys", "create", "--kind", "producer", "--name", "registry-client", "--streams", "*"
    )
    key = made["key"]
    for info in (f"{key}:", f"anybody:{key}"):
        assert isinstance(registry.client(info).get_subjects(), list)
    bearer = registry.client(
        **{
            "bearer.auth.credentials.source": "STATIC_TOKEN",
            "bearer.auth.token": key,
            "bearer.auth.logical.cluster": "lsrc-1",
            "bearer.auth.identity.pool.id": "pool-1",
        }
    )
    assert bearer.register_schema(subject, schema(ORDER)) > 0
    with pytest.raises(SchemaRegistryError) as error:
        registry.client("anybody:wrong").get_subjects()
    assert refused(error) == (401, 401)
