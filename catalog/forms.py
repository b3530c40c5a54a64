"""Forms of the catalog: they only parse; rules live in the services."""

from typing import Any

from django import forms

from catalog.drafting import MAX_STATE
from catalog.samples import MAX_BYTES, read_samples, where_it_breaks
from catalog.types import Classification, Tier
from portal.kernel import strict_json
from portal.kernel.errors import BadRequestError, InvalidError


class SampleForm(forms.Form):
    """Samples as text or as a file: an event, a list, one a line, or a JSON Schema."""

    sample = forms.CharField(
        required=False,
        max_length=MAX_BYTES,
        widget=forms.Textarea(
            attrs={"class": "in mono", "rows": 16, "spellcheck": "false", "autocomplete": "off"}
        ),
    )
    file = forms.FileField(
        required=False,
        widget=forms.FileInput(attrs={"class": "in", "accept": ".json,.jsonl,.ndjson,.txt"}),
    )

    def clean(self) -> dict[str, Any]:
        """Adds `samples`; says the line that cannot be read beside the field it stands in."""
        given: dict[str, Any] = super().clean() or {}
        upload = given.get("file")
        name = "file" if upload is not None else "sample"
        try:
            if upload is not None and upload.size > MAX_BYTES:
                raise InvalidError("It is larger than 5 MiB. Send fewer events.")
            raw = upload.read() if upload is not None else given.get("sample", "").encode()
            given["samples"] = read_samples(raw)
        except InvalidError as error:
            self.add_error(name, error.detail)
        return given


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
    tier = forms.ChoiceField(choices=Tier.choices, widget=forms.RadioSelect)
    classification = forms.ChoiceField(
        choices=Classification.choices, widget=forms.Select(attrs={"class": "in"})
    )
    tags = forms.CharField(
        required=False, max_length=500, widget=forms.TextInput(attrs={"class": "in"})
    )
    document = forms.CharField(widget=forms.HiddenInput, max_length=2 * 1024 * 1024)
    state = forms.CharField(widget=forms.HiddenInput, max_length=MAX_STATE)

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
            raise forms.ValidationError(where_it_breaks(text.encode(), 1, error)) from error
        if not isinstance(found, dict):
            raise forms.ValidationError("A contract is a JSON object.")
        return found


class EndingForm(forms.Form):
    """How a stream ends: its last day, how to move on, what to use instead."""

    sunset_on = forms.DateField(
        widget=forms.DateInput(attrs={"class": "in", "type": "date"}),
        help_text="From 00:00 UTC of this day on its events are refused.",
    )
    migration = forms.CharField(
        max_length=4000,
        widget=forms.Textarea(attrs={"class": "in", "rows": 4}),
        help_text="What its producers send and its readers read instead, and what differs.",
    )
    successor = forms.CharField(
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"class": "in mono", "autocomplete": "off"}),
        help_text="The name of the stream that takes its place.",
    )
