"""Pairs the members of two groups so that the best pairs come first and as many as possible."""

from collections.abc import Mapping


def best_pairing(scores: Mapping[tuple[int, int], float]) -> dict[int, int]:
    """Left members with their right ones; a score of 0 or less is no pair.

    The edges are taken score by score, best first; at each score as many members as possible are
    matched along augmenting paths, which never unmatch a member matched by a better score.
    """
    edges: dict[int, list[int]] = {}
    partner: dict[int, int] = {}  # right -> left
    for score in sorted({one for one in scores.values() if one > 0}, reverse=True):
        for (left, right), one in scores.items():
            if one == score:
                edges.setdefault(left, []).append(right)
        for left in edges:
            if left not in partner.values():
                _augment(edges, partner, left, set())
    return {left: right for right, left in partner.items()}


def _augment(
    edges: Mapping[int, list[int]], partner: dict[int, int], left: int, seen: set[int]
) -> bool:
    for right in edges[left]:
        if right in seen:
            continue
        seen.add(right)
        if right not in partner or _augment(edges, partner, partner[right], seen):
            partner[right] = left
            return True
    return False
