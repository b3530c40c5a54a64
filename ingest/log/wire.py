"""One exchange with PostgreSQL in the bytes of its protocol (version 3): a query with a COPY, its rows
and their end in one message, then the answer.

libpq hands rows over only once the server has said that it waits for them. By then the process that
sends them is at other work, and the server waits with its transaction open: for a small group, longer
than it writes. The protocol lets rows follow their query at once; the server drops those that come
after an error. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY

The connection is libpq's and is idle before and after, so that libpq knows nothing of it.
"""

import os
from collections.abc import Sequence
from struct import Struct
from typing import Final

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Wait

_HEAD: Final = Struct("!ci")  # of a message: its kind, and its length without the kind
_HEAD_BYTES: Final = 5
_COPY_DONE: Final = b"c\x00\x00\x00\x04"
_COPY_BEGUN, _COMPLETE, _ERROR, _READY = b"G", b"C", b"E", b"Z"
_READ_BYTES: Final = 64 * 1024
# As libpq sends them: a longer one costs the server a larger buffer.
_PIECE_BYTES: Final = 128 * 1024
_SHUTDOWN: Final = "57P"  # the class of codes with which a server ends a connection


class UnknownOutcomeError(psycopg.OperationalError):
    """The connection broke after the rows were sent: whether they are stored is not known."""


def outcome_of(fault: psycopg.Error) -> psycopg.Error:
    """What a fault that the server named, after it had begun, says of the rows."""
    if (fault.sqlstate or "").startswith(_SHUTDOWN):  # it may have come after the commit
        return UnknownOutcomeError(*fault.args)
    return fault


def message(statements: bytes, rows: Sequence[bytes]) -> bytes:
    """A query whose first statement is a COPY FROM STDIN, with the text that it copies."""
    query = _HEAD.pack(b"Q", len(statements) + _HEAD_BYTES) + statements + b"\x00"
    text = b"".join(rows)
    if len(text) <= _PIECE_BYTES:
        return b"".join((query, _HEAD.pack(b"d", len(text) + 4), text, _COPY_DONE))
    parts = [query]
    for start in range(0, len(text), _PIECE_BYTES):
        piece = text[start : start + _PIECE_BYTES]
        parts += (_HEAD.pack(b"d", len(piece) + 4), piece)
    return b"".join((*parts, _COPY_DONE))


def exchange(socket: int, sent: bytes, *, statements: int) -> PQGen[None]:
    """Send a `message` over a connection's socket and read until its statements have ended.

    Yields what it waits for, as psycopg's generators do. Raises psycopg's errors when nothing was
    stored, and UnknownOutcomeError.
    """
    yield from _send(socket, sent)
    said, part = b"", b" "
    messages: list[tuple[bytes, bytes]] = []
    while part and not (messages and messages[-1][0] == _READY):
        yield Wait.R
        try:
            part = os.read(socket, _READ_BYTES)
        except BlockingIOError:
            continue
        except OSError as error:
            raise UnknownOutcomeError(str(error)) from error
        said += part
        messages = _until_ready(said)
    kinds = [kind for kind, _ in messages]
    if _ERROR in kinds:
        place = kinds.index(_ERROR)
        fault = _named(messages[place][1])
        raise outcome_of(fault) if _COPY_BEGUN in kinds[:place] else fault
    if kinds.count(_COMPLETE) != statements or kinds[-1] != _READY:
        raise UnknownOutcomeError("the server ended without an answer")


def _send(socket: int, sent: bytes) -> PQGen[None]:
    left = memoryview(sent)
    while left:
        try:
            left = left[os.write(socket, left) :]
        except BlockingIOError:
            yield Wait.W
        except OSError as error:  # without their end, the server drops the rows
            raise psycopg.OperationalError(str(error)) from error


def _until_ready(said: bytes) -> list[tuple[bytes, bytes]]:
    """Kinds and bodies of the messages that have come whole, up to ReadyForQuery."""
    found: list[tuple[bytes, bytes]] = []
    place = 0
    while len(said) - place >= _HEAD_BYTES:
        kind, length = _HEAD.unpack_from(said, place)
        end = place + 1 + length
        if end > len(said):
            break
        found.append((kind, said[place + _HEAD_BYTES : end]))
        if kind == _READY:
            break
        place = end
    return found


def _named(body: bytes) -> psycopg.Error:
    """The error of an ErrorResponse: fields of a letter and a text that ends with a zero."""
    fields = {field[:1]: field[1:].decode("utf-8", "replace") for field in body.split(b"\x00")}
    try:
        kind = psycopg.errors.lookup(fields[b"C"])
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(fields.get(b"M", ""))
