"""What each walk over the audit chain found, so that pages show it without walking again."""

from django.db import models

from portal.kernel import clock


class AuditVerification(models.Model):
    """One walk over the chain. `first_bad` is the number of the first row that does not fit,
    None where all do, `fault` a clause that says why it does not; signed anchors vouch for the
    rows up to `anchored_upto`, the last of them of `anchored_at`; `seconds` is how long it took."""

    at = models.DateTimeField(default=clock.now)
    rows = models.BigIntegerField()
    first_bad = models.BigIntegerField(null=True, blank=True)
    head_hash = models.CharField(max_length=64)
    seconds = models.FloatField()
    fault = models.CharField(max_length=200, blank=True, default="")
    anchored_upto = models.BigIntegerField(default=0)
    anchored_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["-at"], name="audit_verification_newest")]

    def __str__(self) -> str:
        return f"{self.rows} rows at {self.at:%Y-%m-%d %H:%M}"

    @property
    def holds(self) -> bool:
        return self.first_bad is None
