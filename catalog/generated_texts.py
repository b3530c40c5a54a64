"""Texts that are made: of a pattern, a format, a shape, a field's name. Random by a seed.

Addresses and names belong to nobody: domains and networks are those kept for examples.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from catalog.compatibility import patterns
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema

_NAMES: Final = ("Ada", "Ben", "Cy", "Dot", "Eve", "Finn", "Gil", "Hana", "Ivo", "Jun")
_WORDS: Final = ("lamp", "desk", "kettle", "jacket", "boots", "camera", "tent", "sofa", "mug",
                 "river", "stone", "paper", "green", "north", "small", "open")  # fmt: skip


class Texts:
    """Makes texts by one random state. `now` is the moment that made-up dates lie around."""

    def __init__(self, rng: Random, now: datetime | None) -> None:
        self.rng, self.now = rng, now

    def by_name(self, name: str, *, hidden: bool) -> str:
        """What a field of that name would hold; `hidden` is what names people."""
        if "email" in name or "mail" in name:
            return _email(self)
        if "phone" in name or "msisdn" in name:
            return f"+999{self.rng.randrange(10**8):08d}"
        if name in ("ip", "client_ip", "ip_address"):
            return _ipv4(self)
        if name.endswith(("uri", "url", "href")):
            return _uri(self)
        if name.endswith(("_at", "dt", "timestamp", "_time")):
            return _moment(self)
        if name == "id" or name.endswith(("_id", "uuid")):
            return f"{self.rng.getrandbits(64):016x}"
        if hidden and "name" in name:
            return f"{_NAMES[self.rng.randrange(len(_NAMES))]} Example"
        return self.word()

    def word(self) -> str:
        """One or two words."""
        count = self.rng.randint(1, 2)
        return " ".join(_WORDS[self.rng.randrange(len(_WORDS))] for _ in range(count))

    def matching(self, pattern: str, least: int = 0, most: int = 10_000) -> str:
        """A text of the pattern within the lengths; empty when none was found."""
        for _ in range(8):
            found = patterns.random_text(pattern, self.rng)
            if found is not None and least <= len(found) <= most and fits(pattern, found):
                return found
        usual = [one for one in patterns.texts_of(pattern) if least <= len(one) <= most]
        return next((one for one in usual if fits(pattern, one)), "")

    def unmask(self, mask: str) -> str:
        """A text of a shape (`mask_of`)."""
        return "".join(
            letter if letter not in _MASKED else self.rng.choice(_MASKED[letter]) for letter in mask
        )


def fit(text: str, least: int, most: int) -> str:
    """The text repeated or cut until its length is within the bounds."""
    if len(text) < least:
        text = (text or "a") * (least // max(1, len(text)) + 1)
        text = text[: max(least, 1)]
    return text[:most]


def fits(pattern: str, text: str) -> bool:
    """Whether the validator finds the pattern in the text; never for one that it can't compile."""
    try:
        return bool(compile_schema({"pattern": pattern}).is_valid(text))
    except InvalidError:
        return False


_MASKED: Final = {
    "9": "0123456789",
    "a": "abcdefghijklmnopqrstuvwxyz",
    "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
}


def mask_digits(text: str) -> str:
    """A text's mask in which only the digits may change."""
    return re.sub(r"\d", "9", text) if "a" not in text and "A" not in text else text


def mask_of(text: str) -> str:
    """The shape of a text: each digit `9`, each letter `a` or `A`, all else itself."""
    return "".join(
        "9"
        if letter.isdigit()
        else "A"
        if letter.isupper()
        else "a"
        if letter.isalpha()
        else letter
        for letter in text
    )


def _moment_of(texts: Texts) -> datetime:
    start = texts.now or datetime(2026, 1, 1, tzinfo=UTC)
    return start - timedelta(seconds=texts.rng.randrange(86_400))


def _moment(texts: Texts) -> str:
    return f"{_moment_of(texts):%Y-%m-%dT%H:%M:%S}Z"


def _email(texts: Texts) -> str:
    return f"person{texts.rng.randrange(100_000):05d}@mail.example"


def _ipv4(texts: Texts) -> str:
    net = ("192.0.2", "198.51.100", "203.0.113")[texts.rng.randrange(3)]
    return f"{net}.{texts.rng.randrange(1, 255)}"


def _uri(texts: Texts) -> str:
    return f"https://www.example.com/{_slug(texts)}/{texts.rng.randrange(1000)}"


def _slug(texts: Texts) -> str:
    return _WORDS[texts.rng.randrange(len(_WORDS))]


def _uuid(texts: Texts) -> str:
    text = f"{texts.rng.getrandbits(128):032x}"
    variant = "89ab"[texts.rng.randrange(4)]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


FORMATS: Final[Mapping[str, Callable[[Texts], str]]] = {
    "date-time": _moment,
    "date": lambda one: f"{_moment_of(one):%Y-%m-%d}",
    "time": lambda one: f"{_moment_of(one):%H:%M:%S}Z",
    "duration": lambda one: f"PT{one.rng.randrange(1, 60)}M",
    "email": _email,
    "idn-email": _email,
    "hostname": lambda one: f"{_slug(one)}.example.com",
    "idn-hostname": lambda one: f"{_slug(one)}.example.com",
    "ipv4": _ipv4,
    "ipv6": lambda one: f"2001:db8::{one.rng.randrange(1, 65_536):x}",
    "uri": _uri,
    "iri": _uri,
    "uri-reference": lambda one: f"/{_slug(one)}/{one.rng.randrange(1000)}",
    "iri-reference": lambda one: f"/{_slug(one)}/{one.rng.randrange(1000)}",
    "uri-template": lambda one: f"/{_slug(one)}/{{id}}",
    "uuid": _uuid,
    "json-pointer": lambda one: f"/{_slug(one)}",
    "relative-json-pointer": lambda one: f"1/{_slug(one)}",
    "regex": lambda one: f"^{_slug(one)}$",
}  # fmt: skip
