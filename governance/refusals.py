"""Who was refused stands in the audit log: one row of a transaction of its own, after the answer.

A refusal undoes the transaction it was made in, so it cannot be written there. It is written once the
answer is made, for callers who said who they are: people, and keys of programs. What they may not even
know of is answered as if it did not exist, and writes nothing: the time a row takes would tell them.

Nobody floods the log: a caller, thing and permission have one row a minute, and a caller 30 rows a
minute for all things together (decision 0049). Each refusal has its line in the security log.
"""

import hashlib
import logging
from typing import Final

from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, transaction
from django.http import HttpRequest
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from governance import audit
from governance.types import ResourceRef
from portal.http.policy import matrix
from portal.http.problem import problem_of
from portal.http.watching import route_of
from portal.kernel import sql
from portal.kernel.actor import Actor
from portal.kernel.errors import NotPermittedError

logger = logging.getLogger(__name__)

WINDOW_SECONDS: Final = 60
MOST_ROWS: Final = 30  # a window and caller, give or take what comes in the very same moment
_PREFIX: Final = "refused"
_WAIT: Final = sql.load("governance", "wait_briefly")
# Not a question of who may: a forged form, a key in another site's page, who is to sign in more surely.
_NOT_MEANT: Final = frozenset({"csrf", "origin", "confirm", "second_factor"})
# The doors of events and of flags, where nobody waits for the log.
_DOORS: Final = ("/v1/", "/ofrep/")


def note_refusal(request: HttpRequest) -> None:
    """Write down that the request was refused, if it was and nobody wrote it a moment ago.

    Never fails: what stands in the way is logged, and the answer is what it was.
    """
    error, actor = problem_of(request), getattr(request, "caller", None)
    if not isinstance(error, NotPermittedError) or not isinstance(actor, Actor):
        return
    if error.code in _NOT_MEANT or request.path.startswith(_DOORS):
        return
    route = route_of(request)
    kind, key = error.about or ("address", route)
    ref = ResourceRef(kind, key[:200])
    permission = str(error.extra.get("permission") or _policy_of(request) or error.code)
    try:
        slot = _free_slot(actor, ref, permission)
        if slot is None:
            return
        try:
            _write(actor, ref, permission, route, error, request.method or "")
        except BaseException:
            cache.delete(slot)  # the next one writes it
            raise
    except (DatabaseError, InterfaceError, PoolTimeout, RedisError) as failure:
        logger.error(  # without its text, which may hold what was sent
            "a refusal could not be written into the audit log: %s", type(failure).__name__
        )


def _write(
    actor: Actor,
    ref: ResourceRef,
    permission: str,
    route: str,
    error: NotPermittedError,
    method: str,
) -> None:
    with transaction.atomic():
        sql.execute(_WAIT, {})
        audit.record(
            actor, "access.refused", ref,
            summary=f"was refused {permission} on {ref.key}"
            + (", and told where to ask" if "request_at" in error.extra else ""),
            after={"permission": permission, "code": error.code, "route": route, "method": method},
        )  # fmt: skip


def _policy_of(request: HttpRequest) -> str:
    match = request.resolver_match
    policy = matrix().policy(match.route, request.method or "") if match is not None else None
    return policy.word if policy is not None else ""


def _free_slot(actor: Actor, ref: ResourceRef, permission: str) -> str | None:
    """The name of what was taken of the window for this row; None where there is nothing left."""
    who = f"{_PREFIX}:{actor.kind.value}:{actor.id}:{actor.key_id}"
    what = hashlib.sha256(f"{ref.kind}\0{ref.key}\0{permission}".encode()).hexdigest()[:32]
    slot = f"{who}:{what}"
    count = int(cache.get(who, 0))
    if count >= MOST_ROWS or not cache.add(slot, 1, WINDOW_SECONDS):
        return None
    cache.set(who, count + 1, WINDOW_SECONDS)
    return slot
