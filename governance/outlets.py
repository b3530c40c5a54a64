"""The receivers of the audit log that the settings name, and sending some rows to one.

A receiver is known by a hash of its whole address; what is shown of it is scheme, host and port.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from django.conf import settings

from governance.models import AuditEntry
from governance.selectors.audit_log import as_line
from governance.syslog_lines import message_of
from portal.kernel import clock
from portal.kernel.outbound.answers import Limits
from portal.kernel.outbound.errors import BlockedError, FailedError
from portal.kernel.outbound.rules import for_named_by_the_operator
from portal.kernel.outbound.session import Session
from portal.kernel.outbound.syslog import (
    LONGEST_DATAGRAM,
    read_syslog,
    send_messages,
)
from portal.kernel.outbound.targets import Target, read_target
from portal.kernel.standard_webhooks import signed_headers

MOST_BYTES: Final = 2 * 1024 * 1024
LIMITS: Final = Limits(connect_seconds=3.0, total_seconds=10.0)
MEDIA: Final = "application/x-ndjson"


class NotTakenError(Exception):
    """It is not certain that the receiver took the rows; the text is shown, and holds no secret."""


class Outlet(Protocol):
    """One receiver. `send` comes back when it took all of the rows; raises NotTakenError."""

    @property
    def key(self) -> str: ...

    @property
    def label(self) -> str: ...

    def send(self, rows: Sequence[AuditEntry]) -> None: ...


def configured() -> list[Outlet]:
    """The receivers of the settings; none by default."""
    found: list[Outlet] = []
    if settings.AUDIT_SYSLOG:
        found.append(SyslogOutlet(settings.AUDIT_SYSLOG))
    if settings.AUDIT_HTTP:
        found.append(HttpOutlet(settings.AUDIT_HTTP, settings.AUDIT_HTTP_SECRET))
    return found


@dataclass(frozen=True, slots=True)
class SyslogOutlet:
    """A syslog receiver, `udp|tcp|tls://host:port`."""

    address: str

    @property
    def key(self) -> str:
        return _key(self.address)

    @property
    def label(self) -> str:
        return _label(read_syslog(self.address))

    def send(self, rows: Sequence[AuditEntry]) -> None:
        target = read_syslog(self.address)
        longest = LONGEST_DATAGRAM if target.scheme == "udp" else None
        try:
            send_messages(target, [message_of(row, longest=longest) for row in rows], limits=LIMITS)
        except (BlockedError, FailedError) as error:
            raise NotTakenError(str(error)) from error


@dataclass(frozen=True, slots=True)
class HttpOutlet:
    """An endpoint that takes JSON lines by POST, signed as Standard Webhooks are."""

    address: str
    secret: str

    @property
    def key(self) -> str:
        return _key(self.address)

    @property
    def label(self) -> str:
        return _label(read_target(self.address))

    def send(self, rows: Sequence[AuditEntry]) -> None:
        body = b"".join(as_line(row) + b"\n" for row in rows)
        # The same rows have the same id, so that a receiver knows what comes a second time.
        last = rows[-1]
        message_id = f"audit_{rows[0].seq}_{last.seq}_{bytes(last.hash).hex()[:16]}"
        headers = signed_headers(
            self.secret, message_id=message_id, sent_at=int(clock.now().timestamp()), body=body
        )
        try:
            with Session(for_named_by_the_operator(), limits=LIMITS) as session:
                answer = session.send(
                    "POST", self.address, content=body, headers=headers | {"content-type": MEDIA}
                )
        except (BlockedError, FailedError) as error:
            raise NotTakenError(str(error)) from error
        if not 200 <= answer.status < 300:
            raise NotTakenError(f"It answered {answer.status}.")


def _key(address: str) -> str:
    return sha256(address.encode()).hexdigest()


def _label(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{target.scheme}://{host}:{target.port}"
