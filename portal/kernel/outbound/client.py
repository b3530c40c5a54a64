"""The client behind `Session`: httpx2 over connections of our own. Loaded by the first session, as
it takes a tenth of a second that most processes need not spend.
"""

import ssl
from collections.abc import Mapping
from typing import Final

import httpcore2
import httpx2

from portal.kernel.outbound.answers import Answer, Limits
from portal.kernel.outbound.dialling import Attempt, JudgingBackend
from portal.kernel.outbound.errors import FailedError
from portal.kernel.outbound.rules import Resolve, Rules
from portal.kernel.outbound.targets import Target

_PLAIN: Final = {"", "identity"}


class Client:
    """Sends to targets that were read; what they resolve to is judged when a connection is made."""

    def __init__(
        self,
        rules: Rules,
        limits: Limits,
        headers: Mapping[str, str],
        resolve: Resolve,
        transport: httpx2.BaseTransport | None,
    ) -> None:
        self._limits = limits
        self._attempt = Attempt()
        self._client = httpx2.Client(
            headers={"Accept-Encoding": "identity", **headers},
            timeout=httpx2.Timeout(limits.total_seconds, connect=limits.connect_seconds),
            transport=transport or _Transport(JudgingBackend(self._attempt, rules, resolve)),
            follow_redirects=False,
            trust_env=False,
        )

    def send(
        self, method: str, target: Target, content: bytes, headers: Mapping[str, str]
    ) -> Answer:
        """Raises BlockedError and FailedError."""
        self._attempt.begin(target, self._limits.total_seconds)
        try:
            with self._client.stream(
                method, target.url, content=content or None, headers=dict(headers)
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
            if len(body) > self._limits.answer_bytes:
                raise FailedError("too_large")
            self._attempt.left(None)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, response.reason_phrase, headers, bytes(body))

    def close(self) -> None:
        self._client.close()


class _Transport(httpx2.HTTPTransport):
    """httpx2's own, over a pool that connects by our backend. Certificates are verified as ever."""

    def __init__(self, backend: JudgingBackend) -> None:
        context = tls_context()
        super().__init__(verify=context, trust_env=False)
        self._pool.close()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context, network_backend=backend, max_connections=1
        )


SUITES: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


def tls_context() -> ssl.SSLContext:
    """Certificates are verified against the system's roots (or SSL_CERT_FILE); TLS 1.2 at least, with
    keys of the moment and authenticated encryption. TLS 1.3 has no other suites."""
    context = httpx2.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    return context


def _is_tls(error: BaseException) -> bool:
    """Whether TLS was the cause, however many errors stand in between."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
