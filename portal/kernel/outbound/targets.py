"""An address as somebody wrote it, read once into the one form in which it is used."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from portal.kernel.outbound.addresses import Address
from portal.kernel.outbound.errors import RuleBrokenError

MAX_LENGTH: Final = 2048
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
# Beside the host, which is normalised, only what a request line can hold.
_ILLEGAL: Final = re.compile(r"[\x00-\x20\x7f\"<>\\^`{|}]|%(?:0[0-9a-fA-F]|1[0-9a-fA-F]|7[fF])")
_PLAIN: Final = re.compile(r"[\x21-\x7e]*")
_BAD_PERCENT: Final = re.compile(r"%(?![0-9a-fA-F]{2})")
_NUMBERS: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")
_DOTTED: Final = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `host` is lower case, ASCII, without a dot at its end or brackets;
    `literal` the address that it is, when it is one; `path` begins with a slash and has the query."""

    scheme: str
    host: str
    port: int
    path: str
    literal: Address | None = None

    @property
    def url(self) -> str:
        """The one spelling that is sent."""
        host = f"[{self.host}]" if isinstance(self.literal, IPv6Address) else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def read_target(url: str) -> Target:
    """Read an address. Raises RuleBrokenError: `length`, `characters`, `scheme`, `credentials`,
    `fragment`, `port`, `host` or `spelling` (a number that systems read as an address)."""
    if len(url) > MAX_LENGTH:
        raise RuleBrokenError("length")
    if _ILLEGAL.search(url) or _BAD_PERCENT.search(url):
        raise RuleBrokenError("characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RuleBrokenError("port" if str(error).startswith("Port") else "host") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise RuleBrokenError("scheme")
    if "@" in parts.netloc:
        raise RuleBrokenError("credentials")
    if "#" in url:
        raise RuleBrokenError("fragment")
    if port == 0:
        raise RuleBrokenError("port")
    rest = parts.path + (f"?{parts.query}" if "?" in url else "")
    if not _PLAIN.fullmatch(rest):
        raise RuleBrokenError("characters")
    host, literal = _read_host(parts.hostname or "", is_bracketed="[" in parts.netloc)
    path = rest if rest.startswith("/") else f"/{rest}"
    return Target(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], path, literal)


def _read_host(text: str, *, is_bracketed: bool) -> tuple[str, Address | None]:
    """The host in its one form, with the address that it is."""
    if is_bracketed:
        try:
            found = IPv6Address(text)
        except ValueError as error:
            raise RuleBrokenError("host") from error
        if found.scope_id is not None:
            raise RuleBrokenError("host")
        return str(found), found
    host = normalised_name(text)
    if _NUMBERS.fullmatch(host.rpartition(".")[2]):
        # Resolvers read 127.1, 2130706433, 0x7f.1 and 0177.0.0.1 as addresses: only four plain
        # decimal numbers are taken for one, and nothing else that ends in a number for a name.
        if not _DOTTED.fullmatch(host):
            raise RuleBrokenError("spelling")
        try:
            return host, IPv4Address(host)
        except ValueError as error:
            raise RuleBrokenError("spelling") from error
    return host, None


def normalised_name(text: str) -> str:
    """A host name in lower-case ASCII without a last dot. Raises RuleBrokenError: `host`."""
    name = text.lower()
    if not name.isascii():
        import idna  # noqa: PLC0415  # large tables, for names that few give

        try:
            name = idna.encode(name, uts46=True, std3_rules=True).decode("ascii").lower()
        except idna.IDNAError as error:
            raise RuleBrokenError("host") from error
    name = name.removesuffix(".")
    if not name or len(name) > 253 or not all(map(_LABEL.fullmatch, name.split("."))):
        raise RuleBrokenError("host")
    return name


def literal_of(text: str) -> Address | None:
    """The address that a text is, as resolvers give it."""
    try:
        return ip_address(text)
    except ValueError:
        return None
