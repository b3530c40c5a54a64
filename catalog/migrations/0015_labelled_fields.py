"""The page of privacy walks along labelled fields alone."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("catalog", "0014_quotas")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        AddIndexConcurrently(
            "schemafield",
            models.Index(
                fields=["stream", "position"],
                include=["privacy", "classification"],
                condition=models.Q(is_current=True)
                & (~models.Q(privacy="") | models.Q(classification__in=["personal", "sensitive"])),
                name="schema_field_labelled",
            ),
        ),
    ]
