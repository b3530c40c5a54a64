"""Privacy at the edge: a stream's plan, applied to an event before anything of it is kept.

1. `note_needs` walks an event and notes which tokens and data keys it needs and the process does not
   know; `Secrets.load` gets those of the whole batch from the vault, off the event loop.
2. `treat` changes the envelope in place: data by the plan of its contract, `subject` as the stream
   says, and attributes that repeat what was treated. What a treatment can't do anything for refuses
   the event (`privacy_refused`).
3. `redact` does the same for an event that is refused anyway: nothing more is found wrong, and what
   a treatment can't take, or stands where treated fields should be, is encrypted whole.
4. `body_of` is what a dead letter keeps: the bytes as they came where no plan is known, else the
   treated event, serialised again and told apart by its content type (`TREATED_TYPE`).

Content is hashed before, with a key (`governance.privacy.keys.content_hash`): ciphertexts differ
each time, and a plain hash would confirm a guess.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from governance.privacy import vault
from governance.privacy.ciphers import DataKey, Place, key_id_of
from governance.privacy.vault import Ref
from ingest.judging.admission import StreamEntry
from ingest.judging.contract import Contract
from ingest.privacy import context
from ingest.privacy.field_plan import (
    BUCKET,
    DROP,
    ENCRYPT,
    GONE,
    TRUNCATE,
    FieldPlan,
    Treatment,
)
from ingest.privacy.treatments import InapplicableError, bucket, must_be_plain, truncate
from ingest.times import moment_of
from ingest.types import Envelope
from portal.kernel import rfc3339, strict_json
from portal.kernel.errors import BadRequestError, FieldError

# The content type of a dead letter whose body has passed its plan. The part after the semicolon can
# come from no client: only the bodies of unreadable requests keep the type that was sent.
TREATED_TYPE: Final = "application/cloudevents+json; treated"
REMOVED: Final = "removed"  # the kind under which removed fields are counted
_SHORTEST_ECHO: Final = 4
_MAX_REMOVED_NAMES: Final = 200
_CORE: Final = frozenset(
    {"specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype"}
)
# Extensions that the portal knows; a stream that minimises keeps no others.
KNOWN_EXTENSIONS: Final = frozenset(
    {
        "traceparent", "tracestate", "partitionkey", "correlationid", "causationid", "environment",
        "producerversion", "sampledrate", "synthetic",
    }
)  # fmt: skip
# Ids of the same person that stand beside the subject in a Segment call; they follow it.
_OTHER_SUBJECTS: Final = ("anonymousid", "previousid")
# The same in a call that was too large to be made an event of.
_WHO: Final = frozenset({"subject", *_OTHER_SUBJECTS, "userId", "anonymousId", "previousId"})
PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_-]{0,50}[0-9]{0,4}")


@dataclass(slots=True)
class Secrets:
    """The tokens and data keys of one batch. A rehearsal makes up its own and keeps none."""

    is_rehearsal: bool = False
    _tokens: dict[tuple[str, Any], str] = field(default_factory=dict)
    _keys: dict[str, DataKey | None] = field(default_factory=dict)
    _missing_tokens: dict[tuple[str, Any], Ref] = field(default_factory=dict)
    _missing_keys: dict[str, Ref] = field(default_factory=dict)

    def want_token(self, purpose: str, value: str | int | float) -> None:
        """Note a value whose token will be needed, if it is not at hand; `load` gets it."""
        key = (purpose, value)
        if key in self._tokens or key in self._missing_tokens:
            return
        ref = vault.value_ref(purpose, _text_of(value))
        found = vault.new_token() if self.is_rehearsal else vault.cached_token(ref)
        if found is None:
            self._missing_tokens[key] = ref
        else:
            self._tokens[key] = found

    def want_key(self, holder: str) -> None:
        """Note a subject whose data key will be needed, if it is not at hand; `load` gets it."""
        if holder in self._keys or holder in self._missing_keys:
            return
        ref = vault.subject_ref(holder)
        found = vault.new_data_key() if self.is_rehearsal else vault.cached_key(ref)
        if found is None:
            self._missing_keys[holder] = ref
        else:
            self._keys[holder] = found

    @property
    def is_complete(self) -> bool:
        """Whether all that was wanted is at hand, so that nothing has to block."""
        return not self._missing_tokens and not self._missing_keys

    def load(self) -> None:
        """Get what is missing. Blocks on the database; raises UnavailableError."""
        if self._missing_keys:
            keys = vault.data_keys(self._missing_keys.values())
            self._keys |= {holder: keys.get(ref) for holder, ref in self._missing_keys.items()}
            self._missing_keys.clear()
        if self._missing_tokens:
            meant = {ref: (key[0], _text_of(key[1])) for key, ref in self._missing_tokens.items()}
            tokens = vault.tokens_for(meant)
            self._tokens |= {key: tokens[ref] for key, ref in self._missing_tokens.items()}
            self._missing_tokens.clear()

    def token(self, purpose: str, value: str | int | float) -> str:
        """The token of a value within a purpose. One that is not at hand is loaded, which blocks on
        the database; raises UnavailableError."""
        found = self._tokens.get((purpose, value))
        if found is None:
            self.want_token(purpose, value)
            self.load()
            found = self._tokens[purpose, value]
        return found

    def data_key(self, holder: str) -> DataKey | None:
        """The key; None when it was destroyed: nothing more is kept of this subject."""
        if holder not in self._keys:
            self.want_key(holder)
            self.load()
        return self._keys[holder]


def _text_of(value: str | int | float) -> bytes:
    return orjson.dumps(value) if isinstance(value, str) else strict_json.canonical(value)


def place_of(stream_id: int, pointer: str, event_id: str) -> Place:
    """What an encrypted value is bound to. Items of one array share a place, as they may move up."""
    steps = ("*" if step.isdigit() else step for step in pointer.split("/"))
    return Place(stream_id, "/".join(steps), event_id)


def plan_of(contract: Contract | None) -> FieldPlan | None:
    """What a contract has done with its fields; None where that is nothing, or without one."""
    return contract.privacy if contract is not None else None


def is_due(stream: StreamEntry, contract: Contract | None) -> bool:
    """Whether anything of an event of this stream and contract is treated or removed."""
    return bool(
        stream.subject_privacy or stream.minimises or (contract is not None and contract.privacy)
    )


def concerns(stream: StreamEntry, contract: Contract | None, envelope: Envelope) -> bool:
    """As `is_due`, of one event: whoever sends a context has it cut down, whatever the stream says.

    Of an event that its parser refused the members are not at hand; its bytes tell.
    """
    return (
        is_due(stream, contract)
        or context.has(envelope.extensions)
        or (envelope.reason is not None and context.stands_in(envelope.raw))
    )


def version_of(stream: StreamEntry, envelope: Envelope) -> int | None:
    """The version whose plan an event obeys, refused ones too: the named or the default one."""
    version = stream.version_of(envelope.dataschema)
    if version is None or version not in stream.versions:
        version = stream.default_version
    if version is None or version not in stream.versions:
        return None
    return stream.corrected_by.get(version, version)


# --- One event ----------------------------------------------------------------------------------


class _Work:
    """What is done at the treated places of one event.

    `is_odd`: its data breaks the contract, so a value may stand where treated fields should be.
    `collects`: only note what will be needed. `only_removes`: take everything treated out.
    """

    def __init__(
        self,
        secrets: Secrets,
        stream: StreamEntry,
        envelope: Envelope,
        *,
        is_odd: bool,
        collects: bool = False,
        only_removes: bool = False,
    ) -> None:
        self.secrets = secrets
        self.stream = stream
        self.event_id = envelope.id
        self.came_treated = envelope.came_treated
        self.is_odd = is_odd
        self.collects = collects
        self.only_removes = only_removes
        self.errors: list[FieldError] = []
        self.replaced: dict[str, str] = {}
        subject = envelope.subject
        # Of an event without a subject the key is the stream's: no subject has that name, as NUL
        # never comes in.
        self._holder = subject or f"\0stream {stream.id}"

    def act(self, treatment: Treatment | None, value: Any, pointer: str) -> Any:
        made: Any = GONE
        if self.only_removes:
            pass
        elif treatment is not None:
            made = self._made(treatment, value, pointer)
        elif self.is_odd:
            self._complain(pointer, "stands where personal fields should be")
            made = self.seal(value, pointer)
        else:
            return value
        if not self.collects:
            self._note_replaced(value, made)
        return made

    def _note_replaced(self, value: Any, made: Any) -> None:
        """Remember what was treated, as attributes may repeat it."""
        todo = [value]
        while todo:
            one = todo.pop()
            if isinstance(one, dict | list):
                todo += one.values() if isinstance(one, dict) else one
            elif isinstance(one, str) or (not isinstance(one, bool) and one is not None):
                self.replaced[str(one)] = made if isinstance(made, str) else ""

    def _made(self, treatment: Treatment, value: Any, pointer: str) -> Any:
        word = treatment.word
        if word == DROP:
            return value if self.collects else GONE
        if self.came_treated and (vault.is_token(value) or key_id_of(value) is not None):
            return value
        try:
            if word == TRUNCATE:
                made = truncate(value, treatment.options)
                return value if self.collects else made
            if word == BUCKET:
                made = bucket(value, treatment.options)
                return value if self.collects else made
            if word == ENCRYPT:
                return self.seal(value, pointer)
            return self.token(value, treatment.purpose)
        except InapplicableError as error:
            self._complain(pointer, str(error))
            return self.seal(value, pointer)

    def token(self, value: Any, purpose: str) -> Any:
        must_be_plain(value)
        if self.collects:
            self.secrets.want_token(purpose, value)
            return value
        return self.secrets.token(purpose, value)

    def seal(self, value: Any, pointer: str) -> Any:
        if self.collects:
            self.secrets.want_key(self._holder)
            return value
        key = self.secrets.data_key(self._holder)
        if key is None:
            self._complain(pointer, "belongs to somebody whose key was destroyed")
            return GONE
        return key.seal(_json(value), place_of(self.stream.id, pointer, self.event_id))

    def subject(self, subject: str | None) -> str | None:
        word = self.stream.subject_privacy
        if not word or not subject or (self.came_treated and vault.is_token(subject)):
            return subject
        if word == DROP:
            self.replaced[subject] = ""
            return None
        made = str(self.token(subject, vault.SUBJECTS))
        if not self.collects:
            self.replaced[subject] = made
        return made

    def _complain(self, pointer: str, detail: str) -> None:
        if len(self.errors) < strict_json.MAX_FINDINGS:
            self.errors.append(FieldError(pointer, "privacy", detail))


def note_needs(
    secrets: Secrets, envelope: Envelope, stream: StreamEntry, contract: Contract | None
) -> None:
    """Note what an event needs of the vault. Changes nothing."""
    work = _Work(secrets, stream, envelope, is_odd=True, collects=True)
    work.subject(envelope.subject)
    for name in _OTHER_SUBJECTS:
        other = envelope.extensions.get(name)
        if isinstance(other, str):
            work.subject(other)
    plan = plan_of(contract)
    event = None
    if envelope.reason is not None and (plan is not None or stream.subject_privacy):
        event = _reread(envelope) or {}
        for name in _WHO & event.keys():
            if isinstance(event[name], str):
                work.subject(event[name])
    if plan is None:
        return
    if envelope.reason is not None:
        if event:
            work.seal(None, "")
            plan.walk(event.get("data"), work.act)
    elif envelope.data_bytes is not None:
        work.seal(None, "")
    elif envelope.has_data:
        plan.walk(envelope.data, work.act)


def treat(
    secrets: Secrets,
    envelope: Envelope,
    stream: StreamEntry,
    contract: Contract | None,
    *,
    is_odd: bool = False,
) -> tuple[FieldError, ...]:
    """Apply the plan to an event that is to be accepted; gives why it can't be, if it can't.

    In either case nothing that the plan speaks of is left in the envelope but its bytes as they
    came (`raw`), which are not kept. `is_odd` when its data breaks the contract.
    """
    work = _Work(secrets, stream, envelope, is_odd=is_odd)
    plan = plan_of(contract)
    if plan is not None and envelope.has_data:
        if envelope.data_bytes is not None:
            _treat_bytes(envelope, plan, work)
        else:
            made = plan.walk(envelope.data, work.act)
            envelope.has_data = made is not GONE
            envelope.data = None if made is GONE else made
    envelope.subject = work.subject(envelope.subject)
    if envelope.extensions:
        envelope.extensions = _without_other_subjects(envelope, work)
    if context.has(envelope.extensions) and not envelope.came_treated:
        envelope.extensions = context.without(envelope.extensions)
    if work.replaced and envelope.extensions:
        envelope.extensions = _without_echoes(envelope.extensions, work.replaced)
    envelope.is_treated = True
    envelope.content_type = TREATED_TYPE
    return tuple(work.errors)


def _without_other_subjects(envelope: Envelope, work: _Work) -> dict[str, Any]:
    """The extensions with further ids of the person treated as the subject is."""
    made = dict(envelope.extensions)
    for name in _OTHER_SUBJECTS:
        other = made.get(name)
        if isinstance(other, str):
            treated = work.subject(other)
            if treated is None:
                del made[name]
            else:
                made[name] = treated
    return made


def redact(
    secrets: Secrets, envelope: Envelope, stream: StreamEntry, contract: Contract | None
) -> None:
    """Apply the plan to an event that is refused: to what of it will be kept."""
    if envelope.is_treated:
        return
    if envelope.reason is None:
        treat(secrets, envelope, stream, contract, is_odd=True)
        if stream.minimises:
            if contract is not None and envelope.data_bytes is None:
                envelope.data, _ = contract.set_aside(envelope.data)
            envelope.extensions = _known(envelope.extensions)
        return
    event = _reread(envelope)
    if event is not None:
        envelope.kept = _json(_redacted(event, secrets, envelope, stream, contract))
        envelope.is_treated = True
        envelope.content_type = TREATED_TYPE


def _redacted(
    event: dict[str, Any],
    secrets: Secrets,
    envelope: Envelope,
    stream: StreamEntry,
    contract: Contract | None,
) -> dict[str, Any]:
    """The members of an event whose envelope breaks a rule, with the plan applied to its data."""
    too_large = len(envelope.raw) > strict_json.MAX_EVENT_BYTES
    work = _Work(secrets, stream, envelope, is_odd=True, only_removes=too_large)
    plan = plan_of(contract)
    found: dict[str, Any] = {}
    for name, value in event.items():
        made = value
        if name == "data":
            made = plan.walk(value, work.act) if plan is not None else value
            if stream.minimises and contract is not None and made is not GONE:
                made, _ = contract.set_aside(made)
        elif name in (context.NAME, context.INTEGRATIONS):
            made = context.reduced_member(name, value)
        elif name == "data_base64" or isinstance(value, dict | list):
            # Bytes of any kind, or another protocol's data under its own name.
            made = work.act(None, value, f"/{name}") if plan is not None else value
        elif name in _WHO and isinstance(value, str):
            subject = work.subject(value)
            made = GONE if subject is None else subject
        if made is not GONE:
            found[name] = made
    if stream.minimises and "specversion" in found:
        found = {name: found[name] for name in found if name in _CORE or name == "data"} | _known(
            found
        )
    if not work.replaced:
        return found
    return {
        name: value if name in _CORE or name == "data" else _replaced(value, work.replaced)
        for name, value in found.items()
    }


def _known(members: Mapping[str, Any]) -> dict[str, Any]:
    """The extensions that a stream which minimises keeps."""
    return {name: value for name, value in members.items() if name in KNOWN_EXTENSIONS}


def _treat_bytes(envelope: Envelope, plan: FieldPlan, work: _Work) -> None:
    """Bytes that are no JSON: a plan finds no field in them, so they are treated whole."""
    encoded = base64.b64encode(envelope.data_bytes or b"").decode("ascii")
    work.replaced[(envelope.data_bytes or b"").decode("utf-8", "replace")] = ""
    made = plan.walk(encoded, work.act)
    if not plan.treats_root:
        work.errors.append(FieldError("/data", "privacy", "must be JSON: its fields are personal"))
        made = work.seal(encoded, "/data")
    envelope.data_bytes = None
    envelope.has_data = made is not GONE
    envelope.data = None if made is GONE else made


def _without_echoes(extensions: Mapping[str, Any], replaced: Mapping[str, str]) -> dict[str, Any]:
    made = {name: _replaced(value, replaced) for name, value in extensions.items()}
    return {name: value for name, value in made.items() if value != "" or extensions[name] == ""}


def _replaced(value: Any, replaced: Mapping[str, str]) -> Any:
    """An attribute's value without what was treated elsewhere in the event."""
    if isinstance(value, dict):
        return {name: _replaced(one, replaced) for name, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, replaced) for one in value]
    if not isinstance(value, str):
        return value
    if value in replaced:
        return replaced[value]
    for text, made in replaced.items():
        if len(text) >= _SHORTEST_ECHO:
            if text in value:
                value = value.replace(text, made)
            escaped = json.dumps(text)[1:-1]
            if escaped != text and escaped in value:
                value = value.replace(escaped, made)
    return value


def _reread(envelope: Envelope) -> dict[str, Any] | None:
    """The members of a refused event; None where its bytes are no object."""
    try:
        event = strict_json.read_oversize(envelope.raw)
    except BadRequestError:
        return None
    return event if isinstance(event, dict) else None


def _json(value: Any) -> bytes:
    """JSON text of anything that was read; of refused events numbers may be beyond 64 bits."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode("ascii")


# --- What dead letters keep ---------------------------------------------------------------------


def body_of(envelope: Envelope) -> bytes:
    """The bytes that a dead letter keeps of an event."""
    if envelope.kept is not None:
        return envelope.kept
    if not envelope.is_treated:
        return envelope.raw
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
    }
    if envelope.occurred_us is not None:
        event["time"] = rfc3339.spell(moment_of(envelope.occurred_us))
    for name in ("subject", "dataschema", "datacontenttype"):
        value = getattr(envelope, name)
        if value is not None:
            event[name] = value
    event |= envelope.extensions
    if envelope.data_bytes is not None:
        event["data_base64"] = base64.b64encode(envelope.data_bytes).decode("ascii")
    elif envelope.has_data:
        event["data"] = envelope.data
    return _json(event)


def is_treated_letter(content_type: str, reason: str) -> bool:
    """Whether a dead letter's body has passed its plan; an event read from it `came_treated`."""
    return content_type == TREATED_TYPE and reason != "unparsable"


def is_made(data: Any, pointer: str) -> bool:
    """Whether a token or an encrypted value stands at a place of stored data."""
    value = data
    for step in pointer.removeprefix("/data").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return False
    return vault.is_token(value) or key_id_of(value) is not None


# --- Minimisation -------------------------------------------------------------------------------

_removed_names: Final[dict[int, set[str]]] = {}


def minimised(
    envelope: Envelope, stream: StreamEntry, extra: Mapping[str, Any] | None
) -> tuple[tuple[str, str], ...]:
    """Take unknown extensions out; gives what was removed, as it is counted."""
    names = [_removed_name(stream, f"data{pointer}") for pointer in extra or ()]
    unknown = envelope.extensions.keys() - KNOWN_EXTENSIONS
    if unknown:
        names += [_removed_name(stream, name) for name in sorted(unknown)]
        envelope.extensions = _known(envelope.extensions)
    return tuple((REMOVED, name) for name in dict.fromkeys(names))


def _removed_name(stream: StreamEntry, pointer: str) -> str:
    """A removed field's place as a path. Names that may be values themselves become `*`."""
    steps = [step if PLAIN_NAME.fullmatch(step) else "*" for step in pointer.split("/")]
    name = ".".join(steps)[:200]
    known = _removed_names.setdefault(stream.id, set())
    if name not in known:
        if len(known) >= _MAX_REMOVED_NAMES:
            return "*"
        known.add(name)
    return name
