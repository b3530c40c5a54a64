"""Policies over a contract file alone: what the file says is judged, what needs the catalog is not.

A stream that is not in the catalog yet would begin with the defaults of registering, which are facts
too. Who owns it, who approves and who reads it only the catalog knows.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from catalog import naming
from catalog.classified import SENSITIVITY
from catalog.exchange.documents import OutsideStream, description_of
from catalog.exchange.portal_keys import FACTS, portal_facts
from catalog.field_index import fields_of
from catalog.models import Stream
from catalog.policy_facts import as_with, field_facts, own_facts
from catalog.types import Lifecycle
from governance.policies import facts
from governance.policies.judging import Rule, Said, judge

_STATED = (
    "title", "tier", "track", "classification", "compatibility_mode", "compatibility_policy",
    "retention_days",
)  # fmt: skip


def facts_of_new(outside: OutsideStream, *, name: str) -> dict[str, Any]:
    """The facts of a stream that the newest version of a file would register."""
    document = outside.versions[-1].document
    stated = {key: value for key in _STATED if (value := getattr(outside, key)) not in ("", None)}
    if stated.get("classification") not in (None, *SENSITIVITY):
        del stated["classification"]  # a word that is not known here is refused elsewhere
    own = {key: value for key, value in portal_facts(outside.extensions).items() if key in FACTS}
    stream = Stream(name=name, lifecycle=Lifecycle.ACTIVE, **stated, **own)
    found = {
        **own_facts(stream),
        "domain": naming.domain_of(name),
        "description": outside.description or description_of(document),
        "tags": list(outside.tags),
        "age_days": 0,
    }
    if outside.owner:
        found["owner"] = outside.owner
    return {"stream": as_with(found, document), "contract": contract_facts(document)}


def contract_facts(document: Any) -> dict[str, Any]:
    """The facts of a contract that has no number yet."""
    return {"version": 0, "fields": field_facts(fields_of(document))}


def said_of_facts(rules: Iterable[Rule], found: Mapping[str, Any]) -> list[Said]:
    """What rules say of facts that are at hand; of kinds that are not known here nothing."""
    known = facts.kinds()
    return [
        judge(rule, facts.subject_of(rule.subject), found)
        for rule in rules
        if rule.subject in known
    ]
