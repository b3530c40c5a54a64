"""Why a sign-in at the company's provider came to nothing: a word for the log, a sentence for people."""

from typing import Final

SAID: Final = {
    "cancelled": "You did not go through with it there.",
    "refused": "It refused the sign-in.",
    "state": "It took too long, or was begun in another window. Try again.",
    "unreachable": "It does not answer just now.",
    "answer": "Its answer cannot be read. Tell whoever runs this portal.",
    "token": "Its answer is not to be trusted. Tell whoever runs this portal.",
    "email": "It names no confirmed e-mail address of yours.",
    "taken": "Another company account signs in to this address already. Tell an admin.",
    "no_account": "You have no account here, and none is made for you. Ask whoever runs this portal.",
    "closed": "Your account here is closed.",
    "groups": "It does not say which groups you are in. Tell whoever runs this portal.",
}


class OidcError(Exception):
    """`reason` is a word of `SAID`, `fault` what was wrong in it, without any value of the answer."""

    def __init__(self, reason: str, fault: str = "") -> None:
        super().__init__(f"{reason}: {fault}" if fault else reason)
        self.reason = reason
        self.fault = fault

    @property
    def said(self) -> str:
        return SAID[self.reason]
