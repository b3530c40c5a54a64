"""What looks personal, and why: by a field's name, its format, and values that were sampled.

Names are judged by their words, formats are exact, and values are tested by their own rules (check
digits of IBAN and card numbers). A suggestion says how to store the field instead; a person decides.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of personal value: what to call it, how sensitive it is, and what to store instead."""

    name: str
    title: str
    classification: str
    treatments: tuple[str, ...]
    words: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    fits: Callable[[str], bool] | None = None


def _email(text: str) -> bool:
    return bool(_EMAIL.fullmatch(text))


def _phone(text: str) -> bool:
    digits = sum(char.isdigit() for char in text)
    return bool(_PHONE.fullmatch(text)) and 8 <= digits <= 15


def _ip(text: str) -> bool:
    if not 3 <= len(text) <= 45 or (text.count(".") != 3 and ":" not in text):
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _iban(text: str) -> bool:
    """ISO 13616: country, two check digits, and a remainder of 1 modulo 97."""
    plain = text.replace(" ", "").upper()
    if not _IBAN.fullmatch(plain):
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def _card(text: str) -> bool:
    """13 to 19 digits of a card network whose Luhn sum ends in 0."""
    plain = re.sub(r"[ -]", "", text)
    if not (plain.isascii() and plain.isdigit() and 13 <= len(plain) <= 19 and plain[0] in "23456"):
        return False
    total = 0
    for place, char in enumerate(reversed(plain)):
        value = int(char) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and len(set(plain)) > 1


_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_PHONE: Final = re.compile(r"(\+|00)[1-9][0-9 ().-]{6,20}")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")

# In the order of testing: the first that fits names the field.
KINDS: Final[tuple[Kind, ...]] = (
    Kind(
        "email",
        "an e-mail address",
        "personal",
        ("tokenize", "drop"),
        frozenset({"email", "mail"}),
        frozenset({"email", "idn-email"}),
        _email,
    ),
    Kind(
        "iban",
        "a bank account (IBAN)",
        "sensitive",
        ("tokenize", "drop"),
        frozenset({"iban"}),
        fits=_iban,
    ),
    Kind(
        "card",
        "a payment card's number",
        "sensitive",
        ("drop", "tokenize"),
        frozenset({"cardnumber", "pan", "cvv", "cvc"}),
        fits=_card,
    ),
    Kind(
        "ip",
        "an IP address",
        "personal",
        ("truncate", "drop"),
        frozenset({"ip", "ipaddress"}),
        frozenset({"ipv4", "ipv6"}),
        _ip,
    ),
    Kind(
        "phone",
        "a phone number",
        "personal",
        ("tokenize", "drop"),
        frozenset({"phone", "mobile", "telephone", "msisdn"}),
        fits=_phone,
    ),
    Kind(
        "name",
        "a person's name",
        "personal",
        ("tokenize", "drop"),
        frozenset({"firstname", "lastname", "surname", "fullname", "givenname", "familyname",
                   "middlename", "nickname", "maidenname"}),
    ),
    Kind(
        "address",
        "where somebody lives",
        "personal",
        ("truncate", "drop"),
        frozenset({"address", "street", "zip", "zipcode", "postcode", "postalcode"}),
    ),
    Kind(
        "birth",
        "a date of birth",
        "personal",
        ("truncate", "drop"),
        frozenset({"birthday", "birthdate", "dateofbirth", "dob"}),
    ),
    Kind(
        "place",
        "where somebody is",
        "personal",
        ("truncate", "drop"),
        frozenset({"latitude", "longitude", "geolocation", "gps"}),
    ),
    Kind(
        "identity",
        "an official number of a person",
        "sensitive",
        ("tokenize", "drop"),
        frozenset({"passport", "ssn", "socialsecuritynumber", "nationalid", "taxid"}),
    ),
)  # fmt: skip
BY_NAME: Final = {kind.name: kind for kind in KINDS}
# Follows the name of a kind that stands within texts, beside other words.
IN_TEXT: Final = " in text"
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER: Final = re.compile(r"[^a-z0-9]+")


def words_of(name: str) -> list[str]:
    """The words of a name: `shippingAddress`, `shipping_address` and `shipping-address` agree."""
    return [part for part in _OTHER.split(_CAMEL.sub("_", name).lower()) if part]


def kind_of_name(name: str) -> Kind | None:
    """The personal kind that a field's name says; None for names that say none."""
    parts = words_of(name)
    # Two words may be one ("first_name"); the whole name may be too ("date_of_birth").
    said = {*parts, *map("".join, pairwise(parts)), "".join(parts)}
    if len(parts) > 1 and parts[0] in ("has", "is"):
        return None  # whether somebody has one is not the thing itself
    return next((kind for kind in KINDS if kind.words & said), None)


def kind_of_format(name: str) -> Kind | None:
    """The personal kind that a format says (`email`); None for most."""
    return next((kind for kind in KINDS if name in kind.formats), None)


def kind_of_value(value: Any) -> Kind | None:
    """The personal kind that a sampled value is; None for most."""
    if isinstance(value, int) and not isinstance(value, bool):
        return BY_NAME["card"] if _card(str(value)) else None
    if not isinstance(value, str) or not 3 <= len(value) <= 100:
        return None
    return next((kind for kind in KINDS if kind.fits is not None and kind.fits(value)), None)


def looks_personal(name: str) -> bool:
    """Whether a field's name says that it holds something about a person."""
    return kind_of_name(name) is not None
