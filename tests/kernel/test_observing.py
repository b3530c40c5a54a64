"""Tracing that is off costs nothing and imports nothing; the log quotes nothing and has an end."""

import json
import logging
import subprocess
import sys

import pytest

from portal.kernel import json_log, tracing
from portal.kernel.tracing import Trail

VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_standard_variables_decide(variables: dict[str, str], wanted: bool) -> None:
    assert tracing.is_wanted(variables) is wanted


def test_without_an_endpoint_neither_the_sdk_of_traces_nor_an_exporter_is_loaded() -> None:
    code = (
        "import django, sys; django.setup(); import portal.asgi; from portal.kernel import tracing;"
        " tracing.start('web'); print(tracing.is_on,"
        " [name for name in sys.modules if name.startswith(('opentelemetry.sdk.trace', "
        "'opentelemetry.exporter'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False []"


def test_a_trail_is_that_of_a_valid_header_and_is_handed_on() -> None:
    found = tracing.trail_of(VALID, "r1")
    assert found == Trail("r1", "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert tracing.trail_of("00-xyz", "r1") == Trail("r1")
    with tracing.following(found):
        assert tracing.trail() == found
        assert tracing.traceparent().startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert (tracing.trail(), tracing.traceparent()) == (Trail(), "")


def test_links_are_each_trace_once_and_not_without_bound() -> None:
    many = [(f"00-{number + 1:032x}-{number + 1:016x}-01", "") for number in range(500)]
    found = tracing.links_of([("junk", ""), *many, *many], but=many[0][0])
    assert len(found) == tracing.MAX_LINKS
    assert len({link.context.span_id for link in found}) == tracing.MAX_LINKS
    assert found[0].context.span_id == 2


def record(message: str, **fields: object) -> logging.LogRecord:
    return logging.LogRecord("x", logging.ERROR, __file__, 1, message, (), None, **fields)  # type: ignore[arg-type]  # none are given


def line(found: logging.LogRecord) -> dict[str, object]:
    written = json_log.JsonFormatter().format(found)
    assert len(written) <= json_log.MAX_LINE
    assert "\n" not in written
    said: dict[str, object] = json.loads(written)
    return said


def test_a_line_is_bounded_and_holds_what_it_may_hold() -> None:
    found = record("m" * 100_000)
    found.status, found.payload, found.route = 500, {"mail": "ada@example.com"}, "/r" * 50_000
    said = line(found)
    assert said["status"] == 500
    assert "ada@example.com" not in json.dumps(said)
    assert len(str(said["message"])) <= json_log.MAX_MESSAGE + 1


def test_an_exception_is_told_by_its_places_without_its_text() -> None:
    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        raise ValueError("ada@example.com is no number")

    found = record("it failed")
    try:
        try:
            deep(100)
        except ValueError as error:
            raise RuntimeError("secret-value") from error
    except RuntimeError as error:
        found.exc_info = (RuntimeError, error, error.__traceback__)
    said = line(found)
    places = said["error"]
    assert isinstance(places, list)
    assert places[0] == "builtins.RuntimeError"
    assert "builtins.ValueError" in places
    assert "ada@example.com" not in json.dumps(said)
    assert "secret-value" not in json.dumps(said)
