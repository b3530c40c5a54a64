"""REST of notifications: what a person was told, marking it read, and how they want mail."""

from typing import Any, ClassVar, Final, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.api.render import ResourceBody
from governance.models import Notice, User
from governance.selectors import notices as selectors
from governance.services import notices as services
from governance.types import MailWish
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate

READ_ALL: Final = Body(optional={"until": bodies.moment})
WISH: Final = Body(required={"mail": bodies.choice(MailWish.values)})


class NoticeBody(TypedDict):
    id: UUID
    kind: str
    subject: ResourceBody
    title: str
    sentence: str
    url: str
    created_at: Time
    read_at: Time | None


class ReadAllBody(TypedDict):
    read: int


class WishBody(TypedDict):
    mail: str
    mail_is_sent: bool


def notice_body(row: Notice) -> NoticeBody:
    return {
        "id": row.pk,
        "kind": row.kind,
        "subject": {"kind": row.subject_kind, "key": row.subject_key},
        "title": row.title,
        "sentence": row.sentence,
        "url": row.url,
        "created_at": row.created_at,
        "read_at": row.read_at,
    }


class Notifications(ApiView):
    @operation(
        "What you were told, the newest first.",
        takes={"unread": parameters.flag, **parameters.LIST},
        gives=listed(NoticeBody),
    )
    def get(self, request: Request) -> Response:
        actor, wanted = api_actor(request), self.asked.get("unread")
        rows = selectors.visible_notices(actor)
        if wanted is not None:
            rows = rows.filter(read_at__isnull=wanted)
        page = paginate(
            rows,
            order=("-created_at", "id"),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(notice_body))


class ReadOne(ApiView):
    @operation("Mark one as read; again changes nothing.", body=bodies.EMPTY, gives=NoticeBody)
    @idempotent
    def post(self, request: Request, notice_id: UUID) -> Response:
        bodies.EMPTY.read(request.data)
        return Response(notice_body(services.mark_read(notice_id, actor=api_actor(request))))


class ReadAll(ApiView):
    @operation(
        "Mark all as read, or those up to a time, so that what came meanwhile stays unread.",
        body=READ_ALL,
        gives=ReadAllBody,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        until = self.said(request).get("until")
        count = services.mark_all_read(actor=api_actor(request), until=until)
        return Response({"read": count})


class MailWishDetail(ApiView):
    @operation("How you are told by mail, and whether this portal sends any.", gives=WishBody)
    def get(self, request: Request) -> Response:
        return _wish_answer(request)

    @operation("Choose how you are told by mail.", body=WISH, gives=WishBody)
    def put(self, request: Request) -> Response:
        actor = api_actor(request)
        require_match(request.headers, etag(_wish_of(request)["mail"]))
        services.choose_mail(MailWish(self.said(request)["mail"]), actor=actor)
        return _wish_answer(request)


def _wish_of(request: Request) -> WishBody:
    mail = User.objects.values_list("notice_mail", flat=True).get(pk=api_actor(request).id)
    return {"mail": mail, "mail_is_sent": services.is_mail_on()}


def _wish_answer(request: Request) -> Response:
    body: Any = _wish_of(request)
    return Response(body, headers={"ETag": etag(body["mail"])})
