"""The audit log on its way out: by syslog and by HTTP, each row in order, again after a crash."""

import socket
import ssl
import struct
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from hmac import digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client

from governance import audit
from governance.chain.rows import digest as digest_of_row
from governance.models import AuditEntry, AuditOutlet
from governance.outlets import Outlet, configured
from governance.selectors.audit_log import entries_of_export, newest_number
from governance.services import audit_out
from governance.services.audit_out import send_audit_out
from governance.syslog_lines import message_of
from governance.types import ResourceRef, Role
from portal import env
from portal.doctor import running
from portal.doctor.types import State
from portal.kernel import clock, failpoints
from portal.kernel.actor import SYSTEM
from portal.kernel.failpoints import FailpointError
from portal.kernel.outbound.answers import Limits
from portal.kernel.outbound.errors import BlockedError, FailedError
from portal.kernel.outbound.syslog import read_syslog, send_messages
from tests.kernel.test_outbound_session import certificate, server_context
from tests.support.factories import make_person

pytestmark = pytest.mark.django_db
SECRET = "whsec_" + b64encode(bytes(range(32))).decode()


def write_rows(count: int, **fields: Any) -> None:
    for number in range(count):
        audit.record(
            SYSTEM,
            "stream.changed",
            ResourceRef("stream", 'shop."order"]\\'),
            summary=fields.get("summary", f"change {number}: Größe\nand more"),
            after=fields.get("after", {"number": number}),
        )


def begin() -> int:
    """Have every receiver of the settings stand at the newest row; gives its number."""
    start = newest_number()
    for outlet in configured():
        AuditOutlet.objects.create(key=outlet.key, label=outlet.label, upto_seq=start)
    return start


def stands_at(outlet: Outlet | None = None) -> int:
    key = (outlet or configured()[0]).key
    return AuditOutlet.objects.get(pk=key).upto_seq


def due_again() -> None:
    """As after the wait, and after the lease of a process that died."""
    long_ago = clock.now() - timedelta(days=1)
    AuditOutlet.objects.update(due_at=long_ago, lease_until=None)


# --- receivers ---


class SyslogServer:
    """Takes messages with their length before them, over TCP or TLS. `breaks` has it reset the next
    connection with what came unread; `says_nothing` has it leave connections open."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.batches: list[list[bytes]] = []
        self.breaks, self.says_nothing, self.tls = False, False, tls
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        self.held: list[socket.socket] = []
        self.came = threading.Condition()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self.socket.accept()
            except OSError:
                return
            with suppress(OSError):
                self._take(link)

    def _take(self, link: socket.socket) -> None:
        link.settimeout(10)
        if self.tls:
            link = self.tls.wrap_socket(link, server_side=True)
        if self.breaks:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.recv(10)
            link.close()
            return
        data = b""
        while part := link.recv(65_536):
            data += part
        with self.came:
            self.batches.append(parted(data))
            self.came.notify_all()
        if self.says_nothing:
            self.held.append(link)
            return
        if isinstance(link, ssl.SSLSocket):
            link.unwrap()
        link.close()

    def rows(self) -> list[bytes]:
        return [message for batch in self.batches for message in batch]


def parted(data: bytes) -> list[bytes]:
    found = []
    while data:
        length, _, rest = data.partition(b" ")
        found.append(rest[: int(length)])
        data = rest[int(length) :]
    return found


@contextmanager
def syslog_server(tls: ssl.SSLContext | None = None) -> Iterator[SyslogServer]:
    server = SyslogServer(tls)
    try:
        yield server
    finally:
        server.socket.close()
        for link in server.held:
            link.close()


class HttpServer:
    """Takes POSTs and keeps them; answers `status`."""

    def __init__(self) -> None:
        self.status = 204
        self.posts: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.posts.append((headers, body))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def rows(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for _, body in self.posts for line in body.splitlines()]


@pytest.fixture
def receiver(settings: Any) -> Iterator[HttpServer]:
    found = HttpServer()
    settings.AUDIT_SYSLOG, settings.AUDIT_HTTP_SECRET = "", SECRET
    settings.AUDIT_HTTP = f"http://127.0.0.1:{found.port}/log/key-of-ours"
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture(autouse=True)
def _no_failpoints() -> Iterator[None]:
    yield
    failpoints.disarm()


# --- HTTP ---


def test_rows_arrive_as_signed_lines_in_their_order_and_once(
    receiver: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_out, "MOST_ROWS", 4)
    start = begin()
    write_rows(10)
    assert send_audit_out() == 10
    assert [row["seq"] for row in receiver.rows()] == list(range(start + 1, start + 11))
    assert [len(body.splitlines()) for _, body in receiver.posts] == [4, 4, 2]
    for headers, body in receiver.posts:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = b64encode(digest(b64decode(SECRET[6:]), signed, "sha256")).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert headers["content-type"] == "application/x-ndjson"
    rows = list(entries_of_export(line for _, body in receiver.posts for line in body.splitlines()))
    for row in rows:
        assert digest_of_row(bytes(row.prev_hash), row) == bytes(row.hash), "it can be checked"
    assert send_audit_out() == 0
    assert len(receiver.posts) == 3
    assert stands_at() == start + 10


def test_a_process_that_dies_after_sending_sends_again_and_leaves_no_gap(
    receiver: HttpServer,
) -> None:
    start = begin()
    write_rows(3)
    failpoints.arm("audit.after_send=raise", allowed=True)
    with pytest.raises(FailpointError):
        send_audit_out()
    failpoints.disarm()
    assert stands_at() == start
    assert send_audit_out() == 0, "its lease still holds"
    due_again()
    write_rows(2)
    assert send_audit_out() == 5
    first, second = receiver.posts
    assert second[1].startswith(first[1]), "the same rows to the byte, and those behind them"
    seqs = [row["seq"] for row in receiver.rows()]
    assert seqs == [start + n for n in (1, 2, 3, 1, 2, 3, 4, 5)]
    assert stands_at() == start + 5


def test_the_same_rows_have_the_same_id_and_others_another(receiver: HttpServer) -> None:
    begin()
    write_rows(2)
    receiver.status = 500
    send_audit_out()
    due_again()
    receiver.status = 200
    send_audit_out()
    write_rows(1)
    send_audit_out()
    ids = [headers["webhook-id"] for headers, _ in receiver.posts]
    assert ids[0] == ids[1] != ids[2]


def test_what_is_not_taken_waits_longer_each_time_and_is_said(
    receiver: HttpServer, client: Client
) -> None:
    start = begin()
    write_rows(2)
    receiver.status = 503
    assert send_audit_out() == 0
    row = AuditOutlet.objects.get()
    assert (row.upto_seq, row.error, row.failures) == (start, "It answered 503.", 1)
    waits = []
    for _ in range(8):
        due_again()
        send_audit_out()
        row.refresh_from_db()
        assert row.failed_at is not None
        waits.append((row.due_at - row.failed_at).total_seconds())
    assert waits == [60, 120, 240, 480, 900, 900, 900, 900]
    asked = len(receiver.posts)
    assert send_audit_out() == 0
    assert len(receiver.posts) == asked, "it is not due"
    client.force_login(make_person(Role.ADMIN))
    page = client.get("/audit/").content.decode()
    assert "The last try failed" in page
    assert "It answered 503." in page
    assert f"http://127.0.0.1:{receiver.port}" in page
    assert "key-of-ours" not in page, "a path may hold a secret"
    receiver.status = 200
    due_again()
    assert send_audit_out() >= 2
    row.refresh_from_db()
    assert (row.error, row.failures) == ("", 0)
    page = client.get("/audit/").content.decode()
    assert f"#{row.upto_seq}</a> to" in page
    assert "The last try failed" not in page


def test_a_redirect_is_not_followed_and_takes_nothing(receiver: HttpServer) -> None:
    start = begin()
    write_rows(1)
    receiver.status = 302
    assert send_audit_out() == 0
    assert stands_at() == start
    assert AuditOutlet.objects.get().error == "It answered 302."


def test_a_row_that_is_missing_from_the_log_stops_the_sending_before_it(
    receiver: HttpServer,
) -> None:
    start = begin()
    write_rows(4)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE governance_audit DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM governance_audit WHERE seq = %s", [start + 3])
        cursor.execute("ALTER TABLE governance_audit ENABLE TRIGGER USER")
    assert send_audit_out() == 2
    assert stands_at() == start + 2
    assert f"Row {start + 3} is missing" in AuditOutlet.objects.get().error
    assert max(row["seq"] for row in receiver.rows()) == start + 2


def test_one_process_at_a_time_sends_and_who_lost_the_lease_moves_nothing(
    receiver: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = begin()
    write_rows(2)
    key = configured()[0].key
    held = AuditOutlet.objects.filter(pk=key)
    held.update(lease_until=clock.now() + timedelta(minutes=1))
    assert send_audit_out() == 0
    assert receiver.posts == []
    due_again()
    real = failpoints.failpoint

    def overtaken(name: str) -> None:
        """Another process took the outlet while the rows were under way."""
        AuditOutlet.objects.filter(pk=key).update(fence=99)
        real(name)

    monkeypatch.setattr(audit_out, "failpoint", overtaken)
    assert send_audit_out() == 0
    assert stands_at() == start


def test_a_batch_is_bounded_by_its_bytes(
    receiver: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_out, "MOST_BYTES", 5000)
    begin()
    write_rows(6, after={"note": "x" * 2000})
    assert send_audit_out() == 6
    assert len(receiver.posts) == 6


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_before_it_is_committed(receiver: HttpServer) -> None:
    params = connection.get_connection_params()
    params = {k: v for k, v in params.items() if k not in ("cursor_factory", "context", "pool")}
    start = begin()
    with psycopg.connect(**params) as other:
        other.execute(
            "SELECT governance_audit_append('system', 0, 'portal', 'a.b', 'stream', 'x', 's', '{}', '')"
        )
        assert send_audit_out() == 0
        assert receiver.posts == []
        other.commit()
    assert send_audit_out() == 1
    assert [row["seq"] for row in receiver.rows()] == [start + 1]


def test_without_receivers_nothing_is_done(settings: Any, client: Client) -> None:
    settings.AUDIT_SYSLOG = settings.AUDIT_HTTP = ""
    write_rows(1)
    assert send_audit_out() == 0
    assert not AuditOutlet.objects.exists()
    client.force_login(make_person(Role.ADMIN))
    assert "treamed" not in client.get("/audit/").content.decode()


# --- syslog ---


def as_row(message: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(message.partition(b"] \xef\xbb\xbf")[2])
    return found


def test_a_row_is_a_message_of_rfc_5424_whatever_its_texts_hold() -> None:
    write_rows(1)
    row = AuditEntry.objects.first()
    assert row is not None
    head, _, body = message_of(row).partition(b" \xef\xbb\xbf")
    assert head.startswith(b"<109>1 ")
    priority, at, host, app, process, kind = head.split(b" ")[:6]
    assert (priority, host, app, process, kind) == (
        b"<109>1", b"127.0.0.1", b"event-portal", b"-", b"stream.changed",
    )  # fmt: skip
    assert at.endswith(b"Z")
    assert b'object="shop.\\"order\\"\\]\\\\"' in head
    assert f'seq="{row.seq}" hash="{bytes(row.hash).hex()}"'.encode() in head
    assert b"\n" not in head + body
    assert orjson.loads(body)["summary"] == row.summary


def test_a_row_too_long_for_a_datagram_keeps_its_number_and_hash() -> None:
    write_rows(1, after={"note": "ü" * 50_000}, summary="s" * 40_000)
    row = AuditEntry.objects.first()
    assert row is not None
    whole, cut = message_of(row), message_of(row, longest=60_000)
    assert len(whole) > 60_000 > len(cut)
    assert b'cut="detail"' in cut
    assert f'hash="{bytes(row.hash).hex()}"'.encode() in cut
    assert as_row(whole)["detail"] == row.detail
    assert as_row(cut)["detail"] == {}


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_rows_arrive_over_a_connection_and_count_once_the_receiver_ended_it(
    scheme: str, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIT_HTTP = ""
    tls = None
    if scheme == "tls":
        pem = certificate(tmp_path / "log.pem", "localhost")
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        tls = server_context(pem)
    with syslog_server(tls) as server:
        settings.AUDIT_SYSLOG = f"{scheme}://localhost:{server.port}"
        start = begin()
        write_rows(5)
        assert send_audit_out() == 5, AuditOutlet.objects.get().error
        assert [as_row(one)["seq"] for one in server.rows()] == list(range(start + 1, start + 6))
        server.breaks = True
        write_rows(400)
        assert send_audit_out() == 0
        assert stands_at() == start + 5
        assert AuditOutlet.objects.get().error
        server.breaks = False
        due_again()
        assert send_audit_out() == 400
        seqs = [as_row(one)["seq"] for one in server.rows()]
        assert seqs == list(range(start + 1, start + 406)), "no gap, whatever broke"


def test_a_receiver_that_does_not_end_the_connection_took_nothing(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIT_HTTP = ""
    monkeypatch.setattr("governance.outlets.LIMITS", Limits(1.0, 0.5))
    with syslog_server() as server:
        server.says_nothing = True
        settings.AUDIT_SYSLOG = f"tcp://127.0.0.1:{server.port}"
        start = begin()
        write_rows(1)
        assert send_audit_out() == 0
        assert stands_at() == start
        assert AuditOutlet.objects.get().error == "It did not answer in time."


def test_a_certificate_that_names_another_host_gets_no_row(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIT_HTTP = ""
    pem = certificate(tmp_path / "log.pem", "other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with syslog_server(server_context(pem)) as server:
        settings.AUDIT_SYSLOG = f"tls://localhost:{server.port}"
        begin()
        write_rows(1)
        assert send_audit_out() == 0
        assert AuditOutlet.objects.get().error == "Its certificate or its TLS is not valid."
        assert server.rows() == []


def test_datagrams_hold_a_row_each_and_a_port_that_nobody_has_is_noticed(settings: Any) -> None:
    settings.AUDIT_HTTP = ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        settings.AUDIT_SYSLOG = f"udp://127.0.0.1:{listener.getsockname()[1]}"
        start = begin()
        write_rows(3)
        assert send_audit_out() == 3
        seqs = [as_row(listener.recv(65_535))["seq"] for _ in range(3)]
        assert seqs == [start + 1, start + 2, start + 3]
    write_rows(1)
    assert send_audit_out() == 0
    assert AuditOutlet.objects.get().error == "No connection could be made."


def test_two_receivers_stand_where_each_of_them_is(receiver: HttpServer, settings: Any) -> None:
    with syslog_server() as server:
        settings.AUDIT_SYSLOG = f"tcp://127.0.0.1:{server.port}"
        start = begin()
        write_rows(2)
        receiver.status = 500
        assert send_audit_out() == 2
        lines, http = configured()
        assert (stands_at(lines), stands_at(http)) == (start + 2, start)


def test_another_address_begins_at_the_first_row(receiver: HttpServer, settings: Any) -> None:
    begin()
    write_rows(1)
    send_audit_out()
    settings.AUDIT_HTTP += "/elsewhere"
    send_audit_out(budget_seconds=0.000001)
    assert AuditOutlet.objects.count() == 2
    assert AuditOutlet.objects.get(key=configured()[0].key).upto_seq == 0


# --- settings and doctor ---


def test_addresses_that_could_never_take_rows_stop_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for text in (
        "tls://logs.example.com", "http://logs.example.com:514", "tcp://a:1/x", "tcp://u:p@a:1",
        "udp://", "logs.example.com:514",
    ):  # fmt: skip
        monkeypatch.setenv("PORTAL_AUDIT_SYSLOG", text)
        with pytest.raises(ImproperlyConfigured):
            env.syslog("PORTAL_AUDIT_SYSLOG")
    monkeypatch.setenv("PORTAL_AUDIT_SYSLOG", "tls://[::1]:6514")
    assert env.syslog("PORTAL_AUDIT_SYSLOG") == "tls://[::1]:6514"
    for url in ("http://a.example/", "https://u:p@a.example/", "nowhere", "https://127.1/"):
        monkeypatch.setenv("PORTAL_AUDIT_HTTP", url)
        with pytest.raises(ImproperlyConfigured):
            env.endpoint("PORTAL_AUDIT_HTTP")
    for url in ("https://a.example/log", "http://127.0.0.1:8080/", ""):
        monkeypatch.setenv("PORTAL_AUDIT_HTTP", url)
        assert env.endpoint("PORTAL_AUDIT_HTTP") == url


def test_a_secret_is_needed_with_the_address_and_no_error_repeats_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "PORTAL_AUDIT_HTTP_SECRET"
    assert env.signing_secret(name, needed=False) == ""
    for secret in ("", "whsec_c2hvcnQ=", SECRET[6:], SECRET + "!"):
        monkeypatch.setenv(name, secret)
        with pytest.raises(ImproperlyConfigured) as caught:
            env.signing_secret(name, needed=True)
        assert not secret or secret not in str(caught.value)
    monkeypatch.setenv(name, SECRET)
    assert env.signing_secret(name, needed=True) == SECRET


def test_syslog_leaves_for_inner_hosts_but_never_for_a_clouds_own_services() -> None:
    for address in ("169.254.169.254", "224.0.0.1", "0.0.0.0"):
        with pytest.raises(BlockedError):
            send_messages(read_syslog(f"udp://{address}:514"), [b"x"])
    with pytest.raises(FailedError):
        send_messages(read_syslog("tcp://127.0.0.1:1"), [b"x"])


def test_doctor_says_whether_the_log_arrives(receiver: HttpServer, settings: Any) -> None:
    begin()
    write_rows(1)
    assert running.audit_out().state is State.OK
    receiver.status = 500
    send_audit_out()
    assert running.audit_out().state is State.OK, "it may be tried again first"
    later = clock.now() + timedelta(minutes=6)
    with clock.at(later):
        found = running.audit_out()
    assert found.state is State.FAIL
    assert "It answered 500." in found.found
    assert "key-of-ours" not in found.found
    AuditOutlet.objects.update(error="")
    with clock.at(later):
        assert running.audit_out().state is State.WARN
    receiver.status = 200
    due_again()
    send_audit_out()
    with clock.at(later):
        assert running.audit_out().state is State.OK
    settings.AUDIT_SYSLOG = "tcp://logs.example.com:514"
    assert running.audit_out().state is State.WARN
    settings.AUDIT_SYSLOG = settings.AUDIT_HTTP = ""
    assert running.audit_out().state is State.OK


def test_a_receiver_is_known_by_its_whole_address(receiver: HttpServer, settings: Any) -> None:
    assert configured()[0].key == sha256(settings.AUDIT_HTTP.encode()).hexdigest()
    assert configured()[0].label == f"http://127.0.0.1:{receiver.port}"


CALLS: dict[str, Callable[[Client], Any]] = {
    "page": lambda client: client.get("/audit/"),
    "api": lambda client: client.get("/api/v1/audit"),
}


@pytest.mark.parametrize("call", CALLS)
def test_who_is_no_admin_learns_nothing_of_receivers(
    call: str, receiver: HttpServer, client: Client
) -> None:
    begin()
    client.force_login(make_person(Role.ENGINEER))
    answer = CALLS[call](client)
    assert answer.status_code in {403, 404}
    assert str(receiver.port) not in answer.content.decode()
