"""What the ingest benchmark is held against: the view that most teams would write first.

Django REST framework takes the body apart, `jsonschema` validates each event, each is one INSERT
through the ORM's connection, and the request is one transaction. Idempotent, durable, and nothing
else: no quotas, no dead letters, no accounts, no offsets. Served by the same uvicorn, two workers,
in front of the same PostgreSQL: `uvicorn benchmarks.naive:application`.
"""

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

_server = conninfo_to_dict(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY="of-a-benchmark",  # noqa: S106  # nothing is signed
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="benchmarks.naive",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _server.get("dbname"),
            "USER": _server.get("user", ""),
            "PASSWORD": _server.get("password", ""),
            "HOST": _server.get("host", ""),
            "PORT": _server.get("port", ""),
            # Under ASGI each request has a thread of its own: without a pool, a connection too.
            "OPTIONS": {"pool": {"min_size": 4, "max_size": 20}},
        }
    },
)
django.setup()

import jsonschema
from django.core.asgi import get_asgi_application
from django.db import connection, transaction
from django.urls import path
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks.events import DOCUMENT, STREAMS

_INSERT = (
    "INSERT INTO bench_naive (type, time, id, source, subject, attributes, data)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)


class _AnyJson(JSONParser):
    media_type = "*/*"


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(DOCUMENT)


class Events(APIView):
    authentication_classes: ClassVar[list[Any]] = []
    permission_classes: ClassVar[list[Any]] = []
    parser_classes: ClassVar[list[Any]] = [_AnyJson]

    def post(self, request: Request) -> Response:
        events = request.data if isinstance(request.data, list) else [request.data]
        accepted = refused = 0
        with transaction.atomic(), connection.cursor() as cursor:
            for event in events:
                if event["type"] not in STREAMS or not _validator().is_valid(event["data"]):
                    refused += 1
                    continue
                extensions = {"producerversion": event["producerversion"]}
                cursor.execute(
                    _INSERT,
                    (event["type"], event["time"], event["id"], event["source"],
                     event["subject"], json.dumps(extensions), json.dumps(event["data"])),
                )  # fmt: skip
                accepted += cursor.rowcount
        return Response({"accepted": accepted, "refused": refused}, status=202)


urlpatterns = [path("v1/events", Events.as_view())]
application = get_asgi_application()
