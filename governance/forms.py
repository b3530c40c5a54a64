"""Forms of governance: they only parse; rules live in the services."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django import forms
from django.http import QueryDict

from governance.rotation import GRACES, Rotation
from governance.selectors.requests import GrantRow
from governance.services.grants import MAX_TERM
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.errors import FieldError, InvalidError

DEFAULT_TERM: Final = timedelta(days=30)


class AskForm(forms.Form):
    """What for, until when, and whether personal fields are needed; for whom, where somebody's teams
    have programs (`for`, empty for themselves).

    Which fields are asked for is no field of the form; `faults_of_fields` says what is wrong with them.
    """

    faults_of_fields: Sequence[str] = ()

    purpose = forms.CharField(
        max_length=1000,
        min_length=10,
        widget=forms.Textarea(attrs={"class": "in", "rows": 3}),
        help_text="One or two sentences. The owner reads them, and they stay in the log.",
    )
    until = forms.DateField(
        widget=forms.DateInput(attrs={"class": "in", "type": "date"}),
        help_text=f"At most {MAX_TERM.days} days from today, unless a policy says otherwise. "
        "Access ends by itself.",
    )
    personal = forms.BooleanField(required=False)

    def __init__(
        self,
        said: QueryDict | None,
        *,
        renewed: GrantRow | None = None,
        programs: Sequence[str] = (),
        chosen: str = "",
    ) -> None:
        purpose = renewed.purpose if renewed is not None else ""
        until = (clock.now() + DEFAULT_TERM).date()
        super().__init__(said, initial={"until": until, "purpose": purpose, "for": chosen})
        if programs:
            self.fields["for"] = forms.ChoiceField(
                required=False,
                choices=[("", "me"), *((one, one.replace(":", " ", 1)) for one in programs)],
                widget=forms.Select(attrs={"class": "in"}),
                help_text="A consumer reads with its keys. A producer publishes, and sees nothing.",
            )

    @property
    def whom(self) -> str:
        """The program that it is asked for, as `consumer:warehouse`; empty for oneself."""
        said = self.cleaned_data if self.is_bound else self.initial
        return str(said.get("for", ""))

    @property
    def until_at(self) -> datetime:
        """The end of the chosen day in UTC."""
        return _end_of(self.cleaned_data["until"])

    @property
    def wants_personal(self) -> bool:
        """Whether all personal fields are wanted as they are, where no fields are shown to choose."""
        return bool(self.is_bound and self.cleaned_data.get("personal"))

    @property
    def purpose_now(self) -> str:
        """What for, as it stands in the form: sent, or filled in."""
        return str(self.cleaned_data["purpose"] if self.is_bound else self.initial["purpose"])

    @property
    def until_now(self) -> datetime:
        """The end of the day that stands in the form: sent, or filled in."""
        return self.until_at if self.is_bound else _end_of(self.initial["until"])


class GrantForm(forms.Form):
    """A grant without a request: to whom, what, what for, until when. Which fields it is about is no
    field of the form, as in `AskForm`; personal ones are in clear where the permission says so."""

    holder = forms.CharField(
        max_length=254,
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off", "spellcheck": "false"}),
        help_text="A person's address, a team's short name, consumer:NAME or producer:NAME.",
    )
    permission = forms.ChoiceField(
        choices=[
            (Permission.READ_PAYLOAD, "read, personal fields masked"),
            (Permission.READ_PERSONAL, "read, personal fields in clear"),
            (Permission.DISCOVER, "know of it"),
            (Permission.PUBLISH, "publish"),
            (Permission.EDIT, "edit"),
            (Permission.APPROVE, "approve"),
            (Permission.ADMINISTER, "administer"),
        ],
        widget=forms.Select(attrs={"class": "in"}),
    )
    purpose = forms.CharField(
        max_length=1000, min_length=10, widget=forms.Textarea(attrs={"class": "in", "rows": 2})
    )
    until = forms.DateField(
        widget=forms.DateInput(attrs={"class": "in", "type": "date"}),
        help_text=f"At most {MAX_TERM.days} days from today. It ends by itself.",
    )

    def __init__(self, said: QueryDict | None) -> None:
        super().__init__(said, initial={"until": (clock.now() + DEFAULT_TERM).date()})

    @property
    def until_at(self) -> datetime:
        """The end of the chosen day in UTC."""
        return _end_of(self.cleaned_data["until"])


class DeputyForm(forms.Form):
    """Who decides while somebody is away, from when until when."""

    deputy = forms.EmailField(
        max_length=254, widget=forms.EmailInput(attrs={"class": "in", "autocomplete": "off"})
    )
    since = forms.DateField(
        required=False, widget=forms.DateInput(attrs={"class": "in", "type": "date"})
    )
    until = forms.DateField(widget=forms.DateInput(attrs={"class": "in", "type": "date"}))
    note = forms.CharField(
        required=False, max_length=200, widget=forms.TextInput(attrs={"class": "in"})
    )

    @property
    def since_at(self) -> datetime:
        """The beginning of the chosen day in UTC, at once for today or none."""
        day = self.cleaned_data["since"]
        now = clock.now()
        return max(now, datetime.combine(day, time(0), tzinfo=UTC)) if day else now

    @property
    def until_at(self) -> datetime:
        """The end of the chosen day in UTC."""
        return _end_of(self.cleaned_data["until"])


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)


def end_of_day(said: str) -> datetime | None:
    """The end of a day in UTC as a field of a page gives it; None for none.

    Raises InvalidError for what is no day.
    """
    if not said:
        return None
    try:
        return _end_of(date.fromisoformat(said))
    except ValueError:
        fault = FieldError("/until", "format", "give a day as 2026-11-30")
        raise InvalidError("The end is no day.", errors=[fault]) from None


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


class RotateForm(forms.Form):
    """Which key is rotated, and how many seconds the old one lives on."""

    key = forms.CharField(max_length=8)
    grace = forms.ChoiceField(choices=GRACES)

    @property
    def rotation(self) -> Rotation:
        return Rotation(timedelta(seconds=int(self.cleaned_data["grace"])))
