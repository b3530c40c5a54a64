"""Every setting of a stream that can be changed is in the files that carry it, and comes back."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from catalog.exchange import asyncapi, odcs, portal_yaml
from catalog.exchange.documents import OutsideStream
from catalog.models import Stream
from catalog.selectors.exchange import declared, living_streams, outside_streams
from catalog.services.exchange import apply_file, import_streams
from catalog.services.streams import CHANGEABLE, change_stream
from portal.kernel.actor import SYSTEM
from tests.catalog.exchange_services.conftest import FIRST
from tests.support.factories import make_stream, make_team

pytestmark = pytest.mark.django_db

# One value for each setting, another than a new stream has. A new setting needs a line here, and
# then the round trips below say whether the files know it.
VALUES: Final[dict[str, Any]] = {
    "title": "Refund issued",
    "description": "Money went back.",
    "tier": "T1",
    "classification": "personal",
    "subject_classification": "personal",
    "subject_meaning": "The customer.",
    "subject_privacy": "tokenize",
    "minimise": True,
    "erased_subjects": "fresh",
    "enforcement": "observe",
    "restricted": True,
    "cadence_seconds": 600,
    "retention_days": 90,
    "archive": True,
    "is_state": True,
    "state_key": "/refund_id",
    "late_seconds": 7_200,
    "ahead_seconds": 60,
    "events_per_second": 50,
    "compatibility_mode": "FULL",
    "compatibility_policy": "strict",
    "tags": ["money"],
    "extensions": {"other": {"kept": True}},
    "owner_team": None,  # a team of the test's own
}
# What other steps write (promotion, lifecycle, reviews), or what is the stream's own history.
NOT_SETTINGS: Final = {
    "id", "name", "domain", "lifecycle", "track", "production_since", "track_moments", "default_version",
    "deprecated_at", "sunset_at", "successor", "migration_note", "retired_at", "reviewed_at",
    "last_event_at", "search", "created_at", "created_by", "updated_at", "revision",
}  # fmt: skip


def facts_of(stream: Stream) -> dict[str, Any]:
    found = {name: getattr(stream, name) for name in VALUES if name != "tags"}
    found["tags"] = sorted(stream.tags.values_list("slug", flat=True))
    return found


def test_every_column_of_a_stream_is_a_setting_or_is_named_as_none() -> None:
    columns = {one.name for one in Stream._meta.concrete_fields} | {"tags"}
    assert columns - NOT_SETTINGS == CHANGEABLE == set(VALUES)


def by_portal_yaml(rows: Any) -> None:
    text = portal_yaml.write(declared(SYSTEM, rows))
    reset()
    found = portal_yaml.read(text, where="portal.yaml")
    assert found.unreadable == ()
    assert apply_file(found, actor=SYSTEM).refused == ()


def by_odcs(rows: Any) -> None:
    (written,) = outside_streams(rows)
    document = odcs.write(written)
    reset()
    take(odcs.read(document, where="odcs.yaml"))


def by_asyncapi(rows: Any) -> None:
    document = asyncapi.write(outside_streams(rows), title="Refunds")
    reset()
    take(asyncapi.read(document, where="asyncapi.json"))


def take(found: list[Any]) -> None:
    (stream,) = found
    assert isinstance(stream, OutsideStream)
    plan = import_streams([stream], actor=SYSTEM)
    assert plan.refused == ()


def reset() -> None:
    """The stream as if it had never been set up."""
    fresh = make_stream(schema=FIRST)
    plain = {name: getattr(fresh, name) for name in CHANGEABLE - {"tags"}}
    stream = Stream.objects.get(name="shop.refund_issued")
    now = facts_of(change_stream(stream, {**plain, "tags": []}, actor=SYSTEM))
    assert [name for name in VALUES if now[name] == VALUES[name]] == ["owner_team"]


@pytest.mark.parametrize("carry", [by_portal_yaml, by_odcs, by_asyncapi])
def test_every_setting_of_a_stream_goes_out_and_comes_back(carry: Callable[[Any], None]) -> None:
    stream = make_stream("shop.refund_issued", schema=FIRST)
    wanted = {**VALUES, "owner_team": make_team()}
    change_stream(stream, wanted, actor=SYSTEM)
    carry(living_streams(SYSTEM, names=["shop.refund_issued"]))
    again = Stream.objects.get(name="shop.refund_issued")
    assert facts_of(again) == wanted
