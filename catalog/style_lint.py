"""House rules for contracts: each finding says where, why, and what one click would do about it.

`RULES` is the one table of them, with their severities; a caller may pass others (a policy), and
"off" silences a rule. Nothing here refuses anything, reads a database, or changes the document.
The judgements themselves stand in `style_rules`, what they judge in `style_subject`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from catalog import style_rules as says
from catalog.field_index import FieldRow
from catalog.fixes import Fix
from catalog.neighbours import Neighbours
from catalog.personal import looks_personal
from catalog.style_rules import DEEP, LARGE_ENUM, WIDE
from catalog.style_subject import Said, Subject, place_of, places_of, siblings_of

__all__ = ["RULES", "SEVERITIES", "Finding", "Rule", "lint", "looks_personal"]

MAX_FINDINGS: Final = 200
MAX_FIXES: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a reviewer would say. `pointer` is the place in the document, `path` in the
    data; `severity` is "error", "warning" or "suggestion"."""

    rule: str
    path: str
    severity: str
    message: str
    pointer: str = ""
    fixes: tuple[Fix, ...] = ()

    @property
    def id(self) -> str:
        """`<rule>:<path>`, by which forms and drafts know it."""
        return f"{self.rule}:{self.path}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "path": self.path,
            "pointer": self.pointer,
            "severity": self.severity,
            "message": self.message,
            "fixes": [fix.as_dict() for fix in self.fixes],
        }


OfField = Callable[[FieldRow, Subject], Said | None]
OfDocument = Callable[[Subject], Said | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the house: its severity unless a policy says otherwise, and what it asks for."""

    name: str
    severity: str
    asks: str
    fix: str
    judges: OfField | None = None
    judges_all: OfDocument | None = None


def lint(
    rows: Sequence[FieldRow],
    document: Any = None,
    *,
    name: str = "",
    neighbours: Neighbours | None = None,
    evidence: Mapping[str, str] | None = None,
    severities: Mapping[str, str] | None = None,
) -> list[Finding]:
    """What the house rules say about a contract: of the whole first, then in the fields' order.

    `name` is the stream's, `neighbours` what the catalog holds (none: rules about it are silent),
    `evidence` the personal kind that sampled values of a path were seen to be. At most
    MAX_FINDINGS.
    """
    whole = document if isinstance(document, Mapping) else {}
    subject = Subject(
        rows,
        whole,
        name,
        neighbours or Neighbours(),
        evidence or {},
        places_of(whole),
        siblings_of(rows),
    )
    given = {**SEVERITIES, **(severities or {})}
    active = [rule for rule in RULES if given[rule.name] != "off"]
    found: list[Finding] = []
    for rule in active:
        said = rule.judges_all(subject) if rule.judges_all and document is not None else None
        if said is not None:
            found.append(_finding(rule, "", said, given))
    for row in rows:
        for rule in active:
            said = rule.judges(row, subject) if rule.judges else None
            if said is not None:
                said = said if said.pointer else replace(said, pointer=place_of(row, subject))
                found.append(_finding(rule, row.path, said, given))
        if len(found) >= MAX_FINDINGS:
            break
    return found[:MAX_FINDINGS]


def _finding(rule: Rule, path: str, said: Said, severities: Mapping[str, str]) -> Finding:
    severity = severities[rule.name]
    return Finding(rule.name, path, severity, said.why, said.pointer, said.fixes[:MAX_FIXES])


RULES: Final[tuple[Rule, ...]] = (
    Rule("stream_described", "suggestion", "The contract says what one event means.", "",
         judges_all=says.stream_described),
    Rule("has_fields", "warning", "The contract names its fields.", "", judges_all=says.has_fields),
    Rule("event_name", "suggestion",
         "A stream is called domain.object_action, the action in the past tense.",
         "the better name", judges_all=says.event_name),
    Rule("required_some", "suggestion", "Fields that every event has are required.", "",
         judges_all=says.required_some),
    Rule("wide", "suggestion", f"At most {WIDE} fields stand side by side.", "", judges_all=says.wide),
    Rule("similar_stream", "warning", "No other stream has the same fields or nearly its name.", "",
         judges_all=says.similar_stream),
    Rule("examples_invalid", "warning", "The contract takes its own examples.",
         "drops the wrong ones", judges_all=says.examples_invalid),
    Rule("snake_case", "warning", "Fields are named in snake_case.", "renames it", says.snake_case),
    Rule("abbreviation", "suggestion", "Words are written out.", "renames it", says.abbreviation),
    Rule("reserved_word", "suggestion",
         "No field at the top has the name of an attribute of the envelope.", "renames it",
         says.reserved),
    Rule("boolean_prefix", "suggestion", "A boolean reads as a question: is_, has_, can_ …",
         "renames it", says.boolean_prefix),
    Rule("boolean_named", "warning", "What reads as a question is a boolean.", "", says.boolean_named),
    Rule("flat", "suggestion", f"Data has at most {DEEP} levels below the top.", "", says.flat),
    Rule("typed", "warning", "A field has a type.", "", says.typed),
    Rule("one_type", "suggestion", "A field has one type; what may be missing is optional.",
         "leaves it out instead of null", says.one_type),
    Rule("money_minor_units", "suggestion", "Money is a whole number of minor units.",
         "makes it an integer in minor units", says.money_minor_units),
    Rule("money_currency", "suggestion", "Money has its currency beside it.", "adds currency",
         says.money_currency),
    Rule("unit", "suggestion", "A unit that the name says is noted in x-unit.", "notes it", says.unit),
    Rule("unit_missing", "suggestion", "A measured number says its unit.", "notes one of three",
         says.unit_missing),
    Rule("time_format", "suggestion", "Times, dates and addresses have their format.",
         "gives it the format", says.time_format),
    Rule("described", "suggestion", "A field says what it means, beyond its name.",
         "takes the meaning that another stream gives it", says.described),
    Rule("example_missing", "suggestion", "A plain field has an example.", "", says.example_missing),
    Rule("example_invalid", "warning", "An example is valid under its own field.",
         "drops the wrong ones", says.example_invalid),
    Rule("enum_large", "suggestion", f"A list of values has at most {LARGE_ENUM}.",
         "makes it a text with examples", says.enum_large),
    Rule("enum_catch_all", "suggestion", "A list of values has one for the rest.", "adds other",
         says.enum_catch_all),
    Rule("sunset", "warning", "A deprecated field says until when (x-sunset).", "", says.sunset),
    Rule("retention", "warning", "A field's own life (x-retention) is a number of days, or P30D.", "",
         says.retention),
    Rule("personal_unlabelled", "warning",
         "What looks personal by name, format or sampled values, or was found within texts, has"
         " x-classification.",
         "labels it, and says what to store instead", says.personal),
    Rule("same_name_other_type", "warning", "A name has one type over all streams.",
         "gives it the usual type", says.same_name_other_type),
    Rule("same_meaning_other_name", "suggestion", "A meaning has one name over all streams.",
         "renames it", says.same_meaning_other_name),
)  # fmt: skip
SEVERITIES: Final[Mapping[str, str]] = {rule.name: rule.severity for rule in RULES}
