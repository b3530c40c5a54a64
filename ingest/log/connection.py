"""Connections of the ingest road: psycopg without the ORM, to the database Django names."""

from typing import Any

import psycopg
from django.db import connections

Connection = psycopg.Connection[Any]


def connect(*, autocommit: bool = False) -> Connection:
    """A new connection with the process's time limits. Raises psycopg.OperationalError."""
    params = connections["default"].get_connection_params()
    params.pop("cursor_factory", None)
    params.pop("context", None)
    return psycopg.connect(**params, autocommit=autocommit)
