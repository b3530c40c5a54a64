"""What only the ASGI road shows: bodies without a length, their limit, slashes within names."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import pytest
from django.core.management import call_command
from django.db import connections

from governance.models import AuditEntry, Team
from governance.types import Role
from portal.asgi import application
from portal.http import body_limit
from portal.kernel.inflate import MAX_SENT_BYTES
from tests.support.factories import make_person, make_stream, token_of

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT = MAX_SENT_BYTES
NEVER = b"(a part that does not come)"


@pytest.fixture(autouse=True)
def _connections_end_with_their_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request has a thread of its own here, as in a web process."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    method: str,
    path: str,
    *,
    token: str = "",
    chunks: tuple[bytes, ...] = (),
    length: str | None = None,
    **headers: str,
) -> Answer:
    """One request as a server hands it on; without a length it was sent in chunks."""
    return asyncio.run(_ask(method, path, token, chunks, length, headers))


async def _ask(
    method: str,
    path: str,
    token: str,
    chunks: tuple[bytes, ...],
    length: str | None,
    more: dict[str, str],
) -> Answer:
    headers = {"host": "localhost", "content-type": "application/json", **more}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if length is not None:
        headers["content-length"] = length
    bare, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(bare),
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "http_version": "1.1",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    parts = chunks or (b"",)
    messages = [
        {"type": "http.request", "body": part, "more_body": index < len(parts) - 1}
        for index, part in enumerate(parts)
        if part != NEVER
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return Answer(
        sent[0]["status"],
        {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
    )


@pytest.fixture
def token() -> str:
    return token_of(make_person(Role.ADMIN))


def test_a_body_without_an_announced_length_is_read(token: str) -> None:
    parts = (b'{"slug": "chunked",', b' "name": "Chunked"}')
    answer = ask("POST", "/api/v1/teams", token=token, chunks=parts)
    assert answer.status == 201, answer.body
    assert Team.objects.filter(slug="chunked").exists()


@pytest.mark.parametrize(
    ("chunks", "length"),
    [
        ((), str(LIMIT + 1)),
        ((), "9" * 40),
        ((b" " * LIMIT, b" ", b"{}"), None),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/teams", "/theme/"])
def test_a_body_of_more_than_five_mib_is_a_413(
    path: str, chunks: tuple[bytes, ...], length: str | None, token: str
) -> None:
    answer = ask("POST", path, token=token, chunks=chunks, length=length)
    assert answer.status == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "too_large"
    assert answer.json["instance"] == answer.headers["x-request-id"]
    assert answer.headers["connection"] == "close"


def test_a_body_of_five_mib_is_read(token: str) -> None:
    body = b'{"slug": "big", "name": "Big"}'
    padded = body + b" " * (LIMIT - len(body))
    answer = ask("POST", "/api/v1/teams", token=token, chunks=(padded,), length=str(LIMIT))
    assert answer.status == 201


def test_a_length_that_is_no_number_is_a_400(token: str) -> None:
    answer = ask("POST", "/api/v1/teams", token=token, length="ten")
    assert (answer.status, answer.json["code"]) == (400, "content_length")


@pytest.mark.parametrize(
    "alias", ["mediawiki/page/change", "Order Placed", "a%b", "ünï/cödé", "a/schemas", "x%2Fy"]
)
def test_a_stream_answers_to_its_alias_whatever_characters_it_has(alias: str, token: str) -> None:
    stream = make_stream(aliases=(alias,), label="1.2.0")
    spelled = quote(alias, safe="")
    for tail in (
        "",
        "/",
        "/schemas",
        "/schemas/1",
        "/schemas/1.2.0",
        "/health",
        "/facts",
        "/follow",
    ):
        answer = ask("GET", f"/api/v1/streams/{spelled}{tail}", token=token)
        assert answer.status == 200, (tail, answer.body)
    shown = ask("GET", f"/api/v1/streams/{spelled}", token=token).json
    assert (shown["name"], shown["aliases"]) == (stream.name, [alias])
    assert ask("GET", f"/api/v1/streams/{spelled}/schemas/1.2.1", token=token).status == 404


def test_the_audit_chain_is_exported_whole_oldest_first_and_verifies_from_the_file(
    token: str, tmp_path: Any, settings: Any
) -> None:
    settings.AUDIT_ANCHORS = tmp_path / "anchors.jsonl"  # of a chain that is taken back
    make_stream()
    answer = ask("GET", "/api/v1/audit/export", token=token)
    assert answer.headers["content-type"] == "application/x-ndjson"
    *rows, proof, seal = [json.loads(line) for line in answer.body.splitlines()]
    assert (list(proof), list(seal)) == (["proof"], ["seal"])
    assert [row["seq"] for row in rows] == list(range(1, AuditEntry.objects.count() + 1))
    file = tmp_path / "audit.jsonl"
    file.write_bytes(answer.body)
    call_command("audit", "verify", str(file))
    file.write_bytes(answer.body.replace(b"registered", b"forgotten", 1))
    with pytest.raises(SystemExit):
        call_command("audit", "verify", str(file))
    narrowed = ask("GET", "/api/v1/audit/export?action=stream.registered", token=token)
    *rows, proof, seal = [json.loads(line) for line in narrowed.body.splitlines()]
    assert (list(proof), list(seal)) == (["proof"], ["seal"])
    assert {row["action"] for row in rows} == {"stream.registered"}


@pytest.mark.parametrize("path", ["/api/v1/teams", "/theme/", "/registry/subjects/a.b/versions"])
def test_a_body_that_does_not_come_is_a_408_on_every_address(
    path: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert body_limit.BODY_SECONDS < 30
    monkeypatch.setattr(body_limit, "BODY_SECONDS", 0.2)
    answer = ask("POST", path, token=token, chunks=(b'{"slug"', NEVER), length="40")
    assert (answer.status, answer.json["code"]) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"
    assert answer.json["detail"] == "Send the whole body within 0.2 seconds."


def test_who_takes_no_page_gets_errors_as_documents_and_no_way_in() -> None:
    """The same addresses ask browsers to sign in."""
    answer = ask("GET", "/nowhere/", accept="application/json")
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json["code"] == "not_found"
    assert (
        ask("GET", "/nowhere/", accept="text/html").headers["content-type"].startswith("text/html")
    )
    for path in ("/streams/", "/audit/", "/ingest/storage/"):
        answer = ask("GET", path, accept="application/json")
        assert answer.status == 302
        assert answer.headers["location"].startswith("/accounts/login/")
