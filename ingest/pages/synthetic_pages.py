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
from ingest.synthetic.breaking import ENVELOPE_RULES, KEYWORDS
from ingest.synthetic.making import KINDS, Incident, Made, read_span
from portal.kernel import clock, rfc3339
from portal.kernel.errors import FieldError, InvalidError

ROWS: Final = 3  # of incidents in the form; the API takes more
ANY: Final = "schema_violation"
BROKEN: Final[Mapping[str, str]] = {
    "unparsable": "JSON that ends too early",
    "envelope_invalid": "another version of CloudEvents",
    "limit_exceeded": "nesting that is too deep",
    "unknown_stream": "a type that nobody registered",
    "not_permitted": "a source that is not declared",
    "out_of_window": "a time ten years ago",
    "schema_unknown": "a version that does not exist",
    "id_conflict": "other content under a known id",
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
    "drop_out": "nothing comes",
    "spike": "many more come",
    "volume_shift": "more or fewer come",
    "late": "they are two hours late",
    "broken_field": "a field breaks its rule",
    "type_drift": "a field changes its type",
    "duplicate_storm": "each comes four times",
    "null_burst": "a field is null",
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
    seasonal = forms.BooleanField(required=False)
    learns = forms.BooleanField(required=False)
    production = forms.BooleanField(required=False)

    def __init__(self, streams: Sequence[Stream], said: Any, *, chosen: str = "") -> None:
        super().__init__(
            said,
            initial={"stream": chosen, "events": 100, "rate": 10, "seed": 1, "broken": 0,
                     "rules": [ANY], "seasonal": True, "learns": True},
        )  # fmt: skip
        field = self.fields["stream"]
        assert isinstance(field, StreamName)
        field.offer([one.name for one in streams], list_id="streams-to-fill")
        self.incidents = [IncidentForm(said, prefix=f"incident{at}") for at in range(ROWS)]

    @cached_property
    def contract_rules(self) -> list[forms.BoundField | Any]:
        return [box for box in self["rules"] if str(box.data["value"]).startswith(ANY)]

    @cached_property
    def envelope_rules(self) -> list[forms.BoundField | Any]:
        return [box for box in self["rules"] if not str(box.data["value"]).startswith(ANY)]

    def is_valid(self) -> bool:
        return super().is_valid() and all(row.is_valid() for row in self.incidents)

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
            incidents=tuple(one for one in found if one is not None),
            is_seasonal=said["seasonal"], learns=said["learns"], production=said["production"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """An event of the preview: its JSON, or its text where it is none, and what is broken where."""

    made: Made
    document: Any
    text: str
    said: str

    @property
    def faults(self) -> tuple[str, ...]:
        return (self.made.pointer,) if self.made.pointer else ()


def sample_of(made: Made) -> Sample:
    text = made.line.decode()
    try:
        document = orjson.loads(made.line)
    except orjson.JSONDecodeError:
        document = None
    return Sample(made, document, text, said_of(made.rule) if made.rule else "")


@dataclass(frozen=True, slots=True)
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
        return self.state in ("waiting", "running", "paused", "failed")

    @property
    def ratio(self) -> float:
        return self.row.position / self.row.total if self.row.total else 1.0

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What came, with rules in words, and whether it was expected."""
        return [
            {**one, "said": said_of(one["rule"]) if one["rule"] else "valid",
             "is_expected": _is_expected(one)}
            for one in self.row.outcome
        ]  # fmt: skip

    @property
    def as_expected(self) -> int:
        return sum(one["events"] for one in self.row.outcome if _is_expected(one))

    @property
    def otherwise(self) -> int:
        return sum(one["events"] for one in self.row.outcome if not _is_expected(one))

    @property
    def refused(self) -> int:
        """How many were refused as they should be."""
        return sum(
            one["events"]
            for one in self.row.outcome
            if _is_expected(one) and one["expected"] not in ("accepted", "duplicate")
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
            return "ok", "Every event came to what was expected of it.", ""
        if self.state in ("paused", "stopped"):
            return "", f"It {'rests' if self.state == 'paused' else 'was stopped'}.", said
        return "info", "It is being sent.", said


def _is_expected(one: Mapping[str, Any]) -> bool:
    """A valid event that was known already was sent twice, after a step that died."""
    return one["seen"] == one["expected"] or (one["expected"], one["seen"]) == (
        "accepted", "duplicate",
    )  # fmt: skip
