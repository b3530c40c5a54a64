"""What the registry answers, in Confluent's shapes. Members without a value are left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from catalog.compatibility.types import Difference, Direction, Mode, Verdict
from catalog.registry.requests import JSON, Reference

MAX_MESSAGES = 50


@dataclass(frozen=True, slots=True)
class SchemaAnswer:
    """A schema with its id, as it was sent."""

    id: int
    fingerprint: bytes
    text: str
    references: tuple[Reference, ...] = ()
    metadata: dict[str, Any] | None = None
    rule_set: dict[str, Any] | None = None

    @property
    def guid(self) -> str:
        return guid_of(self.fingerprint)

    def as_dict(self) -> dict[str, Any]:
        """`schemaType` stands there always: without it clients take a schema for Avro."""
        answer: dict[str, Any] = {
            "guid": self.guid,
            "schemaType": JSON,
            "schema": self.text,
        }
        if self.references:
            answer["references"] = [one.as_dict() for one in self.references]
        if self.metadata is not None:
            answer["metadata"] = self.metadata
        if self.rule_set is not None:
            answer["ruleSet"] = self.rule_set
        return answer


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """A version of a subject, the subject spelled as the client spells it."""

    subject: str
    version: int
    schema: SchemaAnswer
    is_deleted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """`deleted` stands there only when it is true."""
        answer = {
            "subject": self.subject,
            "version": self.version,
            "id": self.schema.id,
            **self.schema.as_dict(),
        }
        return answer | {"deleted": True} if self.is_deleted else answer


def guid_of(fingerprint: bytes) -> str:
    """The first 16 bytes of a fingerprint as a UUID: the same for one schema everywhere."""
    return str(UUID(bytes=fingerprint[:16]))


def messages_of(verdict: Verdict, mode: Mode) -> list[str]:
    """Why a candidate is not compatible: a sentence and a remedy for each break."""
    if verdict.compatible:
        return []
    breaking = list(_breaking(verdict.differences, mode.directions))
    said = [_message(difference) for difference in breaking[:MAX_MESSAGES]]
    if verdict.undecided and not said:
        said = ["{change:'undecided', detail:'It could not be decided within the limits of work.'}"]
    if len(breaking) > MAX_MESSAGES:
        said.append(f"{{more:{len(breaking) - MAX_MESSAGES}}}")
    return [*said, f"{{compatibility: '{mode.value}'}}"]


def _breaking(
    differences: Iterable[Difference], asked: Sequence[Direction]
) -> Iterable[Difference]:
    return (one for one in differences if set(one.breaks) & set(asked))


def _message(difference: Difference) -> str:
    where = difference.path or "#"
    remedy = f" {difference.remedy}" if difference.remedy else ""
    return f"{{change:'{difference.change}', path:'{where}', detail:'{difference.detail}{remedy}'}}"
