"""Registering a stream: give samples, confirm what was found, publish. Works without a script."""

import json
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from catalog import draft_pages, drafting, naming
from catalog.draft_pages import Saved, saved_in
from catalog.drafting import Draft
from catalog.forms import RegisterForm, SampleForm
from catalog.inference import infer
from catalog.models import Stream
from catalog.neighbours import Neighbours
from catalog.samples import Discovered, Samples, discovered_samples, discovered_types
from catalog.schema_safety import check_schema
from catalog.selectors import search
from catalog.selectors.drafts import visible_drafts
from catalog.selectors.neighbours import neighbours_of
from catalog.selectors.streams import visible_streams
from catalog.services.domains import require_registrar
from catalog.services.drafts import publish_registration
from catalog.services.streams import NewStream, register_stream
from catalog.style_lint import Finding
from catalog.types import Enforcement
from governance.middleware import request_actor
from governance.models import Team
from portal.kernel.actor import Actor
from portal.kernel.errors import PortalError

_WAYS: Final = ("paste", "upload", "discovered")


@require_http_methods(["GET", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """From samples to a published stream: give, confirm, publish."""
    actor = request_actor(request)
    require_registrar(actor)
    if request.method == "POST" and "document" in request.POST:
        return _confirm(request, actor)
    kind = request.GET.get("discovered", "")[:255].replace("\0", "")
    if kind:
        return _from_discovered(request, actor, kind)
    if request.method != "POST":
        return _ask(request, actor, SampleForm())
    sample = SampleForm(request.POST, request.FILES)
    if sample.is_valid():
        try:
            draft, name = _draft_of(sample.cleaned_data["samples"])
        except PortalError as error:
            sample.add_error("file" if request.FILES else "sample", _said(error))
        else:
            return _review(request, actor, _form(actor, draft, name), draft)
    return _ask(request, actor, sample, status=422)


def _ask(
    request: HttpRequest, actor: Actor, sample: SampleForm, *, status: int = 200, kind: str = ""
) -> HttpResponse:
    way = "upload" if request.FILES else request.GET.get("from", "paste")
    context = {
        "sample": sample,
        "way": way if way in _WAYS else "paste",
        "types": discovered_types(actor),
        "discovered": kind,
        "drafts": visible_drafts(actor).filter(kind="registration").count(),
    }
    return render(request, "catalog/register.html", context, status=status)


def _draft_of(samples: Samples) -> tuple[Draft, str]:
    """A draft and the name that its samples propose."""
    if samples.schema is not None:
        check_schema(samples.schema, pointer="")
        return Draft(samples.schema, shape="schema"), ""
    found = infer(samples.events)
    return drafting.from_inferred(found), found.name


def _from_discovered(request: HttpRequest, actor: Actor, kind: str) -> HttpResponse:
    """A draft from the kept events of a type; without any, samples are asked for."""
    kept: Discovered = discovered_samples(actor, kind)
    try:
        found = infer(list(kept.events))
    except PortalError:
        return _ask(request, actor, SampleForm(), kind=kind)
    draft = drafting.from_inferred(found, discovered=kind, may_show=kept.may_show)
    return _review(request, actor, _form(actor, draft, _name_of(kind)), draft)


def _name_of(kind: str) -> str:
    try:
        return naming.from_outside(kind)
    except PortalError:
        return ""


def _form(actor: Actor, draft: Draft, name: str) -> RegisterForm:
    described = draft.document.get("description")
    return RegisterForm(
        initial={
            "name": name,
            "description": described[:4000] if isinstance(described, str) else "",
            "tier": "T3",
            "classification": "internal",
        },
        owners=_owners(actor),
    )


def reopen(
    request: HttpRequest, actor: Actor, saved: Saved, draft: Draft, frame: dict[str, Any]
) -> HttpResponse:
    """The review of a kept draft, with whom it is shared below it."""
    initial = {"tier": "T3", "classification": "internal", **draft_pages.texts_of(saved.draft)}
    form = RegisterForm(initial=initial, owners=_owners(actor))
    return _review(request, actor, form, draft, saved=saved, frame=frame)


def keep_open(request: HttpRequest, actor: Actor, problem: str) -> HttpResponse:
    """The review again with what was typed, because it could not be kept as a draft."""
    form = RegisterForm(request.POST, owners=_owners(actor))
    form.is_valid()
    if "document" not in form.cleaned_data:
        return _ask(request, actor, SampleForm(), status=422)
    form.add_error(None, problem)
    draft = drafting.edited(Draft(form.cleaned_data["document"]), request.POST.dict())
    return _review(request, actor, form, draft, status=409)


def _confirm(request: HttpRequest, actor: Actor) -> HttpResponse:
    """One press of a button on the review: publish, or a step from this draft to the next."""
    form = RegisterForm(request.POST, owners=_owners(actor))
    form.is_valid()
    if "document" not in form.cleaned_data or "state" not in form.cleaned_data:
        sample = SampleForm()
        return _ask(request, actor, sample, status=422)
    action = request.POST.get("do", "publish")
    name = str(form["name"].value() or "").strip()
    around = neighbours_of(actor, but=name)
    try:
        draft = drafting.from_form(form.cleaned_data["document"], form.cleaned_data["state"])
        draft = drafting.edited(draft, request.POST.dict())
        if action != "publish":
            before = drafting.judged(draft, name, around)
            draft, new_name = drafting.acted(draft, action, before)
            return _again(request, actor, draft, new_name, around)
    except PortalError as error:
        form.add_error(None, _said(error))
        return _review(request, actor, form, Draft(form.cleaned_data["document"]), status=422)
    return _publish(request, actor, form, draft, around)


def _again(
    request: HttpRequest, actor: Actor, draft: Draft, new_name: str, around: Neighbours
) -> HttpResponse:
    """The review after a step: what was typed stays, and nothing is scolded yet."""
    initial = {name: request.POST.get(name, "") for name in RegisterForm.base_fields}
    form = RegisterForm(
        initial=initial | ({"name": new_name} if new_name else {}), owners=_owners(actor)
    )
    return _review(request, actor, form, draft, around=around)


def _publish(
    request: HttpRequest, actor: Actor, form: RegisterForm, draft: Draft, around: Neighbours
) -> HttpResponse:
    found = drafting.judged(draft, str(form["name"].value() or ""), around)
    undecided = drafting.is_open(found)
    if undecided:
        paths = ", ".join(finding.path for finding in undecided[:5])
        form.add_error(None, f"Decide first what is stored of {paths}.")
    if form.is_valid():
        try:
            stream = _register(form, draft, actor, saved_in(actor, request.POST.dict()))
        except PortalError as error:
            _place(form, error)
        else:
            messages.success(request, f"{stream.name} is published on the experimental track.")
            return redirect("stream_use", name=stream.name)
    return _review(request, actor, form, draft, status=422, around=around)


def _register(form: RegisterForm, draft: Draft, actor: Actor, saved: Saved | None) -> Stream:
    """A stream that began as a discovered type keeps that type as a name of its own, and only
    observes at first: its producers send already, and nobody shall lose an event."""
    given = form.cleaned_data
    discovered = draft.discovered
    document = draft.document
    if not document.get("description"):
        document = {**document, "description": given["description"]}
    new = NewStream(
        name=given["name"],
        document=document,
        description=given["description"],
        owner_team=Team.objects.filter(slug=given["owner"]).first(),
        tier=given["tier"],
        classification=given["classification"],
        tags=given["tags"],
        aliases=(discovered,) if discovered and discovered != given["name"] else (),
        origin="ui",
        extra={"enforcement": Enforcement.OBSERVE} if discovered else {},
    )
    if saved is None:
        return register_stream(new, actor=actor)
    return publish_registration(saved.draft, new, actor=actor, revision=saved.revision)


def _review(
    request: HttpRequest,
    actor: Actor,
    form: RegisterForm,
    draft: Draft,
    *,
    status: int = 200,
    around: Neighbours | None = None,
    saved: Saved | None = None,
    frame: dict[str, Any] | None = None,
) -> HttpResponse:
    name = str(form["name"].value() or "")
    known = around if around is not None else neighbours_of(actor, but=name)
    found = drafting.judged(draft, name, known)
    rows = drafting.rows_of(draft, found)
    return render(
        request,
        "catalog/register_review.html",
        {
            "form": form,
            "draft": draft,
            "document": json.dumps(draft.document),
            "rows": rows,
            "may_lack": min(99, -(-300 // max(draft.samples, 1))),
            "n_fields": len(rows),
            "privacy": drafting.PRIVACY,
            "open": drafting.is_open(found),
            "accepts": any(not fix.changes_data for f in found for fix in f.fixes),
            "checks": _checks(form, found),
            "similar": _similar(actor, name, rows, known),
            "saved": saved or saved_in(actor, request.POST.dict()),
            "sharing": None,
        }
        | (frame or {}),
        status=status,
    )


def _checks(form: RegisterForm, found: list[Finding]) -> list[dict[str, Any]]:
    """The list at the end of the page: what holds, what is open, and the button that settles it."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in found:
        by_rule.setdefault(finding.rule, []).append(finding)
    name = str(form["name"].value() or "")
    named = by_rule.get("event_name", [])
    sound = bool(naming.STREAM_NAME.fullmatch(name))
    checks: list[dict[str, Any]] = [
        {
            "state": "bad" if not sound else "warn" if named else "ok",
            "title": "The name follows the house style" if not named and sound
            else "The name breaks the house style" if not sound else "The name could say more",
            "sub": named[0].message if named else name if sound else "domain.object_action",
            "finding": named[0] if named else None,
        },
        {
            "state": "ok" if form["description"].value() else "bad",
            "title": "One event has a meaning" if form["description"].value()
            else "Say what one event means",
        },
    ]  # fmt: skip
    checks.append(
        _counted(by_rule.get(drafting.DECIDE, []), "privacy suggestion", "open",
                 "Personal data is decided", "warn")
    )  # fmt: skip
    meanings = _counted(by_rule.get("described", []), "field", "without a meaning",
                        "Every field has a meaning", "warn")  # fmt: skip
    meanings["suggests"] = any(finding.fixes for finding in by_rule.get("described", []))
    checks.append(meanings)
    shape = [f for rule in ("flat", "typed", "one_type", "wide") for f in by_rule.get(rule, [])]
    checks.append(_counted(shape, "field", "nested deep or without one type",
                           "Flat, and every field has one type", "warn"))  # fmt: skip
    clash = [
        f for rule in ("similar_stream", "same_name_other_type") for f in by_rule.get(rule, [])
    ]
    checks.append(_counted(clash, "clash", "with other streams", "No clash with other streams",
                           "warn"))  # fmt: skip
    rest = [
        finding for finding in found
        if finding.rule not in {"event_name", "stream_described", "described", drafting.DECIDE,
                                "flat", "typed", "one_type", "wide", "similar_stream",
                                "same_name_other_type"}
    ]  # fmt: skip
    checks.append(_counted(rest, "piece of advice", "", "It follows every other rule", "info"))
    return checks


def _counted(found: list[Finding], noun: str, what: str, fine: str, state: str) -> dict[str, Any]:
    """One line of the checks for findings of a kind."""
    if not found:
        return {"state": "ok", "title": fine}
    plural = {"clash": "clashes", "piece of advice": "pieces of advice"}.get(noun, f"{noun}s")
    title = f"{len(found)} {noun if len(found) == 1 else plural} {what}".strip()
    whole = [finding.message for finding in found if not finding.path][:1]
    paths = list(dict.fromkeys(finding.path for finding in found if finding.path))
    return {"state": state, "title": title, "paths": paths[:6], "sub": "".join(whole)}


def _similar(
    actor: Actor, name: str, rows: list[drafting.Row], known: Neighbours
) -> list[dict[str, Any]]:
    """Streams that may be the same thing already, with how many of the fields they share."""
    mine = {row.field.name for row in rows if row.field.depth == 0}
    scored = sorted(
        ((len(mine & theirs), other) for other, theirs in known.streams.items() if mine & theirs),
        reverse=True,
    )
    wanted = [other for shared, other in scored[:3] if shared * 2 >= len(mine)]
    if name:
        words = name.replace(".", " ").replace("_", " ")
        near = search.find_streams(actor, search.Question(text=words), with_facets=False)
        wanted += [row.name for row in near.rows.order_by(*search.ORDERINGS["relevance"])[:3]]
    names = list(dict.fromkeys(other for other in wanted if other != name))[:3]
    found = {row.name: row for row in visible_streams(actor).filter(name__in=names)}
    return [
        {
            "stream": found[other],
            "shared": len(mine & known.streams.get(other, frozenset())),
            "of": len(mine),
        }
        for other in names
        if other in found
    ]


def _said(error: PortalError) -> str:
    """The sentence of an error with the first place it names."""
    first = error.errors[0] if error.errors else None
    return (
        f"{error.detail} {first.pointer} {first.detail}.".replace("  ", " ")
        if first
        else (error.detail)
    )


def _place(form: RegisterForm, error: PortalError) -> None:
    placed = False
    for fault in error.errors:
        name = fault.pointer.strip("/").split("/")[0]
        if name in form.fields and name not in ("document", "state"):
            form.add_error(name, fault.detail)
            placed = True
    if not placed:
        form.add_error(None, _said(error))


def _owners(actor: Actor) -> list[tuple[str, str]]:
    """The teams a person may register for: their own; all for admins."""
    teams = Team.objects.order_by("name")
    if not actor.is_admin:
        teams = teams.filter(pk__in=actor.team_ids)
    return [(team.slug, team.name) for team in teams[:500]]
