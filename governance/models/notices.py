"""Notices: what a person is told, and how far the mail about it is. The table is the outbox."""

from django.db import models

from governance.models.people import User
from governance.types import MailState, NoticeKind, ResourceRef
from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class Notice(models.Model):
    """One thing one person is told, written in the transaction of what it tells of.

    `subject_*` names what it is about: whoever may not know of that any more is not shown the
    notice. `dedupe` keeps the same thing from being told twice. Notices that go out in one mail
    share `mail_batch`, which makes the mail's Message-ID: a mail sent twice is known as one.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=20, choices=NoticeKind.choices)
    subject_kind = models.CharField(max_length=20)
    subject_key = models.CharField(max_length=255)
    title = models.CharField(max_length=200)
    sentence = models.TextField()
    url = models.CharField(max_length=500)
    dedupe = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=clock.now)
    read_at = models.DateTimeField(null=True, blank=True)
    mail_state = models.CharField(max_length=8, choices=MailState.choices, default=MailState.NONE)
    # When the mail is due, or, while it is being sent, when another worker may take it over.
    mail_due_at = models.DateTimeField(null=True, blank=True)
    mail_attempts = models.PositiveSmallIntegerField(default=0)
    mail_batch = models.UUIDField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "dedupe"], condition=~models.Q(dedupe=""), name="notice_told_once"
            ),
            models.CheckConstraint(
                condition=~models.Q(mail_state__in=["due", "sending"])
                | models.Q(mail_due_at__isnull=False),
                name="notice_mail_has_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at", "id"], name="notice_newest"),
            models.Index(fields=["user"], condition=models.Q(read_at=None), name="notice_unread"),
            models.Index(
                fields=["mail_due_at"],
                condition=models.Q(mail_state__in=["due", "sending"]),
                name="notice_mail_due",
            ),
            models.Index(
                fields=["read_at"], condition=models.Q(read_at__isnull=False), name="notice_read"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def about(self) -> ResourceRef:
        """What it is about."""
        return ResourceRef(self.subject_kind, self.subject_key)
