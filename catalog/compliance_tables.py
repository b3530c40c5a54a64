"""The compliance report and the record of processing activities as tables for spreadsheets."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet

from catalog.selectors.compliance import Standing, standings
from portal.kernel import tables
from portal.kernel.actor import Actor

_BATCH: Final = 200
Row = Sequence[str | int]
COMPLIANCE: Final[Row] = (
    "domain", "stream", "owner", "tier", "lifecycle", "classification", "review due",
    "review overdue", "last reviewed", "policy findings", "waived findings", "personal fields",
    "personal fields without treatment", "subject", "retention days", "archived", "consumers",
    "grants", "grants last used",
)  # fmt: skip
PROCESSING: Final[Row] = (
    "domain", "stream", "what", "personal data", "subject", "purposes", "responsible", "sent by",
    "read by", "grants to read", "kept days", "archived", "treatment",
)  # fmt: skip


def compliance_row(one: Standing) -> Row:
    """One stream of the report."""
    stream = one.stream
    return (
        stream.domain.slug, stream.name, one.owner, stream.tier, stream.lifecycle,
        stream.classification, _day(one.review_due_at), "yes" if one.is_overdue else "no",
        _day(stream.reviewed_at),
        _lines(row.policy.title for row in one.findings if not row.waived),
        _lines(row.policy.title for row in one.findings if row.waived),
        _lines(_field(field) for field in one.fields), one.untreated,
        f"{stream.subject_classification}, {stream.subject_privacy}", stream.retention_days,
        "yes" if stream.archive else "no", _lines(row.consumer.name for row in one.consumers),
        one.grants_count, _day(one.last_used_at),
    )  # fmt: skip


def processing_row(one: Standing) -> Row:
    """One stream of the record: what, whose, why, where, how long, who."""
    stream = one.stream
    purposes = [f"{row.consumer.name}: {row.purpose or 'not said'}" for row in one.consumers]
    purposes += [f"{grant.holder}: {grant.purpose}" for grant in one.grants]
    return (
        stream.domain.slug, stream.name, stream.description,
        _lines(f"{field.path} ({field.classification})" for field in one.fields),
        f"{stream.subject_meaning or 'not said'} ({stream.subject_classification})",
        _lines(purposes), one.owner, _lines(one.producers),
        _lines(row.consumer.name for row in one.consumers), one.grants_count,
        stream.retention_days, "yes" if stream.archive else "no",
        _lines([*(_field(field) for field in one.fields), f"subject: {stream.subject_privacy}"]),
    )  # fmt: skip


def written(
    actor: Actor, rows: QuerySet[Any], head: Row, row: Callable[[Standing], Row]
) -> Iterator[bytes]:
    """A table with its head, some hundred streams at a time, by name."""
    yield tables.lines([head])
    after = ""
    while streams := list(rows.filter(name__gt=after).order_by("name")[:_BATCH]):
        yield tables.lines([row(one) for one in standings(actor, streams)])
        after = streams[-1].name


def _field(field: Any) -> str:
    return f"{field.path}: {field.privacy or 'no treatment'}"


def _lines(texts: Any) -> str:
    return "; ".join(texts)


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at is not None else ""
