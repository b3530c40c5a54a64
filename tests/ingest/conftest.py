"""A committed little world for ingest: the writer has its own connection, so tests commit too.

Rows made here are removed at the end of each module. Streams and keys have names of their own, so
that modules never meet.
"""

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection

from catalog.models import Domain, Producer, ProducerSource, ProducerStream, SchemaVersion, Stream
from governance.models import Key
from governance.privacy import aside, vault
from governance.services.keys import create_key
from ingest.doors import asgi, settling
from ingest.doors.gate import START_LIMIT, gate
from ingest.doors.limits import quotas
from ingest.judging import admission
from ingest.log import partitions, store
from ingest.log.connection import connect
from ingest.privacy import sealing
from portal.kernel.actor import SYSTEM
from tests.support.database import empty_raw_tables

_counter = itertools.count(1)

ORDER_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "order": {"type": "string"},
        "amount": {"type": "number", "minimum": 0},
        "note": {"type": "string"},
    },
    "required": ["order"],
}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class World:
    """Builders that commit, and ways to look at what ingest stored."""

    domain: Domain
    streams: list[Stream] = field(default_factory=list)

    def stream(
        self,
        schema: dict[str, Any] | bool | None = None,
        *,
        aliases: tuple[str, ...] = (),
        version_state: str = "active",
        **fields: Any,
    ) -> Stream:
        number = next(_counter)
        values: dict[str, Any] = {
            "name": f"{self.domain.slug}.event_{number}",
            "domain": self.domain,
            "lifecycle": "active",
            "default_version": 1,
        } | fields
        if "late_seconds" in fields:  # nothing is taken that is older than events are kept
            values.setdefault("retention_days", max(30, fields["late_seconds"] // 86_400 + 1))
        stream = Stream.objects.create(**values)
        self.version(stream, 1, ORDER_SCHEMA if schema is None else schema, state=version_state)
        for alias in aliases:
            stream.aliases.create(alias=alias)
        self.streams.append(stream)
        return stream

    def version(
        self, stream: Stream, number: int, schema: Any, *, state: str = "active", **fields: Any
    ) -> SchemaVersion:
        return SchemaVersion.objects.create(
            stream=stream,
            version=number,
            document=schema,
            document_sha256=b"\0" * 32,
            state=state,
            **fields,
        )

    def producer(
        self, *, globs: tuple[str, ...] = ("*",), sources: tuple[str, ...] = (), **fields: Any
    ) -> Producer:
        producer = Producer.objects.create(name=f"producer-{next(_counter)}", **fields)
        for glob in globs:
            ProducerStream.objects.create(producer=producer, glob=glob)
        for source in sources:
            ProducerSource.objects.create(producer=producer, source=source, declared=True)
        return producer

    def key(self, producer: Producer, **fields: Any) -> str:
        key, text = create_key(
            actor=SYSTEM,
            kind="prod",
            name=producer.name,
            holder_id=producer.pk,
            streams_glob=fields.pop("streams_glob", "*"),
        )
        if fields:
            Key.objects.filter(pk=key.pk).update(**fields)
        return text

    def rows(self, table: str, stream: Stream | None = None) -> list[dict[str, Any]]:
        with connection.cursor() as cursor:
            if stream is None:
                cursor.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")
            else:
                cursor.execute(
                    f"SELECT * FROM {table} WHERE stream_id = %s ORDER BY 1, 2, 3, 4", [stream.pk]
                )
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def events(self, stream: Stream) -> list[dict[str, Any]]:
        return self.rows("ingest_event", stream)

    def dead_letters(self, stream: Stream | None = None) -> list[dict[str, Any]]:
        """Dead letters with their bodies in clear."""
        found = self.rows("ingest_dead_letter", stream)
        for row in found:
            row["body"] = sealing.opened(bytes(row["body"]), row["id"])
        return found

    def totals(self, stream_id: int, producer: Producer) -> dict[str, int]:
        """The accounts of a stream and producer over all minutes, as (received, …)."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(received), 0), coalesce(sum(accepted), 0),"
                " coalesce(sum(duplicate), 0), coalesce(sum(dead_lettered), 0)"
                " FROM ingest_ingestminute WHERE stream_id = %s AND producer_id = %s",
                [stream_id, producer.pk],
            )
            row = cursor.fetchone()
        names = ("received", "accepted", "duplicate", "dead_lettered")
        return {name: int(value) for name, value in zip(names, row, strict=True)}


def post(
    body: bytes,
    headers: dict[str, str] | list[tuple[str, str]],
    *,
    query: str = "",
    method: str = "POST",
    path: str = "/v1/events",
    chunks: int = 1,
) -> Answer:
    """Send one request through the raw ASGI handler, with an event loop of its own."""
    return asyncio.run(
        post_async(body, headers, query=query, method=method, path=path, chunks=chunks)
    )


async def post_async(
    body: bytes,
    headers: dict[str, str] | list[tuple[str, str]],
    *,
    query: str = "",
    method: str = "POST",
    path: str = "/v1/events",
    chunks: int = 1,
    end: str = "whole",
) -> Answer:
    """`end` tells what becomes of the body: it comes whole, "hangs", or its client is "gone"."""
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
    }
    assert asgi.handles(scope)
    size = -(-len(body) // chunks) or 1
    parts = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    messages = iter(
        {
            "type": "http.request",
            "body": part,
            "more_body": end != "whole" or index < len(parts) - 1,
        }
        for index, part in enumerate(parts)
    )
    sent: list[Any] = []

    async def receive() -> Any:
        message = next(messages, None)
        if message is None and end == "hangs":
            await asyncio.Event().wait()
        return message or {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await asgi.handle(scope, receive, send)
    if not sent:
        return Answer(0, {}, b"")
    start = sent[0]
    return Answer(
        start["status"],
        {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]},
        b"".join(message["body"] for message in sent[1:]),
    )


@pytest.fixture(scope="module")
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Open the database for a module without a transaction or a flush around each test.

    It stands in for pytest-django's fixture of this name, by which that plugin knows that the test
    database has to be made.
    """
    with django_db_blocker.unblock():
        with connect() as made:
            partitions.make_window(made)
        yield
        store.close_writer()
        settling.stop_settling()
        admission.stop_listening()


@pytest.fixture(scope="module")
def world(transactional_db: None) -> Iterator[World]:
    admission.directory.forget_all()
    quotas.clear()
    gate.limit = START_LIMIT  # as in a new process: slow answers of others have lowered it
    world = World(Domain.objects.create(slug=f"world{next(_counter)}", name="World"))
    yield world
    store.close_writer()
    empty_raw_tables()
    with connection.cursor() as cursor:
        for table in (
            "ingest_ingestminute",
            "ingest_refusalminute",
            "ingest_latencyminute",
            "ingest_deprecateduse",
            "ingest_discoveredstream",
            "ingest_repair",
            "governance_job",
            "governance_privacytoken",
            "governance_privacykey",
            "catalog_streamuserpermission",
            "catalog_streamgrouppermission",
            "catalog_domainuserpermission",
            "catalog_domaingrouppermission",
            "catalog_streamproducerpermission",
            "catalog_domainproducerpermission",
            "catalog_producersource",
            "catalog_producerstream",
            "catalog_producer",
            "catalog_keystreamquota",
            "governance_keyminute",
            "governance_refusaltotal",
            "governance_key",
            "catalog_streamalias",
            "catalog_schemafield",
            "catalog_registryversion",
            "catalog_fieldextension",
            "catalog_enforcementrule",
            "catalog_schemaversion",
            "catalog_stream",
            "catalog_domain",
        ):
            cursor.execute(f"DELETE FROM {table}")
    vault.forget()
    aside.close()
    admission.directory.forget_all()
