"""The form of the import page: a file or a pasted text; it only parses."""

from typing import Any, Final

from django import forms

from catalog import naming
from catalog.exchange.uploads import FORMATS, Text
from portal.kernel.errors import InvalidError

MAX_BYTES: Final = 2 * 1024 * 1024
_TOO_LARGE: Final = (
    "It is larger than 2 MiB. Send it to POST /api/v1/import, or use `manage.py import`."
)
_WORDS: Final = {
    "asyncapi": "AsyncAPI 3",
    "odcs": "Open Data Contract (ODCS 3)",
    "segment": "Segment tracking plan",
    "portal": "Portal YAML",
    "json-schema": "JSON Schema",
    "jsonl": "JSON lines of streams",
}


class ImportForm(forms.Form):
    """What to take in. `name` is the file's, kept from the plan to the import."""

    file = forms.FileField(
        required=False,
        widget=forms.FileInput(
            attrs={"class": "in", "accept": ".json,.jsonl,.ndjson,.yaml,.yml,.txt"}
        ),
    )
    text = forms.CharField(
        required=False,
        strip=False,
        max_length=MAX_BYTES,
        widget=forms.Textarea(
            attrs={"class": "in mono", "rows": 14, "spellcheck": "false", "autocomplete": "off"}
        ),
    )
    name = forms.CharField(required=False, max_length=255, widget=forms.HiddenInput)
    format = forms.ChoiceField(
        required=False,
        choices=[("", "What it looks like"), *((one, _WORDS[one]) for one in FORMATS)],
        widget=forms.Select(attrs={"class": "in"}),
    )
    domain = forms.CharField(
        required=False,
        max_length=60,
        widget=forms.TextInput(attrs={"class": "in mono", "autocomplete": "off"}),
    )

    def clean_domain(self) -> str:
        domain: str = self.cleaned_data["domain"].strip() or "imported"
        try:
            naming.check_stream_name(f"{domain}.event")
        except InvalidError as error:
            raise forms.ValidationError(
                "A domain is lower case letters, digits and _ between them, such as checkout."
            ) from error
        return domain

    def clean(self) -> dict[str, Any]:
        """Adds `given`, the text with its name."""
        given: dict[str, Any] = super().clean() or {}
        upload = given.get("file")
        if upload is not None and upload.size > MAX_BYTES:
            self.add_error("file", _TOO_LARGE)
        elif upload is not None:
            given["given"] = Text(upload.read(), str(upload.name)[:255])
        elif given.get("text", "").strip():
            given["given"] = Text(given["text"].encode(), given.get("name", ""))
        elif "text" not in self.errors:
            self.add_error("text", "Choose a file, or paste its text.")
        return given
