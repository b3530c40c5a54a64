"""Telling people: a notice for each, in the transaction of what it tells of, and mail after it.

Any app may call `tell`; who is told of what is the caller's to know. Whether somebody may still
know of the thing is judged when the notice is read (`governance.selectors.notices`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from governance import audit
from governance.errors import PeopleOnlyError
from governance.models import Notice, User
from governance.selectors.notices import visible_notices
from governance.types import LOUD, MailState, MailWish, NoticeKind, ResourceRef
from portal.kernel import clock, jobs
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

DIGEST_HOUR: Final = 7
KEPT: Final = timedelta(days=90)
_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class News:
    """What people are told: `title` in a few words, `sentence` with the facts, `url` of the page.

    The same `dedupe` is told each person once; without one each call is news.
    """

    kind: NoticeKind
    about: ResourceRef
    title: str
    sentence: str
    url: str
    dedupe: str = ""


def tell(people: Iterable[int], news: News, *, by: Actor, at: datetime | None = None) -> int:
    """Tell people something inside the present transaction; gives how many are told.

    Who did it (`by`) is not told of it. Mail goes out after the commit, to who wants it; of
    what is `LOUD` to everybody told, at once.
    """
    wanted = set(people) - ({by.id} if by.is_person else set())
    if not wanted:
        return 0
    moment = at or clock.now()
    rows = [
        Notice(
            user_id=user_id, kind=news.kind, subject_kind=news.about.kind,
            subject_key=news.about.key, title=_one_line(news.title)[:200],
            sentence=news.sentence, url=news.url[:500], dedupe=news.dedupe[:200],
            created_at=moment, **_mail(news.kind, wish, moment),
        )
        for user_id, wish in User.objects.filter(pk__in=wanted, is_active=True)
        .order_by("pk")
        .values_list("pk", "notice_mail")
    ]  # fmt: skip
    # In the order of the keys, so that two who tell the same people wait and do not deadlock.
    Notice.objects.bulk_create(rows, batch_size=_BATCH, ignore_conflicts=True)
    if any(row.mail_state == MailState.DUE for row in rows):
        jobs.enqueue("governance.send_mails")
    return len(rows)


def is_mail_on() -> bool:
    """Whether the portal has an address to send from; without one notices stay in the portal."""
    return bool(settings.MAIL_FROM)


def _mail(kind: NoticeKind, wish: str, moment: datetime) -> dict[str, object]:
    if not is_mail_on() or (wish == MailWish.NONE and kind not in LOUD):
        return {}
    due = moment if wish == MailWish.EACH or kind in LOUD else next_digest(moment)
    return {"mail_state": MailState.DUE, "mail_due_at": due}


def next_digest(moment: datetime) -> datetime:
    """When the next daily mail goes out, in UTC."""
    today = moment.replace(hour=DIGEST_HOUR, minute=0, second=0, microsecond=0)
    return today if today > moment else today + timedelta(days=1)


def _one_line(text: str) -> str:
    return " ".join(text.split())


@transaction.atomic
def mark_read(notice_id: UUID, *, actor: Actor) -> Notice:
    """Mark one of the actor's own notices as read; again changes nothing."""
    rows = visible_notices(actor).filter(pk=notice_id)
    rows.filter(read_at=None).update(read_at=clock.now())
    found = rows.first()
    if found is None:
        raise NotFoundError
    return found


@transaction.atomic
def mark_all_read(*, actor: Actor, until: datetime | None = None) -> int:
    """Mark the actor's notices as read, those after `until` excepted; gives how many there were."""
    if not actor.is_person:
        raise PeopleOnlyError("self")
    rows = Notice.objects.filter(user_id=actor.id, read_at=None)
    if until is not None:
        rows = rows.filter(created_at__lte=until)
    return rows.update(read_at=clock.now())


@transaction.atomic
def choose_mail(wish: MailWish, *, actor: Actor) -> None:
    """Keep how the actor wants to be told by mail; what is already due follows the new wish."""
    if not actor.is_person:
        raise PeopleOnlyError("self")
    if not User.objects.filter(pk=actor.id).exclude(notice_mail=wish).update(notice_mail=wish):
        return
    waiting = Notice.objects.filter(
        user_id=actor.id, mail_state=MailState.DUE, mail_batch=None
    ).exclude(kind__in=LOUD)
    if wish == MailWish.NONE:
        waiting.update(mail_state=MailState.DROPPED, mail_due_at=None)
    else:
        now = clock.now()
        waiting.update(mail_due_at=now if wish == MailWish.EACH else next_digest(now))
    audit.record(
        actor,
        "person.mail_chosen",
        ResourceRef("person", actor.label),
        summary=f"chose {MailWish(wish).label.lower()} for notices",
    )


def forget_old_notices() -> int:
    """Delete notices that were read 90 days ago, some thousands at a time; gives how many."""
    old = Notice.objects.filter(read_at__lt=clock.now() - KEPT).order_by("read_at")
    gone = 0
    while ids := list(old.values_list("pk", flat=True)[:_BATCH]):
        gone += Notice.objects.filter(pk__in=ids).delete()[0]
    return gone
