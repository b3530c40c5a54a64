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
_IDLE: Final = b"I"  # in ReadyForQuery: no transaction is open
_READ_BYTES: Final = 64 * 1024
# As libpq sends them: a longer one costs the server a larger buffer.
_PIECE_BYTES: Final = 128 * 1024


class UnknownOutcomeError(psycopg.OperationalError):
    """The connection broke after the rows were sent: whether they are stored is not known."""


def message(statements: bytes, rows: Sequence[bytes]) -> bytes:
    """A query whose first statement is a COPY FROM STDIN, with the text that it copies."""
    query = _HEAD.pack(b"Q", len(statements) + _HEAD_BYTES) + statements + b"\x00"
    text = b"".join(rows)
    if len(text) <= _PIECE_BYTES:
        return b"".join((query, _HEAD.pack(b"d", len(text) + 4), text, _COPY_DONE))
    parts: list[bytes | memoryview] = [query]
    view = memoryview(text)
    for start in range(0, len(text), _PIECE_BYTES):
        piece = view[start : start + _PIECE_BYTES]
        parts += (_HEAD.pack(b"d", len(piece) + 4), piece)
    return b"".join((*parts, _COPY_DONE))


def exchange(socket: int, sent: bytes, *, statements: int) -> PQGen[None]:
    """Send a `message` over a connection's socket and read until its statements have ended.

    Yields what it waits for, as psycopg's generators do. Raises psycopg's errors when nothing was
    stored, OperationalError of some kind where the connection is over, and UnknownOutcomeError.
    """
    said = b""
    part: bytes | None = None
    left = memoryview(sent)
    while left:
        try:
            left = left[os.write(socket, left) :]
        except BlockingIOError:
            # What the server says is read meanwhile: unread, it would wake the loop again and again.
            yield Wait.RW
            part = _received(socket)
            said += part or b""
            if part == b"":
                break
        except OSError:
            part = b""
            break
    messages = _until_ready(said)
    while part != b"" and not _is_over(messages):
        yield Wait.R
        part = _received(socket)
        said += part or b""
        messages = _until_ready(said)
    _judge(messages, statements, is_sent=not left)


def _received(socket: int) -> bytes | None:
    """What has come; None for nothing yet, and nothing at all from a connection that is over."""
    try:
        return os.read(socket, _READ_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _judge(messages: Sequence[tuple[bytes, bytes]], statements: int, *, is_sent: bool) -> None:
    """Raise what an answer says, unless it says that all is stored."""
    kinds = [kind for kind, _ in messages]
    is_ready = _is_over(messages)
    place = kinds.index(_ERROR) if _ERROR in kinds else len(kinds)
    fault = _named(messages[place][1]) if place < len(kinds) else None
    if is_ready and fault is not None:
        raise fault
    if is_ready and kinds.count(_COMPLETE) == statements and messages[-1][1] == _IDLE:
        return
    # The connection is over. Without their end, and before it began, the server drops the rows.
    if not is_sent or (fault is not None and _COPY_BEGUN not in kinds[:place]):
        if isinstance(fault, psycopg.OperationalError):
            raise fault
        raise psycopg.OperationalError("the connection ended before the rows were sent")
    raise UnknownOutcomeError("the server ended without an answer")


def _is_over(messages: Sequence[tuple[bytes, bytes]]) -> bool:
    return bool(messages) and messages[-1][0] == _READY


def _until_ready(said: bytes) -> list[tuple[bytes, bytes]]:
    """Kinds and bodies of the messages that have come whole, up to ReadyForQuery.

    Raises UnknownOutcomeError for what is no message.
    """
    found: list[tuple[bytes, bytes]] = []
    place = 0
    while len(said) - place >= _HEAD_BYTES:
        kind, length = _HEAD.unpack_from(said, place)
        if length < 4:
            raise UnknownOutcomeError("the server says what is no message")
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
