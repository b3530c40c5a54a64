"""Tests of unpacking under caps."""

import gzip
import os
import time

import pytest
import zstandard

from portal.kernel.errors import BadRequestError, TooLargeError, UnsupportedMediaError
from portal.kernel.inflate import MAX_MEMBERS, MAX_SENT_BYTES, MAX_UNPACKED_BYTES, inflate


def test_packed_bodies_come_back_whole() -> None:
    body = b'{"a": "text"}' * 1000
    assert inflate(gzip.compress(body), "gzip") == body
    assert inflate(gzip.compress(body[:50]) + gzip.compress(body[50:]), " GZIP ") == body
    assert inflate(zstandard.compress(body), "zstd") == body
    assert inflate(zstandard.ZstdCompressor().compressobj().compress(b"") or body, "") == body
    assert inflate(body, "identity") == body


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x"])
def test_other_encodings_are_not_understood(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaError):
        inflate(b"x", encoding)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_damaged_bodies_are_refused(encoding: str) -> None:
    packed = gzip.compress(b"x" * 500) if encoding == "gzip" else zstandard.compress(b"x" * 500)
    for damaged in (b"", b"plain", packed[:-3], packed[: len(packed) // 2], packed + b"rest"):
        with pytest.raises(BadRequestError) as caught:
            inflate(damaged, encoding)
        assert caught.value.code == "malformed_encoding"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("size", [1_000_000, 200 * 1024 * 1024 // 8, MAX_UNPACKED_BYTES + 1])
def test_bombs_are_too_large(pack: object, size: int) -> None:
    assert callable(pack)
    with pytest.raises(TooLargeError):
        inflate(pack(b"\0" * size), "gzip" if pack is gzip.compress else "zstd")


def test_caps_hold_for_what_does_not_pack() -> None:
    assert len(inflate(gzip.compress(b"\0" * 250_000), "gzip")) == 250_000
    with pytest.raises(TooLargeError):
        inflate(os.urandom(MAX_SENT_BYTES + 1), "")


@pytest.mark.parametrize(
    ("encoding", "piece"), [("gzip", gzip.compress(b"")), ("zstd", zstandard.compress(b""))]
)
@pytest.mark.alone
def test_a_flood_of_empty_pieces_is_refused_at_once(encoding: str, piece: bytes) -> None:
    """Each piece once cost a copy of all that followed it: ten seconds for one body."""
    started = time.thread_time()  # its own work, whoever else uses the machine
    with pytest.raises(TooLargeError):
        inflate(piece * (MAX_SENT_BYTES // len(piece)), encoding)
    assert time.thread_time() - started < 1
    assert inflate(piece * MAX_MEMBERS, encoding) == b""


@pytest.mark.parametrize("size", [16 * 1024, 256 * 1024 - 1, 256 * 1024 + 1, 5_000_000])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_bodies_of_several_pieces_and_any_length_come_back_whole(encoding: str, size: int) -> None:
    pack = gzip.compress if encoding == "gzip" else zstandard.compress
    body = b"".join(os.urandom(1_000) * 10 for _ in range(size // 10_000))
    body += os.urandom(size % 10_000)
    assert inflate(pack(body) + pack(body[::-1]), encoding) == body + body[::-1]
