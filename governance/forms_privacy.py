"""Forms of the privacy office: they only parse; rules live in the services."""

from typing import Any, Final

from django import forms

from governance.selectors import persons

_QUIET: Final = {"class": "in mono", "autocomplete": "off", "spellcheck": "false"}


def _reason(says: str) -> forms.CharField:
    return forms.CharField(
        max_length=500,
        min_length=10,
        widget=forms.Textarea(attrs={"class": "in", "rows": 2}),
        help_text=says,
    )


class LinesField(forms.CharField):
    """Texts, one a line; empty lines are none."""

    def __init__(self, rows: int) -> None:
        super().__init__(
            max_length=(persons.LONGEST + 2) * persons.MOST,
            widget=forms.Textarea(attrs={**_QUIET, "rows": rows}),
        )

    def clean(self, value: Any) -> list[str]:
        text: str = super().clean(value)
        return [line.strip() for line in text.splitlines() if line.strip()]


class DestroyForm(forms.Form):
    """Whose keys are destroyed, and why."""

    subject = forms.CharField(max_length=256, strip=False, widget=forms.TextInput(attrs=_QUIET))
    reason = _reason("It stays in the audit log, so do not name the person.")


class TokensForm(forms.Form):
    """Which tokens are looked up, and what for."""

    tokens = LinesField(4)
    reason = _reason("It stays in the audit log beside the tokens.")


class ValueForm(forms.Form):
    """Which value's tokens are looked up, in which purpose, and what for."""

    values = forms.CharField(max_length=persons.LONGEST, widget=forms.TextInput(attrs=_QUIET))
    purpose = forms.ChoiceField(required=False, widget=forms.Select(attrs={"class": "in"}))
    reason = _reason("It stays in the audit log, so do not name the person.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["purpose"]
        field.choices = [("", "All purposes"), *((one, one) for one in persons.purposes())]


class ExportForm(forms.Form):
    """By what the person is known, and why the export is made."""

    identifiers = LinesField(5)
    reason = _reason("It stays in the audit log and is told to the other admins. Do not name them.")
