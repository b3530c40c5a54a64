"""Lineage: what is gathered for one actor, where nodes stand, and what is drawn."""

import re
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from analytics.lineage import Edge, Graph, Node, bounded, grouped, layers
from analytics.lineage_drawing import lineage_svg, thickness
from analytics.models import StreamCount
from analytics.selectors.lineage import Scope, lineage_of, lineage_within
from catalog.models import Producer, Stream
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.producers import create_producer
from governance.selectors.people import actor_of
from governance.types import Permission, Role
from ingest.models import IngestMinute
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_grant, make_person, make_stream, make_team, token_of


def graph_of(*pairs: tuple[str, str]) -> Graph:
    names = sorted({name for pair in pairs for name in pair})
    nodes = {name: Node(name, "stream", name) for name in names}
    return Graph(nodes, [Edge(*pair) for pair in pairs])


def columns(graph: Graph) -> list[list[str]]:
    return [[node.key for node in column] for column in layers(graph)]


# --- Where nodes stand ------------------------------------------------------------------------


def test_every_node_stands_right_of_what_leads_to_it() -> None:
    graph = graph_of(("a", "s"), ("b", "s"), ("s", "x"), ("x", "t"), ("b", "t"), ("t", "y"))
    place = {key: n for n, column in enumerate(columns(graph)) for key in column}
    assert all(place[edge.source] < place[edge.target] for edge in graph.edges)


def test_what_nothing_leads_to_stands_next_to_what_it_leads_to() -> None:
    graph = graph_of(("a", "s"), ("s", "x"), ("x", "t"), ("late", "t"))
    assert columns(graph) == [["a"], ["s"], ["late", "x"], ["t"]]


def test_a_circle_is_drawn_and_does_not_hang() -> None:
    graph = graph_of(("a", "s"), ("s", "x"), ("x", "s"), ("x", "x"))
    assert columns(graph) == [["a"], ["s"], ["x"]]


def test_neighbours_stand_near_each_other() -> None:
    pairs = [(f"p{n}", f"s{9 - n}") for n in range(10)]
    senders, streams = columns(graph_of(*pairs))
    assert [dict(pairs)[name] for name in senders] == streams, "no line crosses another"


def test_five_hundred_nodes_are_laid_out_and_drawn_in_less_than_a_second() -> None:
    pairs = [(f"p{n % 100}", f"s{n}") for n in range(300)]
    pairs += [(f"s{n}", f"c{(n * 7) % 100}") for n in range(300)]
    pairs += [(f"p{n % 97}", f"s{(n * 13) % 300}") for n in range(600)]
    graph = graph_of(*dict.fromkeys(pairs))
    assert len(graph.nodes) == 500
    begun = time.thread_time()  # its own work, whoever else uses the machine
    drawn = lineage_svg(graph, "Much", dict.fromkeys(graph.nodes, "/"))
    assert time.thread_time() - begun < 1
    assert drawn.count('class="e w0"') == len(graph.edges)


def test_what_does_not_fit_is_counted_and_the_focus_stays() -> None:
    nodes = {f"n{n}": Node(f"n{n}", "stream", f"n{n}", events=n, step=1) for n in range(20)}
    nodes["me"] = Node("me", "stream", "me", step=0)
    found = bounded(Graph(nodes, [Edge("me", f"n{n}") for n in range(20)], "me"), 11)
    assert set(found.nodes) == {"me", *(f"n{n}" for n in range(10, 20))}
    assert (len(found.edges), found.left_out) == (10, 10)


def test_a_domain_stands_for_its_streams_with_their_events() -> None:
    nodes = {
        "p": Node("p", "producer", "p"),
        "s": Node("s", "stream", "a.s", events=4),
        "t": Node("t", "stream", "a.t", events=5),
    }
    edges = [Edge("p", "s", 4, seen=True), Edge("p", "t", 5, declared=True)]
    found = grouped(Graph(nodes, edges), {"s": "a", "t": "a"})
    assert found.nodes["domain:a"].events == 9
    assert found.nodes["domain:a"].detail == "2 streams"
    assert found.edges == [Edge("p", "domain:a", 9, declared=True, seen=True)]


@pytest.mark.parametrize(
    ("events", "width"), [(0, 0), (1, 1), (9, 1), (10, 2), (99_999, 5), (10**9, 6)]
)
def test_a_line_is_thicker_by_one_for_each_power_of_ten(events: int, width: int) -> None:
    assert thickness(events) == width


# --- What is gathered -------------------------------------------------------------------------


@pytest.fixture
def shop(db: None) -> dict[str, Stream]:
    """web sends orders; billing reads them and sends invoices, which ledger reads; web sends
    clicks too, which nobody reads."""
    team = make_team("Shop")
    streams = {
        name: make_stream(f"shop.{name}", team=team) for name in ("orders", "invoices", "clicks")
    }
    create_producer("web", actor=SYSTEM, streams=[streams["orders"], streams["clicks"]])
    create_producer("billing", actor=SYSTEM, streams=[streams["invoices"]])
    for name, stream, title in (
        ("billing", "orders", "Billing"),
        ("ledger", "invoices", "Ledger"),
    ):
        consumer = create_consumer(name, actor=SYSTEM, title=title)
        map_consumer(consumer, streams[stream], actor=SYSTEM)
    return streams


def send(stream: Stream, producer: str, events: int, *, hours_ago: float = 1) -> None:
    moment = clock.now() - timedelta(hours=hours_ago)
    minute = moment.replace(second=0, microsecond=0)
    IngestMinute.objects.create(
        stream_id=stream.pk, minute=minute, received=events, accepted=events,
        producer_id=Producer.objects.get(name=producer).pk,
    )  # fmt: skip
    start = minute - timedelta(minutes=minute.minute % 5)
    row, _ = StreamCount.objects.get_or_create(
        stream_id=stream.pk, start=start, defaults={"events": 0}
    )
    StreamCount.objects.filter(pk=row.pk).update(events=row.events + events)


def shown(graph: Graph) -> dict[str, int | None]:
    return {node.name: node.step for node in graph.nodes.values()}


def test_a_step_each_way_and_then_through_services(shop: dict[str, Stream]) -> None:
    one = lineage_of(SYSTEM, shop["orders"], depth=1)
    assert shown(one) == {"shop.orders": 0, "web": -1, "billing": 1}
    two = lineage_of(SYSTEM, shop["orders"], depth=2)
    assert shown(two) == shown(one) | {"shop.invoices": 2}
    three = lineage_of(SYSTEM, shop["orders"], depth=3)
    assert shown(three) == shown(two) | {"ledger": 3}
    assert three.nodes["party:billing"].kind == "service"
    back = lineage_of(SYSTEM, shop["invoices"], depth=3)
    assert shown(back) == {
        "shop.invoices": 0, "billing": -1, "shop.orders": -2, "web": -3, "ledger": 1,
    }  # fmt: skip


def test_lines_carry_the_events_of_the_last_day_and_say_how_they_are_known(
    shop: dict[str, Stream],
) -> None:
    create_producer("stranger", actor=SYSTEM)
    send(shop["orders"], "web", 70)
    send(shop["orders"], "web", 1, hours_ago=30)
    send(shop["orders"], "stranger", 30, hours_ago=2)
    graph = lineage_of(SYSTEM, shop["orders"], depth=1)
    known = {edge.source: (edge.events, edge.how) for edge in graph.edges}
    assert known == {
        "party:web": (70, "seen and declared"),
        "party:stranger": (30, "seen only"),
        "stream:shop.orders": (100, "declared"),
    }


def test_a_scope_holds_its_own_streams_and_only_what_flows_if_asked(
    shop: dict[str, Stream],
) -> None:
    make_stream("other.thing")
    send(shop["orders"], "web", 5)
    whole = lineage_within(SYSTEM, Scope(domain="shop"))
    assert {node.name for node in whole.nodes.values() if node.kind == "stream"} == {
        "shop.orders", "shop.invoices", "shop.clicks",
    }  # fmt: skip
    active = lineage_within(SYSTEM, Scope(domain="shop", active=True))
    assert shown(active).keys() == {"shop.orders", "web", "billing"}
    by_team = lineage_within(SYSTEM, Scope(team=shop["orders"].owner_team.slug))  # type: ignore[union-attr]
    assert "other.thing" not in shown(by_team)


def test_what_may_not_be_known_is_neither_gone_through_nor_counted(
    shop: dict[str, Stream],
) -> None:
    send(shop["invoices"], "billing", 5)
    Stream.objects.filter(pk=shop["invoices"].pk).update(restricted=True)
    person = make_person(Role.ANALYST)
    stranger = actor_of(person)
    assert shown(lineage_of(stranger, shop["orders"], depth=4)).keys() == {
        "shop.orders", "web", "billing",
    }  # fmt: skip
    graph = lineage_of(stranger, shop["orders"], depth=4)
    assert graph.nodes["party:billing"].kind == "consumer", "that it sends too is a secret"
    within = lineage_within(stranger, Scope(domain="shop"))
    assert "ledger" not in shown(within)
    assert within.left_out == 0
    make_grant(shop["invoices"], person, Permission.DISCOVER)
    assert "ledger" in shown(lineage_of(actor_of(person), shop["orders"], depth=4))


def test_the_queries_do_not_grow_with_the_graph(shop: dict[str, Stream]) -> None:
    lineage_of(SYSTEM, shop["orders"], depth=3)
    counts = []
    for more in (0, 15):
        for number in range(more):
            consumer = create_consumer(f"more-{number}", actor=SYSTEM)
            map_consumer(consumer, shop["orders"], actor=SYSTEM)
        with CaptureQueriesContext(connection) as counted:
            lineage_of(SYSTEM, shop["orders"], depth=3)
        counts.append(len(counted))
    assert counts[0] == counts[1] < 15


# --- Pages and REST ---------------------------------------------------------------------------


def test_the_api_gives_nodes_and_edges_and_hides_what_is_restricted(
    shop: dict[str, Stream],
) -> None:
    send(shop["orders"], "web", 7)
    person = make_person()
    client = Client(headers={"Authorization": f"Bearer {token_of(person)}"})
    body = client.get("/api/v1/streams/shop.orders/lineage?depth=2").json()
    assert [(node["id"], node["step"]) for node in body["nodes"]] == [
        ("party:web", -1), ("stream:shop.orders", 0), ("party:billing", 1),
        ("stream:shop.invoices", 2),
    ]  # fmt: skip
    assert {
        "source": "party:web", "target": "stream:shop.orders", "events_per_day": 7,
        "declared": True, "seen": True,
    } in body["edges"]  # fmt: skip
    assert client.get("/api/v1/streams/shop.orders/lineage?depth=5").status_code == 400
    Stream.objects.filter(pk=shop["orders"].pk).update(restricted=True)
    assert client.get("/api/v1/streams/shop.orders/lineage").status_code == 404


def test_the_page_draws_nodes_as_links_from_left_to_right_and_says_the_same_in_a_table(
    shop: dict[str, Stream],
) -> None:
    send(shop["orders"], "web", 7)
    client = Client()
    client.force_login(make_person())
    page = client.get("/lineage/?stream=shop.orders&depth=2").content.decode()
    assert "shop.orders comes from one producer and feeds one consumer." in page
    (svg,) = re.findall(r"<svg class=\"lineage.*?</svg>", page, re.S)
    links = re.findall(r'<a class="[^"]+" href="([^"]+)">', svg)
    assert links == [
        "/producers/web/", "/lineage/?stream=shop.orders", "/consumers/billing/",
        "/lineage/?stream=shop.invoices",
    ]  # fmt: skip
    table = page.split('id="table"')[1]
    assert table.count("<tr>") == 1 + 3
    assert "Seen and declared" in table
    assert "style=" not in svg


def test_pages_of_a_domain_and_of_a_hidden_stream(shop: dict[str, Stream]) -> None:
    client = Client()
    client.force_login(make_person())
    assert "Three streams of shop" in client.get("/lineage/?domain=shop").content.decode()
    assert client.get("/lineage/?domain=nowhere").status_code == 404
    Stream.objects.update(restricted=True)
    for path in ("/lineage/?stream=shop.orders", "/streams/shop.orders/lineage/"):
        assert client.get(path).status_code == 404
    assert b"shop." not in client.get("/lineage/").content
