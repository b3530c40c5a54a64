"""Forms of policies: they only parse; rules live in the services."""

from datetime import UTC, datetime, time
from typing import Any, Final

from django import forms

from governance.policies import facts
from governance.services.policies import MAX_REASON
from governance.types import Severity
from portal.kernel.cel import MAX_CHARACTERS
from portal.kernel.errors import PortalError
from portal.kernel.slugs import LONGEST

_WIDE: Final = {"class": "in"}
_CODE: Final = {"class": "in mono", "rows": 5, "spellcheck": "false"}
_SEVERITIES: Final = [
    (Severity.INFORM, "inform: it is told"),
    (Severity.WARN, "warn: it is told as a warning"),
    (Severity.BLOCK, "block: it stops the change"),
]


class EditForm(forms.Form):
    """What of a policy can be changed."""

    title = forms.CharField(max_length=120, widget=forms.TextInput(attrs=_WIDE))
    sentence = forms.CharField(max_length=1_000, widget=forms.Textarea(attrs={**_WIDE, "rows": 2}))
    expression = forms.CharField(
        max_length=MAX_CHARACTERS, strip=True, widget=forms.Textarea(attrs=_CODE)
    )
    remedy = forms.CharField(required=False, max_length=1_000, widget=forms.TextInput(attrs=_WIDE))
    severity = forms.ChoiceField(
        choices=_SEVERITIES, initial=Severity.WARN, widget=forms.Select(attrs=_WIDE)
    )
    note = forms.CharField(
        required=False, max_length=MAX_REASON, widget=forms.TextInput(attrs=_WIDE)
    )
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput())


class NewForm(EditForm):
    """A new policy: also its name and what it judges."""

    revision = None  # type: ignore[assignment]  # Django's way of leaving a field out
    slug = forms.CharField(max_length=LONGEST, widget=forms.TextInput(attrs={"class": "in mono"}))
    subject = forms.ChoiceField(widget=forms.Select(attrs=_WIDE))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        subject = self.fields["subject"]
        assert isinstance(subject, forms.ChoiceField)
        subject.choices = [(one.kind, one.many) for one in facts.subjects()]


class TermForm(forms.Form):
    """A reason, and the last day in UTC."""

    prefix = "off"
    reason = forms.CharField(
        max_length=MAX_REASON, widget=forms.Textarea(attrs={**_WIDE, "rows": 2})
    )
    until = forms.DateField(widget=forms.DateInput(attrs={**_WIDE, "type": "date"}))

    @property
    def until_at(self) -> datetime:
        """The end of the chosen day in UTC."""
        return datetime.combine(self.cleaned_data["until"], time(23, 59, 59), tzinfo=UTC)


class WaiverForm(TermForm):
    """The same for one thing, by its key."""

    prefix = "waiver"
    key = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"class": "in mono"}))


def place_faults(form: forms.Form, error: PortalError) -> None:
    """Put a refusal at its fields; the rest above the form."""
    placed = False
    for fault in error.errors:
        name = fault.pointer.strip("/").partition("/")[0]
        if name in form.fields:
            form.add_error(name, fault.detail)
            placed = True
    if not placed:
        form.add_error(None, error.detail)
