"""Sending mail about notices: the outbox is the notices themselves.

1. A worker claims what goes out in one mail to one person: rows under one batch, with a lease.
2. It sends, outside any transaction, under a Message-ID made of the batch.
3. It writes down what became of it. A worker that dies in between is followed, after the lease, by
   one that sends the same batch under the same Message-ID: receivers know it for the same mail.

A person who wants a mail for each gets one mail when many are due at once. What was read meanwhile,
or may not be known of any more, is not sent. A refused mail is tried again, eight times in a day.
"""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from smtplib import SMTPException
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import transaction

from governance.models import Notice, User
from governance.selectors.notices import visible_notices
from governance.selectors.people import actor_of
from governance.services.notices import is_mail_on
from governance.types import LOUD, MailState, MailWish
from portal.kernel import clock

logger = logging.getLogger(__name__)

MANY: Final = 5
MOST_LISTED: Final = 50
MOST_IN_ONE: Final = 500
LEASE: Final = timedelta(minutes=5)
BUDGET_SECONDS: Final = 20.0
# Minutes until the next try; after the last one the mail has failed.
TRIES: Final = (1, 5, 15, 60, 180, 360, 720)


def send_due_mails(*, budget_seconds: float = BUDGET_SECONDS) -> int:
    """Send what is due until nothing is or the budget is spent; gives how many mails went out."""
    if not is_mail_on():
        return 0
    until = time.monotonic() + budget_seconds
    sent = 0
    while time.monotonic() < until:
        batch = _claim()
        if not batch:
            break
        sent += _deliver(batch)
    return sent


@transaction.atomic
def _claim() -> Sequence[Notice]:
    """The notices of the next mail, oldest first, held under its batch; none when none is due."""
    now = clock.now()
    due = (
        Notice.objects.filter(
            mail_state__in=(MailState.DUE, MailState.SENDING), mail_due_at__lte=now
        )
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("mail_due_at", "created_at", "pk")
    )
    first = due.first()
    if first is None:
        return []
    if first.mail_batch is not None:
        rows = list(due.filter(mail_batch=first.mail_batch))
    else:
        wish = User.objects.values_list("notice_mail", flat=True).get(pk=first.user_id)
        rows = list(due.filter(user_id=first.user_id, mail_batch=None)[:MOST_IN_ONE])
        if wish == MailWish.EACH and len(rows) <= MANY:
            rows = rows[:1]
    batch = first.mail_batch or uuid4()
    Notice.objects.filter(pk__in=[row.pk for row in rows]).update(
        mail_state=MailState.SENDING,
        mail_due_at=now + LEASE,
        mail_attempts=first.mail_attempts + 1,
        mail_batch=batch,
    )
    for row in rows:
        row.mail_batch, row.mail_attempts = batch, first.mail_attempts + 1
    return sorted(rows, key=lambda row: (row.created_at, row.pk))


def _deliver(batch: Sequence[Notice]) -> bool:
    """Send one mail and write down what became of it; whether one went out."""
    user = User.objects.get(pk=batch[0].user_id)
    wanted = set()
    if user.is_active:
        ids = [row.pk for row in batch if user.notice_mail != MailWish.NONE or row.kind in LOUD]
        known = visible_notices(actor_of(user)).filter(pk__in=ids, read_at=None)
        wanted = set(known.values_list("pk", flat=True))
    rows = [row for row in batch if row.pk in wanted]
    if not rows:
        _settle(batch, MailState.DROPPED)
        return False
    try:
        get_connection().send_messages([mail_of(user, rows)])
    except (SMTPException, OSError) as error:
        _try_again(batch, error)
        return False
    _settle(rows, MailState.SENT)
    _settle([row for row in batch if row.pk not in wanted], MailState.DROPPED)
    return True


def mail_of(user: User, rows: Sequence[Notice]) -> EmailMessage:
    """The mail about some notices of one person, the oldest first."""
    title = rows[0].title if len(rows) == 1 else f"{len(rows)} things you follow have moved"
    shown = [
        f"{row.title}\n{row.sentence}\n{settings.PUBLIC_URL}{row.url}" for row in rows[:MOST_LISTED]
    ]
    if len(rows) > MOST_LISTED:
        shown.append(f"And {len(rows) - MOST_LISTED} more: {settings.PUBLIC_URL}/notifications/")
    choice = f"{settings.PUBLIC_URL}/notifications/"
    shown.append(f"--\nYou own or follow what this is about. Choose what you are mailed: {choice}")
    return EmailMessage(
        subject=f"[Event portal] {title}",
        body="\n\n".join(shown) + "\n",
        from_email=settings.MAIL_FROM,
        to=[user.email],
        headers={
            "Message-ID": _message_id(rows[0].mail_batch),
            "Auto-Submitted": "auto-generated",
            "List-Unsubscribe": f"<{choice}>",
        },
    )


def send_link(address: str, link: str) -> bool:
    """Mail a new person the link with which they choose a password; whether it was taken.

    It is no notice: its text is a secret, which no table keeps.
    """
    again = f"{settings.PUBLIC_URL}/accounts/password/reset/"
    mail = EmailMessage(
        subject="Event portal: an account was made for you",
        body="An account of the event portal was made for you, for this address. Choose your "
        f"password within an hour; the address works once:\n\n{link}\n\n"
        f"Is it over, ask for another: {again}\n"
        "Do you not know what this is about, do nothing.\n",
        from_email=settings.MAIL_FROM,
        to=[address],
        headers={"Auto-Submitted": "auto-generated"},
    )
    try:
        get_connection().send_messages([mail])
    except (SMTPException, OSError) as error:
        logger.warning("a link for a new account was not taken: %s", type(error).__name__)
        return False
    return True


def _message_id(batch: UUID | None) -> str:
    return f"<notice-{batch}@{urlsplit(settings.PUBLIC_URL).hostname or 'event-portal'}>"


def _settle(rows: Sequence[Notice], state: MailState) -> None:
    """Write the end of a mail down, unless its lease ended and another worker has it by now."""
    if rows:
        Notice.objects.filter(
            pk__in=[row.pk for row in rows],
            mail_state=MailState.SENDING,
            mail_attempts=rows[0].mail_attempts,
        ).update(mail_state=state, mail_due_at=None)


def _try_again(batch: Sequence[Notice], error: Exception) -> None:
    """Let a refused mail wait, longer each time; the reason is the log's, addresses are not."""
    attempts = batch[0].mail_attempts
    logger.warning("mail %s was not taken: %s", batch[0].mail_batch, type(error).__name__)
    if attempts > len(TRIES):
        _settle(batch, MailState.FAILED)
        return
    Notice.objects.filter(
        pk__in=[row.pk for row in batch], mail_state=MailState.SENDING, mail_attempts=attempts
    ).update(
        mail_state=MailState.DUE, mail_due_at=clock.now() + timedelta(minutes=TRIES[attempts - 1])
    )
