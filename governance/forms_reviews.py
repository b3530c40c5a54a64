"""The form of a review: for each point whether it holds, and a note."""

from typing import Any

from django import forms

from governance.services.reviews import MAX_NOTE, Answer
from governance.types import ReviewOutcome, ReviewPoint
from portal.kernel.errors import InvalidError


class ReviewForm(forms.Form):
    """Six pairs `<point>` and `<point>_note`; nothing is chosen beforehand."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for point in ReviewPoint:
            self.fields[point] = forms.ChoiceField(
                choices=ReviewOutcome.choices,
                widget=forms.RadioSelect,
                error_messages={"required": "Confirm it, or say what was changed."},
            )
            self.fields[f"{point}_note"] = forms.CharField(
                required=False,
                max_length=MAX_NOTE,
                widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
            )

    @property
    def answers(self) -> dict[ReviewPoint, Answer]:
        """What was said of each point; the form is valid."""
        said = self.cleaned_data
        return {
            point: Answer(ReviewOutcome(said[point]), said[f"{point}_note"])
            for point in ReviewPoint
        }

    def place(self, error: InvalidError) -> None:
        """Put each fault that the service named at its note."""
        for fault in error.errors:
            self.add_error(f"{fault.pointer.removeprefix('/points/')}_note", fault.detail)
