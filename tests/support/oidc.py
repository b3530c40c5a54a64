"""A small OpenID provider that speaks real HTTP: discovery, authorize, token, keys, userinfo.

It checks what a provider checks (client, redirect address, PKCE, each code once) and signs with RS256.
`faults` has it do one thing wrong.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID = "portal"
CLIENT_SECRET = "the client's own secret"


class Provider(ThreadingHTTPServer):
    """`person` is who sits before the browser: the claims about them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kid = "2026-11"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.person: dict[str, Any] = {}
        self.faults: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.faults.get("discovered_issuer", self.issuer),
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def keys(self) -> dict[str, Any]:
        public: Any = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self.kid, "alg": "RS256", "use": "sig"}]}

    def id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], **self.person,
        }  # fmt: skip
        if "max_age" in asked:
            claims["auth_time"] = now
        for name, value in self.faults.get("claims", {}).items():
            if value is None:
                claims.pop(name, None)
            else:
                claims[name] = value
        if self.faults.get("algorithm") == "none":
            return jwt.encode(claims, "", algorithm="none", headers={"kid": self.kid})
        if self.faults.get("algorithm") == "HS256":  # with what is public as the secret
            return jwt.encode(claims, "the public key, known to all, as text", algorithm="HS256")
        key = self.faults.get("key", self.key)
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": self.kid})


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.asked.append(parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/.well-known/openid-configuration":
            self.give(self.server.discovery())
        elif parts.path == "/keys":
            self.give(self.server.keys())
        elif parts.path == "/userinfo":
            self.give({"sub": self.server.person["sub"], **self.server.faults.get("userinfo", {})})
        elif parts.path == "/authorize":
            self.authorize(query)
        else:
            self.give({"error": "not_found"}, 404)

    def authorize(self, query: dict[str, str]) -> None:
        assert query["client_id"] == CLIENT_ID
        assert query["response_type"] == "code"
        assert "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.server.codes[code] = query
        answer = {"code": code, "state": query["state"]}
        if "refused" in self.server.faults:
            answer = {"error": self.server.faults["refused"], "state": query["state"]}
        self.send_response(302)
        self.send_header("Location", f"{query['redirect_uri']}?{urlencode(answer)}")
        self.end_headers()

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if "token_status" in self.server.faults:
            self.give({"error": "oops"}, self.server.faults["token_status"])
            return
        if self.headers.get("Authorization") != self.right_client():
            self.give({"error": "invalid_client"}, 401)
            return
        asked = self.server.codes.pop(form.get("code", ""), None)
        if asked is None or not self.fits(asked, form):
            self.give({"error": "invalid_grant"}, 400)
            return
        token = self.server.id_token(asked)
        self.give({"access_token": "opaque", "token_type": "Bearer", "id_token": token})

    @staticmethod
    def right_client() -> str:
        """Form-encoded before they are joined, as RFC 6749 §2.3.1 has it."""
        both = f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}"
        return f"Basic {base64.b64encode(both.encode()).decode()}"

    @staticmethod
    def fits(asked: dict[str, str], form: dict[str, str]) -> bool:
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return (
            form.get("grant_type") == "authorization_code"
            and form.get("redirect_uri") == asked["redirect_uri"]
            and challenge == asked["code_challenge"]
        )

    def give(self, answer: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # theirs
        """Say nothing."""


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider while the block lasts."""
    with Provider() as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            found.shutdown()
            thread.join()
