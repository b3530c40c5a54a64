"""The shop's open change: version 8 of `checkout.order_placed` names the postal code properly."""

import copy
from typing import Any, Final

from catalog.models import Change, Stream
from catalog.selectors.streams import get_version
from catalog.services.changes import Proposal, comment_on_change, propose_change
from governance.models import User
from governance.selectors.people import actor_of

STREAM: Final = "checkout.order_placed"
AUTHOR: Final = "dev@shop.example"
READER: Final = "lin@shop.example"


def propose_story_change() -> Change:
    """Propose it and say something about it; again changes nothing."""
    stream = Stream.objects.get(name=STREAM)
    found = Change.objects.filter(stream=stream, asked_by__email=AUTHOR).first()
    if found is not None:
        return found
    current = get_version(stream, None)
    change = propose_change(
        stream,
        Proposal(
            version_eight(current.document),
            summary="Name the postal code properly and add gifts",
            reason="Carriers abroad have postal codes that are no zip codes; Growth wants gifts.",
        ),
        actor=actor_of(User.objects.get(email=AUTHOR)),
    )
    comment_on_change(
        change,
        "Can gift_message stay out of analytics? Masked is enough for us.",
        actor=actor_of(User.objects.get(email=READER)),
        path="gift_message",
    )
    return change


def version_eight(document: dict[str, Any]) -> dict[str, Any]:
    """The next contract: one field renamed, one value and two fields added."""
    changed = copy.deepcopy(document)
    properties: dict[str, Any] = changed["properties"]
    postal_code = properties.pop("shipping_zip")
    properties["shipping_postal_code"] = {
        **postal_code,
        "description": "The value shipping_zip had, with its label.",
        "minLength": 2,
        "maxLength": 12,
    }
    properties["currency"]["enum"] = [*properties["currency"]["enum"], "PLN"]
    properties["gift_message"] = {
        "type": "string",
        "maxLength": 280,
        "description": "Text the customer wrote. Free text can hold anything.",
    }
    changed["title"] = f"{STREAM} 8"
    return changed
