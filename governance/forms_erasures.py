"""The form that asks for an erasure: it only parses; rules live in the service."""

from django import forms

from governance.models import ErasureBasis
from governance.services.erasures import LONGEST, MAX_REASON, MOST
from portal.kernel.errors import PortalError


class ErasureForm(forms.Form):
    """By what the person is known, on which ground, and why."""

    identifiers = forms.CharField(
        max_length=MOST * (LONGEST + 2),
        strip=False,
        widget=forms.Textarea(
            attrs={"class": "in mono", "rows": 4, "autocomplete": "off", "spellcheck": "false"}
        ),
        help_text="One a line: subject, e-mail address, phone number, customer number, token. Kept "
        "sealed until it is done, and shown to nobody.",
        error_messages={"required": "Name the person by one at least."},
    )
    basis = forms.ChoiceField(
        choices=[("", "Choose a ground"), *ErasureBasis.choices],
        widget=forms.Select(attrs={"class": "in"}),
        help_text="Article 17 (1) GDPR, a to f.",
    )
    reason = forms.CharField(
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"class": "in", "rows": 3}),
        help_text="For who decides. It is kept, so do not name the person.",
    )

    def lines(self) -> list[str]:
        """What was typed, without empty lines."""
        return [line for line in self.cleaned_data["identifiers"].splitlines() if line.strip()]

    def show(self, error: PortalError) -> None:
        """Put a refusal at its field; an identifier is told by its place among those typed."""
        for fault in error.errors:
            name, _, place = fault.pointer.strip("/").partition("/")
            said = f"{fault.detail[:1].upper()}{fault.detail[1:]}."
            self.add_error(name, f"Number {int(place) + 1}: {fault.detail}." if place else said)
        if not error.errors:
            self.add_error(None, error.detail)
