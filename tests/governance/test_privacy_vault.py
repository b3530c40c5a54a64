"""Data keys, tokens and sealed values: made once, bound to their place, renewed without a gap."""

import io
import json
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from governance.models import AuditEntry, Job, PrivacyKey, PrivacyToken
from governance.privacy import keyring, keys, vault
from governance.privacy.ciphers import Place, key_id_of
from governance.services import privacy_keys
from governance.services.jobs import run_due_jobs
from governance.types import Role
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import (
    ConflictError,
    InvalidError,
    NotPermittedError,
    UnavailableError,
)
from tests.support.factories import make_actor, make_person, token_of

HERE = Place(7, "/data/mail", "e1")


@pytest.fixture(autouse=True)
def _fresh_caches() -> Iterator[None]:
    vault.forget()
    yield
    vault.forget()


def use_ring(settings: Any, text: str) -> None:
    settings.PRIVACY_KEYS = text
    vault.forget()


@pytest.mark.django_db(transaction=True)
def test_what_was_sealed_for_a_subject_opens_nowhere_once_its_keys_are_destroyed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a process that is just about to make the key, and of another subject not at all."""
    mine, other = vault.subject_ref("cus_71"), vault.subject_ref("cus_72")
    text = orjson.dumps("cus_71")
    meant = {vault.value_ref(vault.SUBJECTS, text): (vault.SUBJECTS, text)}
    made = vault.data_keys([mine, other])
    (token,) = vault.tokens_for(meant).values()
    sealed = {ref: key.seal(b"x", HERE) for ref, key in made.items()}
    monkeypatch.setattr("sys.stdin", io.StringIO("cus_71\n"))
    call_command("privacy_keys", "destroy", "--reason", "asked by the person", "--json")
    assert json.loads(capsys.readouterr().out) == {"keys": 1, "tokens": 1}
    vault.forget()
    assert set(vault.data_keys([mine, other])) == {other}
    assert vault.meanings([token]) == {}
    assert set(vault.tokens_for(meant).values()) != {token}
    assert vault.keys_by_id([key_id_of(sealed[mine]) or 0]) == {}
    (key,) = vault.keys_by_id([key_id_of(sealed[other]) or 0]).values()
    assert key.open(sealed[other], HERE) == b"x"
    row = AuditEntry.objects.get(action="privacy_subject.destroyed")
    assert "cus_71" not in json.dumps(row.detail) + row.summary + row.object_key
    for subject, reason, actor in (("cus_71", " ", SYSTEM), ("", "why", SYSTEM)):
        with pytest.raises(InvalidError):
            privacy_keys.destroy_subject(subject, reason=reason, actor=actor)
    with pytest.raises(NotPermittedError):
        privacy_keys.destroy_subject("cus_72", reason="x", actor=make_actor(Role.ON_CALL))
    assert set(vault.data_keys([other])) == {other}


# --- Keyrings ----------------------------------------------------------------------------------


def test_a_keyring_is_read_as_it_was_made_and_grows_and_shrinks() -> None:
    text = keyring.new_text()
    one = keyring.parse(text)
    assert (one.current, set(one.versions)) == (1, {1})
    grown = keyring.with_new_version(text)
    two = keyring.parse(grown)
    assert (two.current, two.versions[1], two.blind) == (2, one.versions[1], one.blind)
    assert keyring.parse(grown + "current:1").current == 1
    assert keyring.parse(",".join(grown.split())) == two
    shrunk = keyring.parse(keyring.without_version(grown, 1))
    assert set(shrunk.versions) == {2}
    assert "versions" not in repr(two)


@pytest.mark.parametrize(
    "text",
    [
        "", "blind:AAAA,1:AAAA", "1:" + "Q" * 43, "blind:" + "A" * 43,
        "blind:" + "A" * 43 + ",1:" + "A" * 43, "blind:" + "A" * 43 + ",0:" + "Q" * 43,
        "blind:" + "A" * 43 + ",1:" + "Q" * 43 + ",current:2",
        "blind:" + "A" * 43 + ",1:" + "Q" * 43 + ",1:" + "g" * 43, "secret" * 20,
    ],
)  # fmt: skip
def test_an_odd_keyring_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(keyring.KeyringError) as caught:
        keyring.parse(text)
    assert "A" * 8 not in str(caught.value)
    assert "secretsecret" not in str(caught.value)


def test_hashes_depend_on_the_key_the_purpose_and_every_part(settings: Any) -> None:
    hashes = [
        keys.content_hash(b"a", b"b"), keys.content_hash(b"ab"), keys.content_hash(b"a", b"c"),
        keys.body_hash(b"a\0b"), keys.blind("subject", b"a\0b"),
    ]  # fmt: skip
    settings.PRIVACY_KEYS = keyring.new_text()
    hashes.append(keys.content_hash(b"a", b"b"))
    assert len(set(hashes)) == len(hashes)
    assert keys.content_hash(b"a", b"b") == hashes[-1]


# --- Sealed values -----------------------------------------------------------------------------


@given(st.binary(max_size=300), st.text(max_size=20), st.text(max_size=20), st.integers(0, 2**40))
def test_what_was_sealed_for_a_place_is_opened_there_and_nowhere_else(
    clear: bytes, pointer: str, event_id: str, stream: int
) -> None:
    key, other = vault.new_data_key(), vault.new_data_key()
    place = Place(stream, pointer, event_id)
    text = key.seal(clear, place)
    assert key.open(text, place) == clear
    assert key_id_of(text) == key.id
    for moved in (
        Place(stream + 1, pointer, event_id), Place(stream, pointer + "x", event_id),
        Place(stream, pointer, event_id + "x"),
    ):  # fmt: skip
        assert key.open(text, moved) is None
    assert other.open(text, place) is None


def test_every_bit_of_a_sealed_value_counts() -> None:
    key = vault.new_data_key()
    text = key.seal(b"ada", HERE)
    for at in range(len(text)):
        for char in "Ab_":
            changed = text[:at] + char + text[at + 1 :]
            if changed != text:
                opened = key.open(changed, HERE)
                # The last character of base64 has bits that mean nothing.
                assert opened is None or (at == len(text) - 1 and opened == b"ada")


def test_no_nonce_is_used_twice() -> None:
    key = vault.new_data_key()
    sealed = {key.seal(b"same", HERE) for _ in range(20_000)}
    nonces = {text[4 + 12 : 4 + 12 + 16] for text in sealed}
    assert len(sealed) == len(nonces) == 20_000


# --- The vault ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_subject_gets_one_key_and_a_value_one_token_however_many_ask_at_once() -> None:
    ref = vault.subject_ref("ada")
    meant = {
        vault.value_ref("general", text): ("general", text)
        for text in (b'"ada@example.org"', b'"ben@example.org"')
    }
    found: list[tuple[int, tuple[str, ...]]] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        key = vault.data_keys([ref])[ref]
        tokens = vault.tokens_for(meant)
        found.append((key.id, tuple(tokens[one] for one in meant)))

    def of_its_own() -> None:
        """As another process: nothing cached, and a connection of its own."""
        start.wait()
        missing = secrets.token_bytes(32)
        with psycopg.connect(**_params(), autocommit=True) as connection:
            version, wrapped = keys.wrap(ref, missing)
            connection.execute(
                vault._ADD_KEYS, {"refs": [ref], "wrapped": [wrapped], "versions": [version]}
            )

    threads = [threading.Thread(target=ask) for _ in range(6)]
    threads += [threading.Thread(target=of_its_own) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert PrivacyKey.objects.filter(ref=ref).count() == 1
    assert PrivacyToken.objects.count() == 2
    vault.forget()
    assert vault.tokens_for(meant) == dict(zip(meant, found[0][1], strict=True))


def _params() -> dict[str, Any]:
    params = connections["default"].get_connection_params()
    return {k: v for k, v in params.items() if k not in ("cursor_factory", "context", "pool")}


@pytest.mark.django_db(transaction=True)
def test_a_token_means_its_value_until_its_row_is_gone() -> None:
    ref, text = vault.value_ref("general", b'"ada"'), b'"ada"'
    other = vault.value_ref("crm", b'"ada"')
    tokens = vault.tokens_for({ref: ("general", text), other: ("crm", text)})
    assert tokens[ref] != tokens[other], "purposes do not join"
    assert vault.meanings(list(tokens.values())) == dict.fromkeys(tokens.values(), "ada")
    row = PrivacyToken.objects.get(token=tokens[ref])
    assert b"ada" not in bytes(row.ref)
    assert "ada" not in row.sealed
    row.delete()
    vault.forget()
    assert tokens[ref] not in vault.meanings([tokens[ref]])
    assert vault.tokens_for({ref: ("general", text)})[ref] != tokens[ref]


@pytest.mark.django_db(transaction=True)
def test_all_can_be_read_at_each_step_of_a_rotation_and_none_needs_the_old_version_after(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy_keys, "BATCH", 3)
    one = keyring.new_text()
    use_ring(settings, one)
    sealed = {}
    for number in range(8):
        ref = vault.subject_ref(f"person {number}")
        sealed[ref] = vault.data_keys([ref])[ref].seal(b"%d" % number, HERE)
    both = keyring.with_new_version(one)
    use_ring(settings, both)
    job = privacy_keys.rotate_keys(actor=SYSTEM)
    with pytest.raises(ConflictError):
        privacy_keys.require_unused(1)
    for wrapped in (3, 3, 2):
        _all_open(sealed)

        with transaction.atomic():
            step = privacy_keys.rewrap_step(job)
        assert step.done - job.done == wrapped
        job.done = step.done
        assert step.is_finished is (wrapped == 2)
    _all_open(sealed)
    assert privacy_keys.counts() == {1: 0, 2: 8}
    privacy_keys.require_unused(1)
    with pytest.raises(ConflictError):
        privacy_keys.require_unused(2)
    use_ring(settings, keyring.without_version(both, 1))
    _all_open(sealed)
    run_due_jobs()
    assert Job.objects.get(pk=job.pk).state == "done"


def _all_open(sealed: dict[bytes, str]) -> None:
    vault.forget()
    found = vault.keys_by_id({key_id_of(text) or 0 for text in sealed.values()})
    opened = {found[key_id_of(text) or 0].open(text, HERE) for text in sealed.values()}
    assert opened == {b"%d" % number for number in range(len(sealed))}


@pytest.mark.django_db(transaction=True)
def test_a_version_that_was_taken_away_too_early_costs_its_keys_alone(settings: Any) -> None:
    one = keyring.new_text()
    use_ring(settings, one)
    old = vault.subject_ref("old")
    vault.data_keys([old])
    two = keyring.with_new_version(one)
    use_ring(settings, keyring.without_version(two, 1))
    new = vault.subject_ref("new")
    assert vault.data_keys([new])
    with pytest.raises(UnavailableError):
        vault.data_keys([old])
    assert privacy_keys.missing_versions() == [1]
    use_ring(settings, two)
    assert vault.data_keys([old])


@pytest.mark.django_db(transaction=True)
def test_a_version_added_to_the_file_is_found_by_processes_that_run_already(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    file = tmp_path / "keys"
    file.write_text(keyring.new_text())
    monkeypatch.setenv("PORTAL_PRIVACY_KEYS_FILE", str(file))
    use_ring(settings, file.read_text().strip())
    ref = vault.subject_ref("ada")
    vault.data_keys([ref])
    grown = keyring.with_new_version(file.read_text())
    newer = keyring.parse(grown)
    file.write_text(grown)
    # Another process, which started with the new file, wraps under version 2.
    call_command("privacy_keys", "rotate", "--json")
    said = json.loads(capsys.readouterr().out)
    assert (said["current"], said["versions"], said["missing"]) == (2, {"1": 0, "2": 1}, [])
    vault.forget()
    assert vault.data_keys([ref])
    assert keys.ring().current == newer.current
    call_command("privacy_keys", "drop", "1")
    assert set(keyring.parse(file.read_text()).versions) == {2}
    with pytest.raises(CommandError):
        call_command("privacy_keys", "drop", "2")
    assert (file.stat().st_mode & 0o777) == 0o600
    call_command("privacy_keys", "add")
    assert set(keyring.parse(file.read_text()).versions) == {2, 3}


@pytest.mark.django_db
def test_admins_see_versions_and_start_a_rotation_and_nobody_else_does(client: Client) -> None:
    admin = token_of(make_person(Role.ADMIN), "read", "write", "admin")
    engineer = token_of(make_person(Role.ENGINEER), "read", "write", "admin")
    for path, method in (
        ("/api/v1/privacy-keys", client.get),
        ("/api/v1/privacy-keys/rotate", client.post),
    ):
        headers = {"authorization": f"Bearer {engineer}"}
        assert method(path, headers=headers, content_type="application/json").status_code == 403
    headers = {"authorization": f"Bearer {admin}"}
    listed = client.get("/api/v1/privacy-keys", headers=headers).json()
    assert [row["current"] for row in listed["items"]] == [True]
    started = client.post("/api/v1/privacy-keys/rotate", "{}", "application/json", headers=headers)
    assert (started.status_code, started.json()["kind"]) == (202, "privacy_keys")
    assert AuditEntry.objects.filter(action="privacy_keys.rotated").count() == 1
