"""What a target must be, and who is let through all the same.

1. The address is read once (`targets`), and its host resolved once.
2. Every address that comes back is judged: one that is not public refuses the whole.
3. The scheme and the port must be among those that requests leave by.

An opening (`PORTAL_OUTBOUND_ALLOW`) names a host, an address or a network, with a port or without: who
is meant by one is exempt from 2 and 3. What stands in a name's addresses beside it is judged still.
"""

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from queue import SimpleQueue
from threading import Thread
from typing import Final

from django.conf import settings

from portal.kernel.outbound.addresses import Address, rule_against
from portal.kernel.outbound.errors import (
    FailedError,
    RuleBrokenError,
    TargetRefusedError,
)
from portal.kernel.outbound.targets import Target, literal_of, normalised_name, read_target

RESOLVE_SECONDS: Final = 3.0
MAX_ADDRESSES: Final = 32
# What an operator may name as his own: a portal on the same machine or in the same network.
INNER: Final = frozenset({"loopback", "private", "shared", "unique_local", "site_local"})
Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Opening:
    """A host name or a network that is let through, at one port or at each."""

    name: str = ""
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None

    def covers(self, target: Target, address: Address) -> bool:
        """Whether this address of the target is meant."""
        if self.port not in (None, target.port):
            return False
        return target.host == self.name if self.network is None else address in self.network


@dataclass(frozen=True, slots=True)
class Rules:
    """By which schemes and ports requests leave (None: any), who is let through, and which of the
    rules on addresses do not count."""

    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] | None = frozenset({443, 8443})
    openings: tuple[Opening, ...] = ()
    without: frozenset[str] = frozenset()

    def opened_to(self, openings: Iterable[Opening]) -> "Rules":
        """The same, with further openings."""
        return replace(self, openings=(*self.openings, *openings))

    def judge(self, target: Target, addresses: Sequence[Address]) -> None:
        """Raises RuleBrokenError by the first rule that one of the addresses is against."""
        for address in addresses:
            if any(opening.covers(target, address) for opening in self.openings):
                continue
            rule = rule_against(address)
            if rule is not None and rule not in self.without:
                raise RuleBrokenError(rule)
            if target.scheme not in self.schemes:
                raise RuleBrokenError("scheme")
            if self.ports is not None and target.port not in self.ports:
                raise RuleBrokenError("port")


def for_given() -> Rules:
    """For a target that somebody gave: public, by https (by http too while the portal itself is)."""
    schemes = {"https"} if settings.HTTPS else {"https", "http"}
    return Rules(schemes=frozenset(schemes), openings=openings_of(tuple(settings.OUTBOUND_ALLOW)))


def for_named_by_the_operator() -> Rules:
    """For what a setting or a command line names: inner networks and every port too."""
    return Rules(schemes=frozenset({"https", "http"}), ports=None, without=INNER)


def check_target(
    url: str, *, rules: Rules | None = None, resolve: Resolve | None = None, pointer: str = "/url"
) -> Target:
    """Read and judge what somebody gave, before it is kept. Raises TargetRefusedError.

    It is judged again at each attempt: a name may lead elsewhere by then.
    """
    try:
        target = read_target(url)
        addresses_of(target, rules or for_given(), resolve or resolve_by_system)
    except RuleBrokenError as error:
        raise TargetRefusedError(error.rule, pointer=pointer) from error
    except FailedError as error:
        raise TargetRefusedError("unresolvable", pointer=pointer) from error
    return target


def addresses_of(target: Target, rules: Rules, resolve: Resolve) -> Sequence[Address]:
    """The judged addresses of a target, in the resolver's order; never empty.

    Raises RuleBrokenError; FailedError when the resolver knows none, or takes too long.
    """
    if target.literal is not None:
        found: Sequence[Address] = [target.literal]
    elif target.host == "localhost" or target.host.endswith(".localhost"):
        found = [address for text in ("127.0.0.1", "::1") if (address := literal_of(text))]
    else:
        texts = list(resolve(target.host, target.port))[:MAX_ADDRESSES]
        found = [address for text in texts if (address := literal_of(text)) is not None]
        if not found or len(found) != len(texts):
            raise FailedError("unresolvable")
    rules.judge(target, found)
    return found


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """The addresses of a host by the system's resolver, none when it has none.

    Raises FailedError (`timeout`). The system's call cannot be broken off: its thread is left behind
    and ends by itself.
    """
    answers: SimpleQueue[Sequence[str]] = SimpleQueue()

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            rows = []
        answers.put(list(dict.fromkeys(str(row[4][0]) for row in rows)))

    asking = Thread(target=ask, name="resolve", daemon=True)
    asking.start()
    asking.join(RESOLVE_SECONDS)
    if asking.is_alive():
        raise FailedError("timeout")
    return answers.get()


@lru_cache(maxsize=8)
def openings_of(words: tuple[str, ...]) -> tuple[Opening, ...]:
    """Openings as they are written: `host`, `10.0.0.0/8`, `[fd00::]/8`, each with `:port` or without.

    Raises ValueError with a sentence.
    """
    return tuple(_opening(word) for word in words)


def _opening(word: str) -> Opening:
    place, digits = word, ""
    if word.startswith("["):
        inner, _, rest = word[1:].partition("]")
        length, colon, digits = rest.partition(":")
        place = inner + length
    elif word.count(":") == 1:
        place, colon, digits = word.partition(":")
    else:
        colon = ""
    if colon and not (digits.isascii() and digits.isdecimal() and 0 < int(digits) <= 65_535):
        raise ValueError(f"{word}: the port is no number from 1 to 65535.")
    port = int(digits) if digits else None
    try:
        return Opening(network=ip_network(place), port=port)
    except ValueError as error:
        if "/" in place or ":" in place:
            raise ValueError(f"{word} is no network; write it as 10.0.0.0/8.") from error
    try:
        return Opening(name=normalised_name(place), port=port)
    except RuleBrokenError as error:
        raise ValueError(f"{word} is neither a host nor a network.") from error
