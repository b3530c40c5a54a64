"""Receipts of erasures: JSON signed with the audit chain's key, under a context of its own.

`{"receipt": {…}, "signature": {"key_id", "public_key", "value"}}`. What is signed is the receipt as
JSON with sorted members and without spaces, in UTF-8. Whoever has the public key
(`manage.py audit public-key`) checks it with nothing else.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import orjson

from governance.chain import signing
from governance.chain.signing import Signature

_CONTEXT: Final = b"event-portal erasure receipt 1\n"


class ReceiptError(Exception):
    """It is no receipt, or not as it was signed; the message is a clause."""


def signed(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt with its signature. Raises signing.AuditKeyError."""
    signature = signing.sign(_canonical(receipt), context=_CONTEXT)
    return {
        "receipt": dict(receipt),
        "signature": {
            "key_id": signature.key_id,
            "public_key": signing.spell_key(signing.known_keys()[signature.key_id]),
            "value": base64.b64encode(signature.value).decode(),
        },
    }


def check(document: object, public_keys: dict[str, bytes]) -> dict[str, Any]:
    """What a receipt says, if one of the public keys signed it so. Raises ReceiptError."""
    try:
        receipt, said = document["receipt"], document["signature"]  # type: ignore[index]  # Any JSON
        value = base64.b64decode(said["value"], validate=True)
        signature = Signature(str(said["key_id"]), value)
        text = _canonical(receipt)
    except (TypeError, KeyError, IndexError, ValueError, binascii.Error) as error:
        raise ReceiptError("it is no receipt of an erasure") from error
    if signature.key_id not in public_keys:
        raise ReceiptError(f"it is signed by {signature.key_id[:16]}, a key that is not trusted")
    if not signing.holds(signature, text, public_keys, context=_CONTEXT):
        raise ReceiptError("it is not what was signed")
    return dict(receipt)


def _canonical(receipt: Mapping[str, Any]) -> bytes:
    return orjson.dumps(dict(receipt), option=orjson.OPT_SORT_KEYS)
