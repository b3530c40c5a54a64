"""Connections of the ingest road: psycopg without the ORM, to the database Django names."""

import os
from typing import Any, Final

import psycopg
from django.db import connections

Connection = psycopg.Connection[Any]

_GSS: Final = "gssencmode"


def may_use_gss() -> bool:
    """Whether the options or the environment speak of encryption by Kerberos; by default it is off."""
    options = connections["default"].settings_dict["OPTIONS"]
    asked = options.get(_GSS) or os.environ.get(f"PG{_GSS.upper()}") or "disable"
    return bool(asked != "disable")


def connect(*, autocommit: bool = False) -> Connection:
    """A new connection with the process's time limits. Raises psycopg.OperationalError."""
    params = connections["default"].get_connection_params()
    params.pop("cursor_factory", None)
    params.pop("context", None)
    if not may_use_gss():
        params[_GSS] = "disable"
    return psycopg.connect(**params, autocommit=autocommit)
