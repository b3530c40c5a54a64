"""Merkle trees as RFC 6962 (2.1) makes them: one hash for many, and a short proof for one of them.

A leaf is hashed as SHA-256(0x00 || leaf), a node as SHA-256(0x01 || left || right); the left side of
a tree of n leaves has the largest power of two below n.
"""

import hashlib
from collections.abc import Iterator, Sequence


def root(leaves: Sequence[bytes]) -> bytes:
    """The hash of the tree. Raises ValueError without a leaf: nothing is signed about nothing."""
    if not leaves:
        raise ValueError("a tree has a leaf")
    level = [_leaf(leaf) for leaf in leaves]
    while len(level) > 1:
        # Pairs from the left, the odd one out goes up as it is: the same tree.
        paired = [_node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def path(leaves: Sequence[bytes], place: int) -> list[bytes]:
    """The hashes beside the way from a leaf to the root, the lowest first (RFC 6962, 2.1.1)."""
    if not 0 <= place < len(leaves):
        raise ValueError("there is no such leaf")
    level = [_leaf(leaf) for leaf in leaves]
    found: list[bytes] = []
    while len(level) > 1:
        beside = place ^ 1
        if beside < len(level):
            found.append(level[beside])
        paired = [_node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = paired + level[len(paired) * 2 :]
        place //= 2
    return found


def root_by_path(leaf: bytes, place: int, size: int, beside: Sequence[bytes]) -> bytes:
    """The root that a proof leads to (RFC 9162, 2.1.3.2). Raises ValueError for one of no such tree."""
    if not 0 <= place < size:
        raise ValueError("there is no such leaf")
    found = _leaf(leaf)
    last = size - 1
    steps = iter(beside)
    while last:
        if place & 1:
            found = _node(_next(steps), found)
        elif place < last:
            found = _node(found, _next(steps))
        place, last = place // 2, last // 2
    if next(steps, None) is not None:
        raise ValueError("the proof is too long")
    return found


def _next(steps: Iterator[bytes]) -> bytes:
    for step in steps:
        return step
    raise ValueError("the proof is too short")


def _leaf(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
