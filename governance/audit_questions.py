"""The questions that the audit page takes, as they may be kept under a name."""

from collections.abc import Mapping
from typing import Any, Final

from django.http import QueryDict

from governance.selectors import audit_log, audit_verbs
from governance.view_kinds import ViewKind
from portal.http import parameters
from portal.kernel.actor import Actor
from portal.kernel.errors import BadRequestError

KIND: Final = "audit"
_verb_of_today: Final = parameters.choice(audit_verbs.VERBS)


def _verb(raw: str) -> Any:
    return _verb_of_today(audit_verbs.RENAMED.get(raw, raw))


SENTENCE: Final[dict[str, parameters.Reader]] = {
    "verb": _verb,
    "object": parameters.text(200),
    "actor": parameters.text(254),
    "period": parameters.choice(audit_log.PERIODS),
}


def read_question(asked: Mapping[str, Any]) -> dict[str, str]:
    """The parts of the sentence that are set. Raises ValueError with a sentence."""
    query = QueryDict(mutable=True)
    for name, value in asked.items():
        if not isinstance(value, str):
            raise ValueError(f"{name}: must be a text")
        query[name] = value
    try:
        found: dict[str, str] = parameters.read(query, SENTENCE)
    except BadRequestError as error:
        raise ValueError("; ".join(fault.detail for fault in error.errors)) from error
    return found


def _may_ask(actor: Actor) -> bool:
    return actor.is_admin


AUDIT: Final = ViewKind("/audit/", read_question, _may_ask)
