"""Connections of the ingest road: psycopg without the ORM, to the database Django names."""

from typing import Any

import psycopg
from django.db import connections

Connection = psycopg.Connection[Any]

_GSS = "gssencmode"


def may_use_gss() -> bool:
    """Whether the database's options ask for encryption by Kerberos; nothing does by default."""
    return bool(connections["default"].settings_dict["OPTIONS"].get(_GSS, "disable") != "disable")


def connect(*, autocommit: bool = False) -> Connection:
    """A new connection with the process's time limits. Raises psycopg.OperationalError."""
    params = connections["default"].get_connection_params()
    params.pop("cursor_factory", None)
    params.pop("context", None)
    params.setdefault(_GSS, "disable")
    return psycopg.connect(**params, autocommit=autocommit)
