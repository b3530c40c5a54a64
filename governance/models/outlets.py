"""Where the audit log is sent as it grows, and how far."""

from django.db import models
from django.db.models.functions import Now


class AuditOutlet(models.Model):
    """How far the log was sent to one receiver: every row up to `upto_seq` was taken there.

    `key` is a hash of the whole address, as paths may hold secrets; `label` is what is shown. One
    process at a time sends: it holds the row until `lease_until` under its `fence`. After a failure
    it waits until `due_at`. Leases and waits go by the database's clock.
    """

    key = models.CharField(max_length=64, primary_key=True)
    label = models.CharField(max_length=300)
    upto_seq = models.BigIntegerField(default=0)
    taken_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True, default="")
    failed_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    fence = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(upto_seq__gte=0), name="audit_outlet_upto"),
        ]

    def __str__(self) -> str:
        return f"{self.label} up to {self.upto_seq}"
