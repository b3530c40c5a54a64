"""Signing what is sent to a receiver as Standard Webhooks 1.0 has it.

The secret is `whsec_` and the base64 of 24 to 64 random bytes; the signature is HMAC-SHA256 over
`{id}.{timestamp}.{body}`. A receiver checks it with any library of that standard.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Final

PREFIX: Final = "whsec_"
SHORTEST: Final = 24
LONGEST: Final = 64


def read_secret(text: str) -> bytes:
    """The key of a secret. Raises ValueError with a sentence in which the secret is not."""
    try:
        key = b64decode(text.removeprefix(PREFIX), validate=True)
    except Base64Error:
        key = b""
    if not text.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"write {PREFIX} and the base64 of {SHORTEST} to {LONGEST} random bytes")
    return key


def signed_headers(secret: str, *, message_id: str, sent_at: int, body: bytes) -> dict[str, str]:
    """The three headers of a message; `sent_at` in seconds since 1970. Raises ValueError."""
    signed = b"%s.%d.%s" % (message_id.encode(), sent_at, body)
    digest = hmac.digest(read_secret(secret), signed, "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }
