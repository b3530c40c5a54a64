"""The words of a difference: a sentence and a remedy for each kind of change, as data.

Codes are stable. `{where}` is the place, `{old}` and `{new}` what is said there, `{name}` the
property or alternative.
"""

from dataclasses import dataclass
from typing import Final

_GROUP: Final = "start a new compatibility group"
_KEEP: Final = f"Keep the earlier limit, or {_GROUP}."


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of one kind of change, and what to do about it, with names to fill in."""

    sentence: str
    remedy: str = _KEEP


def _bounds(noun: str, tight: str, loose: str) -> dict[str, Words]:
    return {
        "added": Words(f"{{where}} now has {noun} of {{new}}; before there was none."),
        "removed": Words(f"{{where}} no longer has {noun}; it was {{old}}."),
        tight: Words(f"{noun.capitalize()} of {{where}} went from {{old}} to {{new}}: less fits."),
        loose: Words(f"{noun.capitalize()} of {{where}} went from {{old}} to {{new}}: more fits."),
        "changed": Words(f"{noun.capitalize()} of {{where}} went from {{old}} to {{new}}."),
    }


def _table(**nouns: tuple[str, str, str]) -> dict[str, Words]:
    return {
        f"{rule}_{move}": words
        for rule, (noun, tight, loose) in nouns.items()
        for move, words in _bounds(noun, tight, loose).items()
    }


CHANGES: Final[dict[str, Words]] = {
    **_table(
        minimum=("a least value", "raised", "lowered"),
        maximum=("a greatest value", "lowered", "raised"),
        multiple_of=("a step", "tightened", "loosened"),
        min_length=("a least length", "raised", "lowered"),
        max_length=("a greatest length", "lowered", "raised"),
        pattern=("a pattern", "tightened", "loosened"),
        format=("a format", "tightened", "loosened"),
        min_items=("a least number of items", "raised", "lowered"),
        max_items=("a greatest number of items", "lowered", "raised"),
        unique_items=("a rule of unique items", "tightened", "loosened"),
        min_properties=("a least number of properties", "raised", "lowered"),
        max_properties=("a greatest number of properties", "lowered", "raised"),
    ),
    "format_noted": Words(
        "{where} names the format {new} instead of {old}; formats of that name are not checked."
    ),
    "type_narrowed": Words(
        "{where} was {old} and is now only {new}.", f"Keep the earlier types, or {_GROUP}."
    ),
    "type_widened": Words(
        "{where} was {old} and may now be {new}.",
        f"Old readers do not know the new type: keep the old one, or {_GROUP}.",
    ),
    "type_changed": Words(
        "{where} was {old} and is now {new}.", f"Add a new property instead, or {_GROUP}."
    ),
    "enum_added": Words(
        "{where} may now only be one of {new}; before any value of its type was fine.",
        f"Leave the list out, or {_GROUP}.",
    ),
    "enum_removed": Words("{where} is no longer limited to {old}.", f"Keep the list, or {_GROUP}."),
    "enum_extended": Words(
        "{where} may now also be {new}.",
        f"Old readers do not know the new values: keep the list, or {_GROUP}.",
    ),
    "enum_narrowed": Words("{where} may no longer be {old}.", f"Keep the values, or {_GROUP}."),
    "enum_changed": Words(
        "{where} may now be {new}, and no longer {old}.", f"Keep the values, or {_GROUP}."
    ),
    "property_added": Words(
        "{name} is new and optional.",
        "Close the content model, use the reader/writer policy, or " + _GROUP + ".",
    ),
    "required_property_added": Words(
        "{name} is new and required.",
        "Make it optional or give it a default; a model that is "
        "open needs to be closed, or the reader/writer policy.",
    ),
    "property_removed": Words(
        "{name} is no longer described.",
        "Keep it and mark it deprecated, open the content model, or use the reader/writer policy.",
    ),
    "required_added": Words(
        "{name} was optional and is now required.", "Leave it optional, or give it a default."
    ),
    "required_removed": Words(
        "{name} was required and is now optional.",
        "Keep it required, or give it a default in the earlier version's readers.",
    ),
    "content_model_closed": Words(
        "{where} no longer takes properties that it does not describe.",
        "Leave the content model open, or use the reader/writer policy.",
    ),
    "content_model_opened": Words(
        "{where} now takes properties that it does not describe.",
        "Close the content model, or use the reader/writer policy.",
    ),
    "content_model_narrowed": Words(
        "{where} limits the properties that it does not describe.",
        "Leave the content model open, or use the reader/writer policy.",
    ),
    "content_model_widened": Words(
        "{where} limits the properties that it does not describe less than before.",
        "Keep the content model, or use the reader/writer policy.",
    ),
    "content_model_changed": Words(
        "What {where} takes beyond the properties it describes has changed.",
        f"Keep the content model, or {_GROUP}.",
    ),
    "pattern_property_added": Words(
        "{where} now describes properties whose names match {name}.",
        "Close the content model first, or use the reader/writer policy.",
    ),
    "pattern_property_removed": Words(
        "{where} no longer describes properties whose names match {name}.",
        "Keep the pattern, or open the content model.",
    ),
    "property_names_added": Words("{where} now limits the names of its properties."),
    "property_names_removed": Words("{where} no longer limits the names of its properties."),
    "property_names_changed": Words("{where} limits the names of its properties otherwise."),
    "dependency_added": Words("In {where}, {name} now needs more beside it."),
    "dependency_removed": Words("In {where}, {name} no longer needs anything beside it."),
    "dependency_changed": Words("In {where}, what {name} needs beside it has changed."),
    "unevaluated_added": Words("{where} now limits what no other rule of it describes."),
    "unevaluated_removed": Words("{where} no longer limits what no other rule of it describes."),
    "unevaluated_changed": Words("{where} limits what no other rule of it describes otherwise."),
    "item_added": Words(
        "{name} is new in the fixed places of the list.", "Close the list before adding places."
    ),
    "item_removed": Words(
        "{name} is no longer described in the fixed places of the list.", "Keep the place."
    ),
    "items_added": Words("{where} now limits its items.", f"Leave them free, or {_GROUP}."),
    "items_removed": Words("{where} no longer limits its items.", f"Keep the rule, or {_GROUP}."),
    "items_closed": Words(
        "{where} no longer takes items beyond its fixed places.", "Leave the list open."
    ),
    "items_opened": Words("{where} now takes items beyond its fixed places.", "Keep it closed."),
    "contains_added": Words("{where} now has to hold certain items, or only so many of them."),
    "contains_removed": Words("{where} no longer has to hold certain items."),
    "contains_changed": Words("Which items {where} has to hold, or how many, has changed."),
    "alternative_added": Words(
        "{where} has one alternative more.",
        f"Alternatives of `oneOf` must not overlap; old readers do not know new ones: {_GROUP}.",
    ),
    "alternative_removed": Words(
        "{where} has one alternative less.", f"Keep the alternative, or {_GROUP}."
    ),
    "alternatives_introduced": Words(
        "{where} is now one of several alternatives.",
        f"Let one alternative be what was there before, or {_GROUP}.",
    ),
    "alternatives_dropped": Words(
        "{where} is no longer one of several alternatives.", f"Keep the alternatives, or {_GROUP}."
    ),
    "not_added": Words("{where} now excludes values.", f"Leave the exclusion out, or {_GROUP}."),
    "not_removed": Words("{where} no longer excludes values.", f"Keep it, or {_GROUP}."),
    "not_changed": Words("What {where} excludes has changed.", f"Keep it, or {_GROUP}."),
    "condition_added": Words("{where} now has a condition.", f"Leave it out, or {_GROUP}."),
    "condition_removed": Words("{where} no longer has a condition.", f"Keep it, or {_GROUP}."),
    "condition_changed": Words("The condition of {where} has changed.", f"Keep it, or {_GROUP}."),
    "schema_narrowed": Words(
        "{where} takes less than before, by rules that work together.",
        f"Keep the earlier rules, or {_GROUP}.",
    ),
    "schema_widened": Words(
        "{where} takes more than before, by rules that work together.",
        f"Keep the earlier rules, or {_GROUP}.",
    ),
    "schema_changed": Words(
        "{where} takes other values than before.", f"Keep the earlier rules, or {_GROUP}."
    ),
    "classification_raised": Words(
        "{where} is now {new} instead of {old}: readers keep working, privacy has to approve."
    ),
    "classification_lowered": Words("{where} is now {new} instead of {old}."),
    "undecided": Words(
        "The schemas are too large or too entangled to compare within the limits.",
        f"Make them smaller or flatter, or {_GROUP}.",
    ),
}
