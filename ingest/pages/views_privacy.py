"""The page of privacy, what a stream does with personal values, and deciding on suggestions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from catalog.personal import BY_NAME
from catalog.selectors.streams import get_stream
from catalog.services.streams import change_stream
from catalog.types import ErasedSubjects, SubjectPrivacy
from governance import access
from governance.errors import RoleNeededError
from governance.middleware import request_actor
from governance.models.jobs import LIVE
from governance.selectors import erasures, privacy_keys
from governance.services.privacy_keys import rotate_keys
from governance.sudo import sudo
from governance.types import Permission
from ingest.privacy.field_plan import STRICTNESS
from ingest.selectors import privacy as selectors
from ingest.selectors.suspects import get_suggestion
from ingest.services.suspects import KEEP, accept_suggestion, dismiss_suggestion
from portal.http import parameters, words
from portal.http.pagination import Page
from portal.kernel.errors import (
    ConflictError,
    InvalidError,
    InvalidStateError,
    sentence,
)

DID: Final = {
    "drop": "dropped", "encrypt": "encrypted", "tokenize": "tokenized", "bucket": "bucketed",
    "truncate": "truncated", selectors.NONE: "without a treatment",
}  # fmt: skip
# What may become of a subject: the word, its title, and what it means.
WAYS: Final = (
    (
        SubjectPrivacy.NONE,
        "Keep it as sent",
        "Where the stream calls its subject personal, readers without that grant see it masked.",
    ),
    (
        SubjectPrivacy.TOKENIZE,
        "Tokenize it",
        "A token stands in its place, the same in all streams: events of one person join.",
    ),
    (
        SubjectPrivacy.DROP,
        "Drop it",
        "It is taken out: events can no longer be told apart by whom they are about.",
    ),
)
# What may become of later events about somebody who was erased.
RETURNS: Final = (
    (
        ErasedSubjects.REFUSE,
        "Refuse them",
        "A dead letter says that one came. It keeps nothing of what was sent.",
    ),
    (
        ErasedSubjects.FRESH,
        "Begin afresh",
        "What happened after the erasure is taken, under a new key and a new token.",
    ),
)
_NAMED: Final = 3
QUESTION: Final = {
    "treatment": parameters.choice(selectors.TREATMENTS),
    "class": parameters.choice(selectors.PERSONAL),
    "stream": parameters.text(255),
    **parameters.LIST,
}


@require_GET
def privacy_page(request: HttpRequest) -> HttpResponse:
    """What is personal over the streams that the reader may know of; keys and looks for admins."""
    actor = request_actor(request)
    asked = parameters.read(request.GET, QUESTION)
    found = selectors.totals(actor)
    count, suggestions = selectors.open_suggestions(actor)
    page = selectors.labelled_fields(
        actor,
        treatment=asked.get("treatment", ""),
        classification=asked.get("class", ""),
        stream=asked.get("stream", ""),
        limit=asked.get("limit", 20),
        cursor=asked.get("cursor"),
    )
    keys = privacy_keys.key_versions(actor) if actor.is_admin else None
    rotation = privacy_keys.rotation(actor)
    return render(
        request,
        "ingest/privacy.html",
        {
            "totals": found,
            "title": _title(found),
            "waiting_said": _waiting(count),
            "treated_said": _said(found.treated, DID),
            "subjects_said": _subjects(found.subjects),
            "suggestion_count": count,
            "suggestions": [(row, BY_NAME[row.kind], may) for row, may in suggestions],
            "fields": _rows(page),
            "next": page.next,
            "asked": asked,
            "treatments": [(name, DID[name]) for name in selectors.TREATMENTS],
            "classes": list(selectors.PERSONAL),
            "keys": keys,
            "keys_said": privacy_keys.headline(keys, rotation) if keys is not None else "",
            "is_rotating": rotation is not None and rotation.state in LIVE,
            "looks": selectors.looks(actor),
            "erasures": erasures.counts(actor),
        },
    )


def _title(found: selectors.Totals) -> str:
    if not found.labelled:
        return "No field is labelled as personal yet."
    if found.untreated:
        return (
            f"{words.number(found.untreated)} of {words.plural(found.labelled, 'personal field')}"
            f" {'has' if found.untreated == 1 else 'have'} no treatment."
        )
    if found.labelled == 1:
        return "The one personal field is treated."
    return f"All {words.plural(found.labelled, 'personal field')} are treated."


def _waiting(count: int) -> str:
    """That all is labelled is only half of it while suggestions wait."""
    if not count:
        return ""
    verb = "waits" if count == 1 else "wait"
    return f"{words.capitalized(words.counted(count, 'suggestion'))} {verb} for a decision."


def _said(counts: Mapping[str, int], names: Mapping[str, str]) -> str:
    return words.listed(
        [f"{words.number(counts[name])} {said}" for name, said in names.items() if counts.get(name)]
    )


def _subjects(counts: Mapping[str, int]) -> str:
    names = {"tokenize": "tokenized", "drop": "dropped", "none": "kept as sent"}
    return _said(counts, names)


def _rows(
    page: Page[selectors.LabelledField],
) -> list[tuple[selectors.LabelledField, str, str]]:
    """Each field with how it is treated and who reads it, in words."""
    return [
        (one, _how(one.row.privacy, one.options), _read_by(one.readers.declared))
        for one in page.items
    ]


def _read_by(names: Sequence[str]) -> str:
    """Some of the consumers by name."""
    shown = [*names[:_NAMED], *([f"{len(names) - _NAMED} more"] if names[_NAMED:] else [])]
    return words.listed(shown)


def _how(word: str, options: Mapping[str, Any]) -> str:
    """`Truncate, to month`: the treatment and the options that the contract names."""
    said = [
        f"{name} {value}" for name, value in options.items() if isinstance(value, str | int | float)
    ]
    return ", ".join([word.capitalize(), *said[:3]])


@require_POST
@sudo
def privacy_rotate(request: HttpRequest) -> HttpResponse:
    """Have all data keys wrapped under the current version."""
    actor = request_actor(request)
    if not actor.is_admin:
        raise RoleNeededError("Privacy keys are renewed by admins.", "admin")
    try:
        rotate_keys(actor=actor)
        messages.success(request, "Data keys are rewrapped as soon as a worker is free.")
    except ConflictError as error:
        messages.error(request, sentence(error))
    return redirect("privacy_keys")


@require_http_methods(["GET", "POST"])
def stream_privacy(request: HttpRequest, name: str) -> HttpResponse:
    """What a stream does with its subject and with fields that its contract does not know."""
    actor = request_actor(request)
    stream = get_stream(actor, name)
    faults: dict[str, str] = {}
    wanted: dict[str, Any] = {
        "subject_privacy": stream.subject_privacy, "minimise": stream.minimise,
        "erased_subjects": stream.erased_subjects,
    }  # fmt: skip
    if request.method == "POST":
        wanted = {
            "subject_privacy": request.POST.get("subject_privacy", ""),
            "minimise": request.POST.get("minimise") == "on",
            "erased_subjects": request.POST.get("erased_subjects", stream.erased_subjects),
        }
        changes = {key: value for key, value in wanted.items() if getattr(stream, key) != value}
        try:
            change_stream(stream, changes, actor=actor)
        except InvalidError as error:
            places = {one.pointer for one in error.errors}
            for choice in ("subject_privacy", "erased_subjects"):
                if f"/{choice}" in places:
                    faults[choice] = "Choose one of these."
            if not faults:
                faults["subject_privacy"] = sentence(error)
        else:
            messages.success(request, "Changed." if changes else "Nothing was changed.")
            return redirect("stream_privacy", name=stream.name)
    return render(
        request,
        "ingest/stream_privacy.html",
        {
            "stream": stream,
            "may_edit": access.may(actor, Permission.EDIT, stream),
            "ways": WAYS,
            "returns": RETURNS,
            "wanted": wanted,
            "faults": faults,
        },
        status=422 if faults else 200,
    )


@require_POST
def decide(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Accept with a treatment, and go on to the draft; or dismiss with a reason."""
    actor = request_actor(request)
    found = get_suggestion(get_stream(actor, name), number)
    wish = request.POST.get("treatment", "")
    try:
        if wish in (*STRICTNESS, KEEP):
            draft = accept_suggestion(found, wish, actor=actor)
            return redirect("draft", draft_id=draft.pk)
        dismiss_suggestion(found, request.POST.get("reason", ""), actor=actor)
        messages.success(request, f"{found.path} is nothing personal: noted.")
    except (InvalidError, InvalidStateError) as error:
        messages.error(request, sentence(error))
    if request.POST.get("back") == "privacy":
        return redirect("privacy")
    return redirect("stream", name=name)
