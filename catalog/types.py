"""Enums and values of the catalog."""

from django.db import models


class Lifecycle(models.TextChoices):
    DRAFT = "draft"
    PROPOSED = "proposed"
    ACTIVE = "active"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


class VersionState(models.TextChoices):
    DRAFT = "draft"
    PROPOSED = "proposed"
    APPROVED = "approved"
    ACTIVE = "active"
    DEPRECATED = "deprecated"
    RETIRED = "retired"
    REJECTED = "rejected"


class Track(models.TextChoices):
    PRODUCTION = "production"
    EXPERIMENTAL = "experimental"


class Tier(models.TextChoices):
    T1 = "T1"
    T2 = "T2"
    T3 = "T3"


class Classification(models.TextChoices):
    PUBLIC = "public"
    INTERNAL = "internal"
    PERSONAL = "personal"
    SENSITIVE = "sensitive"


class SubjectPrivacy(models.TextChoices):
    """What becomes of `subject` before an event is kept. An encrypted one could be no unit."""

    NONE = "none"
    TOKENIZE = "tokenize"
    DROP = "drop"


class Enforcement(models.TextChoices):
    OBSERVE = "observe"
    WARN = "warn"
    ENFORCE = "enforce"


class LadderMode(models.TextChoices):
    """Whether a stream's enforcement rises: not judged, by hand once it is due, or by itself."""

    OFF = "off"
    BY_HAND = "hand"
    AUTOMATIC = "auto"


class CompatibilityMode(models.TextChoices):
    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


class CompatibilityPolicy(models.TextChoices):
    STRICT = "strict"
    LENIENT = "lenient"
    READER_WRITER = "reader_writer"
