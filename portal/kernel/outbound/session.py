"""The one way by which requests leave the portal: `Session`.

Redirects are not followed, no proxy or password file of the environment is asked, cookies are not
kept, and an answer is taken whole, within a size and a time, or not at all. Two things leave
otherwise: mail (SMTP) and spans (an exporter of OpenTelemetry, to a collector that is configured).
"""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import httpcore2
import httpx2

from portal.kernel.outbound.dialling import Attempt, JudgingBackend
from portal.kernel.outbound.errors import BlockedError, FailedError, RuleBrokenError
from portal.kernel.outbound.rules import Resolve, Rules, resolve_by_system
from portal.kernel.outbound.targets import read_target

_PLAIN: Final = {"", "identity"}
Transport = httpx2.BaseTransport


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take. `total_seconds` runs from the first step to the last byte."""

    connect_seconds: float = 3.0
    total_seconds: float = 15.0
    answer_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole. The names of `headers` are in lower case."""

    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status < 400

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)


class Session:
    """Requests under one set of rules, over connections that are kept for the next. One at a time.

    `transport` replaces the network in tests.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        limits: Limits = Limits(),
        headers: Mapping[str, str] | None = None,
        resolve: Resolve = resolve_by_system,
        transport: Transport | None = None,
    ) -> None:
        self.limits = limits
        self._attempt = Attempt()
        self._client = httpx2.Client(
            headers={"Accept-Encoding": "identity", **(headers or {})},
            timeout=httpx2.Timeout(limits.total_seconds, connect=limits.connect_seconds),
            transport=transport or _Transport(JudgingBackend(self._attempt, rules, resolve)),
            follow_redirects=False,
            trust_env=False,
        )

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
        self._attempt.begin(target, self.limits.total_seconds)
        try:
            with self._client.stream(
                method, target.url, content=content or None, headers=dict(headers or {})
            ) as response:
                return self._taken(response)
        except (httpx2.TimeoutException, httpcore2.TimeoutException) as error:
            raise FailedError("timeout") from error
        except httpx2.ConnectError as error:
            raise FailedError("tls" if _is_tls(error) else "unreachable") from error
        except httpx2.NetworkError as error:
            raise FailedError("unreachable") from error
        except httpx2.HTTPError as error:
            raise FailedError("protocol") from error
        finally:
            self._client.cookies.clear()

    def _taken(self, response: httpx2.Response) -> Answer:
        if response.headers.get("Content-Encoding", "").lower() not in _PLAIN:
            raise FailedError("encoded")  # a small answer may unpack to any size
        body = bytearray()
        for part in response.iter_bytes():  # as sent: it is not compressed
            body += part
            if len(body) > self.limits.answer_bytes:
                raise FailedError("too_large")
            self._attempt.left(None)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, response.reason_phrase, headers, bytes(body))

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


class _Transport(httpx2.HTTPTransport):
    """httpx2's own, over a pool that connects by our backend. Certificates are verified as ever."""

    def __init__(self, backend: JudgingBackend) -> None:
        context = tls_context()
        super().__init__(verify=context, trust_env=False)
        self._pool.close()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context, network_backend=backend, max_connections=1
        )


def tls_context() -> ssl.SSLContext:
    """Certificates are verified against the system's roots (or SSL_CERT_FILE); TLS 1.2 at least."""
    context = httpx2.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_tls(error: BaseException) -> bool:
    """Whether TLS was the cause, however many errors stand in between."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
