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
    format = models.SmallIntegerField(default=2)  # of what was hashed (`governance.chain.rows`)

    class Meta:
        managed = False
        db_table = "governance_audit"
        ordering = ["-seq"]

    def __str__(self) -> str:
        return f"{self.seq} {self.action} {self.object_key}"


class AuditAnchor(models.Model):
    """What was signed about a run of rows (`governance.chain.anchors`). Append-only (0012)."""

    number = models.BigIntegerField(primary_key=True)
    first_seq = models.BigIntegerField()
    upto_seq = models.BigIntegerField(unique=True)
    at = models.DateTimeField()
    root = models.BinaryField()
    head_hash = models.BinaryField()
    previous = models.BinaryField()
    key_id = models.CharField(max_length=16)
    signature = models.BinaryField()

    class Meta:
        managed = False
        db_table = "governance_audit_anchor"
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"rows {self.first_seq} to {self.upto_seq}"
