"""Enums and values of the catalog."""

from typing import Final

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


OPEN_STATES: Final = (VersionState.PROPOSED, VersionState.APPROVED)  # of a change


class Track(models.TextChoices):
    """Production or on trial: each has partitions and queues of its own."""

    PRODUCTION = "production"
    EXPERIMENTAL = "experimental"


class Tier(models.TextChoices):
    """How much it hurts when the stream is wrong, T1 the most."""

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

    @property
    def said(self) -> str:
        """What becomes of it, in a sentence: kept as sent."""
        return {"none": "kept as sent", "tokenize": "tokenized", "drop": "dropped"}[self.value]


class ErasedSubjects(models.TextChoices):
    """What becomes of an event about somebody who was erased, and that happened after that."""

    REFUSE = "refuse"
    FRESH = "fresh"


class Enforcement(models.TextChoices):
    """A stream's rung: breaches are counted, told to the producer, or dead letters."""

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
