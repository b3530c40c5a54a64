"""Looking for planted values everywhere: every column of every table, Redis, logs, answers.

A value is looked for as it is, in base64 at each of its three alignments, in hexadecimal, percent
and form encoded, escaped as in JSON and HTML, and in any case. JSON that stands in JSON is looked at
with its backslashes halved too.
"""

import base64
import html
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus

import redis
from django.conf import settings
from django.db import connection


def forms(canary: str) -> dict[str, str]:
    """What to look for, folded, by the name of its form."""
    raw = canary.encode()
    found = {
        "clear": canary,
        "hex": raw.hex(),
        "percent": quote(canary, safe=""),
        "percent all": "".join(f"%{byte:02x}" for byte in raw),
        "form": quote_plus(canary),
        "json": json.dumps(canary)[1:-1],
        "json slashes": json.dumps(canary)[1:-1].replace("/", "\\/"),
        "json all": "".join(f"\\u{ord(char):04x}" for char in canary),
        "html": html.escape(canary),
    }
    for shift in range(3):
        # Without the characters at either end that depend on neighbours.
        encoded = base64.b64encode(b"x" * shift + raw).decode()
        start = (0, 2, 3)[shift]
        end = len(encoded.rstrip("=")) - (1 if (len(raw) + shift) % 3 else 0)
        found[f"base64 at {shift}"] = encoded[start:end]
    return {name: text.casefold() for name, text in found.items()}


def search(places: Iterable[tuple[str, str]], canaries: Iterable[str]) -> list[str]:
    """Where any of the canaries stands in any form: `place: form of canary`."""
    wanted = [(canary, name, form) for canary in canaries for name, form in forms(canary).items()]
    texts: dict[str, list[str]] = {}
    for place, text in places:
        texts.setdefault(place, []).append(text)
    found = []
    for place, parts in texts.items():
        folded = "\n".join(parts).casefold()
        if "\\\\" in folded:
            folded += "\n" + folded.replace("\\\\", "\\")
        found += [f"{place}: {name} of {canary}" for canary, name, form in wanted if form in folded]
    return found


def database(cursor: Any = None) -> Iterator[tuple[str, str]]:
    """Every row of every table as text; bytes as hexadecimal, and as what they hold. Of the tests'
    own database, or of the one that the cursor is on."""
    if cursor is None:
        with connection.cursor() as own:
            yield from database(own)
        return
    cursor.execute(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1"
    )
    tables = [str(row[0]) for row in cursor.fetchall()]
    for table in tables:
        cursor.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description or ()]
        for row in cursor.fetchall():
            for name, value in zip(names, row, strict=True):
                if isinstance(value, bytes | memoryview):
                    yield f"{table}.{name}", bytes(value).decode("utf-8", "replace")
                    yield f"{table}.{name}", bytes(value).hex()
                elif value is not None:
                    yield f"{table}.{name}", str(value)


def in_redis() -> Iterator[tuple[str, str]]:
    """Every key of the Redis with what it holds."""
    store = redis.Redis.from_url(settings.REDIS_URL)
    try:
        for key in store.scan_iter():
            name = key.decode("utf-8", "replace")
            dumped = store.dump(key) or b""
            yield f"redis {name}", f"{name} {dumped.decode('latin-1')}"
    finally:
        store.close()


@contextmanager
def watched_redis(url: str) -> Iterator[list[tuple[str, str]]]:
    """Every command that a Redis is sent while the block lasts: caches, limits, and the messages to
    the workers, whose bodies are base64."""
    heard: list[tuple[str, str]] = []
    store = redis.Redis.from_url(url)
    listens = threading.Event()
    ends = f"end of watch {id(heard)}"

    def listen() -> None:
        with store.monitor() as monitor:  # type: ignore[no-untyped-call]  # redis-py
            listens.set()
            for command in monitor.listen():
                said = str(command["command"])
                if ends in said:
                    return
                heard.append((f"redis {said.split(maxsplit=1)[0]}", said))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert listens.wait(10), "Redis says nothing"
    try:
        yield heard
    finally:
        store.echo(ends)
        thread.join(10)
        store.close()
