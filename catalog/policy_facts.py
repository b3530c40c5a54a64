"""The facts that policies read of streams, proposed changes and consumers, as plain values.

What stands here is pure: rows in, dictionaries out. `catalog.selectors.policy_facts` reads the rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from catalog.classified import PERSONAL, SENSITIVITY, sensitivity_of
from catalog.models import Stream
from catalog.touched import is_about
from catalog.types import Classification
from governance.policies.facts import Fact

_FIELD: Final = {
    "path": "customer.email", "name": "email", "depth": 1, "types": ["string"], "format": "email",
    "required": True, "title": "", "description": "Whose.", "classification": "personal",
    "privacy": "tokenize", "unit": "", "deprecated": False,
}  # fmt: skip
CONTRACT_FACTS: Final = (
    Fact("contract.version", "The version's number, 0 where it has none yet.", 1),
    Fact(
        "contract.fields",
        "Its fields, each with path, name, depth (0 at the top), types, format, required, title, "
        "description, classification, privacy (x-privacy), unit, deprecated.",
        [_FIELD],
    ),
)
STREAM_FACTS: Final = (
    Fact("stream.name", "The stream's name.", "checkout.order_placed"),
    Fact("stream.domain", "Its domain.", "checkout"),
    Fact("stream.title", "Its title; empty without one.", "Orders"),
    Fact("stream.description", "Its description; empty without one.", "An order was placed."),
    Fact("stream.owner", "The team that owns it or its domain; empty without one.", "checkout"),
    Fact("stream.tier", "T1, T2 or T3.", "T1"),
    Fact("stream.track", "production or experimental.", "production"),
    Fact("stream.lifecycle", "draft, proposed, active, deprecated or retired.", "active"),
    Fact("stream.classification", "public, internal, personal or sensitive.", "personal"),
    Fact("stream.subject_classification", "The same of its subject.", "personal"),
    Fact("stream.subject_privacy", "none, tokenize or drop.", "tokenize"),
    Fact("stream.subject_meaning", "What its subject is; empty without one.", "a customer"),
    Fact("stream.is_personal", "Whether data or subject are personal or sensitive.", example=True),
    Fact("stream.restricted", "Whether only grants let it be known of.", example=False),
    Fact("stream.retention_days", "How many days events are kept.", 400),
    Fact("stream.archive", "Whether its days are archived before they go.", example=False),
    Fact("stream.minimise", "Whether what no contract speaks of is taken out.", example=False),
    Fact("stream.erased_subjects", "refuse or fresh: later events about the erased.", "refuse"),
    Fact("stream.enforcement", "observe, warn or enforce.", "enforce"),
    Fact("stream.compatibility_mode", "Such as BACKWARD.", "BACKWARD_TRANSITIVE"),
    Fact("stream.compatibility_policy", "strict, lenient or reader_writer.", "reader_writer"),
    Fact("stream.tags", "Its tags.", ["money"]),
    Fact("stream.approvers", "How many people may approve its changes by team or grant.", 2),
    Fact("stream.producers", "How many producers may publish to it by name.", 1),
    Fact("stream.consumers", "How many consumers declared that they read it.", 3),
    Fact("stream.age_days", "How long ago it was registered.", 90),
    Fact("stream.review_overdue_days", "How long its review is overdue; 0 or less: not.", 0),
    *CONTRACT_FACTS,
)
_REMOVED: Final = {"path": "zip", "deprecated": True, "classification": "", "readers": 2}
CHANGE_FACTS: Final = (
    Fact("change.version", "The number of the proposed version.", 2),
    Fact("change.summary", "What it is about, in a line.", "Adds a note."),
    Fact("change.opens_group", "Whether it breaks earlier versions on purpose.", example=False),
    Fact("change.compatible", "Whether it fits the active versions.", example=True),
    Fact("change.needed_approvals", "How many approvals it needs.", 1),
    Fact(
        "change.removed",
        "Fields that go, each with path, deprecated, classification and readers: how many "
        "consumers declared to read it.",
        [_REMOVED],
    ),
    Fact("change.added", "The paths of fields that are new.", ["note"]),
    Fact("change.broken_readers", "Consumers that it breaks, by what they declared.", ["billing"]),
    *STREAM_FACTS,
)
CONSUMER_FACTS: Final = (
    Fact("consumer.name", "Its name.", "billing"),
    Fact("consumer.description", "Its description; empty without one.", "Writes bills."),
    Fact("consumer.kind", "service, dashboard, warehouse, model or experiment.", "service"),
    Fact("consumer.team", "Its team; empty without one.", "finance"),
    Fact("consumer.streams", "How many streams it declared to read.", 3),
    Fact("consumer.retired_streams", "How many of these are retired.", 0),
    Fact("consumer.without_fields", "How many it reads without saying which fields.", 0),
    Fact("consumer.age_days", "How long ago it was made.", 90),
)


class FieldLike(Protocol):
    """A row of the field index, in the database or not."""

    @property
    def path(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def depth(self) -> int: ...
    @property
    def types(self) -> Sequence[str]: ...
    @property
    def format(self) -> str: ...
    @property
    def required(self) -> bool: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def classification(self) -> str: ...
    @property
    def privacy(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def deprecated(self) -> bool: ...


def field_facts(rows: Iterable[FieldLike]) -> list[dict[str, Any]]:
    """Fields as expressions read them."""
    return [{name: _listed(getattr(row, name)) for name in _FIELD} for row in rows]


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def as_with(stream: Mapping[str, Any], document: object) -> dict[str, Any]:
    """The facts of a stream whose default would be this document: it may rise in classification."""
    now = SENSITIVITY.index(Classification(stream["classification"]))
    highest = SENSITIVITY[max(now, sensitivity_of(document))]
    is_personal = stream["is_personal"] or highest in PERSONAL
    return {**stream, "classification": str(highest), "is_personal": is_personal}


def change_facts(
    old: Sequence[FieldLike],
    new: Sequence[FieldLike],
    *,
    readers: Mapping[str, Sequence[str]],
    broken: Sequence[str],
    **stated: Any,
) -> dict[str, Any]:
    """The facts of a candidate against the newest active version; `readers` are the fields that
    each consumer declared, `stated` what is known of the proposal itself."""
    after = {row.path for row in new}
    before = {row.path for row in old}
    removed = [
        {
            "path": row.path,
            "deprecated": row.deprecated,
            "classification": row.classification,
            "readers": sum(
                any(is_about(row.path, path) for path in paths) for paths in readers.values()
            ),
        }
        for row in old
        if row.path not in after
    ]
    added = [row.path for row in new if row.path not in before]
    return {**stated, "removed": removed, "added": added, "broken_readers": list(broken)}


def own_facts(stream: Stream) -> dict[str, Any]:
    """What the stream's own row says; of a row that is not kept yet, choices are texts too."""
    return {
        "name": stream.name,
        "title": stream.title,
        "description": stream.description,
        "tier": str(stream.tier),
        "track": str(stream.track),
        "lifecycle": str(stream.lifecycle),
        "classification": str(stream.classification),
        "subject_classification": str(stream.subject_classification),
        "subject_privacy": str(stream.subject_privacy),
        "subject_meaning": stream.subject_meaning,
        "is_personal": stream.is_personal,
        "restricted": stream.restricted,
        "retention_days": stream.retention_days,
        "archive": stream.archive,
        "minimise": stream.minimise,
        "erased_subjects": str(stream.erased_subjects),
        "enforcement": str(stream.enforcement),
        "compatibility_mode": str(stream.compatibility_mode),
        "compatibility_policy": str(stream.compatibility_policy),
    }
