"""The vault of privacy: data keys under key-encryption keys, and what tokens stand for."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0007_notices")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="PrivacyKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ref", models.BinaryField(unique=True)),
                ("wrapped", models.BinaryField(null=True)),
                ("version", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("destroyed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["version", "id"],
                        condition=models.Q(("wrapped__isnull", False)),
                        name="privacy_key_version",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("destroyed_at", None), ("wrapped__isnull", False)),
                            models.Q(("destroyed_at__isnull", False), ("wrapped", None)),
                            _connector="OR",
                        ),
                        name="privacy_key_destroyed_or_not",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PrivacyToken",
            fields=[
                ("ref", models.BinaryField(primary_key=True, serialize=False)),
                ("token", models.CharField(db_collation="C", max_length=40, unique=True)),
                ("purpose", models.CharField(max_length=60)),
                ("sealed", models.TextField()),
                ("created_at", models.DateTimeField(db_default=Now())),
            ],
        ),
    ]
