"""Texts that a pattern probably matches, for examples; the validator checks each before use.

Reads literals, classes, groups, alternatives and repetitions; anything else gives no text.
"""

from dataclasses import dataclass
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

    def one_of_class(self) -> str:
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
        if negated:
            return next(f for f in _FILLERS if not any(_spans(one, f) for one in letters))
        return letters[self.choice % len(letters)][0] if letters else ""

    def times(self) -> int:
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
