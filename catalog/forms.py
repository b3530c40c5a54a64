"""Forms of the catalog: they only parse; rules live in the services."""

import json
from typing import Any, Final

from django import forms

from catalog.types import Classification, Tier
from portal.kernel import strict_json
from portal.kernel.errors import BadRequestError

MAX_SAMPLE: Final = 512 * 1024


class SampleForm(forms.Form):
    """A pasted sample: one event, a list of events, or one event a line."""

    sample = forms.CharField(
        max_length=MAX_SAMPLE,
        widget=forms.Textarea(
            attrs={"class": "in mono", "rows": 16, "spellcheck": "false", "autocomplete": "off"}
        ),
    )

    def clean_sample(self) -> list[Any]:
        """The events inside; says the line that cannot be read."""
        text: str = self.cleaned_data["sample"].strip()
        try:
            found = strict_json.decode(text.encode())
        except BadRequestError:
            return self._lines(text)
        return found if isinstance(found, list) else [found]

    def _lines(self, text: str) -> list[Any]:
        events = []
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                events.append(strict_json.decode(line.encode()))
            except BadRequestError as error:
                raise forms.ValidationError(_where(text, number)) from error
        return events


def _where(text: str, number: int) -> str:
    """Where the text stops being JSON: the position json itself names, else the line."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"Not JSON at line {error.lineno}, column {error.colno}: {error.msg}."
    except RecursionError:
        return "Nested too deeply."
    return f"Line {number} cannot be read as JSON."


class RegisterForm(forms.Form):
    """What people say about the stream beside its inferred contract."""

    name = forms.CharField(
        max_length=120, widget=forms.TextInput(attrs={"class": "in mono", "autocomplete": "off"})
    )
    description = forms.CharField(
        max_length=4000,
        widget=forms.Textarea(attrs={"class": "in", "rows": 2}),
        help_text="One sentence: what happened when this event is sent, and what it never means.",
    )
    owner = forms.ChoiceField(widget=forms.Select(attrs={"class": "in"}))
    tier = forms.ChoiceField(choices=Tier.choices, widget=forms.Select(attrs={"class": "in"}))
    classification = forms.ChoiceField(
        choices=Classification.choices, widget=forms.Select(attrs={"class": "in"})
    )
    tags = forms.CharField(
        required=False, max_length=500, widget=forms.TextInput(attrs={"class": "in"})
    )
    document = forms.CharField(widget=forms.HiddenInput, max_length=2 * 1024 * 1024)

    def __init__(self, *args: Any, owners: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].choices = owners  # type: ignore[attr-defined]  # a ChoiceField

    def clean_document(self) -> dict[str, Any]:
        try:
            found = strict_json.decode_document(self.cleaned_data["document"].encode())
        except BadRequestError as error:
            raise forms.ValidationError("The contract cannot be read.") from error
        if not isinstance(found, dict):
            raise forms.ValidationError("The contract must be a JSON object.")
        return found

    def clean_tags(self) -> list[str]:
        return [tag for tag in self.cleaned_data["tags"].replace(",", " ").split() if tag]


class ChangeForm(forms.Form):
    """A proposed next version: what it is for, and the whole contract as JSON."""

    summary = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
        help_text="What changes, in one line: it is the title of the change.",
    )
    reason = forms.CharField(
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"class": "in", "rows": 3}),
        help_text="Why, and for whom.",
    )
    document = forms.CharField(
        max_length=2 * 1024 * 1024,
        widget=forms.Textarea(
            attrs={"class": "in mono", "rows": 24, "spellcheck": "false", "autocomplete": "off"}
        ),
    )
    opens_group = forms.BooleanField(required=False)

    def clean_document(self) -> dict[str, Any]:
        text: str = self.cleaned_data["document"]
        try:
            found = strict_json.decode_document(text.encode())
        except BadRequestError as error:
            raise forms.ValidationError(_where(text, 1)) from error
        if not isinstance(found, dict):
            raise forms.ValidationError("A contract is a JSON object.")
        return found
