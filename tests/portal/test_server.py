"""Tests of the HTTP protocol: real sockets against a small application."""

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from portal.http import server
from tests.support.live import wait_until
from tests.support.serving import served

BODY = b'{"order": "a"}'


async def application(scope: Any, receive: Any, send: Any) -> None:
    """`/early` answers before the body, any other path with the body it read."""
    body = b""
    if scope["path"] != "/early":
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
    status = 413 if scope["path"] == "/early" else 200
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(application, timeout_keep_alive=2) as found:
        yield found


def talk(port: int, *pieces: bytes, seconds: float = 20) -> bytes:
    """Send the pieces, then give all that comes until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        with contextlib.suppress(ConnectionError):  # an answer may come before all is sent
            for piece in pieces:
                client.sendall(piece)
                time.sleep(0.01)
        said = b""
        with contextlib.suppress(ConnectionError):
            while part := client.recv(65_536):
                said += part
        return said


def request(*fields: str, body: bytes = BODY, line: str = "POST / HTTP/1.1") -> bytes:
    head = [line, "Host: 127.0.0.1", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def assert_problem(said: bytes, status: int, code: str) -> None:
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), said[:200]
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["instance"].encode() in head


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /é HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        request("Transfer-Encoding: chunked"),
        request("Content-Length: 3"),
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000000000000\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        request("Bad Name: x"),
        request("X-A: a\0b"),
    ],
)
def test_what_is_no_http_is_refused_with_a_problem_document(port: int, sent: bytes) -> None:
    assert_problem(talk(port, sent), 400, "malformed_http")


@pytest.mark.parametrize("offer", ["h2c", "websocket", "TLS/1.0"])
@pytest.mark.parametrize("in_parts", [False, True])
def test_an_offer_to_upgrade_is_declined_and_its_body_kept(
    port: int, offer: str, in_parts: bool
) -> None:
    sent = request(
        "Connection: Upgrade, close, HTTP2-Settings",
        f"Upgrade: {offer}",
        "HTTP2-Settings: AAMAAABk",
    )
    pieces = [sent[place : place + 7] for place in range(0, len(sent), 7)] if in_parts else [sent]
    said = talk(port, *pieces)
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(BODY)


def test_requests_go_on_after_an_offer_to_upgrade(port: int) -> None:
    offers = request("Connection: upgrade", "Upgrade: h2c", body=b"one")
    chunked = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
    )
    said = talk(port, offers + request(body=b"and") + chunked)
    assert [part[-3:] for part in said.split(b"HTTP/1.1 200 ")[1:]] == [b"one", b"and", b"two"]


def flood(port: int, begin: bytes, *, most: int) -> int:
    """Send without end; gives the bytes after which the other side closed."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(begin)
        with contextlib.suppress(ConnectionError):
            while sent < most:
                client.sendall(b"x" * 100_000)
                sent += 100_000
    return sent


@pytest.mark.parametrize("begin", [b"POST / HTTP/1.1\r\nHost: a\r\nX-Long: ", b"POST /?"])
def test_an_endless_head_is_refused(port: int, begin: bytes) -> None:
    """It filled the memory of the process, for anybody without a key."""
    assert flood(port, begin, most=200_000_000) < 20_000_000
    assert_problem(talk(port, begin, b"x" * 40_000, b"x" * 40_000), 431, "head_too_large")


def test_a_large_head_after_a_large_body_is_not_held_against_it(port: int) -> None:
    first = request(body=b"x" * 300_000)
    second = request("X-Long: " + "y" * 50_000, "Connection: close")
    said = talk(port, first + second[:20_000], second[20_000:])
    assert said.count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_client_that_sends_its_body_to_the_end_finds_the_early_answer(
    port: int, connection: str
) -> None:
    body = b"x" * 20_000_000
    sent = request(f"Connection: {connection}", body=body, line="POST /early HTTP/1.1")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(sent)
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
        if connection == "keep-alive":
            client.sendall(request())
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        else:
            assert client.recv(1000) == b""


def test_urllib_finds_the_early_answer(port: int) -> None:
    sent = urllib.request.Request(f"http://127.0.0.1:{port}/early", b"x" * 20_000_000)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(sent)  # noqa: S310  # ours
    assert caught.value.code == 413
    caught.value.close()


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_body_without_end_is_not_read_past_for_ever(port: int, connection: str) -> None:
    begin = (
        f"POST /early HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n"
        f"Content-Length: {10**12}\r\n\r\n"
    )
    sent = flood(port, begin.encode(), most=500_000_000)
    assert server.MAX_READ_PAST_BYTES <= sent < server.MAX_READ_PAST_BYTES * 2


def test_who_sends_nothing_or_half_a_head_is_not_waited_for_for_ever(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    assert talk(port) == b""
    monkeypatch.setattr(server, "HEAD_SECONDS", 1.0)  # the machine may take a while to send it
    assert_problem(talk(port, b"POST / HTTP/1.1\r\nHost:"), 408, "request_timeout")
    early = b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx"
    assert talk(port, early).startswith(b"HTTP/1.1 413 ")
    slow = request()
    said = talk(port, slow[:-5], *[slow[n : n + 1] for n in range(len(slow) - 5, len(slow))])
    assert said.startswith(b"HTTP/1.1 200 ")


def _noting(name: str, seen: list[str]) -> Any:
    """A method of the protocol that says when it is done."""
    original = getattr(server.Protocol, name)

    def noting(self: server.Protocol, argument: Any) -> None:
        original(self, argument)
        seen.append(name)

    return noting


def test_a_connection_too_many_takes_the_place_of_one_that_serves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 6)
    monkeypatch.setattr(server, "_ROOM_AT_ONCE", 2)
    half = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
    seen: list[str] = []
    for name in ("connection_made", "data_received"):
        monkeypatch.setattr(server.Protocol, name, _noting(name, seen))
    # Of its own, as connections of other tests may be there still.
    with served(application, timeout_keep_alive=2) as port:
        with contextlib.ExitStack() as links:

            def link(sent: bytes) -> socket.socket:
                """A connection of which the server has seen what was sent, before there is another."""
                before = len(seen)
                found = links.enter_context(
                    socket.create_connection(("127.0.0.1", port), timeout=20)
                )
                found.sendall(sent)
                wait_until(lambda: len(seen) == before + 1 + bool(sent), "the server to see it")
                return found

            busy = [link(half + b"\r\n") for _ in range(2)]
            idle = [link(b""), link(half), link(half), link(b"")]
            busy.append(link(half + b"\r\n"))
            assert [found.recv(100) for found in idle[:2]] == [b"", b""], "the oldest two had to go"
            busy += [link(half + b"\r\n") for _ in range(3)]
            assert [found.recv(100) for found in idle[2:]] == [b"", b""]
            said = talk(port)
            assert_problem(said, 503, "unavailable")
            assert b"\r\nretry-after: " in said
            for found in busy:
                found.sendall(b"whole one")
                assert found.recv(1000).endswith(b"whole one"), (
                    "who has a request in hand is served"
                )
        wait_until(
            lambda: talk(port, request("Connection: close")).startswith(b"HTTP/1.1 200 "), "room"
        )
