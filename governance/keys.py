"""The format of credentials: `ep_<kind>_<8 char id>_<secret>`, kept only as SHA-256."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

ID_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
PATTERN: Final = re.compile(r"ep_(user|prod|cons|flag)_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
NOBODY: Final = hashlib.sha256(b"nobody").digest()


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """What is kept of a credential; `sha256` is the digest of its whole text."""

    kind: str
    id: str
    sha256: bytes


def make(kind: str) -> tuple[str, ParsedKey]:
    """A new credential of a kind: the text to show once, and what to keep of it."""
    key_id = "".join(secrets.choice(ID_ALPHABET) for _ in range(8))
    text = f"ep_{kind}_{key_id}_{secrets.token_urlsafe(32)}"
    return text, ParsedKey(kind, key_id, hashlib.sha256(text.encode()).digest())


def derive(kind: str, purpose: str, secret: str) -> tuple[str, ParsedKey]:
    """The credential that belongs to a purpose: whoever holds the secret makes it again, so that its
    text is kept nowhere."""
    digest = hmac.digest(secret.encode(), f"key for {purpose}".encode(), "sha512")
    key_id = "".join(ID_ALPHABET[byte % len(ID_ALPHABET)] for byte in digest[32:40])
    body = base64.urlsafe_b64encode(digest[:32]).decode().rstrip("=")
    text = f"ep_{kind}_{key_id}_{body}"
    return text, ParsedKey(kind, key_id, hashlib.sha256(text.encode()).digest())


def parse(text: str) -> ParsedKey | None:
    """The parts of a presented credential; None when it is not one."""
    match = PATTERN.fullmatch(text)
    if match is None:
        return None
    return ParsedKey(match[1], match[2], hashlib.sha256(text.encode()).digest())


def matches(parsed: ParsedKey, stored_sha256: bytes | None) -> bool:
    """Compare in constant time; an unknown id is compared with a hash that nothing has."""
    return hmac.compare_digest(parsed.sha256, stored_sha256 or NOBODY) and stored_sha256 is not None
