"""Forms of governance: they only parse; rules live in the services."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from django import forms

from governance.services.requests import MAX_TERM
from portal.kernel import clock

DEFAULT_TERM: Final = timedelta(days=30)


class AskForm(forms.Form):
    """What for, until when, and whether personal fields are needed."""

    purpose = forms.CharField(
        max_length=1000,
        min_length=10,
        widget=forms.Textarea(attrs={"class": "in", "rows": 3}),
        help_text="One or two sentences. The owner reads them, and they stay in the log.",
    )
    until = forms.DateField(
        widget=forms.DateInput(attrs={"class": "in", "type": "date"}),
        help_text=f"At most {MAX_TERM.days} days from today. Access ends by itself.",
    )
    personal = forms.BooleanField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"until": (clock.now() + DEFAULT_TERM).date()})
        super().__init__(*args, **kwargs)

    @property
    def until_at(self) -> datetime:
        """The end of the chosen day in UTC."""
        day = self.cleaned_data["until"]
        return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)


class BreakGlassForm(forms.Form):
    """Which stream, and why it cannot wait for its owner."""

    stream = forms.CharField(
        max_length=120,
        widget=forms.TextInput(
            attrs={"class": "in mono", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    reason = forms.CharField(
        max_length=1000,
        min_length=10,
        widget=forms.Textarea(attrs={"class": "in", "rows": 3}),
        help_text="What happens now, and why it cannot wait. Its owners and all admins read it at once.",
    )


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=120, widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"})
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in ("read", "write", "approve", "admin", "metrics")],
        widget=forms.CheckboxSelectMultiple,
        initial=["read"],
    )
