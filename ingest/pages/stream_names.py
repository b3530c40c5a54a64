"""A stream in a form: typed, with the first names offered. A list of ten thousand would be no help."""

from collections.abc import Sequence
from typing import Final

from django import forms

OFFERED: Final = 100


class StreamName(forms.CharField):
    """The name of a stream. `offer` says which are offered, and under which id the list stands.

    Which streams are let through is for the service to say, so that a name beyond those offered can
    be typed as well.
    """

    def __init__(self, *, required: bool = True, label: str = "Stream") -> None:
        super().__init__(
            required=required,
            label=label,
            max_length=255,
            widget=forms.TextInput(
                attrs={"class": "in", "autocomplete": "off", "spellcheck": "false"}
            ),
        )
        self.names: Sequence[str] = ()
        self.list_id = ""

    def offer(self, names: Sequence[str], *, list_id: str) -> None:
        self.names, self.list_id = names[:OFFERED], list_id
        self.widget.attrs["list"] = list_id
