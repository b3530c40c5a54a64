"""What the official client was seen to send, sent again, byte by byte."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.catalog.registry.conftest import V1, Registry, basic

pytestmark = pytest.mark.slow
WIRE = Path(__file__).resolve().parents[2] / "data" / "wire" / "confluent_client.jsonl"
# Of each recorded request in order: its status and what its answer holds.
EXPECTED: list[tuple[int, Any]] = [
    (404, 40401),
    (200, {"version": 1}),
    (200, {"version": 1}),
    (200, {"version": 1}),
    (404, 40403),
    (404, 40403),
    (404, 40403),
    (404, 40408),
    (200, {"compatibility": "BACKWARD"}),
    (200, {"compatibilityLevel": "BACKWARD"}),
    (422, 42203),
    (200, {"is_compatible": True}),
    (200, {"is_compatible": False}),
    (200, {"is_compatible": True}),
    (200, {"version": 2}),
    (409, 409),
    (422, 42201),
    (200, [1, 2]),
    (200, {"version": 2, "schemaType": "JSON"}),
    (200, {"version": 1}),
    (404, 40402),
    (422, 42202),
    (200, ...),
    (200, ["holdout-0339433e-value"]),
    (200, ["holdout-0339433e-value"]),
    (200, ["JSON"]),
    (404, 40403),
    (404, 40403),
    (200, {"version": 1}),
    (200, {"references": [
        {"name": "order.json", "subject": "holdout-0339433e-value", "version": 2}
    ]}),
    (200, ...),
    (422, 42206),
    (200, [1]),
    (200, {"compatibilityLevel": "BACKWARD"}),
    (200, {"mode": "READWRITE"}),
    (404, 404),
    (200, 1),
    (200, [2]),
    (404, 40406),
    (200, 1),
    (200, [2]),
    (404, 40401),
    (200, [2]),
    (200, {"version": 1}),
    (404, 40405),
]  # fmt: skip


def test_the_recorded_requests_get_what_confluent_answers(registry: Registry) -> None:
    requests = [json.loads(line) for line in WIRE.read_text().splitlines()]
    assert len(requests) == len(EXPECTED)
    for number, (request, (status, holds)) in enumerate(zip(requests, EXPECTED, strict=True)):
        headers = [
            (name, basic("api", registry.token) if name == "Authorization" else value)
            for name, value in request["headers"]
            if name not in ("Host", "Content-Length", "Connection")
        ]
        answer = httpx2.request(
            request["method"],
            registry.portal.url + request["path"],
            headers=headers,
            content=request["body"].encode(),
            timeout=30,
        )
        said = f"{number}: {request['method']} {request['path']}: {answer.text}"
        assert answer.status_code == status, said
        assert answer.headers["Content-Type"] == V1
        assert "set-cookie" not in answer.headers
        body = answer.json()
        if status >= 400:
            assert body["error_code"] == holds, said
            assert set(body) == {"error_code", "message"}
        elif isinstance(holds, dict):
            assert {name: body[name] for name in holds} == holds, said
        elif holds is not ...:
            assert body == holds, said


@pytest.mark.parametrize("path", ["", "/subjects", "/config", "/mode", "/schemas", "/contexts",
                                  "/schemas/types", "/subjects/no/versions", "/nothing/here"])  # fmt: skip
@pytest.mark.parametrize("end", ["", "/"])
def test_nothing_is_redirected(registry: Registry, path: str, end: str) -> None:
    answer = registry.send("GET", path + end, follow_redirects=False)
    assert answer.status_code in (200, 404)
    assert answer.headers["Content-Type"] == V1
    bare = httpx2.get(registry.url + path + end, follow_redirects=False, timeout=30)
    assert bare.status_code == 401
    assert bare.json()["error_code"] == 401
    assert "Basic" in bare.headers["WWW-Authenticate"]
