"""Segment's SDK for browsers, unmodified, in a real page of another origin."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx2
import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.test import override_settings
from playwright.sync_api import Browser, Page

from governance.privacy import keys
from governance.privacy.ciphers import DataKey, Place
from ingest.privacy import sealing
from tests.support import node
from tests.support.live import Portal, wait_until

pytestmark = pytest.mark.browser
CALLS = """async ([options, key]) => {
  const { AnalyticsBrowser } = window.AnalyticsNext;
  const analytics = AnalyticsBrowser.load({ writeKey: key, cdnURL: options.portal }, {
    integrations: { "Segment.io": options.sending },
    retryQueue: false,
  });
  const failed = [];
  analytics.on("error", (error) => failed.push(String(error.reason || error)));
  const loaded = await analytics.ready().then(() => true);
  await analytics.identify("page-1", { plan: "pro" });
  await analytics.track("Order Completed", { revenue: 12.5 });
  await analytics.page("docs", "Home");
  await analytics.screen("Start");
  await analytics.group("group-9", { name: "Initech" });
  await analytics.alias("page-2", "page-1");
  return { loaded, failed };
}"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its own name
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        page = b"<!doctype html><title>Shop</title><script src='/index.js'></script>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


@pytest.fixture
def origin() -> Iterator[str]:
    """A web server of another origin, whose page holds the SDK as its package ships it."""
    node.install()
    place = node.MODULES / "@segment" / "analytics-next" / "dist" / "umd"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(place)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def key_for(portal: Portal, *origins: str) -> str:
    """A key of the producer `web-shop` for pages of these origins."""
    head = {"Authorization": f"Bearer {portal.said['admin_token']}"}
    producers = f"{portal.url}/api/v1/producers"
    made = httpx2.post(
        producers, json={"name": "web-shop", "globs": ["*"]}, headers=head, timeout=30
    )
    assert made.status_code in (201, 409), made.text
    answer = httpx2.post(
        f"{producers}/web-shop/keys",
        json={"browser_origins": list(origins)},
        headers=head,
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


@pytest.fixture
def page(chromium: Browser, origin: str) -> Iterator[Page]:
    context = chromium.new_context()
    found = context.new_page()
    found.goto(origin)
    yield found
    context.close()


def kept(portal: Portal, origin: str) -> list[tuple[str, str]]:
    """Type and body of what pages of the origin sent; sealed there, as no contract is known."""
    with psycopg.connect(portal.database_url) as db:
        found = db.execute(
            "SELECT id, type, body FROM ingest_dead_letter WHERE source = '/segment/web-shop'"
        ).fetchall()
        wrapped = {row[0]: row[1:] for row in db.execute(
            "SELECT id, ref, wrapped, version FROM governance_privacykey"
        )}  # fmt: skip
    said = []
    with override_settings(PRIVACY_KEYS=(portal.data / "secrets" / "privacy_keys").read_text()):
        for letter, kind, body in found:
            assert body.startswith(sealing.MARK)
            raw = body.removeprefix(sealing.MARK)
            number = int.from_bytes(raw[1:9], "big")
            ref, sealed, version = wrapped[number]
            key = DataKey(number, AESGCM(keys.unwrap(ref, version, sealed)))
            clear = key.open_bytes(raw, Place(0, "/dead-letter", str(letter)))
            assert clear is not None
            said.append((str(kind), clear.decode()))
    return [(kind, text) for kind, text in said if origin in text]


def send(page: Page, portal: Portal, key: str, **sending: Any) -> Any:
    host = portal.url.removeprefix("http://")
    options = {
        "portal": portal.url,
        "sending": {"apiHost": f"{host}/v1", "protocol": "http", **sending},
    }
    return page.evaluate(CALLS, [options, key])


def test_the_browser_sdk_delivers_every_call_in_both_of_its_ways(
    shop: Portal, page: Page, origin: str
) -> None:
    key = key_for(shop, origin)
    assert send(page, shop, key) == {"loaded": True, "failed": []}
    page.goto(origin)
    with page.expect_response(lambda answer: answer.url.endswith("/v1/b")) as batch:
        batching = {"strategy": "batching", "config": {"size": 6, "timeout": 200}}
        assert send(page, shop, key, deliveryStrategy=batching)["failed"] == []
    assert batch.value.status == 200
    wait_until(lambda: len(kept(shop, origin)) == 12, "two calls of each kind")
    found = kept(shop, origin)
    counts = Counter(kind.partition(".")[2] for kind, _ in found)
    kinds = ("order_completed", "identify", "page", "screen", "group", "alias")
    assert counts == dict.fromkeys(kinds, 2), "nobody registered these types: they are discovered"
    for _, body in found:
        event = json.loads(body)
        assert event["source"] == "/segment/web-shop"
        assert json.loads(event["context"])["page"]["url"].startswith(origin)
        assert key not in body


def test_a_page_of_another_origin_cannot_use_the_key(shop: Portal, page: Page, origin: str) -> None:
    key = key_for(shop, "https://shop.example.org")
    status = page.evaluate(
        """async ([portal, key]) => {
          const send = (url, more) => fetch(url, more).then((a) => a.status, () => "refused");
          const call = { method: "POST", body: JSON.stringify({ writeKey: key, event: "E" }) };
          return [
            await send(`${portal}/v1/projects/${key}/settings`),
            await send(`${portal}/v1/t`, { ...call, headers: { Authorization: "Basic x" } }),
          ];
        }""",
        [shop.url, key],
    )
    assert status == ["refused", "refused"], "the browser keeps the answer from the page"
    with psycopg.connect(shop.database_url) as db:
        kept = db.execute("SELECT count(*) FROM ingest_dead_letter WHERE type = 'web_shop.e'")
        assert kept.fetchone() == (0,)
