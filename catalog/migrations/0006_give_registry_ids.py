"""Give the versions that are there an id of their content, as new ones get on activation."""

import json
from typing import Any, ClassVar

from django.db import migrations

ACTIVATED = ("active", "deprecated", "retired")


def give_ids(apps: Any, schema_editor: Any) -> None:
    versions = apps.get_model("catalog", "SchemaVersion")
    schemas = apps.get_model("catalog", "RegistrySchema")
    rows = apps.get_model("catalog", "RegistryVersion")
    for version in versions.objects.filter(state__in=ACTIVATED, registry=None).order_by("pk").iterator():
        schema, _ = schemas.objects.get_or_create(
            fingerprint=bytes(version.document_sha256),
            defaults={"text": json.dumps(version.document, ensure_ascii=False)},
        )
        rows.objects.create(version=version, schema=schema)


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("catalog", "0005_registry_subjects_ids_and_deletions")
    ]
    operations: ClassVar[list[migrations.RunPython]] = [
        migrations.RunPython(give_ids, migrations.RunPython.noop),
    ]
