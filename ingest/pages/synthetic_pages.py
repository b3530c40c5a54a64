"""What the pages of synthetic events show: the form, rules in words, runs with what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django import forms
from django.utils.functional import cached_property

from catalog.models import Stream
from governance.models import Job
from ingest.models import SyntheticRun
from ingest.pages.stream_names import StreamName
from ingest.services.synthetic import Wanted
from ingest.services.synthetic_runs import MAX_EVENTS
from ingest.synthetic.curves import CURVES, KINDS, LEARNED, Incident, read_span
from ingest.synthetic.joining import MAX_STREAMS
from ingest.synthetic.kinds import ANY, ENVELOPE_RULES, KEYWORDS, TAKEN, is_expected
from ingest.synthetic.making import Made
from ingest.synthetic.plans import PlanBody, PlanStream, whole_plan
from portal.kernel import clock, rfc3339
from portal.kernel.errors import FieldError, InvalidError

ROWS: Final = 3  # of incidents in the form; the API takes more
SHARE_ROWS: Final = 6
BROKEN: Final[Mapping[str, str]] = {
    "unparsable": "JSON that ends too early",
    "envelope_invalid": "another version of CloudEvents",
    "limit_exceeded": "nesting that is too deep",
    "unknown_stream": "a type that nobody registered",
    "not_permitted": "a source that is not declared",
    "out_of_window": "a time ten years ago",
    "schema_unknown": "a version that does not exist",
    "version_retired": "a version that is retired",
    "privacy_refused": "a value that privacy can't treat",
    "id_conflict": "other content under a known id",
    "late": "two hours late, and taken",
    "duplicate": "the same event once more",
    ANY: "any one rule of the contract",
    "required": "a required field is missing",
    "type": "a value of another type",
    "enum": "a value that is not listed",
    "const": "a value that is not the fixed one",
    "minimum": "a number that is too small",
    "maximum": "a number that is too large",
    "exclusiveMinimum": "a number at its lower bound",
    "exclusiveMaximum": "a number at its upper bound",
    "multipleOf": "a number that is no multiple",
    "minLength": "a text that is too short",
    "maxLength": "a text that is too long",
    "pattern": "a text against its pattern",
    "format": "a text of another format",
    "minItems": "a list with too few entries",
    "maxItems": "a list with too many entries",
    "uniqueItems": "the same entry twice",
    "additionalProperties": "a field that nobody declared",
}
STRIKES: Final[Mapping[str, str]] = {
    "drop_out": "an outage, nothing comes",
    "spike": "many more come",
    "volume_shift": "a dip or a rise",
    "late": "they are two hours late",
    "broken_field": "a field breaks its rule",
    "type_drift": "a field changes its type",
    "duplicate_storm": "each comes four times",
    "null_burst": "a field is null",
}
COURSES: Final[Mapping[str, str]] = {
    "learned": "as in stored events",
    "day": "a usual day",
    "week": "a usual week, quieter at its end",
    "flat": "flat",
}
STANDINGS: Final[Mapping[str, tuple[str, str]]] = {
    "waiting": ("info", "Under way"),
    "running": ("info", "Under way"),
    "paused": ("warn", "Paused"),
    "stopped": ("", "Stopped"),
    "done": ("ok", "Done"),
    "failed": ("bad", "Failed"),
}


def said_of(rule: str) -> str:
    """A rule in words; those of a contract by their keyword."""
    return BROKEN.get(rule.partition(":")[2] or rule, rule)


def _text(**attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "in", "autocomplete": "off", **attrs})


def _when() -> forms.DateTimeInput:
    return forms.DateTimeInput(
        attrs={"class": "in", "type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"
    )


def _span(text: str) -> timedelta:
    return read_span(text.strip().replace(" ", ""))


class IncidentForm(forms.Form):
    """One row: what goes wrong, when after the start, and for how long. Only parses."""

    kind = forms.ChoiceField(
        required=False, label="What happens", widget=forms.Select(attrs={"class": "in"}),
        choices=[("", "nothing"), *((kind, f"{kind}: {STRIKES[kind]}") for kind in KINDS)],
    )  # fmt: skip
    at = forms.CharField(
        required=False, max_length=20, label="After", widget=_text(placeholder="10m")
    )
    lasts = forms.CharField(
        required=False, max_length=20, label="For", widget=_text(placeholder="5m")
    )
    by = forms.FloatField(
        required=False, min_value=0, max_value=1_000, label="Times", localize=False,
        widget=_text(inputmode="decimal", placeholder="3"),
    )  # fmt: skip
    place = forms.CharField(
        required=False, max_length=120, label="Field", widget=_text(placeholder="/data/amount")
    )

    def incident(self) -> Incident | None:
        """The incident of a valid row; None for an empty one. Raises InvalidError for a span or a
        field that cannot be read."""
        said = self.cleaned_data
        if not said["kind"]:
            return None
        place = said["place"].strip()
        if place and not place.startswith("/"):
            raise InvalidError("A field of an incident reads /data/amount.", code="incident")
        return Incident(
            said["kind"], _span(said["at"] or "0s"), _span(said["lasts"] or "5m"),
            said["by"], place,
        )  # fmt: skip


def _percent(**attrs: str) -> forms.TextInput:
    return _text(inputmode="decimal", **attrs)


LIST_ID: Final = "streams-to-fill"


class FurtherForm(forms.Form):
    """One row: a further stream, and how many events it has of the first one's. Only parses."""

    name = StreamName(required=False)
    ratio = forms.FloatField(
        required=False, min_value=0.01, max_value=10_000, label="In %",
        localize=False, widget=_percent(placeholder="100"),
    )  # fmt: skip

    def __init__(self, said: Any, prefix: str) -> None:
        super().__init__(said, prefix=prefix)
        self.fields["name"].widget.attrs["list"] = LIST_ID  # of the first one's

    def further(self) -> tuple[str, float] | None:
        """Name and ratio (1 is as many as the first has) of a valid row; None for an empty one."""
        said = self.cleaned_data
        return (said["name"], (said["ratio"] or 100) / 100) if said["name"] else None


class ShareForm(forms.Form):
    """One row: a kind of event, and its own share. Only parses."""

    kind = forms.ChoiceField(
        required=False, label="Kind", widget=forms.Select(attrs={"class": "in"}),
        choices=[
            ("", "none"),
            *((rule, said_of(rule)) for rule in (*TAKEN, ANY, *ENVELOPE_RULES,
                                                 *(f"{ANY}:{word}" for word in KEYWORDS))),
        ],
    )  # fmt: skip
    share = forms.FloatField(
        required=False, min_value=0, max_value=100, label="In %", localize=False,
        widget=_percent(placeholder="5"),
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        said = self.cleaned_data
        if said.get("kind") and said.get("share") is None and "share" not in self.errors:
            self.add_error("share", "Say how many in a hundred.")
        return said


class RunForm(forms.Form):
    """What to send: how many, when, how much of it broken. Only parses."""

    stream = StreamName()
    events = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_EVENTS, widget=_text(inputmode="numeric")
    )
    rate = forms.FloatField(
        required=False, min_value=0.001, max_value=MAX_EVENTS, widget=_text(inputmode="decimal")
    )
    lasts = forms.CharField(required=False, max_length=20, widget=_text(placeholder="10m"))
    since = forms.DateTimeField(required=False, widget=_when())
    until = forms.DateTimeField(required=False, widget=_when())
    seed = forms.IntegerField(min_value=0, max_value=2**53, widget=_text(inputmode="numeric"))
    broken = forms.FloatField(
        required=False, min_value=0, max_value=100, widget=_text(inputmode="decimal")
    )
    rules = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple,
        choices=[(rule, said_of(rule)) for rule in
                 (ANY, *ENVELOPE_RULES, *(f"{ANY}:{word}" for word in KEYWORDS))],
    )  # fmt: skip
    curve = forms.ChoiceField(
        required=False, choices=[(curve, COURSES[curve]) for curve in CURVES],
        widget=forms.Select(attrs={"class": "in"}),
    )  # fmt: skip
    learns = forms.BooleanField(required=False)
    production = forms.BooleanField(required=False)

    def __init__(self, streams: Sequence[Stream], said: Any, *, chosen: str = "") -> None:
        super().__init__(
            said,
            initial={"stream": chosen, "events": 100, "rate": 10, "seed": 1, "broken": 0,
                     "rules": [ANY], "curve": LEARNED, "learns": True},
        )  # fmt: skip
        names = [one.name for one in streams]
        field = self.fields["stream"]
        assert isinstance(field, StreamName)
        field.offer(names, list_id=LIST_ID)
        self.others = [FurtherForm(said, prefix=f"further{at}") for at in range(1, MAX_STREAMS)]
        self.shares = [ShareForm(said, prefix=f"share{at}") for at in range(SHARE_ROWS)]
        self.incidents = [IncidentForm(said, prefix=f"incident{at}") for at in range(ROWS)]

    @cached_property
    def contract_rules(self) -> list[forms.BoundField | Any]:
        return [box for box in self["rules"] if str(box.data["value"]).startswith(ANY)]

    @cached_property
    def envelope_rules(self) -> list[forms.BoundField | Any]:
        return [box for box in self["rules"] if not str(box.data["value"]).startswith(ANY)]

    @property
    def rows(self) -> list[forms.Form]:
        return [*self.others, *self.shares, *self.incidents]

    @property
    def has_others(self) -> bool:
        return any(row["name"].value() or row.errors for row in self.others)

    @property
    def has_kinds(self) -> bool:
        """Whether anything is said of what is broken."""
        rows = any(row["kind"].value() or row.errors for row in self.shares)
        return bool(self["broken"].value() or self["rules"].errors) or rows

    @property
    def has_incidents(self) -> bool:
        return any(row["kind"].value() or row.errors for row in self.incidents)

    def is_valid(self) -> bool:
        return super().is_valid() and all(row.is_valid() for row in self.rows)

    def further(self) -> list[tuple[str, float]]:
        """Names and ratios of the further streams of a valid form."""
        found = (row.further() for row in self.others)
        return [one for one in found if one is not None]

    def _shares(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for row in self.shares:
            kind, share = row.cleaned_data["kind"], row.cleaned_data["share"]
            if kind and share:
                found[kind] = found.get(kind, 0.0) + share / 100
        return found

    def wanted(self) -> Wanted:
        """What a valid form asks for. Raises InvalidError for spans that are none."""
        said = self.cleaned_data
        rate = said["rate"] or 10.0
        start = said["since"] or clock.now()
        if said["until"]:
            end = said["until"]
        elif said["lasts"]:
            end = start + _span(said["lasts"])
        elif said["events"]:
            end = start + timedelta(seconds=said["events"] / rate)
        else:
            raise InvalidError(
                "Say how many events, or for how long.",
                errors=[FieldError("/events", "required", "a number, or a rate and a duration")],
            )
        found = (row.incident() for row in self.incidents)
        return Wanted(
            start=start, end=end, seed=said["seed"], events=said["events"], rate=rate,
            broken_ratio=(said["broken"] or 0) / 100, rules=tuple(said["rules"] or [ANY]),
            shares=self._shares(), incidents=tuple(one for one in found if one is not None),
            curve=said["curve"] or LEARNED, learns=said["learns"], production=said["production"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """An event of the preview: its JSON, or its text where it is none, and what is broken where.

    `is_taken`: the door should take it.
    """

    made: Made
    document: Any
    text: str
    said: str
    is_taken: bool

    @property
    def faults(self) -> tuple[str, ...]:
        return (self.made.pointer,) if self.made.pointer else ()


def sample_of(made: Made) -> Sample:
    text = made.line.decode()
    try:
        document = orjson.loads(made.line)
    except orjson.JSONDecodeError:
        document = None
    is_taken = made.expected in ("accepted", "duplicate")
    return Sample(made, document, text, said_of(made.rule) if made.rule else "", is_taken)


def _is_expected(one: Mapping[str, Any]) -> bool:
    return is_expected(one["expected"], one["seen"])


@dataclass(frozen=True, slots=True)
class Asked:
    """A kind that a run was asked for, with its share of the places and what came of it."""

    kind: str
    share: float
    rows: Sequence[Mapping[str, Any]]
    streams: Sequence[PlanStream]

    @property
    def sent(self) -> int:
        return sum(one["events"] for one in self.rows)

    @property
    def only_in(self) -> str:
        """The streams that can have it, where others of the run can't."""
        able = [one["stream"] for one in self.streams if self.kind in one["shares"]]
        return ", ".join(able) if len(able) < len(self.streams) else ""


@dataclass(frozen=True)
class ShownRun:
    """One run in a list or on its page, with how it stands."""

    row: SyntheticRun
    job: Job | None

    @property
    def since(self) -> datetime:
        return rfc3339.parse(self.row.plan["since"])

    @property
    def until(self) -> datetime:
        return rfc3339.parse(self.row.plan["until"])

    @property
    def state(self) -> str:
        """The state of its job; `stopped` when the job is no more."""
        return self.job.state if self.job is not None else "stopped"

    @property
    def is_live(self) -> bool:
        return self.state in ("waiting", "running")

    @property
    def css(self) -> str:
        return "warn" if self.otherwise and self.state == "done" else STANDINGS[self.state][0]

    @property
    def word(self) -> str:
        return STANDINGS[self.state][1]

    @property
    def is_steered(self) -> bool:
        """Whether it can be paused, resumed or stopped."""
        return self.state in ("waiting", "running", "paused", "failed")

    @property
    def ratio(self) -> float:
        """How much of it was sent, 0 to 1."""
        return self.row.position / self.row.total if self.row.total else 1.0

    @cached_property
    def plan(self) -> PlanBody:
        """What was asked for, in the present form whatever release kept it."""
        return whole_plan(self.row.plan, self.row.stream.name)

    @property
    def others(self) -> int:
        """How many streams there are beside the first."""
        return len(self.plan["streams"]) - 1

    @property
    def course(self) -> str:
        return COURSES[self.plan["curve"]]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What came, stream by stream, with rules in words, and whether it was expected."""
        order = [one["stream"] for one in self.plan["streams"]]
        found = [
            {"stream": order[0], **one, "said": said_of(one["rule"]) if one["rule"] else "valid",
             "is_expected": _is_expected(one)}
            for one in self.row.outcome
        ]  # fmt: skip
        return sorted(found, key=lambda one: order.index(one["stream"]))

    @property
    def kinds(self) -> list[Asked]:
        """Each kind that was asked for: its share, and what came of it."""
        return [
            Asked(kind, share, [
                one for one in self.row.outcome
                if one["rule"] == kind or one["rule"].startswith(f"{kind}:")
            ], self.plan["streams"])
            for kind, share in self.plan["shares"].items()
        ]  # fmt: skip

    @property
    def as_expected(self) -> int:
        return sum(one["events"] for one in self.row.outcome if _is_expected(one))

    @property
    def otherwise(self) -> int:
        return sum(one["events"] for one in self.row.outcome if not _is_expected(one))

    @property
    def known(self) -> int:
        """How many good ones were there already: the run, or a step of it, was sent before."""
        return sum(
            one["events"]
            for one in self.row.outcome
            if (one["expected"], one["seen"]) == ("accepted", "duplicate")
        )

    @property
    def verdict(self) -> tuple[str, str, str]:
        """Kind, sentence and reason."""
        said = self.job.said if self.job is not None else ""
        if self.state == "failed":
            return "bad", "The run could not go on.", said
        if self.otherwise:
            return (
                "warn", f"The door answered otherwise for {self.otherwise} of {self.row.sent} events.",
                "A contract, a right or a window may have changed since the run began.",
            )  # fmt: skip
        if self.state == "done":
            known = f"{self.known} were known already: the same seed and times were sent before."
            return "ok", "Every event came to what was expected of it.", known if self.known else ""
        if self.state in ("paused", "stopped"):
            return "", f"It {'rests' if self.state == 'paused' else 'was stopped'}.", said
        return "info", "It is being sent.", said
