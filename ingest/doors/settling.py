"""One thread a web process that does what no request waits for: settle quotas, keep counts, report.

It sleeps while nothing is sent. While something is, it goes round twenty times a second: it pays
into the shared buckets what was spent; once a second it says how much the process has in hand; each
few seconds it adds what keys sent and were refused to their table. When Redis does not answer, what
was spent meanwhile is forgotten and it asks again each second: nobody is kept out for the time when
quotas were local. When the database does not answer, the counts wait.
"""

import logging
import os
import socket
import threading
import time
from typing import Final

import psycopg
from django.conf import settings
from redis.exceptions import RedisError

from governance.services.key_uses import add_uses
from ingest.doors.gate import gate
from ingest.doors.limits import Quotas, quotas
from ingest.doors.shared_buckets import SharedBuckets
from ingest.doors.uses import Uses, uses
from ingest.log.connection import connect
from ingest.log.store import queued_events

logger = logging.getLogger(__name__)

ROUND_SECONDS: Final = 0.05
REPORT_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0
KEEP_SECONDS: Final = 5.0


class Settler:
    """The thread of one process."""

    def __init__(self, quotas: Quotas, uses: Uses, shared: SharedBuckets) -> None:
        self._quotas, self._uses, self._shared = quotas, uses, shared
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._closed = False
        self._is_shared = True
        self._ask_again_at = self._report_at = self._keep_at = 0.0
        self._thread = threading.Thread(target=self._run, name="ingest-limits", daemon=True)
        self._thread.start()

    @property
    def is_shared(self) -> bool:
        """Whether Redis answered the last time; else quotas are this process's own."""
        return self._is_shared

    def _run(self) -> None:
        while not self._closed:
            # While counts or a report are due it comes round again, then it sleeps until it is used.
            is_settled = self._uses.is_empty and not gate.was_used
            self._quotas.used.wait(None if is_settled else REPORT_SECONDS)
            self._quotas.used.clear()
            self._settle()
            self._report()
            self._keep()
            time.sleep(ROUND_SECONDS)

    def _settle(self) -> None:
        spent = self._quotas.take_unsettled()
        if not spent or time.monotonic() < self._ask_again_at:
            return
        asked_at = time.monotonic()
        try:
            left = self._shared.settle(spent, asked_at)
        except RedisError as error:
            self._is_away(error)
            return
        self._is_back()
        for (bucket, _), tokens in zip(spent, left, strict=True):
            self._quotas.settle(bucket, tokens, asked_at=asked_at)

    def _report(self) -> None:
        now = time.monotonic()
        if now < max(self._report_at, self._ask_again_at):
            return
        self._report_at = now + REPORT_SECONDS
        try:
            self._shared.report(self._process, gate.load(queued_events()))
        except RedisError as error:
            self._is_away(error)

    def _is_away(self, error: RedisError) -> None:
        self._ask_again_at = time.monotonic() + RETRY_SECONDS
        if self._is_shared:
            self._is_shared = False
            logger.warning("quotas are each process's own: Redis: %s", type(error).__name__)

    def _is_back(self) -> None:
        if not self._is_shared:
            self._is_shared = True
            logger.info("quotas are shared again")

    def _keep(self, *, at_once: bool = False) -> None:
        """Add the counts to their table. Safe to lose: they are shown, nothing is decided by them."""
        now = time.monotonic()
        if (now < self._keep_at and not at_once) or self._uses.is_empty:
            return
        self._keep_at = now + KEEP_SECONDS
        self._quotas.forget_idle()
        counts = self._uses.take()
        try:
            with connect() as connection:
                add_uses(connection, counts)
        except psycopg.Error as error:
            self._uses.put_back(counts)
            logger.warning("what keys sent could not be kept yet: %s", type(error).__name__)

    def close(self) -> None:
        """End the thread; what was counted is kept."""
        self._closed = True
        self._quotas.used.set()
        self._thread.join(timeout=5)
        self._keep(at_once=True)
        self._shared.close()


_settlers: dict[int, Settler] = {}
_lock = threading.Lock()


def start_settling() -> None:
    """Once a process, cheap to call again; a fork gets its own."""
    pid = os.getpid()
    if pid not in _settlers:
        with _lock:
            if pid not in _settlers:
                _settlers[pid] = Settler(quotas, uses, SharedBuckets(settings.REDIS_URL))


def stop_settling() -> None:
    with _lock:
        found = _settlers.pop(os.getpid(), None)
    if found is not None:
        found.close()
