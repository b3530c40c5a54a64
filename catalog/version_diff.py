"""Two versions of a contract compared for programs: each difference, by field, and the verdicts.

The page of two versions says the same; both are made of `catalog.compatibility` and `catalog.diff`.
"""

from typing import Any, Final

from catalog.compatibility.engine import compare
from catalog.compatibility.types import Difference, Mode, Policy, Verdict
from catalog.diff import DiffRow, field_diff, from_check
from catalog.field_index import fields_of
from catalog.models import SchemaVersion, Stream
from catalog.schema_safety import fingerprint

MAX_FIELDS: Final = 2_000
MAX_DIFFERENCES: Final = 2_000


def version_diff(stream: Stream, old: SchemaVersion, new: SchemaVersion) -> dict[str, Any]:
    """What a later (or earlier) version changes, as JSON; at most MAX_FIELDS fields and
    MAX_DIFFERENCES differences, with how many there are more."""
    mode = Mode(stream.compatibility_mode)
    verdicts = {
        policy: compare(new.document, [old.document], mode=mode, policy=policy) for policy in Policy
    }
    mine = Policy(stream.compatibility_policy)
    differences = [
        difference_body(one, refuses=refuses(one, mode)) for one in verdicts[mine].differences
    ]
    diff = field_diff(fields_of(old.document), fields_of(new.document), from_check(differences))
    rows = [row for row in diff.rows if isinstance(row, DiffRow)]
    return {
        "stream": stream.name,
        "from": old.version,
        "to": new.version,
        "verdict": verdict_body(mode, mine, verdicts[mine]),
        "others": [
            verdict_body(mode, policy, verdict)
            for policy, verdict in verdicts.items()
            if policy is not mine
        ],
        "differences": differences[:MAX_DIFFERENCES],
        "more_differences": max(len(differences) - MAX_DIFFERENCES, 0),
        "added": diff.added,
        "removed": diff.removed,
        "changed": diff.changed,
        "unchanged": sum(len(row.paths) for row in diff.rows if not isinstance(row, DiffRow)),
        "fields": [field_body(row) for row in rows[:MAX_FIELDS]],
        "more_fields": max(len(rows) - MAX_FIELDS, 0),
        "notes": list(verdicts[mine].notes),
    }


def tag_of(stream: Stream, old: SchemaVersion, new: SchemaVersion) -> str:
    """What a comparison rests on, in few characters: two documents, the mode and the policy."""
    judged = [stream.name, stream.compatibility_mode, stream.compatibility_policy]
    shown = [old.version, old.document_sha256.hex(), new.version, new.document_sha256.hex()]
    return fingerprint([*judged, *shown]).hex()[:32]


def refuses(difference: Difference, mode: Mode) -> bool:
    """Whether a mode refuses a difference: it breaks a direction that is asked for."""
    return not set(difference.breaks).isdisjoint(mode.directions)


def difference_body(difference: Difference, *, refuses: bool) -> dict[str, Any]:
    """A difference as JSON; `refuses` says whether the stream's mode refuses it."""
    row = difference.as_dict()
    row.pop("version")
    return row | {"refuses": refuses}


def verdict_body(mode: Mode, policy: Policy, verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON, with the mode and the policy it is under."""
    return {
        "mode": str(mode),
        "policy": str(policy),
        "compatible": verdict.compatible,
        "undecided": verdict.undecided,
    }


_KINDS: Final = {"add": "added", "del": "removed", "chg": "changed"}


def field_body(row: DiffRow) -> dict[str, Any]:
    """A row as JSON; `kind` is added, removed or changed."""
    return {
        "path": row.path,
        "kind": _KINDS[row.kind],
        "types": row.types,
        "detail": row.detail,
        "effect": row.effect,
        "classification": row.classification,
        "required": row.required,
    }
