"""How long the portal takes to answer with 10,000 streams in it: the API, the pages, the finder.

    .venv/bin/python benchmarks/catalog_search.py [--json] [--streams 10000] [--requests 40]

Starts a portal of its own, registers the streams through the services, a third of them with a
personal field, sends events to each, every tenth broken, then asks over HTTP, one request after the
other, as an admin and as an analyst. The last line of `--json` holds the 50th and
95th percentile in milliseconds of each kind of question.
"""

import argparse
import itertools
import json
import logging
import os
import random
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("PORTAL_STATIC_UNHASHED", "1")

import httpx2

from benchmarks.servers import portal

TARGET_MS = 200
MAIL = {"type": "string", "x-classification": "personal", "x-privacy": "encrypt"}
Figures = dict[str, dict[str, float]]
AREAS = (
    "checkout", "cart", "payments", "shipping", "returns", "search", "catalog", "pricing",
    "inventory", "loyalty", "accounts", "identity", "playback", "streaming", "ads", "billing",
    "invoices", "support", "messaging", "mail", "push", "fraud", "risk", "reviews", "ratings",
    "recommendations", "wishlist", "gifting", "stores", "delivery", "warehouse", "procurement",
    "finance", "ledger", "payroll", "recruiting", "learning", "mobile", "web", "kiosk",
)  # fmt: skip
THINGS = (
    "order", "item", "session", "page", "video", "payment", "refund", "parcel", "coupon", "address",
    "profile", "basket", "query", "offer", "banner", "ticket", "letter", "device", "token", "visit",
    "review", "rating", "shelf", "route", "contract",
)  # fmt: skip
ACTS = (
    "created", "changed", "removed", "viewed", "started", "finished", "failed", "shared", "expired",
    "approved",
)  # fmt: skip


def main() -> int:
    options = _options()
    with portal() as said:
        _send(said["url"], _fill(options.streams), options.streams)
        figures = {role: _measure(said, role, options) for role in ("admin", "analyst")}
    worst = max(row["p95"] for rows in figures.values() for row in rows.values())
    if not options.json:
        for role, rows in figures.items():
            for name, row in rows.items():
                print(f"{role:>8} {name:<26} p50 {row['p50']:>6.1f} ms   p95 {row['p95']:>6.1f} ms")
        print(f"slowest p95: {worst:.1f} ms, target {TARGET_MS} ms")
    print(json.dumps({"streams": options.streams, "p95_ms": worst, "figures": figures}))
    return 0 if worst < TARGET_MS else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--streams", type=int, default=10_000, help="how many streams (10000)")
    parser.add_argument("--requests", type=int, default=40, help="of each kind (40)")
    return parser.parse_args()


def _fill(number: int) -> str:
    """Register streams with descriptions, owners, tags and a dozen fields each; gives a key that may
    publish to all of them."""
    import django

    django.setup()
    logging.disable(logging.INFO)
    from django.db import transaction

    from catalog.services.streams import NewStream, register_stream
    from governance.services.teams import create_team
    from portal.kernel.actor import SYSTEM
    from portal.key_commands import NewKey, create

    chance = random.Random(1)
    teams = [
        create_team(slug=f"team-{area}", name=area.title(), actor=SYSTEM) for area in AREAS[:20]
    ]
    names = _names(number)
    started = time.monotonic()
    for start in range(0, number, 200):
        with transaction.atomic():
            for area, thing, act in names[start : start + 200]:
                fields = chance.sample(THINGS, 6)
                register_stream(
                    NewStream(
                        name=f"{area}.{thing}_{act}",
                        document={
                            "type": "object",
                            "properties": {
                                f"{name}_{kind}": {"type": "string", "description": f"The {name}."}
                                for name in fields
                                for kind in ("id", "kind")
                            }
                            | ({"email": MAIL} if chance.random() < 1 / 3 else {}),
                        },
                        description=f"A {thing} was {act} in {area}, seen by {chance.choice(AREAS)}.",
                        owner_team=chance.choice(teams),
                        tier=chance.choice(["T1", "T2", "T3"]),
                        tags=chance.sample(["web", "app", "core", "money", "growth"], 2),
                    ),
                    actor=SYSTEM,
                )
    took = time.monotonic() - started
    print(f"registered {number} streams in {took:.0f} s", file=sys.stderr)
    return create(NewKey(kind="producer", name="bench"))[1]


def _send(url: str, key: str, number: int) -> None:
    """Three events for each stream, every tenth with data that its contract refuses."""
    from portal.kernel.identifiers import uuid7

    names = [".".join((area, f"{thing}_{act}")) for area, thing, act in _names(number)] * 3
    head = {"specversion": "1.0", "source": "/bench", "environment": "production"}
    now = datetime.now(UTC)
    with httpx2.Client(base_url=url, timeout=60) as client:
        for start in range(0, len(names), 500):
            events = [
                head
                | {"id": str(uuid7()), "type": name, "time": now.isoformat()}
                | {"data": {"email": place} if place % 10 == 0 else {"email": "a@b.example"}}
                for place, name in enumerate(names[start : start + 500])
            ]
            client.post(
                "/v1/events",
                json=events,
                headers={
                    "Authorization": f"Bearer {key}",
                    "Content-Type": "application/cloudevents-batch+json",
                },
            ).raise_for_status()


def _names(number: int) -> list[tuple[str, str, str]]:
    """Area, thing and act of each stream; the same in each run."""
    return random.Random(3).sample(list(itertools.product(AREAS, THINGS, ACTS)), number)


def _questions(name: tuple[str, str, str]) -> dict[str, str]:
    area, thing, act = name
    typo = thing[:1] + thing[2:3] + thing[1:2] + thing[3:]
    return {
        "api: all": "/api/v1/streams",
        "api: 500 of all": "/api/v1/streams?limit=500",
        "api: a word": f"/api/v1/streams?q={thing}",
        "api: three words": f"/api/v1/streams?q={quote(f'{area} {thing} {act}')}",
        "api: a prefix": f"/api/v1/streams?q={thing[:3]}",
        "api: a typing error": f"/api/v1/streams?q={typo}",
        "api: nothing": "/api/v1/streams?q=zzzqqq",
        "api: a domain": f"/api/v1/streams?domain={area}&q={act}",
        "api: fields": f"/api/v1/fields?q={thing}",
        "api: finder": f"/api/v1/search?q={thing}",
        "page: home": "/",
        "page: catalog": "/streams/",
        "page: catalog, a word": f"/streams/?q={thing}",
        "page: catalog, a facet": f"/streams/?domain={area}",
        "page: a stream": f"/streams/{area}.{thing}_{act}/",
        "page: fields": f"/fields/?q={thing}",
        "page: quality": "/quality/",
        "page: access": "/access/",
        "page: ingest health": "/ingest/",
        "page: dead letters": "/dead-letters/",
        "page: privacy": "/privacy/",
        "page: find an id": "/ingest/find/?id=01900000-0000-7000-8000-000000000000",
    }


def _measure(said: dict[str, Any], role: str, options: argparse.Namespace) -> Figures:
    chance, names = random.Random(2), _names(options.streams)
    times: dict[str, list[float]] = {}
    with httpx2.Client(base_url=said["url"], timeout=60, follow_redirects=True) as client:
        _sign_in(client, said["logins"][role])
        for _ in range(options.requests):
            asked = _questions(chance.choice(names))
            if role == "admin":
                asked["page: storage"] = "/ingest/storage/"
            for name, path in asked.items():
                started = time.perf_counter()
                answer = client.get(path)
                times.setdefault(name, []).append((time.perf_counter() - started) * 1000)
                if answer.status_code != 200:
                    raise SystemExit(f"{path} answered {answer.status_code}")
    return {
        name: {
            "p50": round(sorted(found)[len(found) // 2], 1),
            "p95": round(sorted(found)[int(len(found) * 0.95)], 1),
        }
        for name, found in times.items()
    }


def _sign_in(client: httpx2.Client, person: dict[str, str]) -> None:
    form = client.get("/accounts/login/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token is not None
    answer = client.post(
        "/accounts/login/",
        data={
            "login": person["email"], "password": person["password"],
            "csrfmiddlewaretoken": token.group(1),
        },
        headers={"Referer": f"{client.base_url}accounts/login/"},
    )  # fmt: skip
    if "/accounts/login/" in str(answer.url):
        raise SystemExit("Signing in did not work.")


if __name__ == "__main__":
    raise SystemExit(main())
