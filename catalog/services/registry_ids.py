"""Ids of schemas for registry clients: given once by content, kept for ever.

Every version that becomes active has one, wherever it was made, so that the registry and the
catalog speak of the same things.
"""

import json

from catalog.models import RegistrySchema, RegistryVersion, SchemaVersion


def enroll(version: SchemaVersion) -> RegistryVersion:
    """Shared step of activating: the version has an id; one that it was given before stays."""
    found = RegistryVersion.objects.filter(version=version).select_related("schema").first()
    if found is not None:
        return found
    schema = keep_schema(
        RegistrySchema(
            fingerprint=bytes(version.document_sha256),
            text=json.dumps(version.document, ensure_ascii=False),
        )
    )
    return RegistryVersion.objects.create(version=version, schema=schema)


def keep_schema(schema: RegistrySchema) -> RegistrySchema:
    """The row of a schema, made when there is none; of many at once all get the same."""
    digest = bytes(schema.fingerprint)
    found = RegistrySchema.objects.filter(fingerprint=digest).first()
    if found is None:
        RegistrySchema.objects.bulk_create([schema], ignore_conflicts=True)
        found = RegistrySchema.objects.get(fingerprint=digest)
    return found
