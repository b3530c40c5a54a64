"""The judgements behind the house rules: each looks at one field, or at the whole document.

Each gives None where there is nothing to say; what they judge, and how a fix is written into it,
stands in `style_subject`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from catalog import naming
from catalog.field_index import FieldRow
from catalog.field_lives import days_of
from catalog.fixes import Fix, Operation
from catalog.personal import BY_NAME, IN_TEXT, Kind, kind_of_format, kind_of_name
from catalog.references import at
from catalog.style_subject import (
    Said,
    Subject,
    annotate,
    parent_of,
    place_of,
    rename,
    writable,
)
from catalog.style_words import (
    ABBREVIATIONS,
    ASK_FOR_UNITS,
    BOOLEAN_PREFIXES,
    CATCH_ALL,
    MONEY,
    PAST,
    PRESENT,
    RESERVED,
    STATES,
    UNITS,
)
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema

MAX_EXAMPLES_JUDGED: Final = 400
WIDE: Final = 100
DEEP: Final = 2
LARGE_ENUM: Final = 30
_SCALARS: Final = frozenset({"string", "integer", "number"})


# --- Names -------------------------------------------------------------------------------------


def _snake(name: str) -> str:
    made = naming.from_outside(f"x.{name}") if any(char.isalnum() for char in name) else ""
    return made.partition(".")[2].replace(".", "_")


def _is_snake(name: str) -> bool:
    return bool(naming.FIELD_NAME.fullmatch(name))


def snake_case(row: FieldRow, subject: Subject) -> Said | None:
    """A name that is not in snake_case."""
    if _is_snake(row.name):
        return None
    try:
        better = _snake(row.name)
    except InvalidError:
        better = ""
    return Said("Name fields in snake_case.", rename(row, subject, better))


def _words(row: FieldRow) -> list[str]:
    return [word for word in row.name.split("_") if word] if _is_snake(row.name) else []


def abbreviation(row: FieldRow, subject: Subject) -> Said | None:
    """A name with a word that the house writes out."""
    words = _words(row)
    short = [word for word in words if word in ABBREVIATIONS]
    if not short:
        return None
    better = "_".join(ABBREVIATIONS.get(word, word) for word in words)
    return Said(
        f"Write {' and '.join(short)} out: {better} is read without asking.",
        rename(row, subject, better),
    )


def reserved(row: FieldRow, subject: Subject) -> Said | None:
    """A field at the top that is called like an attribute of the envelope."""
    if row.depth or row.name not in RESERVED:
        return None
    thing = subject.name.rpartition(".")[2].split("_")[0]
    if thing and row.name in ("id", "type", "source"):
        fixes = rename(row, subject, f"{thing}_{row.name}")
    else:
        fixes = rename(row, subject, "occurred_at") if row.name == "time" else ()
    return Said(f"The envelope has its own {row.name}: say whose this one is.", fixes)


def event_name(subject: Subject) -> Said | None:
    """`object_action`, the action in the past tense."""
    last = subject.name.rpartition(".")[2]
    if not last or "." not in subject.name:
        return None
    if not naming.STREAM_NAME.fullmatch(subject.name):
        try:
            better = naming.from_outside(subject.name)
        except InvalidError:
            better = ""
        fixes = (Fix(f"Use {better}", name=better),) if better else ()
        return Said("Name streams domain.object_action, in lower case with underscores.", fixes)
    words = last.split("_")
    if any(word in PAST or word in STATES or word.endswith("ed") for word in words[-2:]):
        return (
            Said(f"Say what it happened to first: object_action, such as order_{last}.", ())
            if len(words) == 1 and words[0] not in STATES
            else None
        )
    why = "Name what happened, in the past tense: object_action, such as order_placed."
    for place in (-1, 0):
        if words[place] in PRESENT:
            rest = words[:-1] if place == -1 else words[1:]
            better = f"{subject.name.rpartition('.')[0]}.{'_'.join([*rest, PRESENT[words[place]]])}"
            return Said(why, (Fix(f"Use {better}", name=better),))
    return Said(why)


def boolean_prefix(row: FieldRow, subject: Subject) -> Said | None:
    """A boolean whose name does not begin as a question."""
    words = _words(row)
    if not words or row.types != ("boolean",) or words[0] in BOOLEAN_PREFIXES:
        return None
    return Said(
        f"A yes or no reads as a question: is_{row.name} or has_{row.name}.",
        (*rename(row, subject, f"is_{row.name}"), *rename(row, subject, f"has_{row.name}")),
    )


def boolean_named(row: FieldRow, subject: Subject) -> Said | None:
    """A name that begins with is or has, of a field that is no boolean."""
    words = _words(row)
    if len(words) < 2 or words[0] not in ("is", "has") or "boolean" in row.types or not row.types:
        return None
    return Said(f"{row.name} reads as a yes or no, but is {' or '.join(row.types)}.")


# --- Shape and types ---------------------------------------------------------------------------


def flat(row: FieldRow, subject: Subject) -> Said | None:
    """A field more than DEEP levels below the top."""
    return Said("Keep data flat: at most two levels.") if row.depth > DEEP else None


def wide(subject: Subject) -> Said | None:
    """More than WIDE fields at the top."""
    count = sum(row.depth == 0 for row in subject.rows)
    if count <= WIDE:
        return None
    return Said(f"It has {count} fields side by side: more than one event may hide in it.")


def has_fields(subject: Subject) -> Said | None:
    """A contract without fields."""
    return None if subject.rows else Said("The contract names no field.")


def required_some(subject: Subject) -> Said | None:
    """A contract that requires none of the fields at its top."""
    if not subject.rows or any(row.required for row in subject.rows if row.depth == 0):
        return None
    return Said("Nothing is required: say which fields every event has.")


def typed(row: FieldRow, subject: Subject) -> Said | None:
    """A field with neither a type nor a list of values."""
    return None if row.types or row.enum is not None else Said("Give it a type.")


def one_type(row: FieldRow, subject: Subject) -> Said | None:
    """A field of several types; null beside one, where the field may be left out instead, has a fix."""
    if len(row.types) < 2 or set(row.types) == {"integer", "number"}:
        return None
    fixes: tuple[Fix, ...] = ()
    left = [kind for kind in row.types if kind != "null"]
    schema = writable(row, subject)
    if len(left) == 1 and schema is not None and isinstance(schema.get("type"), list):
        place = place_of(row, subject)
        patch: list[Operation] = [{"op": "replace", "path": f"{place}/type", "value": left[0]}]
        parent = place.rpartition("/properties/")[0]
        holder = at(subject.document, parent)
        required = holder.get("required") if isinstance(holder, Mapping) else None
        if isinstance(required, list) and row.name in required:
            number = required.index(row.name)
            patch.append({"op": "remove", "path": f"{parent}/required/{number}"})
        fixes = (Fix("Leave it out instead of null", tuple(patch), changes_data=True),)
    return Said("Give it one type; make it optional instead of null.", fixes)


def money_minor_units(row: FieldRow, subject: Subject) -> Said | None:
    """An amount of money as a number with a fraction."""
    if not MONEY.intersection(_words(row)) or "number" not in row.types or _has_unit(row):
        return None
    fixes: tuple[Fix, ...] = ()
    renamed = rename(row, subject, f"{row.name}_minor")
    if renamed and writable(row, subject) is not None:
        place = place_of(row, subject)
        words: list[Operation] = [
            {"op": "add", "path": f"{place}/type", "value": "integer"},
            {"op": "add", "path": f"{place}/x-unit", "value": "minor units"},
        ]
        label = "Send it in minor units"
        fixes = (Fix(label, (*words, *renamed[0].patch), changes_data=True),)
    return Said("Send money as whole minor units (integer), with its currency beside it.", fixes)


def money_currency(row: FieldRow, subject: Subject) -> Said | None:
    """An amount in minor units without a currency beside it or at the top."""
    words = _words(row)
    minor = bool(words) and words[-1] in ("minor", "cents")
    if not minor and row.unit != "minor units":
        return None
    beside = subject.siblings.get(parent_of(row.path), frozenset())
    above = subject.siblings.get("", frozenset())
    if any("currency" in name for name in beside | above):
        return None
    holder = place_of(row, subject).rpartition("/properties/")[0]
    fixes: tuple[Fix, ...] = ()
    if isinstance(at(subject.document, f"{holder}/properties"), Mapping):
        value = {"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217."}
        operation = {"op": "add", "path": f"{holder}/properties/currency", "value": value}
        fixes = (Fix("Add currency", (operation,)),)
    return Said("Money without a currency beside it cannot be added up.", fixes)


def _is_number(row: FieldRow) -> bool:
    return bool({"integer", "number"}.intersection(row.types))


def _has_unit(row: FieldRow) -> bool:
    words = _words(row)
    return bool(row.unit) or (bool(words) and words[-1] in UNITS)


def unit(row: FieldRow, subject: Subject) -> Said | None:
    """A number whose name says its unit, while `x-unit` does not."""
    words = _words(row)
    if row.unit or not words or not _is_number(row) or len(words) < 2 or words[-1] not in UNITS:
        return None
    unit = UNITS[words[-1]]
    return Said(f"Reads as {unit}.", annotate(row, subject, "Note the unit", {"x-unit": unit}))


def unit_missing(row: FieldRow, subject: Subject) -> Said | None:
    """A measured number with a unit neither in its name nor in `x-unit`."""
    words = _words(row)
    if _has_unit(row) or not words or not _is_number(row) or row.enum is not None:
        return None
    asked = next((word for word in reversed(words) if word in ASK_FOR_UNITS), None)
    if asked is None or words[-1] in ("id", "count", "index", "rank"):
        return None
    fixes: tuple[Fix, ...] = ()
    for unit in ASK_FOR_UNITS[asked]:
        fixes += annotate(row, subject, unit.capitalize(), {"x-unit": unit})
    return Said(f"A {asked} in which unit? Say it with x-unit, or at the end of its name.", fixes)


_ENDINGS: Final = {
    "at": ("date-time", ("date-time", "time")),
    "time": ("date-time", ("date-time", "time")),
    "date": ("date", ("date", "date-time")),
    "on": ("date", ("date", "date-time")),
    "url": ("uri", ("uri", "uri-reference", "iri", "iri-reference")),
    "uuid": ("uuid", ("uuid",)),
}  # fmt: skip


def time_format(row: FieldRow, subject: Subject) -> Said | None:
    """A text without the format that the end of its name says; a time as a number."""
    words = _words(row)
    if len(words) < 2 or words[-1] not in _ENDINGS:
        return None
    if words[-1] == "at" and _is_number(row) and not row.unit:
        return Said("Send times as text in the format date-time: nobody has to guess the epoch.")
    wanted, taken = _ENDINGS[words[-1]]
    if row.types != ("string",) or row.format in taken or row.enum is not None:
        return None
    return Said(
        f"Its name says {wanted}: give it the format {wanted}.",
        annotate(row, subject, f"Format {wanted}", {"format": wanted}, data=True),
    )


# --- Meaning and examples ----------------------------------------------------------------------


def stream_described(subject: Subject) -> Said | None:
    """A contract without a description."""
    if subject.document.get("description"):
        return None
    return Said("Say what one event of it means.")


def described(row: FieldRow, subject: Subject) -> Said | None:
    """A field without a meaning, or with one that says no more than its name."""
    said = row.description or row.title
    if said:
        plain = "".join(char for char in said.lower() if char.isalnum())
        if plain != "".join(char for char in row.name.lower() if char.isalnum()):
            return None
    elif "object" in row.types:
        return None
    known = subject.neighbours.meaning(row.name)
    fixes: tuple[Fix, ...] = ()
    if known is not None:
        stream, meaning = known
        fixes = annotate(row, subject, f"Take it from {stream}", {"description": meaning})
    why = "It says no more than the name." if said else "Say in one sentence what it means."
    return Said(why, fixes)


def example_missing(row: FieldRow, subject: Subject) -> Said | None:
    """A plain field without an example; personal ones need none."""
    shown = row.example is not None or row.enum is not None or row.format in _SELF_EVIDENT
    if shown or row.classification in ("personal", "sensitive"):
        return None
    if not row.types or not _SCALARS.issuperset(set(row.types) - {"null"}):
        return None
    place = at(subject.document, place_of(row, subject)) if row.path in subject.places else None
    if isinstance(place, Mapping) and {"const", "default", "example"} & set(place):
        return None
    return Said("Give an example: people read it before the type.")


_SELF_EVIDENT: Final = frozenset({"date-time", "date", "time", "uuid", "ipv4", "ipv6", "duration"})


def example_invalid(row: FieldRow, subject: Subject) -> Said | None:
    """An example that the field's own schema refuses. Bounded by the number of fields judged."""
    if row.example is None or row.position > MAX_EXAMPLES_JUDGED or row.path not in subject.places:
        return None
    place = place_of(row, subject)
    schema = at(subject.document, place)
    examples = schema.get("examples") if isinstance(schema, Mapping) else None
    if not isinstance(examples, list):
        return None
    around = {
        word: subject.document[word]
        for word in ("$schema", "$defs", "definitions")
        if word in subject.document and (word == "$schema" or "$ref" in schema)
    }
    wrong = _refused_of({**around, **schema}, examples[:10])
    if not wrong:
        return None
    return Said(
        "Its own schema refuses its example.",
        (_without(place, examples, wrong),),
        f"{place}/examples/{wrong[0]}",
    )


def examples_invalid(subject: Subject) -> Said | None:
    """An example of the whole that the contract refuses, of the first ten."""
    examples = subject.document.get("examples")
    if not isinstance(examples, list):
        return None
    wrong = _refused_of(subject.document, examples[:10])
    if not wrong:
        return None
    return Said(
        "The contract refuses an example of its own.",
        (_without("", examples, wrong),),
        f"/examples/{wrong[0]}",
    )


def _refused_of(schema: Mapping[str, Any], examples: Sequence[Any]) -> list[int]:
    """The places of the examples that a schema refuses; none when it cannot be compiled alone."""
    try:
        validator = compile_schema({word: part for word, part in schema.items() if word != "$id"})
        return [place for place, value in enumerate(examples) if not validator.is_valid(value)]
    except InvalidError:
        return []


def _without(place: str, examples: Sequence[Any], wrong: Sequence[int]) -> Fix:
    if len(wrong) == len(examples):
        return Fix("Drop the examples", ({"op": "remove", "path": f"{place}/examples"},))
    patch = tuple(
        {"op": "remove", "path": f"{place}/examples/{number}"} for number in sorted(wrong)[::-1]
    )
    return Fix("Drop the example", patch)


def enum_large(row: FieldRow, subject: Subject) -> Said | None:
    """A closed list of more than LARGE_ENUM values."""
    schema = writable(row, subject)
    values = schema.get("enum") if schema is not None else row.enum
    if not isinstance(values, list) or len(values) <= LARGE_ENUM:
        return None
    fixes: tuple[Fix, ...] = ()
    if schema is not None and all(isinstance(value, str) for value in values):
        place = place_of(row, subject)
        patch = (
            {"op": "remove", "path": f"{place}/enum"},
            {"op": "add", "path": f"{place}/type", "value": "string"},
            {"op": "add", "path": f"{place}/examples", "value": values[:3]},
        )
        fixes = (Fix("Make it a text with examples", patch),)
    return Said(
        f"A list of {len(values)} values grows with every release; each growth is a new version.",
        fixes,
    )


def enum_catch_all(row: FieldRow, subject: Subject) -> Said | None:
    """A closed list of texts without a value for what comes next."""
    values = row.enum
    if values is None or not 3 <= len(values) <= LARGE_ENUM:
        return None
    if not all(isinstance(value, str) for value in values):
        return None
    if CATCH_ALL.intersection(value.lower() for value in values):
        return None
    schema = writable(row, subject)
    fixes: tuple[Fix, ...] = ()
    if schema is not None and isinstance(schema.get("enum"), list):
        word = "OTHER" if all(value.isupper() for value in values) else "other"
        operation = {"op": "add", "path": f"{place_of(row, subject)}/enum/-", "value": word}
        fixes = (Fix(f"Add {word}", (operation,)),)
    return Said("A closed list without a value for the rest breaks on the next one.", fixes)


# --- Life and privacy --------------------------------------------------------------------------


def sunset(row: FieldRow, subject: Subject) -> Said | None:
    """A deprecated field without the day on which it ends."""
    if not row.deprecated or row.sunset_on is not None:
        return None
    return Said("Deprecated: say until when with x-sunset.")


def retention(row: FieldRow, subject: Subject) -> Said | None:
    """An `x-retention` that cannot be read as days."""
    schema = at(subject.document, place_of(row, subject))
    if not isinstance(schema, Mapping) or "x-retention" not in schema:
        return None
    if days_of(schema["x-retention"]) is not None:
        return None
    return Said("Its x-retention cannot be read, so it is kept: say days, as 30 or P30D.")


def personal(row: FieldRow, subject: Subject) -> Said | None:
    """A field that looks personal and has no classification: its treatments, and to keep it."""
    counts = _words(row)[-1:] == ["count"]
    if row.classification or row.types == ("boolean",) or counts:
        return None
    named, _, reason = subject.evidence.get(row.path, "").partition(":")
    is_within = named.endswith(IN_TEXT)
    kind = BY_NAME.get(named.removesuffix(IN_TEXT))
    if kind is None:  # the values seen tell most, then the format, then the name
        kind, reason = _personal_by_contract(row)
    if kind is None:
        return None
    fixes: tuple[Fix, ...] = ()
    # A token of a whole text serves nobody: no other text is the same.
    for treatment in ("drop",) if is_within else kind.treatments:
        words = {"x-classification": kind.classification, "x-privacy": treatment}
        fixes += annotate(row, subject, treatment.capitalize(), words)
    keep = {"x-classification": kind.classification}
    fixes += annotate(row, subject, "Keep", keep)
    said = "Its texts hold" if is_within else "Looks like"
    return Said(f"{said} {kind.title}: {reason or 'its values say so'}.", fixes)


def _personal_by_contract(row: FieldRow) -> tuple[Kind | None, str]:
    by_format = kind_of_format(row.format)
    if by_format is not None:
        return by_format, f"its format is {row.format}"
    return kind_of_name(row.name), "its name says so"


# --- The catalog around it ---------------------------------------------------------------------


def same_name_other_type(row: FieldRow, subject: Subject) -> Said | None:
    """A name that two or more streams use for another type."""
    use = subject.neighbours.fields.get(row.name)
    mine = set(row.types) - {"null"}
    if use is None or not mine or use.kind in mine or use.streams < 2:
        return None
    fixes = annotate(row, subject, f"Make it {use.kind}", {"type": use.kind}, data=True)
    return Said(
        f"It is {use.kind} in {use.example} and {use.streams - 1} more, but "
        f"{' or '.join(sorted(mine))} here: joins between them fail.",
        fixes if len(mine) == 1 and use.kind in _SCALARS | {"boolean"} else (),
    )


def same_meaning_other_name(row: FieldRow, subject: Subject) -> Said | None:
    """A name for what more streams call otherwise."""
    known = subject.neighbours.like(row.name, row.types)
    if known is None:
        return None
    use = subject.neighbours.fields[known]
    return Said(
        f"{use.streams} other streams call it {known}, such as {use.example}.",
        rename(row, subject, known),
    )


def similar_stream(subject: Subject) -> Said | None:
    """A contract with many fields of another stream, or nearly its name."""
    mine = frozenset(row.name for row in subject.rows if row.depth == 0)
    found = subject.neighbours.most_similar(subject.name, mine)
    if found is None:
        return None
    stream, shared, of = found
    if shared:
        return Said(f"{stream} has {shared} of its {of} fields: is it the same event?")
    return Said(f"{stream} has nearly the same name: is it the same event?")
