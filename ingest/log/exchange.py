"""A group of plain events in one exchange with PostgreSQL: rows, their accounts and the commit.

Five round trips, each of which wakes two processes, cost a small group more than its rows do. Where
a group has nothing but events that are hoped to be new, COPY and the statement for the accounts go
as one message, which the server takes as one transaction: it commits at the end, or nothing of it
stays.
"""

import re
import select
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import psycopg
from django.db import connections
from psycopg import generators, pq
from psycopg.abc import PQGen

from ingest.log import rows, wire
from ingest.log.connection import Connection, may_use_gss
from portal.kernel import sql

_NAME: Final = "ingest_accounts"
_PARAMETER: Final = re.compile(r"%\((\w+)\)s::(\w+\[\])")
_STATEMENT: Final = sql.load("ingest", "add_to_accounts")
_PARAMETERS: Final = tuple(_PARAMETER.findall(_STATEMENT))
# Waits for the server between looks at whether the connection still lives, in seconds.
_PATIENCE: Final = 0.1
_SHUTDOWN: Final = "57P"  # the class of codes with which a server ends a connection
# What psycopg itself hands to libpq at once.
_PIECE_BYTES: Final = 128 * 1024


def is_pooled() -> bool:
    """Whether a proxy may give each transaction another connection (`PORTAL_PGBOUNCER`)."""
    return bool(connections["default"].settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"))


def prepare(connection: Connection) -> None:
    """Make a new connection ready for `store`."""
    if is_pooled():
        return
    numbers = {name: number for number, (name, _) in enumerate(_PARAMETERS, start=1)}
    text = _PARAMETER.sub(lambda match: f"${numbers[match[1]]}", _STATEMENT)
    types = ", ".join(kind for _, kind in _PARAMETERS)
    connection.execute(f"PREPARE {_NAME} ({types}) AS {text}".encode())
    connection.commit()


def store(
    connection: Connection,
    copy: str,
    packed: Sequence[bytes],
    accounts: Mapping[str, Sequence[object]],
) -> None:
    """Store packed rows by `copy`, a COPY … FROM STDIN, with their accounts, and commit.

    `accounts` are the parameters of `add_to_accounts.sql`; whole numbers and times in ISO 8601.
    Raises psycopg's errors when nothing was stored, and `wire.UnknownOutcomeError`.
    """
    if has_news(connection):  # it ended while it was idle, most likely
        raise psycopg.OperationalError("the connection was not idle")
    connection.wait(begin(connection, copy, packed, accounts), _PATIENCE)


def has_news(connection: Connection) -> bool:
    """Whether the server has sent something, or is gone; asked of the kernel."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def begin(
    connection: Connection,
    copy: str,
    packed: Sequence[bytes],
    accounts: Mapping[str, Sequence[object]],
) -> PQGen[None]:
    """As `store`, in the steps of psycopg's generators: it yields what it waits for."""
    if is_pooled():  # what was prepared is on some connection of the proxy
        account = _PARAMETER.sub(lambda m: f"{_array(accounts[m[1]])}::{m[2]}", _STATEMENT)
    else:
        arrays = ", ".join(_array(accounts[name]) for name, _ in _PARAMETERS)
        account = f"EXECUTE {_NAME} ({arrays})"
    statements = f"{copy}; {account}".encode()
    written = (rows.HEADER, *packed, rows.TRAILER)
    if _is_bare(connection):
        return wire.exchange(connection.fileno(), wire.message(statements, written), statements=2)
    return _by_libpq(connection.pgconn, statements, b"".join(written))


def _is_bare(connection: Connection) -> bool:
    """Whether what is written to the socket is what the server itself reads."""
    return not (connection.pgconn.ssl_in_use or may_use_gss() or is_pooled())


def _array(values: Iterable[object]) -> str:
    """An array's literal; of numbers and times, which hold nothing that would need escaping."""
    return "'{" + ",".join(map(str, values)) + "}'"


def _by_libpq(server: pq.abc.PGconn, statements: bytes, data: bytes) -> PQGen[None]:
    server.send_query(statements)
    begun = yield from generators.execute(server)
    if begun[-1].status != pq.ExecStatus.COPY_IN:
        raise _error(begun)
    try:
        for start in range(0, len(data), _PIECE_BYTES):
            yield from generators.copy_to(
                server, data[start : start + _PIECE_BYTES], start + _PIECE_BYTES < len(data)
            )
        yield from _end(server)
        ended = yield from generators.fetch_many(server)
    except psycopg.OperationalError as error:
        raise wire.UnknownOutcomeError(*error.args) from error
    if any(result.status != pq.ExecStatus.COMMAND_OK for result in ended):
        fault = _error(ended)
        if (fault.sqlstate or "").startswith(_SHUTDOWN):  # it may have come after the commit
            raise wire.UnknownOutcomeError(*fault.args) from fault
        raise fault


def _end(server: pq.abc.PGconn) -> PQGen[None]:
    while server.put_copy_end(None) == 0:
        yield psycopg.waiting.Wait.W
    while server.flush() != 0:
        yield psycopg.waiting.Wait.W


def _error(results: Sequence[pq.abc.PGresult]) -> psycopg.Error:
    failed = [r for r in results if r.status == pq.ExecStatus.FATAL_ERROR]
    if failed:
        return psycopg.errors.error_from_result(failed[0], encoding="utf-8")
    return psycopg.ProgrammingError("the server did not take part in the exchange as expected")
