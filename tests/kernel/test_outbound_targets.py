"""Reading a target and judging its addresses: bad-input catalogue 189–213 (reliability.md §4 H)."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kernel.outbound.addresses import rule_against
from portal.kernel.outbound.errors import RULES, FailedError, RuleBrokenError, TargetRefusedError
from portal.kernel.outbound.rules import Rules, check_target, for_given, openings_of
from portal.kernel.outbound.targets import read_target

PUBLIC = "93.184.216.34"


def knows(*addresses: str) -> "Resolver":
    return Resolver(addresses)


class Resolver:
    """A resolver that gives what it was made with, and counts how often it was asked."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses, self.asked = addresses, 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.addresses


def refusal(url: str, *, resolve: Resolver | None = None, rules: Rules | None = None) -> str:
    """The rule that refuses a target; empty when none does."""
    try:
        check_target(url, resolve=resolve or knows(PUBLIC), rules=rules)
    except TargetRefusedError as error:
        told = error
    else:
        return ""
    assert (told.status, told.code) == (422, "target_refused")
    assert [(one.pointer, one.code) for one in told.errors] == [("/url", told.rule)]
    assert told.rule in RULES
    return told.rule


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "shared"),
        ("100.100.100.200", "shared"),
        ("169.254.169.254", "link_local"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.8", "reserved"),
        ("192.0.0.170", "reserved"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("192.88.99.1", "transition"),
        ("198.18.0.1", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("::8.8.8.8", "transition"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:169.254.169.254", "link_local"),
        ("::ffff:0:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a00:1", "private"),
        ("64:ff9b:1::7f00:1", "transition"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a00:1::1", "private"),
        ("2002:808:808::1", "transition"),
        ("2001:0:7f00:1::", "broadcast"),  # the client's bits are turned: 255.255.255.255
        ("2001:0:808:808:0:0:f5ff:fffe", "private"),  # the client is 10.0.0.1
        ("2001:0:808:808:0:0:f7f7:f7f7", "transition"),
        ("2001:2::1", "benchmarking"),
        ("2001:10::1", "reserved"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("100::1", "reserved"),
        ("fc00::1", "unique_local"),
        ("fd00:ec2::254", "unique_local"),
        ("fe80::1", "link_local"),
        ("fec0::1", "site_local"),
        ("feff::1", "site_local"),
        ("ff02::1", "multicast"),
        ("4000::1", "reserved"),
        ("5f00::1", "reserved"),
    ],
)
def test_an_address_that_is_not_public_is_refused_by_its_rule(address: str, rule: str) -> None:
    assert rule_against(ip_address(address)) == rule
    host = f"[{address}]" if ":" in address else address
    nobody = knows()
    assert refusal(f"https://{host}/hook", resolve=nobody) == rule
    assert refusal("https://hook.example/", resolve=knows(address)) == rule, "by name as well"
    assert nobody.asked == 0, "an address is not looked up"


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", PUBLIC, "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0",
        "192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111",
        "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
    ],
)  # fmt: skip
def test_a_public_address_passes(address: str) -> None:
    assert rule_against(ip_address(address)) is None
    assert refusal("https://hook.example/", resolve=knows(address)) == ""


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_passes_that_the_library_takes_for_inner(
    address: IPv4Address | IPv6Address,
) -> None:
    # Ours is the narrower of the two: what it lets through both of them do. A translator's address
    # is the library's to refuse where its IPv4 one passes.
    if rule_against(address) is None:
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "0", "0x7f000001", "127.0.0.01", "1.2.3.4.5",
     "127.0.0.1.1", "256.1.1.1", "hook.example.0x7f", "127.0.0.0x1", "00.0.0.0"],
)  # fmt: skip
def test_a_number_that_systems_read_as_an_address_is_refused_unresolved(host: str) -> None:
    resolve = knows(PUBLIC)
    assert refusal(f"https://{host}/", resolve=resolve) == "spelling"
    assert resolve.asked == 0


@pytest.mark.parametrize(
    "host",
    ["①②⑦.0.0.1", "127。0。0。1", "１２７.0.0.1", "localhost", "LOCALHOST.", "ⓛocalhost", "db.localhost",
     "127.0.0.1."],
)  # fmt: skip
def test_loopback_is_known_however_it_is_spelled(host: str) -> None:
    resolve = knows(PUBLIC)
    assert refusal(f"https://{host}/", resolve=resolve) == "loopback"
    assert resolve.asked == 0


def test_one_inner_address_beside_a_public_one_refuses_both() -> None:
    assert refusal("https://hook.example/", resolve=knows(PUBLIC, "10.0.0.1")) == "private"
    assert refusal("https://hook.example/", resolve=knows("::1", PUBLIC)) == "loopback"


def test_no_found_address_is_told_to_the_caller() -> None:
    with pytest.raises(TargetRefusedError) as caught:
        check_target("https://hook.example/", resolve=knows("10.20.30.40"))
    told = f"{caught.value} {caught.value.detail} {caught.value.errors} {caught.value.extra}"
    assert "10.20" not in told
    assert "hook.example" not in told


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://hook.example/" + "a" * 2028, "length"),
        ("https://hook.example/a\r\nX-Evil: 1", "characters"),
        ("https://hook.example/%00", "characters"),
        ("https://hook.example/%0d%0aX-Evil:%201", "characters"),
        ("https://hook.example/%0A", "characters"),
        ("https://hook.example/a b", "characters"),
        ("https://hook.example/a\tb", "characters"),
        ("https://hook.example/%zz", "characters"),
        ("https://hook.example/ü", "characters"),
        ("https://hook.example\\@evil.example/", "characters"),
        (" https://hook.example/", "characters"),
        ("https://hook.ex\u0000ample/", "characters"),
        ("ftp://hook.example/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://hook.example/", "scheme"),
        ("javascript:alert(1)", "scheme"),
        ("//hook.example/", "scheme"),
        ("hook.example", "scheme"),
        ("", "scheme"),
        ("https://user:pass@hook.example/", "credentials"),
        ("https://hook.example@evil.example/", "credentials"),
        ("https://@hook.example/", "credentials"),
        ("https://hook.example/#part", "fragment"),
        ("https://hook.example:0/", "port"),
        ("https://hook.example:65536/", "port"),
        ("https://hook.example:-1/", "port"),
        ("https://hook.example:https/", "port"),
        ("https://hook.example:22/", "port"),
        ("https://hook.example:6379/", "port"),
        ("https:///path", "host"),
        ("https://./", "host"),
        ("https://hook..example/", "host"),
        ("https://hook.example../", "host"),
        ("https://-hook.example/", "host"),
        ("https://ho%6fk.example/", "host"),
        ("https://[::1", "host"),
        ("https://[::1%25eth0]/", "host"),
        ("https://[fe80::1%25lo]/", "host"),
        ("https://[v1.a]/", "host"),
        ("https://" + "a" * 64 + ".example/", "host"),
        ("https://" + "a." * 130 + "example/", "host"),
    ],
)
def test_an_address_that_is_not_plain_is_refused_unresolved(url: str, rule: str) -> None:
    resolve = knows(PUBLIC)
    assert refusal(url, resolve=resolve) == rule
    assert resolve.asked == (1 if rule == "port" and url.endswith((":22/", ":6379/")) else 0)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://hook.example", "https://hook.example/"),
        ("HTTPS://Hook.Example.:443/In?a=%20b", "https://hook.example/In?a=%20b"),
        ("https://hook.example:8443/", "https://hook.example:8443/"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://XN--BCHER-KVA.example./", "https://xn--bcher-kva.example/"),
        ("https://ＨＯＯＫ.example/", "https://hook.example/"),
        ("https://hook.example?q=1", "https://hook.example/?q=1"),
        ("https://[2606:4700:0::1111]/", "https://[2606:4700::1111]/"),
        ("https://hook.example/" + "a" * 2027, "https://hook.example/" + "a" * 2027),
    ],
)
def test_an_address_is_normalised_once(url: str, sent: str) -> None:
    resolve = knows(PUBLIC)
    target = check_target(url, resolve=resolve)
    assert target.url == sent
    assert read_target(target.url) == target, "a second reading changes nothing"


def test_plain_http_is_taken_only_while_the_portal_itself_is_plain(
    settings: Any,
) -> None:
    settings.HTTPS = True
    assert refusal("http://hook.example:443/") == "scheme"
    settings.HTTPS = False
    assert refusal("http://hook.example:443/") == ""


def test_a_name_without_an_address_is_refused_and_so_is_one_that_is_no_address() -> None:
    assert refusal("https://hook.example/", resolve=knows()) == "unresolvable"
    assert refusal("https://hook.example/", resolve=knows(PUBLIC, "nonsense")) == "unresolvable"

    def slow(host: str, port: int) -> Sequence[str]:
        raise FailedError("timeout")

    with pytest.raises(TargetRefusedError) as caught:
        check_target("https://hook.example/", resolve=slow)
    assert caught.value.rule == "unresolvable"


@pytest.mark.parametrize(
    ("opening", "url", "address", "rule"),
    [
        ("hook.inner", "http://hook.inner:9000/", "10.0.0.1", ""),
        ("hook.inner:9000", "http://hook.inner:9000/", "10.0.0.1", ""),
        ("hook.inner:9000", "http://hook.inner:9001/", "10.0.0.1", "private"),
        ("Hook.Inner.", "https://hook.inner/", "10.0.0.1", ""),
        ("hook.inner", "https://other.inner/", "10.0.0.1", "private"),
        ("hook.inner", "https://a.hook.inner/", "10.0.0.1", "private"),
        ("10.0.0.0/8", "http://any.example:81/", "10.9.9.9", ""),
        ("10.0.0.0/8:81", "http://any.example:81/", "10.9.9.9", ""),
        ("10.0.0.0/8:81", "http://any.example:82/", "10.9.9.9", "private"),
        ("10.0.0.0/8", "https://any.example/", "192.168.0.1", "private"),
        ("10.0.0.1", "https://10.0.0.1/", "", ""),
        ("[fd00::]/8", "https://any.example/", "fd00::1", ""),
        ("[fd00::]/8:443", "https://[fd00::1]/", "", ""),
        ("fd00::/8", "https://any.example/", "fd00::1", ""),
        ("10.0.0.0/8", "https://any.example/", "::ffff:10.0.0.1", "private"),
        ("127.0.0.0/8", "https://localhost/", "", "loopback"),  # it may lead to ::1 too
    ],
)
def test_an_opening_lets_through_whom_it_names_and_nobody_else(
    settings: Any, opening: str, url: str, address: str, rule: str
) -> None:
    settings.OUTBOUND_ALLOW = [opening]
    settings.HTTPS = True
    assert refusal(url, resolve=knows(address), rules=for_given()) == rule


@pytest.mark.parametrize(
    "word", ["10.0.0.0/33", "a b", "host:0", "host:70000", "host:x", "10.0.0.1/8", "*", "http://a"]
)
def test_an_opening_that_cannot_be_read_is_said(word: str) -> None:
    with pytest.raises(ValueError, match=r"is no network|no number|neither"):
        openings_of((word,))


def test_the_rule_of_a_broken_target_has_a_sentence() -> None:
    for rule, sentence in RULES.items():
        assert str(RuleBrokenError(rule)) == sentence
        assert sentence.endswith(".")
