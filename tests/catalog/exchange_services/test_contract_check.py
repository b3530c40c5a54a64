"""`check-contract`: what CI is told of a producer's contract, here and by a portal elsewhere."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from catalog.contract_checks import ContractCheck, Outcome, check_of, exit_code, junit, strictly
from catalog.exchange.documents import OutsideStream, Unreadable
from catalog.models import SchemaVersion, Stream
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.contract_checks import check_contract
from governance.models import AuditEntry, Policy
from governance.policies import facts
from governance.services.policies import change_policy
from governance.services.waivers import waive
from governance.types import Role
from portal import remote_contracts
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.remote_contracts import RemoteError, RemotePortal
from tests.catalog.exchange_services.conftest import (
    AMOUNT,
    BREAKING,
    FIRST,
    SECOND,
    outside,
    schema,
)
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
NAME = "shop.refund_issued"


@pytest.fixture
def stream() -> Stream:
    """A stream with a consumer that reads the field which BREAKING breaks."""
    made = make_stream(NAME, team=make_team(), schema=FIRST)
    reader = create_consumer("billing", actor=SYSTEM)
    map_consumer(reader, made, actor=SYSTEM, fields=["amount_minor"])
    return made


def check(one: OutsideStream | Unreadable) -> ContractCheck:
    return check_contract(one, actor=SYSTEM)


def test_a_breaking_contract_is_told_in_sentences_with_who_reads_it(stream: Stream) -> None:
    found = check(outside(NAME, FIRST, BREAKING))
    assert (found.outcome, found.mode, found.compared_with) == (Outcome.BREAKING, "BACKWARD", (1,))
    text = "\n".join(found.lines())
    assert "BREAKS under BACKWARD (reader_writer)" in text
    assert "amount_minor" in found.breaking[0].detail
    assert "consumer billing: reads a field that would break" in text


def test_the_stream_s_own_mode_decides(stream: Stream) -> None:
    Stream.objects.update(compatibility_mode="NONE")
    assert check(outside(NAME, BREAKING)).outcome is Outcome.COMPATIBLE


def test_nothing_is_kept(stream: Stream) -> None:
    rows = AuditEntry.objects.count()
    check(outside(NAME, SECOND))
    assert (SchemaVersion.objects.count(), AuditEntry.objects.count()) == (1, rows)


def test_the_other_outcomes(stream: Stream) -> None:
    assert check(outside(NAME, SECOND)).outcome is Outcome.COMPATIBLE
    assert check(outside(NAME, FIRST)).outcome is Outcome.UNCHANGED
    assert check(outside("Shop/RefundDenied", FIRST)).stream == "shop.refund_denied"
    assert check(outside("Shop/RefundDenied", FIRST)).outcome is Outcome.NEW
    assert check(Unreadable("a.yaml", "is empty")).outcome is Outcome.UNCHECKED
    remote = check(outside(NAME, {"$ref": "https://evil.example/"}))
    assert (remote.outcome, "must stay within the document" in remote.why) == (Outcome.ERRORS, True)
    assert check(outside("///", FIRST)).outcome is Outcome.ERRORS
    assert check(outside(NAME, versions=())).outcome is Outcome.UNCHECKED


@pytest.mark.parametrize(
    ("severity", "is_new", "outcome", "strictly_told"),
    [
        ("error", True, "errors", "errors"),
        ("error", False, "compatible", "compatible"),
        ("warning", True, "compatible", "errors"),
        ("suggestion", True, "compatible", "compatible"),
    ],
)
def test_only_what_is_new_in_style_counts(
    severity: str, is_new: bool, outcome: str, strictly_told: str
) -> None:
    verdict = {"mode": "BACKWARD", "policy": "strict", "compatible": True, "undecided": False}
    note = {"path": "a", "severity": severity, "message": "It is odd.", "new": is_new}
    report = {
        "verdict": verdict, "compared_with": [1], "differences": [], "consumers": [],
        "style": [note],
    }  # fmt: skip
    found = check_of(outside(NAME), report, stream=NAME, label="1")
    assert (found.outcome, strictly(found).outcome) == (outcome, strictly_told)


def test_a_personal_field_without_a_label_fails_a_strict_check(
    stream: Stream, tmp_path: Path
) -> None:
    personal = {"type": "string", "format": "email", "description": "Whose."}
    path = write(tmp_path / f"{NAME}.json", {**FIRST, **schema(email=personal)})
    assert (run(path), run(path, "--strict")) == (0, 1)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["compatible", "unchanged", "new"], 0),
        (["compatible", "breaking"], 1),
        (["errors"], 1),
        (["compatible", "unchecked"], 2),
        (["unchecked", "breaking"], 1),
        ([], 2),
    ],
)
def test_exit_codes(outcomes: list[str], code: int) -> None:
    checks = [ContractCheck("a.b", "f", Outcome(one)) for one in outcomes]
    assert exit_code(checks) == code


def test_junit_has_a_case_a_contract_and_survives_odd_characters() -> None:
    checks = [
        ContractCheck("a.b", "f\x00.yaml", Outcome.UNCHECKED, why="odd \x1b\ufffe <&>"),
        ContractCheck("a.c", "f", Outcome.BREAKING),
        ContractCheck("a.d", "f", Outcome.COMPATIBLE),
    ]
    suite = ElementTree.fromstring(junit(checks)).find("testsuite")  # noqa: S314  # our own text
    assert suite is not None
    counts = [suite.get(name) for name in ("tests", "failures", "errors")]
    assert counts == ["3", "1", "1"]
    assert [case[0].tag for case in suite] == ["error", "failure", "system-out"]
    assert "odd  <&>" in (suite[0][0].text or "")


# --- The command ------------------------------------------------------------------------------


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        call_command("check-contract", *words)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def write(path: Path, document: Any) -> str:
    path.write_text(json.dumps(document))
    return str(path)


def test_the_command_reads_any_format_and_writes_junit(
    stream: Stream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / f"{NAME}.json", SECOND)
    bad = tmp_path / "portal.yaml"
    bad.write_text(
        f"apiVersion: portal/v1\nstreams:\n- name: {NAME}\n  versions:\n"
        f"  - schema: {json.dumps(BREAKING)}\n"
    )
    assert run(good) == 0
    assert f"{NAME}: compatible" in capsys.readouterr().out
    report = tmp_path / "report.xml"
    assert run(good, str(bad), "--junit", str(report)) == 1
    out = capsys.readouterr().out
    assert "2 contracts: 1 compatible, 1 breaking." in out
    assert report.read_bytes().startswith(b"<?xml")
    assert run(str(bad), "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["exit_code"], told["contracts"][0]["outcome"]) == (1, "breaking")


def test_a_schema_of_any_file_name_is_checked_as_the_stream_that_is_said(
    stream: Stream, tmp_path: Path
) -> None:
    path = write(tmp_path / "contract.json", BREAKING)
    assert run(path) == 0  # a new stream, imported.contract
    assert run(path, "--stream", NAME) == 1


def test_what_cannot_be_read_is_exit_code_two(tmp_path: Path) -> None:
    assert run(str(tmp_path / "missing.json")) == 2
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    assert run(str(broken)) == 2


# --- Policies ---------------------------------------------------------------------------------

PHONE = {"type": "string", "description": "Whose.", "x-classification": "personal"}


def block(slug: str) -> None:
    change_policy(Policy.objects.get(slug=slug), {"severity": "block"}, actor=SYSTEM)


def test_a_policy_that_blocks_fails_the_check_and_names_the_field(
    stream: Stream,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(facts.subject_of("stream").measured, "stream.review_overdue_days")
    path = write(tmp_path / f"{NAME}.json", {**FIRST, **schema(phone=PHONE)})
    assert run(path) == 0
    assert "policy warn: Personal fields have a privacy plan (phone)." in capsys.readouterr().out
    block("personal-fields-planned")
    report = tmp_path / "report.xml"
    assert run(path, "--junit", str(report)) == 1
    out = capsys.readouterr().out
    assert "POLICY STOPS IT" in out
    assert "policy block: Personal fields have a privacy plan (phone). Give these fields" in out
    assert b'type="blocked"' in report.read_bytes()
    assert run(path, "--json") == 1
    told = json.loads(capsys.readouterr().out)["contracts"][0]
    notes = {note["policy"]: note for note in told["policies"]}
    assert notes["personal-fields-planned"]["blocks"] is True
    assert notes["review-not-overdue"]["outcome"] == "not_measured"


def test_a_new_stream_is_judged_by_what_its_file_says_and_the_rest_is_named() -> None:
    block("personal-fields-planned")
    found = check(outside("Shop/RefundDenied", schema(phone=PHONE), tier="T1"))
    assert found.outcome is Outcome.BLOCKED
    lines = "\n".join(found.lines())
    assert "not judged here: Every stream has an owner (needs stream.owner)" in lines
    assert "not judged here: T1 streams have two approvers (needs stream.approvers)" in lines
    owned = check(outside("Shop/RefundDenied", FIRST, tier="T3", owner="refunds"))
    assert {note.policy for note in owned.policies} == {"review-not-overdue"}


def test_a_waived_policy_does_not_fail_the_check(stream: Stream) -> None:
    block("personal-fields-planned")
    waive(
        Policy.objects.get(slug="personal-fields-planned"), NAME, actor=SYSTEM, reason="Soon.",
        until=clock.now() + timedelta(days=3),
    )  # fmt: skip
    assert check(outside(NAME, schema(amount_minor=AMOUNT, phone=PHONE))).outcome is (
        Outcome.COMPATIBLE
    )


def test_a_portal_elsewhere_applies_its_policies_here_too(stream: Stream) -> None:
    block("personal-fields-planned")
    remote = served(token_of(make_person(Role.ADMIN)))
    for one in (
        outside("Shop/RefundDenied", schema(phone=PHONE)),
        outside(NAME, schema(amount_minor=AMOUNT, phone=PHONE)),
    ):
        assert remote.check(one).outcome is Outcome.BLOCKED
        assert remote.check(one).policies == check(one).policies
    reading = served(token_of(make_person(Role.ANALYST), "read"))
    found = reading.check(outside(NAME, schema(amount_minor=AMOUNT, phone=PHONE)))
    assert found.outcome is Outcome.BLOCKED
    assert "T1 streams have two approvers" in {
        note.title for note in found.policies if note.outcome == "not_measured"
    }


# --- A portal elsewhere -----------------------------------------------------------------------


def served(token: str, *, without_check: bool = False) -> RemotePortal:
    """This portal as if it were elsewhere: its own REST API behind an HTTP client."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if without_check and request.url.path.endswith("/schemas/check"):
            return httpx2.Response(404, json={"detail": "It does not exist."})
        # The client's address is decoded by itself, as a server would.
        target = request.url.raw_path.decode()
        given = Client().generic(
            request.method,
            target,
            request.content,
            content_type=request.headers.get("Content-Type", ""),
            headers={"Authorization": request.headers["Authorization"]},
        )
        return httpx2.Response(
            given.status_code,
            content=given.content,
            headers={"Content-Type": given.get("Content-Type", "")},
        )

    return RemotePortal("https://portal.example", token, transport=httpx2.MockTransport(answer))


def test_a_portal_elsewhere_says_the_same_as_the_catalog_at_hand(stream: Stream) -> None:
    remote = served(token_of(make_person(Role.ADMIN)))
    for one in (
        outside(NAME, BREAKING),
        outside(NAME, SECOND),
        outside(NAME, FIRST),
        outside("Shop/RefundDenied", FIRST),
    ):
        here, there = check(one), remote.check(one)
        assert (there.stream, there.outcome) == (here.stream, here.outcome)
        assert there.breaking == here.breaking
        assert there.compared_with == here.compared_with


def test_a_token_that_may_only_read_is_enough_to_compare(stream: Stream) -> None:
    reading = served(token_of(make_person(Role.ANALYST), "read"))
    found = reading.check(outside(NAME, BREAKING))
    assert (found.outcome, found.compared_with) == (Outcome.BREAKING, (1,))
    assert "amount_minor" in found.breaking[0].detail
    older = served(token_of(make_person(Role.ADMIN)), without_check=True)
    assert older.check(outside(NAME, SECOND)).outcome is Outcome.COMPATIBLE


def test_a_stream_that_the_token_may_not_know_of_looks_new(stream: Stream) -> None:
    Stream.objects.update(restricted=True)
    outsider = served(token_of(make_person(Role.ANALYST)))
    found = outsider.check(outside(NAME, BREAKING))
    assert (found.outcome, found.breaking) == (Outcome.NEW, ())


def test_a_schema_the_portal_refuses_is_an_error_of_the_contract(stream: Stream) -> None:
    remote = served(token_of(make_person(Role.ADMIN)))
    for name in (NAME, "a/b"):
        found = remote.check(outside(name, {"$ref": "https://evil.example/"}))
        assert found.outcome is Outcome.ERRORS
        assert found.why


def test_a_refused_token_is_said_and_is_exit_code_two(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RemoteError, match="refuses the token"):
        served("ep_user_abcdefgh_no").check(outside(NAME, FIRST))
    path = write(tmp_path / "a.json", FIRST)
    monkeypatch.delenv("PORTAL_TOKEN", raising=False)
    with pytest.raises(CommandError, match="needs a personal token") as caught:
        call_command("check-contract", path, "--url", "https://portal.example")
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="is no address"):
        call_command("check-contract", path, "--url", "portal", "--token-file", path)


def failing(act: Callable[[httpx2.Request], httpx2.Response]) -> RemotePortal:
    return RemotePortal("https://portal.example/", "t", transport=httpx2.MockTransport(act))


def _times_out(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("slow", request=request)


def _is_away(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused", request=request)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (_times_out, "did not answer in time"),
        (_is_away, "cannot be reached"),
        (lambda _: httpx2.Response(200, html="<h1>Hi</h1>"), "is not a portal"),
        (lambda _: httpx2.Response(302, headers={"Location": "/login"}), "is not a portal"),
        (lambda _: httpx2.Response(503, json={"detail": "Later."}), "answered 503: Later."),
    ],
)
def test_a_portal_that_cannot_be_asked_is_said_in_a_sentence(
    act: Callable[[httpx2.Request], httpx2.Response], said: str
) -> None:
    with pytest.raises(RemoteError, match=said):
        failing(act).check(outside(NAME, FIRST))


def test_every_request_has_a_timeout() -> None:
    portal = failing(lambda _: httpx2.Response(404, json={}))
    assert portal.session.limits == remote_contracts.LIMITS
    assert 0 < portal.session.limits.connect_seconds < portal.session.limits.total_seconds <= 60
