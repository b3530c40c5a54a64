"""Whether anything of erased persons is left anywhere, and whether anybody else lost something.

    .venv/bin/python benchmarks/erasure.py [--json] [--events 1000000] [--subjects 20] [--seed 1]

Starts a portal of its own and fills it through ingest's own pipeline (`benchmarks/crowd.py`): streams
with every treatment, dead letters, archived days, a restore, mentions in other people's events. Takes a
backup with pg_dump, erases the subjects with `manage.py erase` while events go on coming, and then
looks for all that they were known by, and the tokens that stood for it, in every form, byte for byte:
in a dump of all tables, the archived files (packed and unpacked), Redis, the logs and the rest of the
data directory. The backup is restored into another database, with the archive of that day, the ledger
is replayed on it, and all of that is searched again.

The files of the PostgreSQL server itself are left out: what was deleted stays in pages and in the
write-ahead log until the server uses the space again, and no query gives it.

Exit code 1 when something was found, when an event of somebody else is missing or changed, when the
backup did not hold what was planted, or when the replay did not end.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.crowd import OLD, OLD_DAYS, STREAMS, Crowd
from benchmarks.searching import Search
from benchmarks.servers import owner_url, portal

BATCH = 1_000
# What is the same of each event that is left, whatever the walk did: rows of others whole, of those
# that named somebody their content hash. `l-` came while the erasure ran.
OTHERS = """
SELECT count(*) FILTER (WHERE event_id LIKE 'o-%%'),
       md5(coalesce(string_agg(md5(event::text), '' ORDER BY stream_id, occurred_at, event_id)
           FILTER (WHERE event_id LIKE 'o-%%'), '')),
       count(*) FILTER (WHERE event_id LIKE 'm-%%'),
       md5(coalesce(string_agg(encode(content_hash, 'hex'), ''
           ORDER BY stream_id, occurred_at, event_id) FILTER (WHERE event_id LIKE 'm-%%'), '')),
       count(*) FILTER (WHERE event_id LIKE 'a-%%')
FROM {} AS event
"""


def main() -> int:
    """Measure and print; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--subjects", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not 0 < options.subjects <= 25:
        parser.error("1 to 25 subjects: an erasure takes a hundred identifiers")
    place = Path(tempfile.mkdtemp(prefix="portal-drill-"))
    try:
        with portal():
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
            import django

            django.setup()
            from django.conf import settings

            result = Drill(options, place, Path(settings.DATA_DIR)).run()
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if not options.json:
        for name, value in result.items():
            print(f"{name}: {value}")
    print(json.dumps(result))
    return 0 if result["ok"] else 1


class Drill:
    """One drill: `place` is for dumps, `data` the data directory of the portal."""

    def __init__(self, options: argparse.Namespace, place: Path, data: Path) -> None:
        from portal.kernel import clock

        self._options, self._place, self._data = options, place, data
        self._crowd = Crowd(options.seed, options.subjects, clock.now())
        self._seconds: dict[str, float] = {}
        self._said_at = time.monotonic()

    def run(self) -> dict[str, Any]:
        """All of it; gives the result as JSON."""
        received = self._fill()
        self._archive()
        self._took("filling")
        search = Search(self._values(), self._place)
        before, others = self._dump("before.sql"), self._others()
        planted = search.finds(before)
        shutil.copytree(self._data / "archive", self._place / "archive")
        self._took("backup")
        receipt = self._erase()
        self._took("erasing")
        finds = self._finds(search, self._dump("after.sql"), self._data / "archive", "live")
        finds += self._finds_beside(search)
        self._took("searching")
        same = _same(others, self._others())
        restored = self._restore(before)
        self._took("restoring")
        replay = self._replay(restored)
        self._took("replaying")
        url = restored["DATABASE_URL"]
        after = self._dump("restored.sql", url)
        finds += self._finds(search, after, self._place / "archive", "restored backup")
        again = _same(others, self._others(url))
        refused = self._refused()
        self._took("searching again")
        is_whole = same["ok"] and again["ok"]
        wants = 4 * self._options.subjects
        return {
            "events": received, "subjects": self._options.subjects, "finds": finds[:50],
            "found": len(finds), "planted_forms_in_backup": len(planted),
            "others_live": same, "others_restored": again,
            "refused_while_erasing": refused,
            "stores": {
                row["key"]: {name: row[name] for name in ("looked_at", "erased", "cleared")}
                for row in receipt["stores"]
            },
            "replayed": replay["erasures"], "seconds": self._seconds, "seed": self._options.seed,
            "ok": not finds and is_whole and len(planted) >= min(wants, 50) and refused > 0
            and replay["erasures"] == 1,
        }  # fmt: skip

    # --- Before -----------------------------------------------------------------------------------

    def _fill(self) -> int:
        from catalog.models import Producer, Stream
        from catalog.services.streams import NewStream, register_stream
        from ingest.judging import admission, pipeline
        from ingest.log.store import writer
        from ingest.protocols import cloudevents
        from portal.kernel.actor import SYSTEM
        from portal.kernel.errors import FieldError

        for name, document, fields in STREAMS:
            new = NewStream(name=name, document=document, description="Something happened.")
            stream = register_stream(new, actor=SYSTEM)
            Stream.objects.filter(pk=stream.pk).update(enforcement="enforce", **fields)
        producer = Producer.objects.create(name="drill")
        self._publisher = admission.publisher_of(producer)
        admission.directory.forget_all()
        done = 0
        for events in _in_batches(self._crowd.events(self._options.events)):
            envelopes = [cloudevents.read_mapping(event) for event in events]
            # The lane of imports is wider: it takes the old ones, which are archived then.
            pipeline.accept_batch(envelopes, publisher=self._publisher, is_import=True)
            done += len(events)
            if done % 100_000 == 0:
                print(f"{done} events", file=sys.stderr)
        fault = FieldError("", "malformed_json", "is no JSON")
        for body in self._crowd.unreadable():
            writer().submit(
                pipeline.unparsable(self._publisher, pipeline.now_us(), body, "text/plain", fault)
            ).result()
        return done

    def _archive(self) -> None:
        """Have the old days archived, and one of them restored."""
        from datetime import timedelta

        from catalog.models import Stream
        from governance.services.jobs import run_due_jobs
        from ingest.models import ArchivedPart, Restore
        from ingest.services.archives import start_restore
        from ingest.services.retention import keep_retention
        from ingest.services.storage_runs import BusyError
        from portal.kernel import clock
        from portal.kernel.actor import SYSTEM

        Stream.objects.filter(name=OLD).update(retention_days=3)
        until = time.monotonic() + 600
        while True:
            try:
                keep_retention()
                break
            except BusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(1)
        if not ArchivedPart.objects.exists():
            raise SystemExit("Nothing was archived.")
        stream = Stream.objects.get(name=OLD)
        day = (clock.now() - timedelta(days=OLD_DAYS)).date()
        restore = start_restore(stream, since=day, until=day, actor=SYSTEM)
        while Restore.objects.get(pk=restore.pk).state == "loading":
            run_due_jobs(budget_seconds=1.0)
            time.sleep(0.1)

    def _values(self) -> list[str]:
        """What the sought are known by, and every token that stands for one of it."""
        from governance.models import PrivacyToken
        from governance.privacy import vault

        wanted = {text for person in self._crowd.sought for text in person.identifiers}
        upper = {text.casefold() for text in wanted}
        tokens = list(PrivacyToken.objects.values_list("token", flat=True))
        found = [
            token
            for part in _in_batches(iter(tokens))
            for token, value in vault.meanings(part).items()
            if str(value).casefold() in upper
        ]
        if not found:
            raise SystemExit("No token stands for anybody who is sought.")
        return sorted(wanted) + found

    # --- The erasure ------------------------------------------------------------------------------

    def _erase(self) -> dict[str, Any]:
        """Erase them by the command, while events about them and about others come."""
        identifiers = [text for one in self._crowd.sought for text in one.identifiers]
        ended = threading.Event()
        sender = threading.Thread(target=self._go_on_sending, args=(ended,))
        process = subprocess.Popen(
            [sys.executable, "-m", "django", "erase", "--json", "--basis", "objection",
             "--reason", "A drill."],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        sender.start()
        try:
            said, _ = process.communicate("\n".join(identifiers))
        finally:
            ended.set()
            sender.join()
        if process.returncode:
            raise SystemExit("The erasure did not end.")
        receipt: dict[str, dict[str, Any]] = json.loads(said)
        return receipt.get("receipt", receipt)

    def _go_on_sending(self, ended: threading.Event) -> None:
        """Both kinds, from the moment that the tombstones are known here on."""
        from django.db import connections

        from governance import tombstones
        from ingest.judging import pipeline
        from ingest.protocols import cloudevents

        number = 0
        while not ended.wait(0.05):
            tombstones.load()
            if not tombstones.any_erased():
                continue
            events = []
            for person in (*self._crowd.sought, *self._crowd.others[:5]):
                number += 1
                stream = STREAMS[number % 2][0]
                events.append(self._crowd.about(f"l-{number}", stream, person, number))
            envelopes = [cloudevents.read_mapping(event) for event in events]
            pipeline.accept_batch(envelopes, publisher=self._publisher)
        connections.close_all()

    def _refused(self) -> int:
        """How many of them were refused; none of those letters holds a byte."""
        from ingest.models import DeadLetter

        rows = DeadLetter.objects.filter(errors__contains=[{"code": "erased"}])
        assert not rows.exclude(body=b"").exists(), "a letter about the erased has a body"
        return rows.count()

    # --- Looking ----------------------------------------------------------------------------------

    def _dump(self, name: str, url: str | None = None) -> Path:
        """All tables as SQL."""
        from portal.launcher.postgres import find_binaries

        target = self._place / name
        command = [str(find_binaries() / "pg_dump"), "--no-owner", "--file", str(target)]
        subprocess.run([*command, url or os.environ["DATABASE_URL"]], check=True)
        return target

    def _finds(self, search: Search, dump: Path, archive: Path, what: str) -> list[str]:
        found = [f"{what}, dump: {text}" for text in search.finds(dump)]
        for path in sorted(archive.rglob("*")):
            if path.is_file():
                found += [f"{what}, {path.name} packed: {text}" for text in search.finds(path)]
        unpacked = self._unpacked(archive)
        return found + [f"{what}, archive: {text}" for text in search.finds(unpacked)]

    def _unpacked(self, archive: Path) -> Path:
        """All rows of all files as text."""
        from ingest.log import parquet

        target = self._place / "archive.txt"
        with target.open("w") as file:
            for path in sorted(archive.rglob("*.parquet")):
                for group in range(parquet.group_count(path)):
                    for row in parquet.read_group(path, group):
                        file.write(f"{row!r}\n")
                        if row[11]:  # bytes
                            file.write(bytes(row[11]).decode("latin-1") + "\n")
        return target

    def _finds_beside(self, search: Search) -> list[str]:
        """Redis, the logs and whatever else lies in the data directory."""
        target = self._place / "redis.txt"
        with target.open("w") as file:
            file.writelines(f"{text}\n" for text in _in_redis())
        found = [f"redis: {text}" for text in search.finds(target)]
        for path in sorted(self._data.rglob("*")):
            if path.is_file() and "postgres" not in path.relative_to(self._data).parts:
                name = path.relative_to(self._data)
                found += [f"{name}: {text}" for text in search.finds(path)]
        return found

    def _others(self, url: str | None = None) -> dict[str, list[Any]]:
        """What is left of the events in the log and in restores; of archives by their files."""
        import psycopg

        with psycopg.connect(url or os.environ["DATABASE_URL"]) as link:
            return {
                table: list(link.execute(OTHERS.replace("{}", table)).fetchone() or ())
                for table in ("ingest_event", "ingest_restoredevent")
            }

    # --- The restored backup ----------------------------------------------------------------------

    def _restore(self, dump: Path) -> dict[str, str]:
        """The backup in another database; gives the environment that leads there."""
        from governance.chain import ownership
        from portal.launcher.postgres import find_binaries

        url = os.environ["DATABASE_URL"]
        owner = owner_url()
        mine, theirs = (each.rpartition("/")[0] + "/restored" for each in (url, owner))
        psql = [str(find_binaries() / "psql"), "--quiet", "--set", "ON_ERROR_STOP=1"]
        subprocess.run([*psql, owner, "--command", "CREATE DATABASE restored"], check=True)
        subprocess.run([*psql, theirs, "--file", str(dump)], check=True, stdout=subprocess.DEVNULL)
        if owner != url:
            ownership.make_roles(theirs, mine)
            ownership.hand_over(theirs, mine)
        return {
            **os.environ,
            "DATABASE_URL": mine,
            "PORTAL_ARCHIVE_DIR": str(self._place / "archive"),
            "PORTAL_ERASURE_LEDGER": os.environ.get(
                "PORTAL_ERASURE_LEDGER", str(self._data / "ledger" / "erasures.jsonl")
            ),
        }

    def _replay(self, environment: dict[str, str]) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "django", "erase", "replay", "--json"],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit("The ledger could not be replayed.")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _took(self, what: str) -> None:
        now = time.monotonic()
        self._seconds[what] = round(now - self._said_at, 1)
        self._said_at = now
        print(f"{what}: {self._seconds[what]} s", file=sys.stderr)


def _same(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> dict[str, Any]:
    """Whether others lost nothing (count and content), and how many events went."""
    tables = {
        table: {
            "others": then[0], "others_kept": now[0], "changed": then[1] != now[1],
            "named_in": then[2], "named_in_kept": now[2], "hashes_changed": then[3] != now[3],
            "about": then[4], "about_left": now[4],
        }
        for table, then in before.items()
        for now in (after[table],)
    }  # fmt: skip
    is_whole = all(
        then[:4] == after[table][:4] and then[4] > 0 and after[table][4] == 0
        for table, then in before.items()
    )
    return {"ok": is_whole, **tables}


def _in_batches(items: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(items, BATCH)):
        yield batch


def _in_redis() -> Iterator[str]:
    """Every key of the portal's Redis with what it holds."""
    import redis

    store = redis.Redis.from_url(os.environ["REDIS_URL"])
    reads: dict[bytes, Callable[[Any], Any]] = {
        b"string": store.get, b"list": lambda key: store.lrange(key, 0, -1),
        b"set": store.smembers, b"hash": store.hgetall,
        b"zset": lambda key: store.zrange(key, 0, -1, withscores=True), b"stream": store.xrange,
    }  # fmt: skip
    try:
        for key in store.scan_iter():
            value = reads[store.type(key)](key)  # type: ignore[index]  # bytes, as nothing is decoded
            text = value if isinstance(value, bytes) else repr(value).encode()
            yield f"{key.decode('latin-1')} {text.decode('latin-1')}"
            yield text.hex()
    finally:
        store.close()


if __name__ == "__main__":
    raise SystemExit(main())
