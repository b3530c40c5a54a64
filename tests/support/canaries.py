"""Looking for planted values everywhere: every column of every table, Redis, logs, answers.

A value is looked for as it is, in base64 at each of its three alignments, in hexadecimal, percent
encoded, and in any case.
"""

import base64
from collections.abc import Iterable, Iterator
from urllib.parse import quote

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
        found += [f"{place}: {name} of {canary}" for canary, name, form in wanted if form in folded]
    return found


def database() -> Iterator[tuple[str, str]]:
    """Every row of every table of ours as text; bytes as hexadecimal, and as what they hold."""
    with connection.cursor() as cursor:
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
