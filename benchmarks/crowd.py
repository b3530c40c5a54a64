"""People and their events for `benchmarks/erasure.py`: everywhere that events can go.

Ids say what an event is: `a-` about somebody who will be erased, `m-` about somebody else and naming
them, `o-` of others, `l-` what comes while the erasure runs.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

OTHERS: Final = 3_000
# Of a thousand events so many are about the sought, name them, or are refused.
ABOUT: Final = 6
NAMING: Final = 6
REFUSED: Final = 4
OLD_DAYS: Final = 20

PERSONAL: Final[dict[str, Any]] = {"type": "string", "x-classification": "personal"}
TREATED: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "order": {"type": "string"},
        "mail": {**PERSONAL, "x-privacy": "tokenize"},
        "gift_to": {**PERSONAL, "x-privacy": "tokenize", "x-privacy-options": {"purpose": "gift"}},
        "iban": {**PERSONAL, "x-privacy": "encrypt"},
        "phone": {**PERSONAL, "x-privacy": "drop"},
        "born": {**PERSONAL, "x-privacy": "truncate"},
        "paid": {"type": "number", "x-classification": "personal", "x-privacy": "bucket"},
        "kin": {"type": "array", "items": {**PERSONAL, "x-privacy": "encrypt"}},
    },
    "required": ["order"],
}
PLAIN: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "amount": {"type": "number"}},
    "required": ["order"],
}
# name, contract, and what differs from a new stream
STREAMS: Final[tuple[tuple[str, dict[str, Any], dict[str, Any]], ...]] = (
    ("drill.page_viewed", PLAIN, {"track": "production"}),
    ("drill.order_placed", TREATED, {"subject_privacy": "tokenize"}),
    ("drill.login_failed", PLAIN, {"subject_privacy": "drop"}),
    ("drill.profile_saved", TREATED, {}),
    ("drill.shop_visited", PLAIN, {"archive": True, "retention_days": 60}),
)
_TREATED: Final = frozenset(name for name, document, _ in STREAMS if document is TREATED)
OLD: Final = "drill.shop_visited"
DROPS: Final = "drill.login_failed"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, by all that they are known by."""

    id: str
    mail: str
    phone: str
    number: int

    @property
    def identifiers(self) -> tuple[str, ...]:
        return (self.id, self.mail, self.phone, str(self.number))


def people(rng: random.Random, count: int) -> list[Person]:
    """So many people; no identifier is part of another's."""
    found = []
    for _ in range(count):
        tag = f"{rng.getrandbits(44):011x}"
        found.append(
            Person(
                f"cu-{tag}",
                f"{tag}.canary@shop.example",
                f"+49151{rng.randrange(10**9, 10**10)}",
                rng.randrange(77 * 10**11, 78 * 10**11),
            )
        )
    return found


class Crowd:
    """Events by number, the same for the same seed."""

    def __init__(self, seed: int, subjects: int, now: datetime) -> None:
        rng = random.Random(seed)
        self.sought = people(rng, subjects)
        self.others = people(rng, OTHERS)
        self._rng, self._now = rng, now

    def events(self, count: int) -> Iterator[dict[str, Any]]:
        """So many events, over all streams and kinds."""
        for number in range(count):
            place = number % 1000
            name = STREAMS[(number + number // 1000) % len(STREAMS)][0]
            other = self._rng.choice(self.others)
            sought = self.sought[(number + number // 7) % len(self.sought)]
            if place < ABOUT:
                yield self.about(f"a-{number}", name, sought, number)
            elif place < ABOUT + NAMING:
                yield self._naming(f"m-{number}", name, other, sought, number)
            elif place < ABOUT + NAMING + REFUSED:
                yield self._refused(number, name, other, sought)
            else:
                yield self.about(f"o-{number}", name, other, number)

    def about(self, name: str, stream: str, person: Person, number: int) -> dict[str, Any]:
        """An event about a person, with all that they are known by in it."""
        if stream == DROPS:  # no subject is kept, so the partition key says whom it is about
            more: dict[str, Any] = {"anonymousid": person.id}
            if name.startswith("a-"):
                name = f"m{name[1:]}"  # nothing tells any more: it keeps all but the values
        else:
            more = {"subject": self._subject(person, number), "partitionkey": person.id}
        return self._event(name, stream, number, data=self._data(stream, person, number)) | more

    def _subject(self, person: Person, number: int) -> str:
        return (person.id, person.mail, person.mail.upper(), person.id)[number % 4]

    def _data(self, stream: str, person: Person, number: int) -> dict[str, Any]:
        data: dict[str, Any] = {"order": f"order {number}"}
        if stream in _TREATED:
            return data | {
                "mail": person.mail, "gift_to": person.phone, "iban": f"DE{person.number}",
                "phone": person.phone, "born": "1990-05-17", "paid": 17.5,
                "kin": [person.mail, "nobody"],
            }  # fmt: skip
        return data | {
            "amount": number / 8, "customer": person.number, "mails": [person.mail, "none"],
            "deep": {"phone": person.phone}, person.mail: True,
        }  # fmt: skip

    def _naming(
        self, name: str, stream: str, other: Person, sought: Person, number: int
    ) -> dict[str, Any]:
        event = self.about(f"o-{number}", stream, other, number)
        context = json.dumps({"ip": "10.0.0.1", "userId": sought.mail})
        more = {"correlationid": sought.id, "context": context}
        return event | {"id": name, "data": self._data(stream, sought, number)} | more

    def _refused(self, number: int, stream: str, other: Person, sought: Person) -> dict[str, Any]:
        """A dead letter: of an unknown type or against its contract, about or naming the sought."""
        person = sought if number % 2 else other
        event = self.about(f"r-{number}", stream, person, number)
        event["data"] = {"mail": sought.mail, "phone": [sought.phone], "note": sought.id}
        if number % 4 < 2:
            event["type"] = f"drill.unknown_{number % 3}"
        return event

    def unreadable(self) -> list[bytes]:
        """Bodies that no parser takes, with the sought in them."""
        return [
            f'{{"subject": "{person.id}", "data": {{"mail": "{person.mail}"'.encode()
            for person in self.sought
        ] + [
            f"mail={person.mail.replace('@', '%40')}&n={person.number}".encode()
            for person in self.sought
        ]

    def _event(self, name: str, stream: str, number: int, **more: Any) -> dict[str, Any]:
        back = timedelta(days=OLD_DAYS + number % 2) if stream == OLD else timedelta(seconds=60)
        at = self._now - back - timedelta(milliseconds=number % 3_600_000)
        return {
            "specversion": "1.0", "id": name, "source": "/drill", "type": stream,
            "time": at.isoformat(), **more,
        }  # fmt: skip
