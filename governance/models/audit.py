"""The audit chain, read side. Rows are written only by the database function `audit_append`."""

from django.db import models


class AuditEntry(models.Model):
    """One change or one read of personal fields. Append-only and hash-linked (migration 0002)."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=20)
    actor_id = models.BigIntegerField()
    actor = models.CharField(max_length=254)
    action = models.CharField(max_length=60)
    object_kind = models.CharField(max_length=30)
    object_key = models.CharField(max_length=200)
    summary = models.TextField()
    detail = models.JSONField()
    request_id = models.CharField(max_length=64)
    prev_hash = models.BinaryField()
    hash = models.BinaryField()

    class Meta:
        managed = False
        db_table = "governance_audit"
        ordering = ["-seq"]

    def __str__(self) -> str:
        return f"{self.seq} {self.action} {self.object_key}"
