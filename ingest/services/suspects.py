"""Personal values that nobody labelled: found in samples of stored events, decided on by people.

1. A task looks into the newest events of each stream that got some since the last look: at most
   BATCH of a stream and as many streams as fit the budget, those that waited longest first.
2. What the contract labels or treats is left out. In the rest each value is judged by
   `catalog.detector`, and what is found is counted by field and kind.
3. The owner team accepts (a draft of a change opens, with classification and treatment) or dismisses
   with a reason. A dismissed one stays dismissed, whatever is found later; an accepted one opens
   again when a week on the contract still says nothing.

Values never leave this module: it keeps counts, paths and kinds.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from django.db import transaction
from django.db.models import F, Q

from catalog.classified import MASK, mask
from catalog.detector import kinds_in
from catalog.models import Draft, DraftKind, SchemaField, SchemaVersion, Stream
from catalog.personal import BY_NAME
from catalog.services.drafts import create_draft
from catalog.style_subject import places_of
from governance import access, audit
from governance.privacy import vault
from governance.privacy.ciphers import key_id_of
from governance.types import Permission
from ingest.log.alive import FieldLives, alive_since
from ingest.models import PrivacyScan, PrivacySuggestion
from ingest.models.privacy import SuggestionState
from ingest.privacy.field_plan import STRICTNESS
from ingest.privacy.treating import PLAIN_NAME
from portal.kernel import clock, sql
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError
from portal.kernel.strict_json import pointer_part

BATCH: Final = 200
SPAN: Final = timedelta(days=7)
BUDGET_SECONDS: Final = 15.0
MAX_PATHS: Final = 200
KEEP: Final = "keep"
_SAMPLE: Final = sql.load("ingest", "sample_for_privacy")
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
Found = dict[tuple[str, str], int]


def suspect_due_streams(*, budget_seconds: float = BUDGET_SECONDS, track: str | None = None) -> int:
    """Look into streams, of one track or of both, that got events since the last look; gives how many
    were looked into."""
    until = time.monotonic() + budget_seconds
    due = (
        Stream.objects.filter(last_event_at__isnull=False)
        .filter(Q(privacyscan=None) | Q(privacyscan__until__lt=F("last_event_at")))
        .order_by(F("privacyscan__scanned_at").asc(nulls_first=True), "pk")
    )
    if track is not None:
        due = due.filter(track=track)
    looked = 0
    for stream in due.iterator(chunk_size=50):
        suspect(stream)
        looked += 1
        if time.monotonic() >= until:
            break
    return looked


@transaction.atomic
def suspect(stream: Stream) -> int:
    """Look into a stream's newest events; gives how many. One transaction: a cut run counts once."""
    scan = PrivacyScan.objects.select_for_update().filter(pk=stream.pk).first()
    now = clock.now()
    rows = sql.fetch_all(
        _SAMPLE,
        {
            "stream_id": stream.pk,
            "since": now - SPAN,
            "alive_since": alive_since(stream),
            "after": scan.until if scan is not None else _NEVER,
            "batch": BATCH,
        },
    )
    carried, found = _look(stream, rows)
    for (path, kind), hits in found.items():
        _count(stream, path, kind, events=carried[path], hits=hits, now=now)
    _count_misses(stream, carried, found)
    until = max((row["received_at"] for row in rows), default=stream.last_event_at or now)
    PrivacyScan.objects.update_or_create(
        stream=stream,
        defaults={"until": max(until, stream.last_event_at or until), "scanned_at": now},
    )
    return len(rows)


def _look(stream: Stream, rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, int], Found]:
    """How many events carry each path, and in how many of them which kind was found."""
    wanted = {row["version"] for row in rows} | {stream.default_version}
    documents = list(
        SchemaVersion.objects.filter(
            stream=stream, version__in=[one for one in wanted if one is not None]
        ).values_list("document", flat=True)
    )
    known = set(SchemaField.objects.filter(stream=stream).values_list("path", flat=True))
    carried: dict[str, int] = {}
    found: Found = {}
    field_lives = FieldLives.of(stream)
    for row in rows:
        seen: dict[str, set[str]] = {}
        if row["data"] is not None:
            data = field_lives.left_of(
                orjson.loads(row["data"]), version=row["version"], occurred_at=row["occurred_at"]
            )
            masked, _ = mask(documents, data)
            _judge(masked, "", known, seen)
        for pointer, value in orjson.loads(row["extra"] or b"{}").items():
            _judge(value, _path_of(pointer, known), known, seen)
        for path, kinds in seen.items():
            if path in carried or len(carried) < MAX_PATHS:
                carried[path] = carried.get(path, 0) + 1
                for kind in kinds:
                    found[path, kind] = found.get((path, kind), 0) + 1
    return carried, found


def _judge(value: Any, path: str, known: set[str], seen: dict[str, set[str]]) -> None:
    for place, one in _leaves(value, path, known):
        if one != MASK and not vault.is_token(one) and key_id_of(one) is None:
            seen.setdefault(place, set()).update(kinds_in(one))


def _leaves(value: Any, path: str, known: set[str]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(one, _step(path, name, known), known)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, f"{path}[]", known)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield path[:500], value


def _step(path: str, name: str, known: set[str]) -> str:
    """The path of a member; a name that is a value itself stays out of it."""
    joined = f"{path}.{name}" if path else name
    if joined in known or PLAIN_NAME.fullmatch(name):
        return joined
    return f"{path}.*" if path else "*"


def _path_of(pointer: str, known: set[str]) -> str:
    """The path of what was set aside at a pointer."""
    path = ""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        path = f"{path}[]" if name.isdigit() and path else _step(path, name, known)
    return path


def _count(stream: Stream, path: str, kind: str, *, events: int, hits: int, now: datetime) -> None:
    row, made = PrivacySuggestion.objects.get_or_create(
        stream=stream, path=path, kind=kind,
        defaults={"events": events, "hits": hits, "first_seen_at": now, "last_seen_at": now},
    )  # fmt: skip
    if not made:
        PrivacySuggestion.objects.filter(pk=row.pk).update(
            events=F("events") + events, hits=F("hits") + hits, last_seen_at=now
        )
        PrivacySuggestion.objects.filter(
            pk=row.pk, state=SuggestionState.ACCEPTED, decided_at__lt=now - SPAN
        ).update(state=SuggestionState.OPEN)


def _count_misses(stream: Stream, carried: Mapping[str, int], found: Found) -> None:
    """Events that carry a suspected field without the kind count too: they lower its share."""
    for row in PrivacySuggestion.objects.filter(stream=stream, path__in=list(carried)):
        if (row.path, row.kind) not in found:
            PrivacySuggestion.objects.filter(pk=row.pk).update(
                events=F("events") + carried[row.path]
            )


# --- Deciding -----------------------------------------------------------------------------------


@transaction.atomic
def accept_suggestion(suggestion: PrivacySuggestion, treatment: str, *, actor: Actor) -> Draft:
    """Begin a change that labels the field and treats it; `keep` labels it alone.

    Raises InvalidStateError when it is decided, InvalidError where the field cannot be written.
    """
    stream = suggestion.stream
    access.require(actor, Permission.EDIT, stream)
    if treatment not in (*STRICTNESS, KEEP):
        raise InvalidError(
            "There is no such treatment.",
            errors=[FieldError("/treatment", "choice", f"one of {', '.join(STRICTNESS)}, {KEEP}")],
        )
    words = {"x-classification": BY_NAME[suggestion.kind].classification}
    if treatment != KEEP:
        words["x-privacy"] = treatment
    document = _labelled(stream, suggestion.path, words)
    _settle(suggestion, SuggestionState.ACCEPTED, treatment, actor)
    draft = create_draft(
        DraftKind.CHANGE,
        {"schema": document, "summary": f"{suggestion.path}: {treatment}"[:200]},
        actor=actor,
        stream=stream,
    )
    audit.record(
        actor, "privacy_suggestion.accepted", stream.ref,
        summary=f"labels {suggestion.path} of {stream.name} ({treatment})",
        after={"path": suggestion.path, "kind": suggestion.kind, "treatment": treatment},
    )  # fmt: skip
    return draft


@transaction.atomic
def dismiss_suggestion(suggestion: PrivacySuggestion, reason: str, *, actor: Actor) -> None:
    """Say why it is nothing personal. InvalidError without a reason."""
    stream = suggestion.stream
    access.require(actor, Permission.EDIT, stream)
    if not reason.strip():
        raise InvalidError(
            "Say why it is nothing personal.",
            errors=[FieldError("/reason", "required", "is required")],
        )
    _settle(suggestion, SuggestionState.DISMISSED, reason.strip()[:500], actor)
    audit.record(
        actor, "privacy_suggestion.dismissed", stream.ref,
        summary=f"dismissed that {suggestion.path} of {stream.name} is personal",
        after={"path": suggestion.path, "kind": suggestion.kind, "reason": reason.strip()[:500]},
    )  # fmt: skip


def _settle(
    suggestion: PrivacySuggestion, state: SuggestionState, reason: str, actor: Actor
) -> None:
    moved = PrivacySuggestion.objects.filter(pk=suggestion.pk, state=SuggestionState.OPEN).update(
        state=state, reason=reason, decided_at=clock.now(), decided_by=actor.label
    )
    if moved != 1:
        raise InvalidStateError("It is decided already.")


def _labelled(stream: Stream, path: str, words: Mapping[str, str]) -> dict[str, Any]:
    """The stream's contract with words at a field; one that it does not know yet is added."""
    version = stream.versions.filter(version=stream.default_version or 0).first()
    if version is None or not isinstance(version.document, dict):
        raise InvalidError("The stream has no contract that could be changed.")
    document: dict[str, Any] = orjson.loads(orjson.dumps(version.document))
    base = path.removesuffix("[]")
    places = places_of(document)
    pointer = places.get(base)
    if pointer is None:
        parent, _, name = base.rpartition(".")
        above = places.get(parent) if parent else ""
        if above is None or name == "*" or "[]" in path:
            raise InvalidError("The contract does not know this field; change it by hand.")
        pointer = f"{above}/properties/{pointer_part(name)}"
    target: Any = document
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        target = target[int(key)] if isinstance(target, list) else target.setdefault(key, {})
    if path.endswith("[]") and isinstance(target, dict):
        target = target.setdefault("items", {})
    if not isinstance(target, dict):
        raise InvalidError("The contract cannot be labelled there; change it by hand.")
    target |= words
    return document
