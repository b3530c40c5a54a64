"""What the pages that keep drafts share: which draft a form carries, and what a form holds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from catalog import drafting
from catalog.models import Draft, DraftKind
from catalog.schema_safety import check_schema
from catalog.selectors.drafts import get_draft
from portal.kernel import strict_json
from portal.kernel.actor import Actor
from portal.kernel.errors import BadRequestError, InvalidError, NotFoundError

_TEXTS: Final[Mapping[DraftKind, Mapping[str, int]]] = {
    DraftKind.REGISTRATION: {
        "name": 120, "description": 4_000, "owner": 60, "tier": 2, "classification": 10,
    },
    DraftKind.CHANGE: {"summary": 200, "reason": 4_000},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Saved:
    """The draft that a form carries, and the revision that the form was made from."""

    draft: Draft
    revision: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What a form holds, as a draft keeps it."""

    content: dict[str, Any]
    page: dict[str, Any]


def saved_in(actor: Actor, given: Mapping[str, str]) -> Saved | None:
    """The draft that a form names; none where it names none, or one that is gone."""
    name, revision = given.get("draft", ""), given.get("draft_revision", "")
    if not name:
        return None
    try:
        return Saved(get_draft(actor, UUID(name)), int(revision[:9]))
    except (ValueError, NotFoundError):
        return None


def kept_of(kind: DraftKind, given: Mapping[str, str]) -> Kept:
    """What a posted form holds. Raises InvalidError for one that is not ours."""
    content: dict[str, Any] = {
        name: given.get(name, "").replace("\0", "")[:longest]
        for name, longest in _TEXTS[kind].items()
    }
    if kind == DraftKind.CHANGE:
        return _kept_change(content, given)
    document = _read(given.get("document", ""))
    if document is None:
        raise InvalidError("The form is not complete. Begin again.")
    draft = drafting.edited(drafting.from_form(document, given.get("state", "")), given)
    tags = [tag for tag in given.get("tags", "")[:500].replace(",", " ").split() if tag]
    content |= {"tags": tags, "schema": draft.document}
    return Kept(content, {"state": draft.state()})


def _kept_change(content: dict[str, Any], given: Mapping[str, str]) -> Kept:
    content["opens_group"] = given.get("opens_group") == "on"
    text = given.get("document", "").replace("\0", "")
    document = _read(text)
    if document is None:
        return Kept(content, {"text": text})
    return Kept(content | {"schema": document}, {})


def _read(text: str) -> dict[str, Any] | None:
    try:
        found = strict_json.decode_document(text.encode("utf-8", "surrogatepass"))
    except BadRequestError:
        return None
    return found if isinstance(found, dict) else None


def texts_of(draft: Draft) -> dict[str, str]:
    """The plain members of a draft's content as a form shows them."""
    found = {
        name: value
        for name in _TEXTS[DraftKind(draft.kind)]
        if isinstance(value := draft.content.get(name), str)
    }
    tags = draft.content.get("tags")
    if isinstance(tags, list):
        found["tags"] = " ".join(tag for tag in tags if isinstance(tag, str))
    return found


def document_text(draft: Draft) -> str:
    """The contract of a draft of a change, as text to go on with."""
    text = draft.page.get("text")
    if isinstance(text, str):
        return text
    return json.dumps(draft.content.get("schema", {}), indent=2, ensure_ascii=False)


def contract_of(draft: Draft) -> drafting.Draft:
    """The contract of a draft of a registration. Raises InvalidError where it is no schema yet."""
    document = draft.content.get("schema", {})
    check_schema(document)
    state = draft.page.get("state")
    if isinstance(state, str):
        return drafting.from_form(document, state)
    return drafting.Draft(document, shape="schema")
