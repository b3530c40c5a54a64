"""REST of the privacy keys: which versions there are, and wrapping all data keys anew."""

from typing import ClassVar, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.api.jobs import JobBody, job_body
from governance.privacy import keys
from governance.services import privacy_keys as services
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag
from portal.http.operations import listed, operation
from portal.http.pagination import paginate_rows

DESTROYING: Final = Body(required={"subject": bodies.text(256, 1), "reason": bodies.text(500, 1)})


class KeyVersionBody(TypedDict):
    version: int
    current: bool
    at_hand: bool
    data_keys: int


class PrivacyKeys(ApiView):
    @operation(
        "The versions of the privacy keys and how many data keys each wraps.",
        takes=parameters.LIST,
        gives=listed(KeyVersionBody),
    )
    def get(self, request: Request) -> Response:
        ring = keys.read_again()
        items: list[KeyVersionBody] = [
            {
                "version": version,
                "current": version == ring.current,
                "at_hand": version in ring.versions,
                "data_keys": count,
            }
            for version, count in sorted(services.counts().items())
        ]
        page = paginate_rows(
            items,
            key=lambda row: (row["version"],),
            made_for="privacy-keys",
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(dict))


class RotatePrivacyKeys(ApiView):
    sudo: ClassVar = {"POST"}

    @operation("Wrap every data key under the current version; a job.", gives=JobBody, status=202)
    @idempotent
    def post(self, request: Request) -> Response:
        bodies.EMPTY.read(request.data)
        job = services.rotate_keys(actor=api_actor(request))
        return Response(job_body(job), status=202, headers={"ETag": etag(job.revision)})


class DestroyedBody(TypedDict):
    keys: int
    tokens: int


class DestroyPrivacyKeys(ApiView):
    sudo: ClassVar = {"POST"}

    @operation(
        "Destroy the data keys of a subject and the token of its name, for good; what else is kept "
        "about a person is the matter of an erasure.",
        body=DESTROYING,
        gives=DestroyedBody,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        said = self.said(request)
        done = services.destroy_subject(
            said["subject"], reason=said["reason"], actor=api_actor(request)
        )
        return Response({"keys": done.keys, "tokens": done.tokens})
