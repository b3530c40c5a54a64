"""A running portal for the official client, and callers of the facade inside this process."""

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from django.test import Client

from catalog.models import Producer, ProducerStream, Stream
from governance.models import Team
from governance.services.keys import create_key
from governance.types import Role
from portal.kernel.actor import SYSTEM
from tests.support import live
from tests.support.factories import make_person, token_of

V1 = "application/vnd.schemaregistry.v1+json"
_numbers = itertools.count(1)

ORDER: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Order",
    "type": "object",
    "properties": {"id": {"type": "string"}, "amount": {"type": "number"}},
    "required": ["id"],
    "additionalProperties": False,
}
WIDER: dict[str, Any] = {
    **ORDER,
    "properties": {**ORDER["properties"], "note": {"type": "string"}},
}
BREAKING: dict[str, Any] = {
    **ORDER,
    "properties": {"id": {"type": "string"}, "amount": {"type": "string"}},
}


@dataclass
class Registry:
    """A registry at an address, with the key of its admin and what is needed to talk to it."""

    portal: live.Portal
    clients: list[SchemaRegistryClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.portal.url}/registry"

    @property
    def token(self) -> str:
        return str(self.portal.said["admin_token"])

    def client(self, user_info: str = "", **configuration: str) -> SchemaRegistryClient:
        """A new client, with empty caches; by Basic unless configured otherwise."""
        credentials = {"basic.auth.user.info": user_info or f"{self.token}:"}
        client = SchemaRegistryClient({"url": self.url} | (configuration or credentials))
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": V1}
        content = json.dumps(body) if body is not None else None
        return httpx2.request(
            method, self.url + path, content=content, headers=headers, timeout=30, **options
        )


@pytest.fixture(scope="package")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with live.running(tmp_path_factory.mktemp("registry") / "data") as portal:
        registry = Registry(portal)
        yield registry
        registry.close()


@pytest.fixture
def subject() -> str:
    return f"orders-{next(_numbers)}-value"


class Caller:
    """Somebody with a key who talks to the facade in this process."""

    def __init__(self, key: str) -> None:
        self.key = key

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = Client().generic(
            method,
            f"/registry{path}",
            b"" if body is None else raw,
            content_type=V1,
            headers={"Authorization": f"Bearer {self.key}"},
        )
        assert answer["Content-Type"] == V1, answer.content
        assert not answer.cookies
        return answer.status_code, json.loads(answer.content)

    def register(
        self, subject: str, schema: Any, status: int = 200, *, query: str = "", **more: Any
    ) -> Any:
        body = sent(schema, **more)
        return self.expect("POST", f"/subjects/{subject}/versions{query}", body, status)

    def expect(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """The answer, which must have this status."""
        found, answer = self.call(method, path, body)
        assert found == status, answer
        return answer

    def fail(self, method: str, path: str, body: Any = None, *, status: int, code: int) -> str:
        """The message of an answer that must be this error, in the registry's shape."""
        found, answer = self.call(method, path, body)
        assert (found, answer.get("error_code")) == (status, code), answer
        assert set(answer) == {"error_code", "message"}
        return str(answer["message"])


def sent(schema: Any, **more: Any) -> dict[str, Any]:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return {"schema": text, "schemaType": "JSON", **more}


def person(*roles: Role, team: Team | None = None, scopes: tuple[str, ...] = ()) -> Caller:
    return Caller(token_of(make_person(*roles, team=team), *scopes))


def producer(
    *,
    team: Team | None = None,
    streams: tuple[Stream, ...] = (),
    globs: tuple[str, ...] = (),
    key_glob: str = "*",
    domain: str = "",
) -> Caller:
    number = next(_numbers)
    made = Producer.objects.create(name=f"producer-{number}", team=team, default_domain=domain)
    for stream in streams:
        ProducerStream.objects.create(producer=made, stream=stream)
    for glob in globs:
        ProducerStream.objects.create(producer=made, glob=glob)
    _, text = create_key(
        actor=SYSTEM, kind="prod", name=made.name, holder_id=made.pk, streams_glob=key_glob
    )
    return Caller(text)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
def admin() -> Caller:
    return person(Role.ADMIN)
