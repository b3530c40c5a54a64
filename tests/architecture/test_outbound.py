"""Requests leave through `portal.kernel.outbound` alone; who else opens a connection is named here."""

import ast
import ssl
from collections.abc import Iterator
from pathlib import Path

from portal.kernel.outbound.client import tls_context

ROOT = Path(__file__).resolve().parents[2]
APPS = ("portal", "experiments", "analytics", "quality", "delivery", "ingest", "catalog",
        "governance")  # fmt: skip
HTTP = {
    "aiohttp", "h11", "http.client", "httpcore", "httpcore2", "httpx", "httpx2", "requests",
    "urllib.request", "urllib3", "websockets", "xmlrpc.client", "ftplib", "telnetlib",
}  # fmt: skip
RAW = {"socket", "asyncio.open_connection", "smtplib"}
OUTBOUND = {
    "portal/kernel/outbound/dialling.py": "the module itself: connects to judged addresses",
    "portal/kernel/outbound/syslog.py": "the module itself: syslog to judged addresses that a setting names",
    "portal/kernel/outbound/rules.py": "the module itself: asks the resolver",
    "portal/kernel/outbound/client.py": "the module itself: the client",
    "portal/kernel/outbound/session.py": "names a type of the client",
}
# Who may, and why that cannot lead where somebody outside wants it to.
ALLOWED = OUTBOUND | {
    "governance/services/mails.py": "mail by SMTP to the configured server",
    "ingest/doors/settling.py": "names this machine; connects nowhere",
    "portal/http/loop.py": "listens; connects nowhere",
    "portal/kernel/tracing.py": "spans to the collector that the operator configured",
    "portal/launcher/instance.py": "tries whether a port of 127.0.0.1 is free",
    "portal/launcher/redis.py": "asks the embedded server on 127.0.0.1 whether it answers",
    "portal/launcher/up.py": "asks its own web process on this machine whether it is ready",
    "portal/soak/clients.py": "load on a portal of its own on 127.0.0.1",
    "portal/soak/run.py": "load on a portal of its own on 127.0.0.1",
    "portal/soak/running.py": "asks a portal of its own on 127.0.0.1 whether it is ready",
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, at its top or inside, and what it takes out of one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in {"import_module", "__import__"} and node.args:
                first = node.args[0]
                yield str(first.value) if isinstance(first, ast.Constant) else ""


def leads_out(name: str) -> bool:
    """Whether a module opens connections: a client of HTTP, sockets, or an exporter of spans."""
    tops = {".".join(name.split(".")[:length]) for length in range(1, 4)}
    return bool(tops & (HTTP | RAW)) or name.startswith("opentelemetry.exporter")


def found() -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if any(map(leads_out, imported(ast.parse(path.read_text()))))
    }


def test_whoever_opens_connections_is_named_with_a_reason_and_nobody_else_is() -> None:
    assert found() == set(ALLOWED)


def test_the_walk_sees_each_way_to_import() -> None:
    for text in (
        "import httpx2",
        "from urllib import request",
        "import urllib.request as r",
        "from http.client import HTTPConnection",
        "def f():\n    import requests",
        "from importlib import import_module\nimport_module('urllib3')",
        "import asyncio\nasyncio.open_connection('a', 1)",
        "import socket",
    ):
        assert any(map(leads_out, imported(ast.parse(text)))), text
    for text in ("from urllib.parse import quote", "from catalog.registry.requests import JSON"):
        assert not any(map(leads_out, imported(ast.parse(text)))), text


def test_certificates_are_verified_everywhere() -> None:
    switched_off = ("verify=False", "CERT_NONE", "check_hostname = False", "_create_unverified")
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            text = path.read_text()
            assert not any(words in text for words in switched_off), path


def test_nothing_older_than_tls_1_2_is_spoken_outward() -> None:
    context = tls_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_only_suites_with_keys_of_the_moment_and_authenticated_encryption_are_offered() -> None:
    offered = [one["name"] for one in tls_context().get_ciphers()]
    assert offered
    for name in offered:
        is_1_3 = name.startswith("TLS_")
        assert is_1_3 or name.startswith("ECDHE-"), name
        assert "GCM" in name or "CHACHA20" in name, name
