"""The vault: data keys under key-encryption keys, and what tokens stand for."""

from django.db import models
from django.db.models.functions import Now

from governance.types import ResourceRef


class PrivacyKey(models.Model):
    """One data key, of a subject or of a purpose of tokens. `ref` is a keyed hash of whose it is.

    Destroyed keys stay as a row without `wrapped`, so that nothing gets a new key by mistake.
    """

    ref = models.BinaryField(unique=True)
    wrapped = models.BinaryField(null=True)
    version = models.PositiveIntegerField()
    created_at = models.DateTimeField(db_default=Now())
    destroyed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["version", "id"],
                condition=models.Q(wrapped__isnull=False),
                name="privacy_key_version",
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(wrapped__isnull=False, destroyed_at=None)
                | models.Q(wrapped=None, destroyed_at__isnull=False),
                name="privacy_key_destroyed_or_not",
            )
        ]

    def __str__(self) -> str:
        return f"data key {self.pk}"

    @property
    def about(self) -> ResourceRef:
        return ResourceRef("privacy_key", str(self.pk))


class PrivacyToken(models.Model):
    """What a token stands for. `ref` is a keyed hash of purpose and value; `token` is random.

    Deleting the row makes the token meaningless: neither way can be computed again.
    """

    ref = models.BinaryField(primary_key=True)
    token = models.CharField(max_length=40, unique=True, db_collation="C")
    purpose = models.CharField(max_length=60)
    sealed = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        # Which purposes there are is read by steps of it.
        indexes = [models.Index(fields=["purpose"], name="privacy_token_purpose")]

    def __str__(self) -> str:
        return self.token
