"""A query and its rows in one message: stored whole or not at all, and libpq finds its connection idle."""

import select
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest
from psycopg import errors as pg
from psycopg.waiting import Wait

from ingest.log import exchange, wire
from ingest.log.connection import Connection, connect

COPY = "COPY wire_rows FROM STDIN"
COUNT = "INSERT INTO wire_counts VALUES (1)"
WAITS = "DO $$BEGIN PERFORM pg_sleep(60); END$$"


@pytest.fixture
def database(transactional_db: None) -> Iterator[Connection]:
    with connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE wire_rows (number int PRIMARY KEY, said text)")
        connection.execute("CREATE TABLE wire_counts (n int)")
        try:
            yield connection
        finally:
            with connect(autocommit=True) as other:  # the first may have been ended
                other.execute("DROP TABLE wire_rows, wire_counts")


def send(connection: Connection, rows: Sequence[bytes], *statements: str) -> None:
    whole = wire.message("; ".join(statements).encode(), rows)
    steps = wire.exchange(connection.fileno(), whole, statements=len(statements))
    connection.wait(steps, 0.1)


def stored() -> tuple[int, int]:
    with connect() as connection:
        (rows,) = connection.execute("SELECT count(*) FROM wire_rows").fetchone() or (-1,)
        (counts,) = connection.execute("SELECT count(*) FROM wire_counts").fetchone() or (-1,)
        return rows, counts


def numbered(first: int, last: int, said: bytes = b"x") -> list[bytes]:
    return [b"%d\t%b\n" % (number, said) for number in range(first, last + 1)]


def test_rows_and_what_follows_them_are_one_transaction(database: Connection) -> None:
    send(database, numbered(1, 3), COPY, COUNT)
    send(database, [], COPY, COUNT)
    assert stored() == (3, 2)
    assert database.execute("SELECT said FROM wire_rows").fetchall() == [("x",)] * 3


def test_more_than_a_socket_holds_is_sent_in_pieces(database: Connection) -> None:
    send(database, numbered(1, 4000, b"y" * 2000), COPY, COUNT)
    assert stored() == (4000, 1)
    (length,) = database.execute("SELECT sum(length(said)) FROM wire_rows").fetchone() or (0,)
    assert length == 8_000_000


@pytest.mark.parametrize(
    ("rows", "statements", "kind"),
    [
        (numbered(1, 2) + numbered(1, 1), (COPY, COUNT), pg.UniqueViolation),
        ([b"one\tx\n", *numbered(2, 9000)], (COPY, COUNT), pg.InvalidTextRepresentation),
        (numbered(1, 9000), ("COPY nothing FROM STDIN", COUNT), pg.UndefinedTable),
        (numbered(1, 2), (COPY, "INSERT INTO wire_counts VALUES (1 / 0)"), pg.DivisionByZero),
        (numbered(1, 2), (COPY, "DO $$BEGIN RAISE SQLSTATE 'ZX001'; END$$"), psycopg.DatabaseError),
    ],
)
def test_a_fault_has_its_name_and_leaves_nothing(
    database: Connection, rows: list[bytes], statements: tuple[str, str], kind: type[Exception]
) -> None:
    with pytest.raises(psycopg.Error) as fault:
        send(database, rows, *statements)
    assert type(fault.value) is kind
    assert stored() == (0, 0)
    assert database.execute("SELECT 1").fetchone() == (1,)
    send(database, numbered(1, 1), COPY, COUNT)
    assert stored() == (1, 1)


def test_what_the_server_tells_beside_the_answer_does_not_matter(database: Connection) -> None:
    notice = "DO $$BEGIN RAISE NOTICE 'by the way'; END$$"
    send(database, numbered(1, 2), COPY, notice, "SET application_name = 'other'", COUNT)
    assert stored() == (2, 1)


def end(backend: int) -> None:
    """End a backend, and wait until it is gone."""
    with connect(autocommit=True) as killer:
        killer.execute("SELECT pg_terminate_backend(%s)", [backend])
        deadline = time.monotonic() + 30
        while killer.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [backend]).fetchall():
            assert time.monotonic() < deadline


def test_a_server_that_ended_before_it_began_has_stored_nothing(database: Connection) -> None:
    end(database.info.backend_pid)
    with pytest.raises(pg.AdminShutdown):
        send(database, numbered(1, 2), COPY, COUNT)
    assert stored() == (0, 0)


def test_a_server_that_ends_within_leaves_it_open_what_is_stored(database: Connection) -> None:
    with ThreadPoolExecutor(1) as pool, connect(autocommit=True) as other:
        backend = database.info.backend_pid
        sent = pool.submit(send, database, numbered(1, 2), COPY, WAITS)
        deadline = time.monotonic() + 30
        while not other.execute(
            "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", [backend]
        ).fetchall():
            assert time.monotonic() < deadline
        end(backend)
        with pytest.raises(wire.UnknownOutcomeError):
            sent.result(30)


def test_a_connection_that_ended_while_idle_is_found_before_anything_is_sent(
    database: Connection,
) -> None:
    assert not exchange.has_news(database)
    end(database.info.backend_pid)
    deadline = time.monotonic() + 30
    while not exchange.has_news(database):
        assert time.monotonic() < deadline
    with pytest.raises(psycopg.OperationalError) as fault:
        exchange.store(database, COPY, [], {})
    assert not isinstance(fault.value, wire.UnknownOutcomeError)


def told(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


# What PostgreSQL says to a COPY of two columns with a notice, and to an INSERT.
ANSWER = [
    told(b"G", b"\x00\x00\x02\x00\x00\x00\x00"),
    told(b"C", b"COPY 2\x00"),
    told(b"N", b"SNOTICE\x00MZ\x00\x00"),
    told(b"C", b"INSERT 0 1\x00"),
    told(b"Z", b"I"),
]
PARAMETER = told(b"S", b"application_name\x00other\x00")


def test_an_answer_may_come_in_any_pieces_and_more_behind_it() -> None:
    whole = b"".join(ANSWER)
    for cut in range(1, len(whole + PARAMETER)):
        near, far = socket.socketpair()
        near.setblocking(False)
        with near, far:
            steps = wire.exchange(near.fileno(), b"all", statements=2)
            assert next(steps) == Wait.R
            far.sendall((whole + PARAMETER)[:cut])
            if cut < len(whole):
                assert next(steps) == Wait.R
                assert next(steps) == Wait.R  # it was told for nothing
                far.sendall((whole + PARAMETER)[cut:])
            with pytest.raises(StopIteration):
                next(steps)


@pytest.mark.parametrize("said", [ANSWER[:n] for n in range(len(ANSWER))])
def test_an_end_without_an_answer_leaves_it_open_what_is_stored(said: list[bytes]) -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        steps = wire.exchange(near.fileno(), b"all", statements=2)
        next(steps)
        far.sendall(b"".join(said))
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(wire.UnknownOutcomeError):  # noqa: PT012
            for _ in range(3):
                next(steps)


def test_what_is_told_while_rows_are_sent_is_read_at_once() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    whole = b"".join(ANSWER)
    with near, far:
        steps = wire.exchange(near.fileno(), b"x" * 1_000_000, statements=2)
        assert next(steps) == Wait.RW
        far.sendall(whole[:9])
        assert next(steps) == Wait.RW
        assert not select.select([near], [], [], 0)[0]
        far.sendall(whole[9:])
        while (wait := next(steps, None)) is not None:
            assert wait == Wait.RW
            far.recv(1_000_000)


def test_a_word_before_a_reset_is_heard() -> None:
    fatal = told(b"E", b"SFATAL\x00C57P01\x00Mterminating\x00\x00")
    with socket.create_server(("127.0.0.1", 0)) as door:
        near = socket.create_connection(door.getsockname())
        far, _ = door.accept()
        near.setblocking(False)
        with near, far:
            steps = wire.exchange(near.fileno(), b"unread", statements=2)
            assert next(steps) == Wait.R
            far.sendall(fatal)
            far.close()  # with what was sent unread: a reset
            with pytest.raises(pg.AdminShutdown):  # noqa: PT012
                for _ in range(5):
                    assert next(steps) == Wait.R


@pytest.mark.parametrize("begun", [False, True])
def test_a_connection_that_is_over_says_so_whatever_it_calls_it(*, begun: bool) -> None:
    ended = told(b"E", b"SFATAL\x00C25P03\x00Midle\x00\x00")
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        steps = wire.exchange(near.fileno(), b"all", statements=2)
        next(steps)
        far.sendall(ANSWER[0] * begun + ended)
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(psycopg.OperationalError) as fault:  # noqa: PT012
            for _ in range(3):
                next(steps)
    assert isinstance(fault.value, wire.UnknownOutcomeError) is begun


@pytest.mark.parametrize(
    "said", [b"Z\x00\x00\x00\x05T", b"C\x00\x00\x00\x00", b"C\xff\xff\xff\xff"]
)
def test_an_answer_of_another_kind_leaves_it_open_what_is_stored(said: bytes) -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        steps = wire.exchange(near.fileno(), b"all", statements=2)
        next(steps)
        far.sendall(b"".join(ANSWER[:-1]) + said)
        with pytest.raises(wire.UnknownOutcomeError):
            next(steps)


def test_what_cannot_be_sent_is_not_stored() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        steps = wire.exchange(near.fileno(), b"x" * 10_000_000, statements=2)
        assert next(steps) == Wait.RW
        far.close()
        with pytest.raises(psycopg.OperationalError) as fault, suppress(StopIteration):
            next(steps)
        assert not isinstance(fault.value, wire.UnknownOutcomeError)
