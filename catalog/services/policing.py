"""Where policies meet the catalog's writes: what a change leaves behind is judged in its transaction.

1. Registering, importing, promoting and activating are judged in full: what a blocking policy finds
   stops them, unless it is waived.
2. A change of facts is stopped only by what it breaks itself. What was not in order before stays
   a finding, so that a stream can be mended one step after the other.
3. The registry's door reports and never refuses (interfaces of the Confluent registry).

What is found is kept as findings; it goes with the transaction where that is refused.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from catalog.field_index import FieldRow
from catalog.models import Change, Consumer, Stream
from catalog.policy_subjects import CHANGE, CONSUMER, STREAM
from catalog.selectors.policy_facts import (
    candidate_thing,
    consumer_thing,
    stated_by,
    stream_thing,
)
from governance.errors import PolicyError
from governance.policies.facts import Thing
from governance.policies.judging import Said, rows_of
from governance.selectors.policies import judged_now, live_rules
from governance.services.policy_runs import keep_findings
from governance.types import Severity
from portal.kernel import clock

Broken = frozenset[str]


def broken_by_stream(stream: Stream) -> Broken:
    """The blocking policies that stop the stream as it is, before it is changed."""
    return _broken(STREAM, lambda: stream_thing(stream))


def keep_stream_in_order(stream: Stream, *, but: Broken = frozenset()) -> None:
    """Shared step: judge a stream as it is now and keep what is found.

    Raises PolicyError where a blocking policy finds something, but for those in `but`.
    """
    _keep(STREAM, stream_thing(stream), but)


def report_stream(stream: Stream) -> None:
    """Shared step of the registry's door: keep what is found, refuse nothing."""
    thing = stream_thing(stream)
    at = clock.now()
    keep_findings(STREAM, {thing.key: judged_now(STREAM, thing)}, at=at)


def broken_by_consumer(consumer: Consumer) -> Broken:
    """As `broken_by_stream`, of a consumer."""
    return _broken(CONSUMER, lambda: consumer_thing(consumer))


def keep_consumer_in_order(consumer: Consumer, *, but: Broken = frozenset()) -> None:
    """Shared step: as `keep_stream_in_order`, of a consumer."""
    _keep(CONSUMER, consumer_thing(consumer), but)


def weigh_change(change: Change) -> Thing:
    """The facts of a change before it is activated: what it removes is still there."""
    version = change.version
    rows = list(version.fields.order_by("position"))
    return candidate_thing(
        change.stream, version.document, rows, key=str(change.pk), number=version.version,
        stated=stated_by(change),
    )  # fmt: skip


def keep_activation_in_order(
    weighed: Thing, stream: Stream, *, compatible: bool, is_default: bool
) -> None:
    """Shared step of activating: judge a weighed change, and the stream with its contract.

    Raises PolicyError where a blocking policy finds something.
    """
    weighed.facts["change"]["compatible"] = compatible
    at = clock.now()
    there = Thing(stream.name, weighed.facts)
    said = judged_now(STREAM, there)
    _refuse([*judged_now(CHANGE, weighed), *said], frozenset())
    if is_default:
        keep_findings(STREAM, {stream.name: said}, at=at)


def said_of_candidate(
    stream: Stream,
    document: Mapping[str, Any],
    rows: Sequence[FieldRow],
    *,
    compatible: bool,
    change: Change | None = None,
) -> list[dict[str, Any]]:
    """What policies say of a candidate, of it as a change and of the stream with it, as JSON.

    Findings on a change that is there are kept; what a mere candidate does not say of itself
    is not measured.
    """
    stated = stated_by(change) if change is not None else {}
    thing = candidate_thing(
        stream, document, rows, key=str(change.pk) if change is not None else "",
        number=change.version.version if change is not None else 0,
        stated={**stated, "compatible": compatible},
    )  # fmt: skip
    at = clock.now()
    said = judged_now(CHANGE, thing)
    if change is not None:
        keep_findings(CHANGE, {thing.key: said}, at=at)
    return rows_of([*said, *judged_now(STREAM, Thing(stream.name, thing.facts))])


def _broken(kind: str, read: Callable[[], Thing]) -> Broken:
    """Which policies stop a thing; nothing is read where none blocks at all."""
    if not any(rule.severity == Severity.BLOCK for rule in live_rules(kind)):
        return frozenset()
    return frozenset(one.policy for one in judged_now(kind, read()) if one.blocks)


def _keep(kind: str, thing: Thing, but: Broken) -> None:
    at = clock.now()
    said = judged_now(kind, thing)
    _refuse(said, but)
    keep_findings(kind, {thing.key: said}, at=at)


def _refuse(said: Iterable[Said], but: Broken) -> None:
    if found := [one for one in said if one.blocks and one.policy not in but]:
        raise PolicyError(found)
