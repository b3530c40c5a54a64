"""What each walk over the audit chain found, so that pages show it without walking again."""

from django.db import models

from portal.kernel import clock


class AuditVerification(models.Model):
    """One walk over the chain. `first_bad` is the number of the first row that does not fit,
    None where all do; `seconds` is how long it took."""

    at = models.DateTimeField(default=clock.now)
    rows = models.BigIntegerField()
    first_bad = models.BigIntegerField(null=True, blank=True)
    head_hash = models.CharField(max_length=64)
    seconds = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["-at"], name="audit_verification_newest")]

    def __str__(self) -> str:
        return f"{self.rows} rows at {self.at:%Y-%m-%d %H:%M}"

    @property
    def holds(self) -> bool:
        return self.first_bad is None
