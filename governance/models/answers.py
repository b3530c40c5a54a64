"""First answers kept for 24 hours, so that a POST sent twice with one Idempotency-Key is done once."""

from django.db import models

from portal.kernel import clock


class KeptAnswer(models.Model):
    """`status` is null while the first request is still being answered.

    `key` is a digest of the Idempotency-Key; `body` is sealed with the key itself.
    """

    caller = models.CharField(max_length=80)
    key = models.CharField(max_length=255, db_collation="C")
    request_sha256 = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    body = models.BinaryField(default=b"")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["caller", "key"], name="kept_answer_once"),
        ]
        indexes = [models.Index(fields=["created_at"], name="kept_answer_age")]

    def __str__(self) -> str:
        return f"{self.caller} {self.key}"
