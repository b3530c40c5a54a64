"""What the ingest benchmark is held against: the view that most teams would write first.

It does the same job in the plain way of its libraries: Django REST framework authenticates the key by a
query, its serializer checks the envelope of each event, `jsonschema` validates its data, each is one
INSERT through the ORM's connection, the request is one transaction, and the answer says of each event
what became of it. Idempotent and durable, but without quotas, dead letters, accounts, offsets or
metrics. Served by the same uvicorn, two workers, in front of the same PostgreSQL:
`uvicorn benchmarks.naive:application`.
"""

import hashlib
import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

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
from rest_framework import exceptions, serializers
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.parsers import JSONParser
from rest_framework.permissions import IsAuthenticated
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


class _Producer:
    is_authenticated = True

    def __init__(self, name: str) -> None:
        self.name = name


class _Key(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[_Producer, None]:
        key = get_authorization_header(request).removeprefix(b"Bearer ")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name FROM bench_naive_key WHERE digest = %s", [hashlib.sha256(key).digest()]
            )
            found = cursor.fetchone()
        if found is None:
            raise exceptions.AuthenticationFailed
        return _Producer(found[0]), None


class _Envelope(serializers.Serializer[Any]):
    specversion = serializers.ChoiceField(["1.0"])
    id = serializers.CharField(max_length=128)
    source = serializers.CharField(max_length=512)  # type: ignore[assignment]  # a field's name
    type = serializers.ChoiceField(STREAMS)
    time = serializers.DateTimeField()
    subject = serializers.CharField(max_length=256, required=False, allow_null=True)
    producerversion = serializers.CharField(max_length=60, required=False)
    environment = serializers.CharField(max_length=60, required=False)
    data = serializers.DictField()  # type: ignore[assignment]  # a field's name


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(DOCUMENT)


class Events(APIView):
    authentication_classes = [_Key]  # as any view of the framework
    permission_classes = [IsAuthenticated]
    parser_classes = [_AnyJson]

    def post(self, request: Request) -> Response:
        events = request.data if isinstance(request.data, list) else [request.data]
        with transaction.atomic(), connection.cursor() as cursor:
            results = [self._take(cursor, event) for event in events]
        accepted = sum(result["status"] == "accepted" for result in results)
        return Response({"accepted": accepted, "results": results}, status=202)

    def _take(self, cursor: Any, sent: Any) -> dict[str, Any]:
        # With many=True one bad envelope would refuse the whole batch.
        envelope = _Envelope(data=sent)
        if not envelope.is_valid():
            return {"status": "refused", "errors": envelope.errors}
        event = envelope.validated_data
        for error in _validator().iter_errors(event["data"]):
            return {"id": event["id"], "status": "refused", "errors": error.message}
        extensions = {
            name: event[name] for name in ("producerversion", "environment") if name in event
        }
        cursor.execute(
            _INSERT,
            (event["type"], event["time"], event["id"], event["source"], event.get("subject"),
             json.dumps(extensions), json.dumps(event["data"])),
        )  # fmt: skip
        return {"id": event["id"], "status": "accepted" if cursor.rowcount else "duplicate"}


urlpatterns = [path("v1/events", Events.as_view())]
application = get_asgi_application()
