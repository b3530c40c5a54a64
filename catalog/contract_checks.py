"""What a contract check found, and how it is told: as text, as JSON and as JUnit XML.

A check is made of a report (`catalog.services.reports`), whether it was made here or by another
portal over HTTP: both have the same shape.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final
from xml.etree import ElementTree

from catalog.exchange.documents import OutsideStream
from catalog.exchange.plans import Breaking

MAX_SHOWN: Final = 20


class Outcome(StrEnum):
    """What became of one contract; the last four fail a build."""

    COMPATIBLE = "compatible"
    UNCHANGED = "unchanged"
    NEW = "new"
    BREAKING = "breaking"
    BLOCKED = "blocked"
    ERRORS = "errors"
    UNCHECKED = "unchecked"


FOUND: Final = frozenset({Outcome.BREAKING, Outcome.BLOCKED, Outcome.ERRORS})
SAYS: Final = {
    Outcome.COMPATIBLE: "compatible",
    Outcome.UNCHANGED: "the same as the catalog's",
    Outcome.NEW: "not in the catalog yet",
    Outcome.BREAKING: "BREAKS",
    Outcome.BLOCKED: "POLICY STOPS IT",
    Outcome.ERRORS: "HAS ERRORS",
    Outcome.UNCHECKED: "COULD NOT BE CHECKED",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """A declared consumer and what the candidate means for it: breaks, unknown, care or safe."""

    consumer: str
    effect: str


@dataclass(frozen=True, slots=True)
class StyleNote:
    """A finding of the house rules: error, warning or suggestion; no path: the contract."""

    path: str
    severity: str
    message: str


@dataclass(frozen=True, slots=True)
class PolicyNote:
    """What a policy says, where it does not say that all is in order: `outcome` is breaks, undecided
    or not_measured (`detail` names the fact that is not at hand). `blocks`: it fails the check."""

    policy: str
    title: str
    severity: str
    outcome: str
    detail: str
    remedy: str
    blocks: bool

    def line(self) -> str:
        """`policy block: Personal fields have a privacy plan (phone). Give it x-privacy.`"""
        named = f" ({self.detail})" if self.detail else ""
        if self.outcome == "not_measured":
            return f"not judged here: {self.title} (needs {self.detail})"
        if self.outcome == "undecided":
            return f"policy {self.severity}: {self.title}: could not be judged{named}"
        return f"policy {self.severity}: {self.title}{named}. {self.remedy}".rstrip()


@dataclass(frozen=True, slots=True)
class ContractCheck:
    """One stream's candidate, which is the newest version of its file, against the catalog."""

    stream: str
    where: str
    outcome: Outcome
    label: str = ""
    mode: str = ""
    policy: str = ""
    compared_with: tuple[int, ...] = ()
    breaking: tuple[Breaking, ...] = ()
    readers: tuple[Reader, ...] = ()
    style: tuple[StyleNote, ...] = ()
    policies: tuple[PolicyNote, ...] = ()
    why: str = ""

    def lines(self) -> Iterator[str]:
        """The check as it is read, one finding a line."""
        under = f" under {self.mode} ({self.policy})" if self.mode and self.compared_with else ""
        label = f" {self.label}" if self.label else ""
        yield f"{self.stream}{label}: {SAYS[self.outcome]}{under}  [{self.where}]"
        if self.why:
            yield f"    {self.why}"
        for one in self.breaking[:MAX_SHOWN]:
            yield f"    breaks: {one.detail}" + (f" {one.remedy}" if one.remedy else "")
        yield from (f"    {_reads(one)}" for one in self.readers if one.effect != "safe")
        for note in self.style[:MAX_SHOWN]:
            yield f"    {note.severity}: {note.path or 'the contract'}: {note.message}"
        yield from (f"    {note.line()}" for note in self.policies)
        hidden = max(len(self.breaking) - MAX_SHOWN, 0) + max(len(self.style) - MAX_SHOWN, 0)
        if hidden:
            yield f"    and {hidden} more; --json holds them all"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"outcome": str(self.outcome)}


def check_of(
    outside: OutsideStream, report: Mapping[str, Any], *, stream: str, label: str
) -> ContractCheck:
    """The check that a report amounts to."""
    verdict = report["verdict"]
    breaking = tuple(
        Breaking(row["path"], row["change"], row["detail"], row.get("remedy", ""))
        for row in report["differences"]
        if row["refuses"]
    )
    style = style_of(row for row in report["style"] if row.get("new", True))
    outcome = Outcome.COMPATIBLE
    if not verdict["compatible"]:
        outcome = Outcome.BREAKING
    elif any(note.severity == "error" for note in style):
        outcome = Outcome.ERRORS
    policies = policies_of(report.get("policies", ()))
    return _policed(
        ContractCheck(
            stream=stream,
            where=outside.where,
            outcome=outcome,
            label=label,
            mode=verdict["mode"],
            policy=verdict["policy"],
            compared_with=tuple(report["compared_with"]),
            breaking=breaking,
            readers=tuple(Reader(row["consumer"], row["effect"]) for row in report["consumers"]),
            style=style,
            why="It could not be decided in time, which counts as a break."
            if verdict["undecided"]
            else "",
        ),
        policies,
    )


def new_stream(
    outside: OutsideStream,
    *,
    stream: str,
    label: str,
    style: Sequence[StyleNote],
    policies: Sequence[PolicyNote] = (),
) -> ContractCheck:
    """The check of a stream that the catalog does not have: its style, and what its file says."""
    has_errors = any(note.severity == "error" for note in style)
    outcome = Outcome.ERRORS if has_errors else Outcome.NEW
    found = ContractCheck(stream, outside.where, outcome, label, style=tuple(style))
    return _policed(found, policies)


def _policed(check: ContractCheck, policies: Sequence[PolicyNote]) -> ContractCheck:
    """The check with what policies say; what breaks or has errors stays that."""
    is_stopped = check.outcome not in FOUND and any(note.blocks for note in policies)
    outcome = Outcome.BLOCKED if is_stopped else check.outcome
    return replace(check, outcome=outcome, policies=tuple(policies))


def policies_of(rows: Iterable[Mapping[str, Any]]) -> tuple[PolicyNote, ...]:
    """What policies say, where it is worth telling; waived breaches are not."""
    names = ("policy", "title", "severity", "outcome", "detail", "remedy", "blocks")
    return tuple(
        PolicyNote(**{name: row[name] for name in names})
        for row in rows
        if row["outcome"] != "in_order" and row.get("waived_until") is None
    )


def style_of(
    rows: Iterator[Mapping[str, Any]] | Sequence[Mapping[str, Any]],
) -> tuple[StyleNote, ...]:
    """Findings of the house rules, the errors first."""
    order = ("error", "warning", "suggestion")
    notes = [StyleNote(row["path"], row["severity"], row["message"]) for row in rows]
    return tuple(sorted(notes, key=lambda note: order.index(note.severity)))


def strictly(check: ContractCheck) -> ContractCheck:
    """The check where a new warning of style counts as an error too."""
    is_good = check.outcome in (Outcome.COMPATIBLE, Outcome.NEW)
    if is_good and any(note.severity == "warning" for note in check.style):
        return replace(check, outcome=Outcome.ERRORS)
    return check


def exit_code(checks: Sequence[ContractCheck]) -> int:
    """1 when anything breaks or has errors, else 2 when anything could not be checked, else 0."""
    outcomes = {one.outcome for one in checks}
    if outcomes & FOUND:
        return 1
    return 2 if Outcome.UNCHECKED in outcomes or not checks else 0


def summary(checks: Sequence[ContractCheck]) -> str:
    """`3 contracts: 2 compatible, 1 breaking.`"""
    counts = {one: sum(check.outcome is one for check in checks) for one in Outcome}
    said = [f"{count} {one}" for one, count in counts.items() if count]
    return f"{len(checks)} contracts: {', '.join(said) or 'nothing to check'}."


def junit(checks: Sequence[ContractCheck]) -> bytes:
    """JUnit XML as CI servers read it: a test case a contract."""
    failed = sum(one.outcome in FOUND for one in checks)
    errors = sum(one.outcome is Outcome.UNCHECKED for one in checks)
    suite = ElementTree.Element(
        "testsuite", name="contracts", tests=str(len(checks)), failures=str(failed),
        errors=str(errors),
    )  # fmt: skip
    for check in checks:
        case = ElementTree.SubElement(
            suite, "testcase", classname=_plain(check.where), name=_plain(check.stream)
        )
        head, *rest = check.lines()
        if check.outcome in FOUND or check.outcome is Outcome.UNCHECKED:
            kind = "failure" if check.outcome in FOUND else "error"
            node = ElementTree.SubElement(case, kind, message=_plain(head), type=str(check.outcome))
        else:
            node = ElementTree.SubElement(case, "system-out")
        node.text = _plain("\n".join(rest))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _reads(reader: Reader) -> str:
    said = {
        "breaks": "reads a field that would break",
        "care": "reads a field that changes; it should look",
        "unknown": "does not say which fields it reads",
    }
    return f"consumer {reader.consumer}: {said.get(reader.effect, reader.effect)}"


def _plain(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return "".join(
        char
        for char in text
        if char in "\t\n\r"
        or (
            ord(char) >= 32
            and not 0xD800 <= ord(char) <= 0xDFFF
            and ord(char) not in (0xFFFE, 0xFFFF)
        )
    )
