"""One grant in words: to whom it was given, and on what, as it reaches one person or program."""

from datetime import datetime
from typing import Any, Final

from governance.types import Permission

_ONESELF: Final = "you"
_DOES: Final = {
    Permission.DISCOVER: "to know of it",
    Permission.READ_PAYLOAD: "to read",
    Permission.READ_PERSONAL: "to read with personal fields",
    Permission.PUBLISH: "to publish",
    Permission.EDIT: "to edit",
    Permission.APPROVE: "to approve",
    Permission.ADMINISTER: "to administer",
}


def reach_of(row: Any, asked: Permission, kind: str) -> str:
    """As in "to team Payments on the domain checkout to administer"; what it gives is said where it
    is another permission than the one asked about, and what it is on where that is no `kind`."""
    return f"to {_holder(row)}{_what_of(row, asked, kind)}"


def name_of(row: Any, asked: Permission, kind: str) -> str:
    """As in "The grant to team Payments on the domain checkout", or "Your grant"."""
    holder = _holder(row)
    named = "Your grant" if holder == _ONESELF else f"The grant to {holder}"
    return f"{named}{_what_of(row, asked, kind)}"


def _what_of(row: Any, asked: Permission, kind: str) -> str:
    level = type(row)._meta.get_field("content_object").related_model._meta.model_name
    given = Permission(str(row.permission.codename).removesuffix(f"_{level}"))
    on = "" if level == kind else f" on the {level} {row.content_object.ref.key}"
    does = "" if given is asked else f" {_DOES[given]}"
    count = len(row.fields)
    of = f" of {count} field{'' if count == 1 else 's'}" if count else ""
    return f"{on}{does}{of}"


def end_of(row: Any) -> str:
    """As in "ended on 2026-03-01", or "was ended on" where somebody ended it."""
    when: datetime = row.revoked_at or row.valid_until
    return f"{'was ended' if row.revoked_at else 'ended'} on {when:%Y-%m-%d}"


def _holder(row: Any) -> str:
    if hasattr(row, "user_id"):
        return _ONESELF
    if not hasattr(row, "group_id"):
        program = getattr(row, "consumer", None) or row.producer
        return str(program.ref)
    team = getattr(row.group, "team", None)
    return f"team {team.name}" if team is not None else f"the role {row.group.name}"
