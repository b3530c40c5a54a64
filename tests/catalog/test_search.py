from collections.abc import Iterator

import pytest

from catalog.models import Stream
from catalog.selectors.search import (
    ORDERINGS,
    Question,
    find_fields,
    find_streams,
    vocabulary,
    words_of,
)
from catalog.selectors.streams import visible_streams
from catalog.services.consumers import create_consumer, map_consumer
from governance.types import Role
from portal.http.pagination import paginate
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from quality.models import Check
from tests.support.factories import make_actor, make_stream, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_vocabulary() -> Iterator[None]:
    vocabulary.forget()
    yield
    vocabulary.forget()


def names(actor: Actor, text: str = "", **facets: frozenset[str]) -> list[str]:
    found = find_streams(actor, Question(text=text, facets=facets))
    return list(found.rows.order_by(*ORDERINGS["relevance"]).values_list("name", flat=True))


def test_streams_are_found_by_name_meaning_owner_tag_and_field() -> None:
    team = make_team("Fulfilment")
    make_stream(
        "checkout.order_placed", team=team, description="A customer paid.", tags=("revenue",)
    )
    make_stream("playback.stalled", description="Waiting for data.")
    actor = make_actor(Role.PRODUCT_MANAGER)
    for text in (
        "order",
        "placed",
        "customers",
        "fulfilment",
        "revenue",
        "amount_minor",
        "ord",
    ):
        assert "checkout.order_placed" in names(actor, text), text
    assert names(actor, "stalled") == ["playback.stalled"]


def test_a_name_that_fits_exactly_comes_first() -> None:
    make_stream("a.order", description="order order order order")
    make_stream("b.order_placed")
    assert names(make_actor(), "order placed")[0] == "b.order_placed"


def test_typing_errors_are_forgiven_and_said() -> None:
    make_stream("checkout.order_placed")
    found = find_streams(make_actor(), Question(text="oder plcaed"))
    assert found.count == 1
    assert found.corrected == "order placed"


def test_a_restricted_stream_is_neither_found_nor_betrayed_by_a_correction() -> None:
    make_stream("secret.acquisition_signed", team=make_team(), extra={"restricted": True})
    stranger = make_actor(Role.ENGINEER)
    assert names(stranger, "acquisition") == []
    assert find_streams(stranger, Question(text="aquisition")).corrected == ""
    assert not find_fields(stranger, "order_id").exists()


def test_facets_count_what_each_further_choice_would_give() -> None:
    for index in range(3):
        make_stream(f"shop.thing_{index}", tier="T1" if index else "T2")
    make_stream("play.thing", tier="T1")
    found = find_streams(
        make_actor(), Question(facets={"domain": frozenset({"shop"}), "tier": frozenset({"T1"})})
    )
    assert found.count == 2
    assert {f.value: f.count for f in found.facets["domain"]} == {"shop": 2, "play": 1}
    assert {f.value: f.count for f in found.facets["tier"]} == {"T1": 2, "T2": 1}


@pytest.mark.parametrize(
    "text", ["'", "a:*|b", "!!", "\\", "a & | !", "%", "🙂", "x" * 200, "((", "a'b':*", "<>"]
)
def test_no_text_breaks_the_search(text: str) -> None:
    make_stream("shop.thing")
    find_streams(make_actor(), Question(text=text)).rows.count()


def test_pages_neither_skip_nor_repeat() -> None:
    for index in range(7):
        make_stream(f"shop.thing_{index}")
    actor, seen, cursor = make_actor(), [], None
    while True:
        page = paginate(visible_streams(actor), order=("name",), limit=3, cursor=cursor)
        seen += [stream.name for stream in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [f"shop.thing_{index}" for index in range(7)]


def test_words_are_bounded() -> None:
    assert len(words_of("a b c d e f g h i j k")) == 8


def test_of_what_fits_as_well_the_used_the_flowing_and_the_owned_come_first() -> None:
    """Six streams that differ in one fact each; their names would order them the other way."""
    team = make_team()
    for name in ("a_retired", "b_deprecated", "c_failing", "d_plain", "e_flowing", "f_read"):
        make_stream(f"shop.{name}", description="A parcel left.", team=team)
    Stream.objects.filter(name="shop.a_retired").update(lifecycle="retired")
    Stream.objects.filter(name="shop.b_deprecated").update(lifecycle="deprecated")
    Check.objects.create(
        stream=Stream.objects.get(name="shop.c_failing"), kind="validity", state="alarm", level=2,
        sentence="Broken.", evaluated_at=clock.now(),
    )  # fmt: skip
    Stream.objects.filter(name__in=("shop.e_flowing", "shop.f_read")).update(
        last_event_at=clock.now()
    )
    reader = create_consumer("reader", actor=SYSTEM)
    map_consumer(reader, Stream.objects.get(name="shop.f_read"), actor=SYSTEM)
    orphan = make_stream("shop.c_orphan", description="A parcel left.")
    rows = find_streams(make_actor(), Question(text="parcel")).rows
    found = list(rows.order_by(*ORDERINGS["relevance"]).values_list("name", flat=True))
    assert found == [
        "shop.f_read", "shop.e_flowing", "shop.d_plain", orphan.name, "shop.c_failing",
        "shop.b_deprecated", "shop.a_retired",
    ]  # fmt: skip


def test_a_name_that_was_asked_for_comes_first_whatever_its_standing() -> None:
    ended = make_stream("shop.parcel_left", description="It left.")
    Stream.objects.filter(pk=ended.pk).update(lifecycle="deprecated")
    make_stream("shop.other", description="A parcel left.", team=make_team())
    rows = find_streams(make_actor(), Question(text="parcel left")).rows
    assert rows.order_by(*ORDERINGS["relevance"])[0] == ended
