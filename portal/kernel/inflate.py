"""Unpacking request bodies under caps: size as sent, size unpacked, and their ratio."""

import zlib
from typing import Final

import zstandard

from portal.kernel.errors import BadRequestError, TooLargeError, UnsupportedMediaError

MAX_SENT_BYTES: Final = 5 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 20 * 1024 * 1024
MAX_RATIO: Final = 50
# Similar events pack well, and a body of one event's size harms nobody: no ratio below this.
RATIO_FLOOR_BYTES: Final = 256 * 1024
# A door that takes no more than this unpacked at all needs no ratio.
NO_RATIO_BYTES: Final = 512 * 1024
# Members of gzip, frames of zstd: each costs a decoder, and millions of empty ones fit a body.
MAX_MEMBERS: Final = 5000
_STEP_BYTES: Final = 256 * 1024
# A decoder copies what it was fed beyond its end, so it is fed little at a time.
_FEED_BYTES: Final = 16 * 1024
_ZSTD_WINDOW_BYTES: Final = 8 * 1024 * 1024
ENCODINGS: Final = frozenset({"", "identity", "gzip", "x-gzip", "zstd"})


def check_encoding(encoding: str) -> str:
    """The encoding in lower case, or a 415. To be called before the body is read."""
    name = encoding.strip().lower()
    if name not in ENCODINGS:
        raise UnsupportedMediaError(
            "Content-Encoding may be gzip or zstd.", headers={"Accept-Encoding": "gzip, zstd"}
        )
    return name


def inflate(body: bytes, encoding: str, *, most: int = MAX_UNPACKED_BYTES) -> bytes:
    """The unpacked body. 413 beyond a cap, 415 for an encoding not known, 400 when corrupt.

    Where `most` bytes are all that is taken, and they are less than a bomb needs, they are the cap
    instead of the ratio.
    """
    name = check_encoding(encoding)
    if len(body) > MAX_SENT_BYTES:
        raise TooLargeError("A body may have at most 5 MiB as sent.")
    if name in {"gzip", "x-gzip"}:
        return _gunzip(body, most)
    if name == "zstd":
        return _unzstd(body, most)
    if len(body) > most:
        raise TooLargeError("The body is larger than is taken here.")
    return body


def _guard(total: int, sent: int, most: int) -> None:
    if total > most:
        raise TooLargeError("The body is larger unpacked than is taken here (at most 20 MiB).")
    if most > NO_RATIO_BYTES and total > RATIO_FLOOR_BYTES and total > sent * MAX_RATIO:
        raise TooLargeError("A body may unpack to at most 50 times its size.")


def _guard_members(count: int) -> None:
    if count > MAX_MEMBERS:
        raise TooLargeError("A body may be packed in at most 5,000 pieces.")


def _corrupt() -> BadRequestError:
    return BadRequestError(
        "The body is not what its Content-Encoding says.", code="malformed_encoding"
    )


def _gunzip(body: bytes, most: int) -> bytes:
    parts: list[bytes] = []
    total = members = position = 0
    view = memoryview(body)
    while position < len(body) or not members:
        members += 1
        _guard_members(members)
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            fed = view[position : position + _FEED_BYTES]
            try:
                part = member.decompress(fed, _STEP_BYTES)
            except zlib.error as error:
                raise _corrupt() from error
            if not (fed or part or member.eof):
                raise _corrupt()
            position += len(fed) - len(member.unconsumed_tail) - len(member.unused_data)
            parts.append(part)
            total += len(part)
            _guard(total, len(body), most)
    return b"".join(parts)


def _unzstd(body: bytes, most: int) -> bytes:
    """Two passes: the reader bounds the output but takes a cut frame for a whole one."""
    total = frames = position = 0
    parts: list[bytes] = []
    view = memoryview(body)
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    try:
        with decompressor.stream_reader(body, read_across_frames=True) as reader:
            while part := reader.read(_STEP_BYTES):
                total += len(part)
                _guard(total, len(body), most)
        while position < len(body) or not frames:
            frames += 1
            _guard_members(frames)
            frame = decompressor.decompressobj()
            while not frame.eof:
                fed = view[position : position + _FEED_BYTES]
                if not fed:
                    raise _corrupt()
                parts.append(frame.decompress(fed))
                position += len(fed) - len(frame.unused_data)
    except zstandard.ZstdError as error:
        raise _corrupt() from error
    return b"".join(parts)
