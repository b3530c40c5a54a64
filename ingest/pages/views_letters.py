"""Pages of dead letters: groups, one group with ways to put it right, replays, discovered types."""

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from catalog.field_index import fields_of
from catalog.inference import infer
from catalog.models import Producer
from catalog.selectors.streams import get_stream
from governance.middleware import request_actor
from governance.models import User
from ingest.models import DeadLetter, Repair
from ingest.pages.letter_pages import (
    Tried,
    chosen_steps,
    done_about,
    hands,
    listed,
    put_right,
    rate_choices,
    shown,
    tried,
)
from ingest.selectors import dead_letters, discovered
from ingest.selectors import repairs as selectors
from ingest.selectors.dead_letters import Group
from ingest.selectors.suggested import suggestions_for
from ingest.services import letters as services
from ingest.services.reveal import has_treated, reveal_letter
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.http.problem import remember
from portal.kernel import strict_json
from portal.kernel.actor import Actor
from portal.kernel.errors import BadRequestError, InvalidError, NotFoundError, PortalError, sentence

STATES: Final = {"open": "Open", "replayed": "Replayed", "discarded": "Discarded"}
_MAX_STEPS_BYTES: Final = 16 * 1024
_FIELDS: Final = 12


@require_http_methods(["GET", "POST"])
def dead_letter_groups(request: HttpRequest) -> HttpResponse:
    """Groups of dead letters with the newest of one beside them; a POST marks or takes a group."""
    if request.method == "POST":
        return _mark(request)
    asked = parameters.read(
        request.GET,
        {**parameters.LIST, "state": parameters.choice(STATES)},
    )
    actor, state = request_actor(request), asked.get("state", "open")
    page = paginate(
        dead_letters.grouped(actor, state=state),
        order=("-count", "group_key"),
        limit=asked.get("limit"),
        cursor=asked.get("cursor"),
    )
    waiting, total = dead_letters.totals(actor, state=state)
    groups = dead_letters.describe(actor, page.items, state=state)
    context: dict[str, Any] = {
        "groups": groups,
        "next": page.next,
        "state": state,
        "states": STATES.items(),
        "title": _title(state, waiting, total),
        "total": total,
        "sees_all": actor.is_admin or actor.has_role("on_call"),
        "chosen": groups[0] if groups else None,
        "discovered_count": discovered.visible_types(actor).count(),
    }
    if groups:
        context |= newest_of(actor, groups[0])
        if state == "open":
            context |= put_right(actor, groups[0], document=context.get("document"))
            context |= done_about(actor, groups[0])
    return render(request, "ingest/dead_letters.html", context)


def _mark(request: HttpRequest) -> HttpResponse:
    """Give the chosen groups to whoever asks, or mark them as known."""
    actor = request_actor(request)
    chosen = request.POST.getlist("group")[:50]
    person = User.objects.filter(pk=actor.id).first() if actor.is_person else None
    try:
        for name in chosen:
            group = dead_letters.group_of(actor, dead_letters.key_of(name))
            if request.POST.get("do") == "known":
                services.mark_known(group, actor=actor, note=request.POST.get("note", ""))
            else:
                services.assign_group(group, person, actor=actor)
    except PortalError as error:
        remember(request, error)
        messages.error(request, f"Not done: {sentence(error)}")
    else:
        done = "known" if request.POST.get("do") == "known" else "yours"
        count = len(chosen)
        if count:
            said = f"{words.capitalized(words.counted(count, 'group'))} marked as {done}."
            messages.success(request, said)
        else:
            messages.error(request, "Choose a group first.")
    return redirect("dead_letters")


def _title(state: str, waiting: int, total: int) -> str:
    """What the list says at once; that nothing waits is good news."""
    if state != "open":
        verb = "was" if waiting == 1 else "were"
        return f"{words.capitalized(words.counted(waiting, 'event'))} {verb} {state}."
    if not waiting:
        return "No dead letters. That is good news."
    causes = words.counted(total, "cause")
    return f"{words.capitalized(words.counted(waiting, 'refused event'))}, {causes}."


def newest_of(actor: Actor, group: Group) -> dict[str, Any]:
    """The newest event of a group with its faults, for the pane beside a list.

    One whose reading is logged is left to the page of the group: a list must not read it by itself,
    let alone each time it refreshes.
    """
    newest = dead_letters.example_of(actor, group.key)
    if newest is not None and dead_letters.is_logged(newest):
        return {"newest": newest, "is_logged": True}
    return _shown(actor, newest)


def _shown(actor: Actor, letter: DeadLetter | None) -> dict[str, Any]:
    body = dead_letters.readable_body(actor, letter) if letter is not None else None
    document = dead_letters.parsed(body)
    return {
        "newest": letter,
        "may_reveal": letter is not None
        and has_treated(document)
        and dead_letters.may_reveal(actor, letter),
        "document": document,
        "body": body,
        "faults": [error["pointer"] for error in letter.errors] if letter is not None else [],
    }


@require_GET
def letter(request: HttpRequest, letter_id: UUID) -> HttpResponse:
    """Where a notice leads: to the group of a letter, whose address no notice keeps."""
    found = dead_letters.get_dead_letter(request_actor(request), letter_id)
    return redirect("dead_letter_group", group=dead_letters.group_id(found.group_key))


@require_POST
def letter_reveal(request: HttpRequest, letter_id: UUID) -> HttpResponse:
    """One dead letter in clear, for who holds the grant and says why; nothing keeps the page."""
    actor = request_actor(request)
    letter = dead_letters.get_dead_letter(actor, letter_id)
    group = dead_letters.group_id(letter.group_key)
    try:
        document, places = reveal_letter(letter, reason=request.POST.get("reason", ""), actor=actor)
    except InvalidError as error:
        messages.error(request, sentence(error))
        return redirect("dead_letter_group", group=group)
    answer = render(
        request,
        "ingest/letter_revealed.html",
        {"letter": letter, "group_id": group, "document": document, "places": places,
         "is_text": isinstance(document, str)},
    )  # fmt: skip
    answer.headers["Cache-Control"] = "no-store"
    return answer


@require_http_methods(["GET", "POST"])
def dead_letter_group(request: HttpRequest, group: str) -> HttpResponse:
    if request.method == "POST":
        return _decide(request, group)
    return _group_page(request, group)


def _group_page(request: HttpRequest, group: str, wrong: Tried | None = None) -> HttpResponse:
    """The page of a group; with `wrong`, what was sent from its form stands there with its fault."""
    actor = request_actor(request)
    key = dead_letters.key_of(group)
    asked = parameters.read(
        request.GET,
        {**parameters.LIST, "letter": parameters.text(40), "steps": parameters.text(8000)},
    )
    rows = dead_letters.visible_dead_letters(actor).filter(group_key=key)
    page = paginate(
        rows,
        order=("-received_at", "id"),
        limit=asked.get("limit", 20),
        cursor=asked.get("cursor"),
    )
    found = dead_letters.group_of(actor, key)
    looked_at = _letter(actor, asked["letter"], key) if "letter" in asked else None
    context = _shown(actor, looked_at or _first(actor, key, page.items, asked))
    return render(
        request,
        "ingest/dead_letter_group.html",
        {
            "group": found,
            "letters": page.items,
            "next": page.next,
            "counts": dead_letters.states_in(actor, key),
            "is_one": looked_at is not None,
            **context,
            **put_right(
                actor,
                found,
                document=context["document"],
                own_steps=asked.get("steps", ""),
                wrong=wrong,
            ),
            **done_about(actor, found),
        },
        status=200 if wrong is None else 422,
    )


def _first(
    actor: Actor, key: str, letters: list[DeadLetter], asked: dict[str, Any]
) -> DeadLetter | None:
    """The letter that a page of a group shows: an open one, or the first of a later page."""
    if "cursor" in asked:
        return letters[0] if letters else None
    return dead_letters.example_of(actor, key)


def _letter(actor: Actor, text: str, key: str) -> DeadLetter:
    try:
        found = dead_letters.get_dead_letter(actor, UUID(text))
    except ValueError:
        raise NotFoundError from None
    if found.group_key != key:
        raise NotFoundError
    return found


def _decide(request: HttpRequest, group: str) -> HttpResponse:
    """What the form of a group asks for: a dry run, a replay as it is, or a discard."""
    actor = request_actor(request)
    found = dead_letters.group_of(actor, dead_letters.key_of(group))
    how = request.POST.get("how", "")
    try:
        repair = _act(how, found, actor, request)
    except InvalidError as error:
        said = request.POST
        wrong = tried(how, said.get("steps", ""), said.get("reason", ""), error)
        return _group_page(request, group, wrong)
    except PortalError as error:
        remember(request, error)
        messages.error(request, f"Not done: {sentence(error)}")
        return redirect("dead_letter_group", group=group)
    if repair is None:
        return redirect("dead_letter_group", group=group)
    return redirect("replay", repair_id=repair.pk)


def _act(how: str, group: Group, actor: Actor, request: HttpRequest) -> Repair | None:
    if how == "assign":
        services.assign_group(group, User.objects.filter(pk=actor.id).first(), actor=actor)
        messages.success(request, "It is yours. Whoever looks next sees that.")
        return None
    if how == "known":
        services.mark_known(group, actor=actor, note=request.POST.get("note", ""))
        messages.success(request, "Marked as known.")
        return None
    if how == "discard":
        return services.discard_group(group, actor=actor, reason=request.POST.get("reason", ""))
    if how == "plain":
        rate = parameters.integer(1, 1_000_000)
        try:
            chosen = rate(request.POST.get("rate") or str(services.DEFAULT_RATE))
        except ValueError as error:
            raise InvalidError("This rate is not offered.") from error
        return services.replay_group(group, actor=actor, rate=chosen)
    if how == "own":
        steps = _own_steps(request.POST.get("steps", ""))
    else:
        document = _shown(actor, dead_letters.example_of(actor, group.key))["document"]
        event = document if isinstance(document, dict) else None
        steps = chosen_steps(suggestions_for(actor, group, document=event), how) or []
    repair = services.declare_repair(group, steps, actor=actor, note=request.POST.get("note", ""))
    services.start_dry_run(repair, actor=actor)
    return repair


def _own_steps(text: str) -> list[Any]:
    """The steps that somebody wrote as JSON."""
    raw = text.encode()
    if len(raw) > _MAX_STEPS_BYTES:
        raise InvalidError("The steps are longer than 16 KiB.")
    try:
        found = strict_json.decode(raw)
    except BadRequestError as error:
        raise InvalidError(f"The steps are not JSON: {error.detail}") from error
    if not isinstance(found, list):
        raise InvalidError("The steps are a JSON list.")
    return found


@require_GET
def replays(request: HttpRequest) -> HttpResponse:
    """What was declared about dead letters that the actor may see, the newest first."""
    actor = request_actor(request)
    asked = parameters.read(request.GET, parameters.LIST)
    page = paginate(
        selectors.visible_repairs(actor),
        order=("-declared_at", "id"),
        limit=asked.get("limit", 25),
        cursor=asked.get("cursor"),
    )
    return render(
        request,
        "ingest/replays.html",
        {"rows": listed(page.items), "next": page.next},
    )


@require_http_methods(["GET", "POST"])
def replay(request: HttpRequest, repair_id: UUID) -> HttpResponse:
    """One repair, replay or discard: what it does, its dry run, the decision, how far it is."""
    actor = request_actor(request)
    row = selectors.get_repair(actor, repair_id)
    if request.method == "POST":
        return _step(request, row, actor)
    return render(request, "ingest/replay.html", _one(actor, row))


@require_GET
def replay_state(request: HttpRequest, repair_id: UUID) -> HttpResponse:
    """How far it is, alone, for the page that follows it live. It reads no event."""
    actor = request_actor(request)
    row = selectors.get_repair(actor, repair_id)
    return render(request, "ingest/_replay.html", _one(actor, row, with_examples=False))


def _one(actor: Actor, row: Repair, *, with_examples: bool = True) -> dict[str, Any]:
    one = shown(row, selectors.job_of(row))
    is_settled = with_examples and not one.is_live
    return {
        "one": one,
        "hands": hands(actor, row),
        "examples": selectors.examples_of(actor, row, limit=4) if is_settled else None,
        "wants_examples": is_settled and bool(one.checked) and row.kind == "repair",
        "rates": rate_choices(one.passed),
        "default_rate": services.DEFAULT_RATE,
    }


def _step(request: HttpRequest, row: Repair, actor: Actor) -> HttpResponse:
    do, text = request.POST.get("do", ""), request.POST.get("text", "")
    try:
        if do == "approve":
            services.approve_repair(row, actor=actor, comment=text)
            said = "Approved. It can be replayed now."
        elif do == "decline":
            services.decline_repair(row, actor=actor, reason=text)
            said = "Declined."
        elif do == "dry-run":
            services.start_dry_run(row, actor=actor)
            said = "The dry run has begun."
        elif do == "apply":
            rate = parameters.integer(1, 1_000_000)(request.POST.get("rate") or "5000")
            services.apply_repair(row, actor=actor, rate=rate)
            said = "The replay has begun. This page may be left."
        else:
            raise NotFoundError
    except NotFoundError:
        raise
    except InvalidError as error:
        if do != "decline":
            messages.error(request, f"Not done: {sentence(error)}")
            return redirect("replay", repair_id=row.pk)
        context = {**_one(actor, row), "undecided": error.detail}
        return render(request, "ingest/replay.html", context, status=422)
    except (PortalError, ValueError) as error:
        if isinstance(error, PortalError):
            remember(request, error)
        said = sentence(error) if isinstance(error, PortalError) else "This rate is not offered."
        messages.error(request, f"Not done: {said}")
    else:
        messages.success(request, said)
    return redirect("replay", repair_id=row.pk)


@require_POST
def replay_waiting(request: HttpRequest, name: str) -> HttpResponse:
    """Take the events through the door that came before the stream was known."""
    actor = request_actor(request)
    stream = get_stream(actor, name)
    try:
        repair = services.replay_waiting(stream, actor=actor)
    except PortalError as error:
        remember(request, error)
        messages.error(request, f"Not done: {sentence(error)}")
        return redirect("stream", name=stream.name)
    if selectors.visible_repairs(actor).filter(pk=repair.pk).exists():
        return redirect("replay", repair_id=repair.pk)
    return redirect("stream", name=stream.name)


@require_GET
def discovered_types(request: HttpRequest) -> HttpResponse:
    """Types that arrive and nobody registered, with the shape their kept events have."""
    actor = request_actor(request)
    asked = parameters.read(request.GET, {**parameters.LIST, "type": parameters.text(255)})
    page = paginate(
        discovered.visible_types(actor),
        order=("-last_seen_at", "type"),
        limit=asked.get("limit", 20),
        cursor=asked.get("cursor"),
    )
    producers = Producer.objects.in_bulk([row.producer_id for row in page.items])
    rows = [(row, producers.get(row.producer_id)) for row in page.items]
    kind = asked.get("type") or (page.items[0].type if page.items else "")
    context: dict[str, Any] = {
        "rows": rows,
        "next": page.next,
        "chosen": kind,
        "sees_all": actor.is_admin or actor.has_role("on_call"),
    }
    if kind and discovered.visible_types(actor).filter(type=kind).exists():
        context |= _preview(actor, kind, is_asked="type" in asked)
    return render(request, "ingest/discovered.html", context)


def _preview(actor: Actor, kind: str, *, is_asked: bool) -> dict[str, Any]:
    """The inferred fields of a type. Values are read for it, which leaves a trace: on request."""
    if not is_asked:
        return {"fields": None}
    samples = discovered.samples_of(actor, kind)
    if not samples.events:
        return {"fields": [], "sample_count": 0}
    found = infer(samples.events)
    kinds = {row.path: row for row in fields_of(found.document)}
    rows = [(fact, kinds[fact.path]) for fact in found.facts if fact.path in kinds]
    return {
        "fields": rows[:_FIELDS],
        "more_fields": max(0, len(rows) - _FIELDS),
        "sample_count": len(samples.events),
    }
