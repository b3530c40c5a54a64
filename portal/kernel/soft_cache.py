"""A cache that may be away: reading gives None and writing does nothing, with a line in the log.

Only what can be computed again belongs here.
"""

import logging
from typing import Any

from django.core.cache import caches
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


def get(key: str) -> Any:
    """The kept value; None when there is none or the cache is away."""
    try:
        return caches["soft"].get(key)
    except RedisError:
        logger.warning("the cache is away; computing %s again", key.split(":", maxsplit=1)[0])
        return None


def put(key: str, value: Any, seconds: int) -> None:
    """Keep a value for a while."""
    try:
        caches["soft"].set(key, value, seconds)
    except RedisError:
        logger.warning("the cache is away; %s is not kept", key.split(":", maxsplit=1)[0])
