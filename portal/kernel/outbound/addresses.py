"""Which addresses a request may leave for: a list of our own, judged by number and not by library.

`ipaddress.is_global` of Python 3.11 says yes to a dozen ways to write 127.0.0.1 and its like, so
nothing here asks it. Of IPv6 only what is given out (2000::/3) can be public at all; an address that
holds another (mapped, compatible, NAT64, 6to4, Teredo) is judged by what it holds as well.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address

# The rule is the word that a caller is told, never the address itself.
_V4: Final = tuple(
    (IPv4Network(network), rule)
    for network, rule in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),  # carrier-grade NAT; a cloud's metadata too
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "metadata"),  # a cloud's host, on an address that looks public
        ("169.254.0.0/16", "link_local"),  # the metadata services of most clouds
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "transition"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)
# The first that holds is told, so the narrower stand before the wider.
_V6: Final = tuple(
    (IPv6Network(network), rule)
    for network, rule in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "transition"),  # NAT64 of somebody's own: what it leads to is unknown
        ("100::/64", "reserved"),  # discard
        ("2001:db8::/32", "documentation"),
        ("2001:2::/48", "benchmarking"),
        ("2001::/23", "reserved"),  # protocol assignments
        ("3fff::/20", "documentation"),
        ("fc00::/7", "unique_local"),
        ("fe80::/10", "link_local"),
        ("fec0::/10", "site_local"),
        ("ff00::/8", "multicast"),
    )
)
_PUBLIC_V6: Final = IPv6Network("2000::/3")
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_TEREDO: Final = IPv6Network("2001::/32")
_LOW: Final = 0xFFFF_FFFF


def rule_against(address: Address) -> str | None:
    """The rule by which an address is none of the public internet's; None when it is public."""
    if isinstance(address, IPv4Address):
        return next((rule for network, rule in _V4 if address in network), None)
    address = IPv6Address(int(address))  # without a scope, which would be compared as well
    held = _held(address)
    if address in _MAPPED or address in _NAT64:
        # To be reached by IPv4 after all, by the system or by a translator: as good as what is held.
        return rule_against(held[0])
    if held:
        # Nobody who means well is reached so any more, whatever it holds.
        return next((rule for one in held if (rule := rule_against(one))), "transition")
    rule = next((rule for network, rule in _V6 if address in network), None)
    return rule or (None if address in _PUBLIC_V6 else "reserved")


def _held(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address holds."""
    number = int(address)
    if number <= 1:  # `::` and `::1` are themselves
        return ()
    if any(address in network for network in (_MAPPED, _TRANSLATED, _COMPATIBLE, _NAT64)):
        return (IPv4Address(number & _LOW),)
    if address in _SIX_TO_FOUR:
        return (IPv4Address(number >> 80 & _LOW),)
    if address in _TEREDO:  # the client's is written with its bits turned
        return (IPv4Address(~number & _LOW), IPv4Address(number >> 64 & _LOW))
    return ()
