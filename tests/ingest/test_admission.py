"""Tests of admission: what a `dataschema` names, the window's edges, how long a key is known."""

from datetime import timedelta

import pytest

from governance.models import Key
from ingest.judging import admission
from ingest.judging.admission import Directory, StreamEntry, VersionEntry
from ingest.types import Reason
from portal.kernel import clock
from tests.ingest.conftest import World

DAY_US = 86_400_000_000
NOW_US = 1_800_000_000_000_000


def version(number: int, *, label: str = "", schema_id: str = "", state: str = "active",
            sunset_us: int | None = None) -> VersionEntry:  # fmt: skip
    return VersionEntry(number, state, label, schema_id, sunset_us)


def entry(
    *versions: VersionEntry, default: int | None = 1, is_retired: bool = False
) -> StreamEntry:
    return StreamEntry(
        id=1, name="shop.order", names=frozenset({"shop.order", "Order Placed"}),
        track=1, enforcement="enforce", sets_aside=True,
        late_us=30 * DAY_US, ahead_us=DAY_US, is_retired=is_retired, is_restricted=False,
        owner_team_id=None, default_version=default,
        versions={found.version: found for found in versions},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("dataschema", "expected"),
    [
        (None, 1),
        ("1", 1),
        ("2", 2),
        ("1.2.0", 2),
        ("urn:order", 1),
        ("https://any.example/v1/schemas/shop.order/2", 2),
        ("/schemas/shop.order/1.2.0/", 2),
        ("https://x/schemas/Order%20Placed/2", 2),
        ("", None),
        (" ", None),
        ("01", None),
        ("9", None),
        ("https://x/schemas/shop.other/1", None),
        ("https://x/schemas/shop.order/9", None),
        ("https://x/schemas/shop.order/1?a", None),
        ("schemas", None),
    ],
)
def test_a_version_is_named_by_number_label_id_or_address(
    dataschema: str | None, expected: int | None
) -> None:
    stream = entry(version(1, schema_id="urn:order"), version(2, label="1.2.0"))
    assert stream.version_of(dataschema) == expected
    assert stream.version_of(dataschema) == expected, "the remembered answer is the same"


def test_a_number_outranks_a_label_that_looks_like_one() -> None:
    stream = entry(version(1, label="2"), version(2, label="1"))
    assert [stream.version_of("1"), stream.version_of("2")] == [1, 2]


def test_of_versions_with_one_id_the_default_is_meant_else_the_newest_in_use() -> None:
    versions = (
        version(1, schema_id="urn:s", state="retired"),
        version(2, schema_id="urn:s"),
        version(3, schema_id="urn:s"),
        version(4, schema_id="urn:s", state="retired"),
    )
    assert entry(*versions, default=2).version_of("urn:s") == 2
    assert entry(*versions, default=None).version_of("urn:s") == 3
    assert entry(versions[0], default=None).version_of("urn:s") == 1


def reason_of(stream: StreamEntry, dataschema: str | None) -> Reason | int:
    named = admission.named_version(stream, dataschema)
    refusal = admission.check_version(stream, named, dataschema, NOW_US)
    if refusal is not None:
        return refusal.reason
    assert named is not None
    return named.version


def test_an_unknown_version_is_told_before_a_retired_one() -> None:
    live = entry(version(1), version(2, state="retired"), version(3, sunset_us=NOW_US))
    assert reason_of(live, None) == 1
    assert reason_of(live, "2") is Reason.VERSION_RETIRED
    assert reason_of(live, "3") is Reason.VERSION_RETIRED
    assert reason_of(live, "9") is Reason.SCHEMA_UNKNOWN
    ended = entry(version(1), is_retired=True)
    assert reason_of(ended, None) is Reason.VERSION_RETIRED
    assert reason_of(ended, "1") is Reason.VERSION_RETIRED
    assert reason_of(ended, "9") is Reason.SCHEMA_UNKNOWN
    assert reason_of(entry(default=None, is_retired=True), None) is Reason.VERSION_RETIRED


@pytest.mark.parametrize(
    ("occurred_us", "code"),
    [
        (NOW_US + DAY_US, None),
        (NOW_US + DAY_US + 1, "future"),
        (NOW_US - 30 * DAY_US, None),
        (NOW_US - 30 * DAY_US - 1, "late"),
    ],
)
def test_both_bounds_belong_to_the_window(occurred_us: int, code: str | None) -> None:
    refusal = admission.check_window(entry(version(1)), occurred_us, NOW_US, is_import=False)
    assert (refusal.errors[0].code if refusal else None) == code


def test_a_key_is_not_remembered_beyond_its_end(world: World) -> None:
    text = world.key(world.producer())
    directory = Directory()
    end = clock.now() + timedelta(seconds=1.5)
    Key.objects.filter(pk=text.split("_")[2]).update(expires_at=end)
    assert directory.load_publisher(text) is not None
    asked_at = clock.now()
    while directory.publisher(text) is not None:
        assert asked_at < end + timedelta(milliseconds=20)
        asked_at = clock.now()
    assert directory.load_publisher(text) is None


def test_origins_of_keys_that_ended_are_no_longer_answered(world: World) -> None:
    origin = ["https://shop.example"]
    text = world.key(world.producer(), browser_origins=origin)
    assert admission.browser_origins() == frozenset(origin)
    ended = clock.now() - timedelta(seconds=1)
    Key.objects.filter(pk=text.split("_")[2]).update(expires_at=ended)
    assert admission.browser_origins() == frozenset()
