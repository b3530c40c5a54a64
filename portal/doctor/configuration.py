"""Checks of settings: what is allowed and still worth a look. What is unsafe stops the start."""

import os
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

from portal.doctor.types import Finding, fail, ok, unmeasured, warn
from portal.kernel import tracing
from portal.kernel.outbound.rules import openings_of
from portal.production import is_this_machine


def https() -> Finding:
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    if not settings.HTTPS:
        if is_this_machine(host):
            return warn("plain http, for this machine alone", "For others: a proxy with TLS.")
        return fail("plain http over the network", "Put a proxy with TLS before it; use https.")
    if not getattr(settings, "SECURE_PROXY_SSL_HEADER", None):
        return warn(
            "https, and the proxy is not trusted to say so",
            "Set PORTAL_BEHIND_PROXY, and have the proxy set X-Forwarded-Proto itself.",
        )
    return ok("https, with HSTS")


def cookies() -> Finding:
    names = (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)
    if all(name.startswith("__Host-") for name in names) and settings.SESSION_COOKIE_SECURE:
        return ok("__Host-, Secure, HttpOnly")
    return warn("without __Host- and Secure", "They come with an https PORTAL_URL.")


def debug() -> Finding:
    if settings.DEBUG or settings.FAILPOINTS or settings.FAILPOINTS_ALLOWED:
        return fail("debugging or failpoints are on", "Unset PORTAL_FAILPOINTS(_ALLOWED).")
    return ok("off")


def hosts() -> Finding:
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    if "*" in settings.ALLOWED_HOSTS:
        return fail("every host is let in", "Name hosts in PORTAL_ALLOWED_HOSTS.")
    if not validate_host(host, settings.ALLOWED_HOSTS):
        return fail(f"{host} is not let in", f"Add {host} to PORTAL_ALLOWED_HOSTS.")
    return ok(f"{len(settings.ALLOWED_HOSTS)} named")


def mail() -> Finding:
    if not settings.MAIL_FROM:
        return warn("off: notices stay in the portal", "Set PORTAL_EMAIL_FROM and its like.")
    secured = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    if not secured and not is_this_machine(settings.EMAIL_HOST):
        return warn("it passes the network in clear", "Set PORTAL_EMAIL_SECURITY to starttls.")
    return ok(f"through {settings.EMAIL_HOST}")


def security_contact() -> Finding:
    if not settings.SECURITY_CONTACT:
        return warn("nobody is named", "Set PORTAL_SECURITY_CONTACT.")
    return ok("named in /.well-known/security.txt")


def outbound() -> Finding:
    openings = openings_of(tuple(settings.OUTBOUND_ALLOW))
    wide = [one for one in openings if one.network is not None and one.network.prefixlen < 8]
    if wide:
        return fail(
            "an opening lets requests leave for nearly everywhere",
            "Name single hosts or networks in PORTAL_OUTBOUND_ALLOW.",
        )
    if not openings:
        return ok("public addresses alone")
    return ok(f"public addresses and {len(openings)} openings")


def traces() -> Finding:
    if not tracing.is_wanted(os.environ):
        return ok("off")
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    url = urlsplit(next(found for name in names if (found := os.environ.get(name))))
    if url.scheme != "https" and not is_this_machine(url.hostname or ""):
        return warn("they pass the network in clear", "Send them to an https endpoint.")
    return ok(f"to {url.hostname}")


def backups() -> Finding:
    return unmeasured("the portal does not see backups that others make of its database")
