"""Forms about people: making one, and putting one into a team."""

from collections.abc import Iterable
from typing import Final

from django import forms

from governance.models import Team
from governance.services.invitations import LONGEST_NAME, NewPerson
from governance.types import Role
from portal.http.templatetags.portal_ui import role

_ADDRESS: Final = {"class": "in", "autocomplete": "off", "spellcheck": "false"}


class PersonForm(forms.Form):
    """Whom an admin makes; `teams` are those to choose from."""

    email = forms.EmailField(max_length=254, widget=forms.EmailInput(attrs=_ADDRESS))
    name = forms.CharField(
        max_length=LONGEST_NAME,
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
    )
    roles = forms.MultipleChoiceField(
        required=False,
        choices=[(one.value, role(one.value)) for one in Role],
        widget=forms.CheckboxSelectMultiple,
    )
    teams = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, said: object, *, teams: Iterable[Team]) -> None:
        super().__init__(said)  # type: ignore[arg-type]  # what a request's POST is, or None
        choices: forms.MultipleChoiceField = self.fields["teams"]  # type: ignore[assignment]
        choices.choices = [(team.slug, team.name) for team in teams]

    @property
    def person(self) -> NewPerson:
        said = self.cleaned_data
        return NewPerson(said["email"], said["name"], said["roles"], said["teams"])


class MemberForm(forms.Form):
    """Who is put into a team, by address, and whether they lead it."""

    email = forms.EmailField(max_length=254, widget=forms.EmailInput(attrs=_ADDRESS))
    is_lead = forms.BooleanField(required=False)
