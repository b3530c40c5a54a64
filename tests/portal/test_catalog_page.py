"""The catalog's page: tokens, matches, filters and what is hidden."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Stream
from governance.types import Role
from tests.portal.conftest import client_of
from tests.support.factories import make_stream, make_team

pytestmark = pytest.mark.django_db


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode().split("<main", 1)[1].split("</main>", 1)[0]


def names(html: str) -> list[str]:
    rows = re.findall(r'<h2><a class="sn" href="/streams/([^/]+)/"', html)
    return [str(name) for name in rows]


def test_a_filter_in_force_is_a_token_that_drops_only_itself() -> None:
    make_stream("shop.order_placed", tier="T1", team=make_team("Checkout"))
    html = page(client_of(), "/streams/?domain=shop&tier=T1&q=order")
    assert "<b>tier:</b><span>T1 critical</span>" in html
    (without,) = re.findall(r'href="([^"]+)" aria-label="Remove the filter tier', html)
    assert without.replace("&amp;", "&") == "?domain=shop&q=order"


def test_what_matched_is_marked_in_name_and_fields() -> None:
    make_stream("shop.order_placed")
    html = page(client_of(), "/streams/?q=order")
    assert "<mark>order</mark>_" in html
    assert "<code><mark>order</mark>_id</code>" in html


def test_text_of_a_query_is_never_markup() -> None:
    make_stream("shop.order_placed", description="Less <b>than</b> & kettles.")
    html = page(client_of(), "/streams/?q=kettles")
    assert "<b>than" not in html
    assert "&lt;b&gt;than&lt;/b&gt; &amp; <mark>kettles</mark>." in html


def test_retired_streams_are_hidden_and_counted() -> None:
    make_stream("shop.order_placed")
    old = make_stream("shop.order_gone")
    Stream.objects.filter(pk=old.pk).update(lifecycle="retired")
    client = client_of()
    html = page(client, "/streams/?q=order")
    assert names(html) == ["shop.order_placed"]
    assert "is retired." in html
    assert names(page(client, "/streams/?lifecycle=retired")) == ["shop.order_gone"]


def test_no_result_offers_to_drop_one_filter_and_keeps_the_query() -> None:
    make_stream("shop.order_placed")
    html = page(client_of(), "/streams/?q=zzz&domain=shop")
    assert "No stream fits all of it." in html
    assert 'value="zzz"' in html
    assert "domain: shop" in html


def test_who_may_not_read_is_led_to_ask() -> None:
    stream = make_stream(team=make_team())
    html = page(client_of(Role.ANALYST), "/streams/")
    assert f'href="/access/new/?stream={stream.name}"' in html


def test_fields_are_paged_and_none_is_lost() -> None:
    document = {
        "type": "object",
        "properties": {f"field_{n:03d}": {"type": "string"} for n in range(120)},
    }
    make_stream(schema=document)
    client, seen, path = client_of(), [], "/fields/"
    for _ in range(4):
        html = page(client, path)
        seen += re.findall(r"<code>(field_\d+)</code>", html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        if following is None:
            break
        path = "/fields/" + following[1].replace("&amp;", "&")
    assert seen == [f"field_{n:03d}" for n in range(120)]


def test_the_number_of_queries_does_not_grow_with_the_rows() -> None:
    client, counts = client_of(Role.ANALYST), []
    for many in (2, 18):
        for _ in range(many):
            make_stream(team=make_team())
        client.get("/streams/?q=event")
        with CaptureQueriesContext(connection) as queries:
            client.get("/streams/?q=event")
        counts.append(len(queries))
    assert counts[0] == counts[1]
