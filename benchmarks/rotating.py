"""A vault whose keys are renewed while the worker that wraps them anew is killed, again and again.

The worker is a process that does what the queue's worker does (`run_due_jobs`) and nothing else. It is
killed with SIGKILL at a random moment and started again at once; its lease, which would have the next
one wait for a minute, is ended by hand. After each kill every value is read, and a reader reads some
at random all the while.
"""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

_CHUNK: Final = 1000
_POLL_SECONDS: Final = 0.01
_START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Vault:
    """What was sealed: the n-th value is n. Subjects have a data key each, tokens one a purpose."""

    texts: list[str]
    tokens: list[str]


@dataclass
class Figures:
    """What was seen. `unreadable` says of the values that did not open what happened, once each."""

    kills: int = 0
    kills_in_a_step: int = 0
    rotations: int = 0
    resumed: int = 0
    reads: int = 0
    full_reads: int = 0
    unreadable: list[str] = field(default_factory=list)
    left_behind: int = 0


def seal(n_values: int, n_tokens: int) -> Vault:
    """Make subjects with a value each, and tokens over twenty purposes."""
    from governance.privacy import vault
    from governance.privacy.ciphers import Place

    texts: list[str] = []
    for start in range(0, n_values, _CHUNK):
        numbers = range(start, min(start + _CHUNK, n_values))
        refs = {number: vault.subject_ref(f"subject {number}") for number in numbers}
        found = vault.data_keys(refs.values())
        texts += [
            found[ref].seal(b"%d" % number, Place(1, "/data/mail", str(number)))
            for number, ref in refs.items()
        ]
    tokens: list[str] = []
    for start in range(0, n_tokens, _CHUNK):
        meant = {}
        for number in range(start, min(start + _CHUNK, n_tokens)):
            purpose, value = f"purpose {number % 20}", orjson.dumps(number)
            meant[vault.value_ref(purpose, value)] = (purpose, value)
        made = vault.tokens_for(meant)
        tokens += [made[ref] for ref in meant]
    return Vault(texts, tokens)


def read(kept: Vault, texts: Sequence[int], tokens: Sequence[int]) -> list[str]:
    """Open some of what was sealed, out of the database; gives a sentence for each that is lost."""
    from governance.privacy import vault
    from governance.privacy.ciphers import Place, key_id_of
    from portal.kernel.errors import UnavailableError

    wrong: list[str] = []
    try:
        keys = vault.keys_by_id({key_id_of(kept.texts[number]) or 0 for number in texts})
        for number in texts:
            key = keys.get(key_id_of(kept.texts[number]) or 0)
            place = Place(1, "/data/mail", str(number))
            if key is None or key.open(kept.texts[number], place) != b"%d" % number:
                wrong.append(f"value {number} does not open")
        said = vault.meanings([kept.tokens[number] for number in tokens])
        wrong += [
            f"token {number} means nothing"
            for number in tokens
            if said.get(kept.tokens[number]) != number
        ]
    except UnavailableError as error:
        wrong.append(error.detail)
    return wrong


def renew(count: int, keyring_file: Path, *, say: Callable[[str], None]) -> tuple[float, int]:
    """Fill the vault up to so many data keys and renew them as a worker would; gives the seconds of
    the renewal and its steps."""
    from governance.models import Job, PrivacyKey
    from governance.privacy import keyring, keys, vault
    from governance.services import privacy_keys
    from governance.services.jobs import run_due_jobs
    from portal.kernel.actor import SYSTEM
    from portal.kernel.files import write_private

    held = PrivacyKey.objects.count()
    for start in range(held, count, _CHUNK):
        vault.data_keys(
            vault.subject_ref(f"another {number}")
            for number in range(start, min(start + _CHUNK, count))
        )
    say(f"{PrivacyKey.objects.count()} data keys")
    write_private(keyring_file, keyring.with_new_version(keyring_file.read_text("utf-8")))
    keys.read_again()
    began = time.monotonic()
    job = privacy_keys.rotate_keys(actor=SYSTEM)
    while (row := Job.objects.get(pk=job.pk)).is_live:
        run_due_jobs()
        row.refresh_from_db()
        say(f"{row.percent} %: {row.said}")
    if row.state != "done":
        raise RuntimeError(row.said)
    return time.monotonic() - began, row.revision - 1


class Reader(threading.Thread):
    """Reads fifty values and ten tokens at random, over and over, until it is told to end.

    Whoever holds `between` knows that no read is under way: an old version is taken away by people,
    long after the last read that began before the renewal was done.
    """

    def __init__(self, kept: Vault, seed: int) -> None:
        super().__init__(name="reader", daemon=True)
        self._kept, self._rng, self._end = kept, random.Random(seed), threading.Event()
        self.reads, self.wrong = 0, list[str]()
        self.between = threading.Lock()

    def run(self) -> None:
        texts, tokens = len(self._kept.texts), len(self._kept.tokens)
        while not self._end.is_set():
            some = [self._rng.randrange(texts) for _ in range(50)]
            few = [self._rng.randrange(tokens) for _ in range(10)]
            with self.between:
                self.wrong += read(self._kept, some, few)
            self.reads += len(some) + len(few)
            self._end.wait(_POLL_SECONDS)

    def end(self) -> None:
        self._end.set()
        self.join()


def work(database: str, keyring_file: str, ready: Any) -> None:
    """The worker's process: do due jobs until it is killed."""
    os.environ["PORTAL_PRIVACY_KEYS_FILE"] = keyring_file
    import django

    django.setup()
    from django.conf import settings

    from governance.services.jobs import run_due_jobs

    settings.DATABASES["default"]["NAME"] = database
    settings.PRIVACY_KEYS = Path(keyring_file).read_text("utf-8").strip()
    ready.set()
    while True:
        run_due_jobs()
        time.sleep(_POLL_SECONDS)


@dataclass
class Rotating:
    """Renewals of the keys of a file, each through kills, until as many were done as are wanted."""

    kept: Vault
    keyring_file: Path
    rng: random.Random
    longest_seconds: float
    figures: Figures = field(default_factory=Figures)

    def go(self, kills: int) -> Figures:
        """Renew until the worker was killed so often, and a last time through to the end."""
        reader = Reader(self.kept, self.rng.randrange(2**32))
        reader.start()
        try:
            while self.figures.kills < kills:
                self._rotate(kills, reader)
        finally:
            reader.end()
        self.figures.reads += reader.reads
        self.figures.unreadable += reader.wrong
        return self.figures

    def _rotate(self, kills: int, reader: Reader) -> None:
        from governance.models import Job
        from governance.privacy import keyring, keys
        from governance.services import privacy_keys
        from portal.kernel.actor import SYSTEM
        from portal.kernel.files import write_private

        old = keys.read_again().current
        write_private(
            self.keyring_file, keyring.with_new_version(self.keyring_file.read_text("utf-8"))
        )
        job = privacy_keys.rotate_keys(actor=SYSTEM)
        while (state := Job.objects.get(pk=job.pk).state) != "done":
            if state in {"failed", "paused"}:
                self._resume(job)
            self._let_work(job, is_killed=self.figures.kills < kills)
        self.figures.rotations += 1
        left = {version: count for version, count in privacy_keys.counts().items() if count}
        self.figures.left_behind += sum(left.values()) - left.get(keys.ring().current, 0)
        if not self.figures.left_behind:
            text = keyring.without_version(self.keyring_file.read_text("utf-8"), old)
            with reader.between:
                write_private(self.keyring_file, text)
                keys.read_again()
        self._read_all()

    def _resume(self, job: Any) -> None:
        """As an admin would, of work that was claimed five times without finishing a step."""
        from governance.services.jobs import resume_job
        from portal.kernel.actor import SYSTEM

        resume_job(job, actor=SYSTEM)
        self.figures.resumed += 1

    def _let_work(self, job: Any, *, is_killed: bool) -> None:
        from django.db import connection

        from governance.models import Job

        context = multiprocessing.get_context("forkserver")
        ready = context.Event()
        database = str(connection.settings_dict["NAME"])
        worker = context.Process(target=work, args=(database, str(self.keyring_file), ready))
        worker.start()
        try:
            if not ready.wait(_START_SECONDS):
                raise RuntimeError("The worker did not start.")
            until = time.monotonic() + self.rng.uniform(0, self.longest_seconds)
            while not is_killed or time.monotonic() < until:
                if Job.objects.get(pk=job.pk).state not in {"waiting", "running"}:
                    return
                time.sleep(_POLL_SECONDS)
        finally:
            worker.kill()
            worker.join()
        if worker.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"The worker ended by itself with {worker.exitcode}.")
        state = Job.objects.get(pk=job.pk).state
        if state == "done":
            return
        self.figures.kills += 1
        self.figures.kills_in_a_step += state == "running"
        Job.objects.filter(pk=job.pk, state="running").update(lease_until=job.created_at)
        self._read_all()

    def _read_all(self) -> None:
        texts, tokens = range(len(self.kept.texts)), range(len(self.kept.tokens))
        self.figures.unreadable += read(self.kept, texts, tokens)
        self.figures.full_reads += 1
