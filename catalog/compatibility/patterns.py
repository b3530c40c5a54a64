"""Texts that a pattern probably matches, for examples; the validator checks each before use.

Reads literals, classes, groups, alternatives and repetitions; anything else gives no text.
"""

from dataclasses import dataclass
from random import Random
from typing import Final

_CLASSES: Final = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r"}
_FILLERS: Final = "a0A-_ ./:é"
_MOST: Final = 64


@dataclass(slots=True)
class _Reader:
    pattern: str
    repeats: int
    choice: int
    at: int = 0

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        letter = self.peek()
        if not letter:
            raise ValueError
        self.at += 1
        return letter

    def alternatives(self) -> str:
        found = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            found.append(self.sequence())
        return found[self.choice % len(found)]

    def sequence(self) -> str:
        text = ""
        while self.peek() not in ("", "|", ")"):
            piece = self.piece()
            text += piece * self.times()
            if len(text) > 4096:
                raise ValueError
        return text

    def piece(self) -> str:
        """A text of what stands next: a letter, a class, a group."""
        letter = self.take()
        if letter in "^$":
            return ""
        if letter == ".":
            return "a"
        if letter == "\\":
            return self.escape()
        if letter == "[":
            return self.one_of_class()
        if letter == "(":
            if self.peek() == "?":
                self.at += 1
                if self.take() != ":":
                    raise ValueError
            text = self.alternatives()
            if self.take() != ")":
                raise ValueError
            return text
        if letter in "*+?{":
            raise ValueError
        return letter

    def escape(self) -> str:
        letter = self.take()
        if letter in "bB":
            return ""
        if letter in "pPukx" or letter.isdigit():
            raise ValueError
        return _CLASSES.get(letter) or _CONTROLS.get(letter) or letter

    def letters_of_class(self) -> tuple[list[str], bool]:
        """What a class names, letters and spans of letters, and whether it means all others."""
        negated = self.peek() == "^"
        self.at += negated
        letters: list[str] = []
        while self.peek() != "]":
            letter = self.take()
            letters.append(self.escape() if letter == "\\" else letter)
            if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                letters[-1] += self.take()
        self.at += 1
        return letters, negated

    def one_of_class(self) -> str:
        letters, negated = self.letters_of_class()
        if negated:
            return next(f for f in _FILLERS if not any(_spans(one, f) for one in letters))
        return letters[self.choice % len(letters)][0] if letters else ""

    def bounds(self) -> tuple[int, int]:
        """How often the piece before comes, at least and at most."""
        mark = self.peek()
        least, most = 1, 1
        if mark in ("*", "+", "?") and mark:
            self.at += 1
            least, most = {"*": (0, _MOST), "+": (1, _MOST), "?": (0, 1)}[mark]
        elif mark == "{":
            end = self.pattern.index("}", self.at)
            low, comma, high = self.pattern[self.at + 1 : end].partition(",")
            self.at = end + 1
            least = int(low)
            most = int(high) if high else (_MOST if comma else least)
        if mark and mark in "*+?{" and self.peek() == "?":
            self.at += 1
        return least, most

    def times(self) -> int:
        least, most = self.bounds()
        return min(max(least, self.repeats), most)


def _spans(one: str, letter: str) -> bool:
    return one[0] <= letter <= one[-1]


def texts_of(pattern: str) -> list[str]:
    """A few texts of different lengths and choices; empty when the pattern is beyond us."""
    found: dict[str, None] = {}
    for repeats in (0, 1, 2, 9):
        for choice in (0, 1):
            try:
                reader = _Reader(pattern, repeats, choice)
                text = reader.alternatives()
            except (ValueError, StopIteration, IndexError):
                return []
            found[text] = None
    return list(found)


class _RandomReader(_Reader):
    """Reads a pattern and chooses by chance where it leaves a choice."""

    rng: Random

    def alternatives(self) -> str:
        found = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            found.append(self.sequence())
        return found[self.rng.randrange(len(found))]

    def sequence(self) -> str:
        """A text of all up to the end of an alternative."""
        text = ""
        while self.peek() not in ("", "|", ")"):
            start = self.at
            piece = self.piece()
            times = self.times()
            text += piece if times else ""
            after = self.at
            for _ in range(times - 1):
                self.at = start
                text += self.piece()  # read again: each time chooses anew
            self.at = after
            if len(text) > 4096:
                raise ValueError
        return text

    def times(self) -> int:
        least, most = self.bounds()
        return self.rng.randint(least, min(most, least + _SPREAD))

    def one_of_class(self) -> str:
        letters, negated = self.letters_of_class()
        if negated:
            return next(f for f in _FILLERS if not any(_spans(one, f) for one in letters))
        one = letters[self.rng.randrange(len(letters))] if letters else ""
        return chr(self.rng.randint(ord(one[0]), ord(one[-1]))) if one else ""

    def escape(self) -> str:
        letter = self.pattern[self.at : self.at + 1]
        found = super().escape()
        if letter == "d":
            return str(self.rng.randrange(10))
        if letter == "w":
            return self.rng.choice("abcdefghijklmnopqrstuvwxyz0123456789")
        return found


_SPREAD: Final = 6


def random_text(pattern: str, rng: Random) -> str | None:
    """A text that the pattern probably matches; None when the pattern is beyond us."""
    reader = _RandomReader(pattern, 1, 0)
    reader.rng = rng
    try:
        return reader.alternatives()
    except (ValueError, StopIteration, IndexError):
        return None
