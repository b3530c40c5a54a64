"""A row of the audit log as a message of syslog (RFC 5424).

Its structured data names the row; the message is the row as the API gives it, as JSON, so that a
receiver can check the chain. MSGID is the action.
"""

import re
from copy import copy
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from governance.models import AuditEntry
from governance.selectors.audit_log import as_line
from portal.kernel import rfc3339

PRIORITY: Final = 13 * 8 + 5  # facility "log audit", severity "notice"
# The number that RFC 5612 sets aside for who has none of their own.
ENTERPRISE: Final = 32473
_BOM: Final = b"\xef\xbb\xbf"
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ESCAPED: Final = re.compile(r'(["\\\]])')
_NOT_IN_HEADER: Final = re.compile(r"[^\x21-\x7e]")


def message_of(entry: AuditEntry, *, longest: int | None = None) -> bytes:
    """The message of a row. Where it would be longer than `longest` bytes the row's detail, and if
    need be its summary, is left out, and `cut` says so; number and hash always stand there."""
    head = (
        f"<{PRIORITY}>1 {rfc3339.spell(entry.at)} {_host()} event-portal - "
        f"{_NOT_IN_HEADER.sub('_', entry.action)[:32] or '-'} "
    )
    message = _joined(head, entry, as_line(entry))
    if longest is None or len(message) <= longest:
        return message
    short = copy(entry)
    short.detail, short.summary = {}, entry.summary[:1000]
    return _joined(head, entry, as_line(short), cut=True)


def _joined(head: str, entry: AuditEntry, body: bytes, *, cut: bool = False) -> bytes:
    named = {
        "seq": str(entry.seq),
        "hash": bytes(entry.hash).hex(),
        "prev": bytes(entry.prev_hash).hex(),
        "actor": entry.actor,
        "action": entry.action,
        "kind": entry.object_kind,
        "object": entry.object_key,
        **({"cut": "detail"} if cut else {}),
    }
    data = " ".join(f'{name}="{_value(text)}"' for name, text in named.items())
    return f"{head}[audit@{ENTERPRISE} {data}] ".encode() + _BOM + body


def _value(text: str) -> str:
    """A text as structured data takes it; control characters stand as they are in the JSON alone."""
    return _ESCAPED.sub(r"\\\1", _CONTROLS.sub("?", text))


def _host() -> str:
    return (urlsplit(settings.PUBLIC_URL).hostname or "-")[:255]
