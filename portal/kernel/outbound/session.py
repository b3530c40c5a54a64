"""The one way by which requests leave the portal: `Session`.

Redirects are not followed, no proxy or password file of the environment is asked, cookies are not
kept, and an answer is taken whole, within a size and a time, or not at all. Two things leave
otherwise: mail (SMTP) and spans (an exporter of OpenTelemetry, to a collector that is configured).
"""

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from portal.kernel.outbound.answers import USUAL, Answer, Limits
from portal.kernel.outbound.errors import BlockedError, RuleBrokenError
from portal.kernel.outbound.rules import Resolve, Rules, resolve_by_system
from portal.kernel.outbound.targets import read_target

if TYPE_CHECKING:
    import httpx2

    Transport = httpx2.BaseTransport


class Session:
    """Requests under one set of rules, over connections that are kept for the next. One at a time.

    `transport` replaces the network in tests.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        limits: Limits = USUAL,
        headers: Mapping[str, str] | None = None,
        resolve: Resolve = resolve_by_system,
        transport: "Transport | None" = None,
    ) -> None:
        from portal.kernel.outbound.client import Client  # noqa: PLC0415  # as it says

        self.limits = limits
        self._client = Client(rules, limits, headers or {}, resolve, transport)

    def send(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and take its answer, whatever its status.

        Raises BlockedError when a rule is against the target (nothing was sent), FailedError when it
        does not answer as it should.
        """
        try:
            target = read_target(url)
        except RuleBrokenError as error:
            raise BlockedError(error.rule) from error
        return self._client.send(method, target, content, headers or {})

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
