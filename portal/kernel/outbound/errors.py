"""What may go wrong on the way out. A rule is told by its word, an address that was found never.

RuleBrokenError            a rule of ours is against the target; has its `rule`
└── BlockedError           … found at an attempt: nothing was sent
TargetRefusedError         the same, told to who gave the target: an InvalidError, 422
FailedError                the target was tried; `code` says how it failed
"""

from typing import Final

from portal.kernel.errors import FieldError, InvalidError

RULES: Final = {
    "length": "An address has at most 2,048 characters.",
    "characters": "It holds characters that an address cannot have; percent-encode them.",
    "scheme": "It begins with https://.",
    "credentials": "It names a user or a password; send these otherwise.",
    "fragment": "It ends with #…, which is never sent.",
    "port": "The port is not among those that requests leave for.",
    "host": "The host is not a valid name or address.",
    "spelling": "The host is a number that systems read differently; write a name or a.b.c.d.",
    "unresolvable": "The name has no address.",
    "unspecified": "It leads to no host in particular.",
    "loopback": "It leads to the portal's own machine.",
    "private": "It leads to a private network.",
    "shared": "It leads to a network behind a carrier's address translation.",
    "unique_local": "It leads to a private network.",
    "link_local": "It leads to the portal's own link.",
    "site_local": "It leads to a private network.",
    "metadata": "It leads to a cloud's own services.",
    "transition": "It leads through an address that holds another one.",
    "documentation": "It leads to addresses that are only for examples.",
    "benchmarking": "It leads to addresses that are only for measurements.",
    "multicast": "It leads to many hosts.",
    "broadcast": "It leads to many hosts.",
    "reserved": "It leads to addresses that are not given out.",
}
FAILURES: Final = {
    "unresolvable": "The name has no address just now.",
    "timeout": "It did not answer in time.",
    "unreachable": "No connection could be made.",
    "tls": "Its certificate or its TLS is not valid.",
    "too_large": "Its answer is larger than what is taken.",
    "encoded": "Its answer is compressed though that was not asked for.",
    "protocol": "It does not speak HTTP as it should.",
}


class RuleBrokenError(Exception):
    """A rule is against a target. `rule` is one of RULES; the text is its sentence."""

    def __init__(self, rule: str) -> None:
        super().__init__(RULES[rule])
        self.rule = rule


class BlockedError(RuleBrokenError):
    """At an attempt a rule was against the target: nothing was sent to it."""


class TargetRefusedError(InvalidError):
    """A target that somebody gave is against a rule. `rule` is one of RULES."""

    code = "target_refused"
    title = "Requests may not leave for this address"

    def __init__(self, rule: str, *, pointer: str = "/url") -> None:
        super().__init__(RULES[rule], errors=[FieldError(pointer, rule, RULES[rule])])
        self.rule = rule


class FailedError(Exception):
    """A target was tried and did not answer as it should. `code` is one of FAILURES."""

    def __init__(self, code: str) -> None:
        super().__init__(FAILURES[code])
        self.code = code
