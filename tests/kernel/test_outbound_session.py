"""Requests that leave: to a real socket on 127.0.0.1 whose count of connections says what left.

Bad-input catalogue 189–217 (reliability.md §4 H): rebinding, mixed answers, redirects, drips, TLS.
"""

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from portal.kernel.outbound.answers import Limits
from portal.kernel.outbound.errors import BlockedError, FailedError
from portal.kernel.outbound.rules import (
    RESOLVE_SECONDS,
    Rules,
    check_target,
    for_named_by_the_operator,
    openings_of,
    resolve_by_system,
)
from portal.kernel.outbound.session import Session

PUBLIC = "93.184.216.34"
LOOPBACK = openings_of(("127.0.0.0/8",))
# Every scheme and port, so that only the address is in the way.
ADDRESSES_ONLY = Rules(schemes=frozenset({"http", "https"}), ports=None)
OPEN = ADDRESSES_ONLY.opened_to(LOOPBACK)
QUICK = Limits(connect_seconds=1.0, total_seconds=2.0, answer_bytes=1000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Listener:
    """A server on 127.0.0.1: it counts connections, keeps what it was sent, answers as it is told."""

    def __init__(self, answer: Callable[[socket.socket], None], tls: ssl.SSLContext | None) -> None:
        self.accepted, self.heads, self.answer, self.tls = 0, list[bytes](), answer, tls
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            # What is broken off here is what the other side is tested for.
            with suppress(OSError), link:
                link.settimeout(10)
                if self.tls:
                    link = self.tls.wrap_socket(link, server_side=True)
                with link:
                    self._talk(link)

    def _talk(self, link: socket.socket) -> None:
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                part = link.recv(65_536)
                if not part:
                    return
                head += part
            self.heads.append(head)
            self.answer(link)

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(10)


def says(*parts: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    def answer(link: socket.socket) -> None:
        for part in parts:
            link.sendall(part)
            if pause:
                time.sleep(pause)

    return answer


@contextmanager
def listening(
    answer: Callable[[socket.socket], None] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Listener]:
    listener = Listener(answer or says(OK), tls)
    try:
        yield listener
    finally:
        listener.close()


def to(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda host, port: addresses


def ask(url: str, *, rules: Rules = OPEN, addresses: Sequence[str] = ("127.0.0.1",)) -> Any:
    with Session(rules, limits=QUICK, resolve=to(*addresses)) as session:
        return session.send("POST", url, content=b"{}", headers={"Content-Type": "text/json"})


def failure(answer: Callable[[socket.socket], None]) -> str:
    """How a request to a server that answers so fails."""
    with listening(answer) as server, pytest.raises(FailedError) as caught:
        ask(f"http://hook.example:{server.port}/")
    return caught.value.code


def test_a_request_arrives_with_the_name_in_its_host_header_at_the_judged_address() -> None:
    with listening() as server:
        answer = ask(f"http://hook.example:{server.port}/in?a=1")
    assert (answer.status, answer.body) == (200, b"hi")
    (head,) = server.heads
    assert head.startswith(b"POST /in?a=1 HTTP/1.1\r\n")
    assert f"Host: hook.example:{server.port}".encode() in head
    assert b"Accept-Encoding: identity" in head


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.2", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "0", "0.0.0.0",
        "①②⑦.0.0.1", "localhost", "localhost.", "[::1]", "[::]", "[::127.0.0.1]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "user@127.0.0.1",
    ],
)  # fmt: skip
def test_no_spelling_of_this_machine_gets_a_single_connection(host: str) -> None:
    with listening() as server:
        with (
            Session(ADDRESSES_ONLY, limits=QUICK) as session,
            pytest.raises(BlockedError),
        ):
            session.send("GET", f"http://{host}:{server.port}/")
        time.sleep(0.02)
        assert server.accepted == 0


def test_a_name_that_leads_here_by_the_systems_resolver_gets_no_connection() -> None:
    name = socket.gethostname()
    if not resolve_by_system(name, 80):
        name = "localhost.localdomain"
    with listening() as server:
        with (
            Session(ADDRESSES_ONLY, limits=QUICK) as session,
            pytest.raises((BlockedError, FailedError)),
        ):
            session.send("GET", f"http://{name}:{server.port}/")
        assert server.accepted == 0


def test_a_name_that_led_outside_when_it_was_given_is_blocked_when_it_leads_here() -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    with listening() as server:
        url = f"http://hook.example:{server.port}/"
        check_target(url, rules=ADDRESSES_ONLY, resolve=rebinding)
        with (
            Session(ADDRESSES_ONLY, limits=QUICK, resolve=rebinding) as session,
            pytest.raises(BlockedError) as caught,
        ):
            session.send("GET", url)
        assert caught.value.rule == "loopback"
        assert server.accepted == 0
    assert len(asked) == 2, "once when it was given, once for the attempt"


def test_a_connection_goes_to_what_was_judged_and_the_name_is_not_asked_again() -> None:
    asked: list[str] = []

    def turning(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    with (
        listening() as server,
        Session(OPEN, limits=QUICK, resolve=turning) as session,
    ):
        url = f"http://hook.example:{server.port}/"
        assert session.send("GET", url).status == 200
        assert session.send("GET", url).status == 200
        assert (server.accepted, len(asked)) == (1, 1), "the connection is kept"


def test_one_inner_address_among_public_ones_blocks_the_attempt() -> None:
    with listening() as server:
        for addresses in ((PUBLIC, "127.0.0.1"), ("127.0.0.1", PUBLIC)):
            with pytest.raises(BlockedError) as caught:
                ask(
                    f"http://hook.example:{server.port}/",
                    rules=ADDRESSES_ONLY, addresses=addresses,
                )  # fmt: skip
            assert caught.value.rule == "loopback"
        assert server.accepted == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    with listening() as inner:
        place = f"Location: http://127.0.0.1:{inner.port}/latest/meta-data\r\n".encode()
        moved = f"HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\n".encode() + place + b"\r\n"
        with listening(says(moved)) as server:
            answer = ask(f"http://hook.example:{server.port}/")
        assert (answer.status, answer.is_redirect) == (status, True)
        assert inner.accepted == 0
        assert server.accepted == 1


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as proxy, listening() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert ask(f"http://hook.example:{server.port}/").status == 200
        assert proxy.accepted == 0


def test_no_cookie_is_kept_for_the_next_request() -> None:
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    with (
        listening(says(cookie)) as server,
        Session(OPEN, limits=QUICK, resolve=to("127.0.0.1")) as s,
    ):
        for _ in range(2):
            s.send("GET", f"http://hook.example:{server.port}/")
    assert len(server.heads) == 2
    assert not any(b"cookie" in head.lower() for head in server.heads)


def test_an_answer_beyond_the_bound_is_given_up_with_a_length_or_without() -> None:
    assert failure(says(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"a" * 1001)) == (
        "too_large"
    )
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"a" * 1000
    assert failure(says(endless, b"\r\n3e8\r\n" + b"a" * 1000)) == "too_large"


def test_a_compressed_answer_is_not_unpacked() -> None:
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
    assert failure(says(packed)) == "encoded"


@pytest.mark.parametrize(
    "answer",
    [
        says(pause=0.0),
        says(*[b"H", b"T", b"T", b"P", b"/", b"1", b".", b"1", b" ", b"2"], pause=0.4),
        says(b"HTTP/1.1 200 OK\r\n", *[b"X-A: b\r\n"] * 20, pause=0.4),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", *[b"a"] * 20, pause=0.4),
    ],
    ids=["silent", "drips its first line", "drips its headers", "drips its body"],
)
def test_a_target_that_is_silent_or_drips_ends_by_the_whole_time(
    answer: Callable[[socket.socket], None],
) -> None:
    began = time.monotonic()
    assert failure(answer) == "timeout"
    assert time.monotonic() - began < QUICK.total_seconds + 1.5


def _closes(link: socket.socket) -> None:
    link.close()


def test_other_failures_are_told_apart() -> None:
    assert failure(_closes) == "protocol"
    assert failure(says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) == "protocol"
    with listening() as server:
        port = server.port
    with pytest.raises(FailedError) as caught:
        ask(f"http://hook.example:{port}/")
    assert caught.value.code == "unreachable"
    with pytest.raises(FailedError) as caught:
        ask("http://hook.example/", addresses=())
    assert caught.value.code == "unresolvable"


def test_the_second_address_is_tried_when_the_first_takes_no_connection() -> None:
    with listening() as server:
        answer = ask(f"http://hook.example:{server.port}/", addresses=("127.0.0.9", "127.0.0.1"))
    assert answer.status == 200
    assert server.accepted == 1


def certificate(place: Path, *names: str) -> Path:
    """A certificate for some names, signed by itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hook")])
    now = datetime.datetime.now(datetime.UTC)
    kinds = [
        x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        for name in names
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(kinds), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    place.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )  # fmt: skip
    return place


def server_context(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_tls_is_verified_against_the_name_while_the_socket_goes_to_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path / "hook.pem", "hook.example")
    asked: list[str | None] = []
    context = server_context(pem)
    context.sni_callback = lambda _, name, __: asked.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with listening(says(OK), context) as server:
        assert ask(f"https://hook.example:{server.port}/").status == 200
        with pytest.raises(FailedError) as caught:
            ask(f"https://other.example:{server.port}/")
        assert caught.value.code == "tls", "a certificate for another name"
    assert asked == ["hook.example", "other.example"]


def test_a_certificate_that_nobody_vouches_for_or_that_names_the_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = certificate(tmp_path / "unknown.pem", "hook.example")
    with listening(says(OK), server_context(unknown)) as server:
        with pytest.raises(FailedError) as caught:
            ask(f"https://hook.example:{server.port}/")
        assert caught.value.code == "tls"
    by_address = certificate(tmp_path / "address.pem", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(by_address))
    with listening(says(OK), server_context(by_address)) as server:
        with pytest.raises(FailedError) as caught:
            ask(f"https://hook.example:{server.port}/")
        assert caught.value.code == "tls", "the name counts, not where the socket leads"
        assert server.heads == []


def test_plain_text_where_tls_is_expected_fails_as_tls() -> None:
    with listening(says(OK)) as server, pytest.raises(FailedError) as caught:
        ask(f"https://hook.example:{server.port}/")
    assert caught.value.code in {"tls", "timeout"}


def test_what_an_operator_names_may_be_inner_but_never_a_clouds_own_services() -> None:
    rules = for_named_by_the_operator()
    with listening() as server:
        assert ask(f"http://127.0.0.1:{server.port}/", rules=rules).status == 200
        assert ask(f"http://localhost:{server.port}/", rules=rules).status == 200
    for address in ("169.254.169.254", "168.63.129.16", "[fe80::1]", "224.0.0.1", "0.0.0.0"):
        with pytest.raises(BlockedError):
            ask(f"http://{address}/", rules=rules)


def test_a_resolver_that_does_not_answer_ends_by_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = threading.Event()

    def hangs(*args: Any, **kwargs: Any) -> Any:
        done.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    began = time.monotonic()
    with pytest.raises(FailedError) as caught:
        resolve_by_system("hook.example", 443)
    assert caught.value.code == "timeout"
    assert time.monotonic() - began < RESOLVE_SECONDS + 1.5
    done.set()
