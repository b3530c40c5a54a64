"""The cache in which tries are counted: Redis, and while that is away the memory of each process.

Signing in must work without Redis, and must stay bounded: what guesses in that time meets the same
limits, counted by each web process for itself.
"""

import logging
from typing import Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
_MOST: Final = 10_000  # entries; beyond it the oldest third goes


class CountingCache(RedisCache):
    """Answers `get`, `add`, `set` and `delete` also while Redis does not."""

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._own = LocMemCache("counted-here", params | {"OPTIONS": {"MAX_ENTRIES": _MOST}})

    def add(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Whether it was not there and is now."""
        try:
            return bool(super().add(key, value, timeout, version))
        except RedisError:
            return self._here().add(key, value, timeout, version)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        try:
            return super().get(key, default, version)
        except RedisError:
            return self._here().get(key, default, version)

    def set(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        try:
            super().set(key, value, timeout, version)
        except RedisError:
            self._here().set(key, value, timeout, version)

    def delete(self, key: str, version: int | None = None) -> bool:
        """Whether it was there."""
        try:
            return bool(super().delete(key, version))
        except RedisError:
            return self._here().delete(key, version)

    def _here(self) -> LocMemCache:
        logger.warning("Redis does not answer; this process counts tries for itself")
        return self._own
