"""Erasures for tests: a store of their own, and the job run to its end in this process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import orjson
from django.db import connection

from governance import erasing
from governance.erasing import Collected, Sought, Swept
from governance.models import Erasure, Job
from governance.privacy import vault
from governance.privacy.whom import SETTLE
from governance.services import erasures as services
from governance.services.jobs import run_due_jobs
from portal.kernel import clock
from portal.kernel.actor import Actor

TABLE: Final = "tests_guestbook"
MAIL: Final = "Ada.Canary@zebra.example"
NUMBER: Final = "4711000815"
WHY: Final = "She wrote to us and asked for it."


class Guestbook:
    """A table with a line a guest, walked two rows a step. It is made with the store."""

    key = "guestbook"
    name = "Guest book"

    def size(self) -> int:
        return len(self.guests())

    def guests(self) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT guest FROM {TABLE} ORDER BY id")
            return [guest for (guest,) in cursor.fetchall()]

    def write(self, *guests: str) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {TABLE} (guest) VALUES (%s)", [(guest,) for guest in guests]
            )

    def _rows(
        self, cursor: Mapping[str, Any]
    ) -> tuple[list[tuple[int, str]], dict[str, Any] | None]:
        with connection.cursor() as sql:
            sql.execute(
                f"SELECT id, guest FROM {TABLE} WHERE id > %s ORDER BY id LIMIT 2",
                [cursor.get("after", 0)],
            )
            rows = sql.fetchall()
        return rows, {"after": rows[-1][0]} if len(rows) == 2 else None

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        rows, then = self._rows(cursor)
        meant = [number for number, guest in rows if sought.until(guest) is not None]
        with connection.cursor() as sql:
            sql.execute(f"DELETE FROM {TABLE} WHERE id = ANY(%s)", [meant])
        return Swept(then, looked_at=len(rows), erased=len(meant))

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        rows, then = self._rows(cursor)
        items = tuple({"guest": guest} for _, guest in rows if sought.until(guest) is not None)
        return Collected(then, looked_at=len(rows), items=items)


@contextmanager
def guestbook() -> Iterator[Guestbook]:
    """The store, registered, with its table; both are gone afterwards."""
    book = Guestbook()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} (id bigserial PRIMARY KEY, guest text NOT NULL)")
    erasing.register(book)
    try:
        yield book
    finally:
        erasing.forget(book.key)
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {TABLE}")


def run_to_the_end(row: Erasure) -> Job:
    """Run the job of an erasure as a worker does, when the time to settle is over."""
    assert row.at is not None
    assert row.job_id is not None
    said = ""
    with clock.at(row.at + SETTLE):
        for _ in range(50):
            Job.objects.filter(pk=row.job_id).update(due_at=None)
            run_due_jobs()
            job = Job.objects.get(pk=row.job_id)
            if not job.is_live:
                return job
            said = job.said
    raise AssertionError(f"it still runs: {said}")


def asked(actor: Actor, *identifiers: str) -> Erasure:
    return services.request_erasure(
        identifiers or (MAIL, NUMBER), actor=actor, basis="objection", reason=WHY
    )


def approved(ada: Actor, ben: Actor, *identifiers: str) -> Erasure:
    return services.approve_erasure(asked(ada, *identifiers).pk, actor=ben)


def token_for(purpose: str, value: Any) -> str:
    """The token that the vault has for a value, or makes."""
    text = orjson.dumps(value)
    ref = vault.value_ref(purpose, text)
    return vault.tokens_for({ref: (purpose, text)})[ref]
