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
_STEP_BYTES: Final = 256 * 1024
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


def inflate(body: bytes, encoding: str) -> bytes:
    """The unpacked body. 413 beyond a cap, 415 for an encoding not known, 400 when corrupt."""
    name = check_encoding(encoding)
    if len(body) > MAX_SENT_BYTES:
        raise TooLargeError("A body may have at most 5 MiB as sent.")
    if name in {"gzip", "x-gzip"}:
        return _gunzip(body)
    if name == "zstd":
        return _unzstd(body)
    return body


def _guard(total: int, sent: int) -> None:
    if total > MAX_UNPACKED_BYTES:
        raise TooLargeError("A body may have at most 20 MiB unpacked.")
    if total > RATIO_FLOOR_BYTES and total > sent * MAX_RATIO:
        raise TooLargeError("A body may unpack to at most 50 times its size.")


def _corrupt() -> BadRequestError:
    return BadRequestError(
        "The body is not what its Content-Encoding says.", code="malformed_encoding"
    )


def _gunzip(body: bytes) -> bytes:
    parts: list[bytes] = []
    total = 0
    rest = body
    while rest:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            try:
                part = member.decompress(rest, _STEP_BYTES)
            except zlib.error as error:
                raise _corrupt() from error
            rest = member.unconsumed_tail
            if not (part or rest or member.eof):
                raise _corrupt()
            parts.append(part)
            total += len(part)
            _guard(total, len(body))
        rest = member.unused_data
    if not parts:
        raise _corrupt()
    return b"".join(parts)


def _unzstd(body: bytes) -> bytes:
    """Two passes: the reader bounds the output but takes a cut frame for a whole one."""
    total = 0
    parts: list[bytes] = []
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    try:
        with decompressor.stream_reader(body, read_across_frames=True) as reader:
            while part := reader.read(_STEP_BYTES):
                total += len(part)
                _guard(total, len(body))
        rest = body
        while rest or not parts:
            frame = decompressor.decompressobj()
            parts.append(frame.decompress(rest))
            if not frame.eof:
                raise _corrupt()
            rest = frame.unused_data
    except zstandard.ZstdError as error:
        raise _corrupt() from error
    return b"".join(parts)
