"""Changes to the audit chain such as the owner of the database could make, at random.

Each is made in the open transaction, past the triggers, with a cursor of its own connection; who calls
rolls back. `upto` is the last row that signed anchors vouch for: what the chain alone cannot show (a
tail cut off, everything behind a change hashed anew) is done at or before it.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from governance.chain.rows import digest
from governance.models import AuditEntry

TABLES: Final = ("governance_audit", "governance_audit_anchor")
_TEXTS: Final = (
    "actor", "actor_kind", "action", "object_kind", "object_key", "summary", "request_id",
)  # fmt: skip
_CONTENT: Final = (*_TEXTS, "actor_id", "at", "detail")


@dataclass(frozen=True)
class Tampering:
    """What was done, and the first row that is not what it was."""

    kind: str
    first_bad: int


def tamper(cursor: Any, rng: random.Random, *, rows: int, upto: int) -> Tampering:
    """Make one change of a random kind to a chain of so many rows."""
    for table in TABLES:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    kind = rng.choice(list(KINDS))
    first_bad = KINDS[kind](cursor, rng, rows, upto)
    for table in TABLES:
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    return Tampering(kind, first_bad)


def _edit(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """One value of one row."""
    seq = rng.randint(1, rows)
    column = rng.choice([*_CONTENT, "hash", "prev_hash", "format"])
    if column in {"hash", "prev_hash"}:
        cursor.execute(
            f"UPDATE governance_audit SET {column} = %s WHERE seq = %s", [rng.randbytes(32), seq]
        )
        return seq
    if column == "detail":
        change = "detail || jsonb_build_object('forged', %s::text)"
    elif column == "at":
        change = "at + %s::int * interval '1 microsecond'"
    elif column == "actor_id":
        change = "actor_id + %s::int"
    elif column == "format":
        change = "CASE format WHEN 1 THEN 2 ELSE 1 END + 0 * %s::int"
    else:
        change = f"{column} || chr(31) || %s::text"
    cursor.execute(
        f"UPDATE governance_audit SET {column} = {change} WHERE seq = %s",
        [rng.randint(1, 10**6), seq],
    )
    return seq


def _delete(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """One row."""
    seq = rng.randint(1, rows - 1)
    cursor.execute("DELETE FROM governance_audit WHERE seq = %s", [seq])
    return seq


def _delete_closed(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """One row, the others moved up, and everything hashed anew."""
    seq = rng.randint(1, upto)
    cursor.execute("DELETE FROM governance_audit WHERE seq = %s", [seq])
    _shift(cursor, seq, -1)
    _hash_anew(cursor, seq)
    return seq


def _insert(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """A row that never was, hashed as it has to be, with all behind it."""
    seq = rng.randint(1, upto)
    _put_in(cursor, seq)
    _hash_anew(cursor, seq)
    return seq


def _insert_blindly(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """A row that never was, with the hashes of another."""
    seq = rng.randint(1, rows)
    _put_in(cursor, seq)
    return seq


def _swap(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """What two rows say."""
    one, other = sorted(rng.sample(range(1, rows + 1), 2))
    columns = ", ".join(f"{column} = b.{column}" for column in _CONTENT)
    cursor.execute(
        f"UPDATE governance_audit a SET {columns} FROM governance_audit b"
        " WHERE (a.seq, b.seq) IN ((%(one)s, %(other)s), (%(other)s, %(one)s))",
        {"one": one, "other": other},
    )
    return one


def _swap_numbers(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """The numbers of two rows, and everything hashed anew."""
    one, other = sorted(rng.sample(range(1, upto + 1), 2))
    for before, after in ((one, -1), (other, one), (-1, other)):
        cursor.execute("UPDATE governance_audit SET seq = %s WHERE seq = %s", [after, before])
    _hash_anew(cursor, one)
    return one


def _cut(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """The newest rows, and the head set back."""
    seq = rng.randint(1, upto)
    cursor.execute("DELETE FROM governance_audit WHERE seq >= %s", [seq])
    cursor.execute(
        "UPDATE governance_audit_head SET seq = %(seq)s - 1, hash = coalesce((SELECT hash FROM"
        " governance_audit WHERE seq = %(seq)s - 1), decode(repeat('00', 32), 'hex'))",
        {"seq": seq},
    )
    return seq


def _hashed_anew(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """One value, and everything from there hashed anew."""
    seq = rng.randint(1, upto)
    cursor.execute("UPDATE governance_audit SET summary = summary || '!' WHERE seq = %s", [seq])
    _hash_anew(cursor, seq)
    return seq


def _hashed_anew_and_anchors(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """The same, and the anchors of the database gone from there on."""
    seq = _hashed_anew(cursor, rng, rows, upto)
    cursor.execute("DELETE FROM governance_audit_anchor WHERE upto_seq >= %s", [seq])
    return seq


def _anchor_forged(cursor: Any, rng: random.Random, rows: int, upto: int) -> int:
    """An anchor of the database that states something else: the first of its rows is in doubt."""
    cursor.execute(
        "SELECT number, first_seq FROM governance_audit_anchor ORDER BY random() LIMIT 1"
    )
    number, first = cursor.fetchone()
    cursor.execute(
        "UPDATE governance_audit_anchor SET root = %s WHERE number = %s",
        [rng.randbytes(32), number],
    )
    return int(first)


def _put_in(cursor: Any, seq: int) -> None:
    """Make room for a row and put a forged copy of the one that stood there."""
    _shift(cursor, seq - 1, 1)
    cursor.execute(
        "INSERT INTO governance_audit SELECT %s, at, actor_kind, actor_id, actor, action, object_kind,"
        " object_key, 'forged', detail, request_id, prev_hash, hash, format FROM governance_audit"
        " WHERE seq = %s",
        [seq, seq + 1],
    )


def _shift(cursor: Any, behind: int, by: int) -> None:
    """Give all rows behind one other numbers, and the head."""
    cursor.execute("UPDATE governance_audit SET seq = -(seq + %s) WHERE seq > %s", [by, behind])
    cursor.execute("UPDATE governance_audit SET seq = -seq WHERE seq < 0")
    cursor.execute("UPDATE governance_audit_head SET seq = seq + %s", [by])


def _hash_anew(cursor: Any, first: int) -> None:
    """Compute every hash from a row on as if it had been written so."""
    cursor.execute("SELECT hash FROM governance_audit WHERE seq = %s", [first - 1])
    found = cursor.fetchone()
    previous = bytes(found[0]) if found else bytes(32)
    columns = [field.attname for field in AuditEntry._meta.concrete_fields]
    cursor.execute(
        f"SELECT {', '.join(columns)} FROM governance_audit WHERE seq >= %s ORDER BY seq", [first]
    )
    changed: list[tuple[int, bytes, bytes]] = []
    for values in cursor.fetchall():
        fields = dict(zip(columns, values, strict=True))
        if isinstance(fields["detail"], str):
            fields["detail"] = json.loads(fields["detail"])
        entry = AuditEntry(**fields)
        own = digest(previous, entry)
        changed.append((entry.seq, previous, own))
        previous = own
    cursor.execute("UPDATE governance_audit_head SET hash = %s", [previous])
    if not changed:
        return
    cursor.execute(
        "UPDATE governance_audit a SET prev_hash = n.previous, hash = n.own FROM"
        " unnest(%s::bigint[], %s::bytea[], %s::bytea[]) n(seq, previous, own) WHERE a.seq = n.seq",
        [list(column) for column in zip(*changed, strict=True)],
    )


KINDS: Final[dict[str, Callable[[Any, random.Random, int, int], int]]] = {
    "edit": _edit,
    "delete": _delete,
    "delete, closed and hashed anew": _delete_closed,
    "insert, hashed anew": _insert,
    "insert": _insert_blindly,
    "swap": _swap,
    "swap, hashed anew": _swap_numbers,
    "tail cut": _cut,
    "hashed anew": _hashed_anew,
    "hashed anew, anchors deleted": _hashed_anew_and_anchors,
    "anchor forged": _anchor_forged,
}
