"""Pages of the catalog that ask nothing of the apps above: register, producers, consumers."""

import json
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from catalog.examples import example_of
from catalog.field_index import fields_of
from catalog.forms import RegisterForm, SampleForm
from catalog.inference import Suggestion, apply_suggestions, infer
from catalog.models import Stream
from catalog.selectors import parties, search
from catalog.selectors.streams import (
    get_stream,
    get_version,
    may_read_payload,
    visible_streams,
)
from catalog.services.domains import require_registrar
from catalog.services.producers import create_producer, create_producer_key, require_team
from catalog.services.streams import NewStream, register_stream
from catalog.style_lint import Finding, lint
from governance.middleware import request_actor
from governance.models import Team
from portal.http import parameters
from portal.http.pagination import paginate
from portal.http.policy import declare
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import NotPermittedError, PortalError
from portal.kernel.identifiers import uuid7


@require_http_methods(["GET", "POST"])
@declare(GET="stream.register", POST="stream.register")
def register(request: HttpRequest) -> HttpResponse:
    """From a pasted sample to a published stream: paste, look, publish."""
    actor = request_actor(request)
    require_registrar(actor)
    if request.method == "POST" and "document" in request.POST:
        return _publish(request, actor)
    sample = SampleForm(request.POST or None)
    if request.method != "POST" or not sample.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(
            request,
            "catalog/register.html",
            {"sample": sample, "discovered": request.GET.get("discovered", "")[:255]},
            status=status,
        )
    try:
        found = infer(sample.cleaned_data["sample"])
    except PortalError as error:
        sample.add_error("sample", error.detail)
        return render(request, "catalog/register.html", {"sample": sample}, status=422)
    form = RegisterForm(
        initial={
            "name": found.name,
            "tier": "T3",
            "classification": "internal",
            "document": json.dumps(found.document),
        },
        owners=_owners(actor),
    )
    return _review(request, actor, form, found.document, list(found.suggestions))


def _review(
    request: HttpRequest,
    actor: Actor,
    form: RegisterForm,
    document: dict[str, Any],
    suggestions: list[Suggestion],
    status: int = 200,
) -> HttpResponse:
    rows = fields_of(document)
    name = str(form["name"].value() or "")
    near = search.find_streams(
        actor, search.Question(text=name.replace(".", " ").replace("_", " ")), with_facets=False
    )
    return render(
        request,
        "catalog/register_review.html",
        {
            "form": form,
            "rows": rows,
            "findings": _by_message(lint(rows, document)),
            "suggestions": suggestions,
            "similar": near.rows.order_by(*search.ORDERINGS["relevance"])[:3] if name else [],
        },
        status=status,
    )


def _by_message(findings: Sequence[Finding]) -> list[tuple[str, list[str]]]:
    """Findings of one kind in one line, with the fields they are of."""
    found: dict[str, list[str]] = {}
    for finding in findings:
        found.setdefault(finding.message, []).append(finding.path)
    return [(message, [path for path in paths if path]) for message, paths in found.items()]


def _publish(request: HttpRequest, actor: Actor) -> HttpResponse:
    form = RegisterForm(request.POST, owners=_owners(actor))
    document: dict[str, Any] = {}
    suggestions = _suggestions_in(request)
    if form.is_valid():
        document = form.cleaned_data["document"]
        accepted = [
            s for s in suggestions if f"{s.rule}:{s.path}" in request.POST.getlist("accept")
        ]
        document = apply_suggestions(document, accepted)
        try:
            stream = register_stream(
                NewStream(
                    name=form.cleaned_data["name"],
                    document=document,
                    description=form.cleaned_data["description"],
                    owner_team=Team.objects.filter(slug=form.cleaned_data["owner"]).first(),
                    tier=form.cleaned_data["tier"],
                    classification=form.cleaned_data["classification"],
                    tags=form.cleaned_data["tags"],
                    origin="ui",
                ),
                actor=actor,
            )
        except PortalError as error:
            _place(form, error)
        else:
            messages.success(request, f"{stream.name} is published on the experimental track.")
            return redirect("stream_use", name=stream.name)
    try:
        document = form.cleaned_data.get("document") or json.loads(request.POST["document"])
    except (ValueError, RecursionError):
        document = {}
    return _review(request, actor, form, document, suggestions, status=422)


def _suggestions_in(request: HttpRequest) -> list[Suggestion]:
    """The suggestions shown before; only the words that a suggestion may set are taken."""
    found = []
    for raw in request.POST.getlist("suggestion")[:500]:
        rule, _, rest = raw.partition(":")
        path, _, pairs = rest.partition("|")
        allowed = {"x-classification", "x-privacy", "x-unit"}
        sets = dict(pair.split("=", 1) for pair in pairs.split(";") if "=" in pair)
        if path and set(sets) <= allowed:
            found.append(Suggestion(rule, path[:500], f"{path}: {pairs}", sets))
    return found


def _place(form: RegisterForm, error: PortalError) -> None:
    placed = False
    for fault in error.errors:
        name = fault.pointer.strip("/").split("/")[0]
        if name in form.fields:
            form.add_error(name, fault.detail)
            placed = True
    if not placed:
        form.add_error(None, error.detail)


def _owners(actor: Actor) -> list[tuple[str, str]]:
    """The teams a person may register for: their own; all for admins."""
    teams = Team.objects.order_by("name")
    if not actor.is_admin:
        teams = teams.filter(pk__in=actor.team_ids)
    return [(team.slug, team.name) for team in teams[:500]]


@require_http_methods(["GET", "POST"])
@declare(GET="stream.discover", POST="producer.manage")
def use(request: HttpRequest, name: str) -> HttpResponse:
    """How to send to a stream and read it: a snippet, a key, and the first event."""
    actor = request_actor(request)
    stream = get_stream(actor, name)
    key_text, refused = "", ""
    if request.method == "POST":
        try:
            key_text = _key_for(stream, actor)
        except PortalError as error:
            refused = error.detail
    if request.method == "GET" and request.headers.get("HX-Request") == "true":
        return render(request, "catalog/_use_state.html", {"stream": stream})
    contract = get_version(stream, None).document if stream.default_version else {}
    example = {
        "specversion": "1.0",
        "id": str(uuid7()),
        "source": f"/{stream.domain.slug}",
        "type": stream.name,
        "time": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "data": example_of(contract, clock.now()),
    }
    return render(
        request,
        "catalog/stream_use.html",
        {
            "stream": stream,
            "example": json.dumps(example, indent=2, ensure_ascii=False),
            "endpoint": request.build_absolute_uri("/v1/events"),
            "reading": request.build_absolute_uri(f"/api/v1/streams/{stream.name}/events"),
            "may_read": may_read_payload(actor, stream),
            "may_send": may_make_key(stream, actor),
            "key": key_text,
            "refused": refused,
        },
        status=403 if refused else 200,
    )


def may_make_key(stream: Stream, actor: Actor) -> bool:
    """Whether the person may make a producer's key here: they are in the owner team, or an admin."""
    if stream.owner_team is None:
        return False
    try:
        require_team(stream.owner_team.pk, actor)
    except NotPermittedError:
        return False
    return True


def _key_for(stream: Stream, actor: Actor) -> str:
    """A key of the producer named after the stream's domain and team, made when there is none."""
    team = stream.owner_team
    if team is None:
        raise NotPermittedError("A stream without an owner team has no producer. Give it a team.")
    require_team(team.pk, actor)
    slug = f"{stream.domain.slug}-{team.slug}"[:60]
    producer = parties.producers().filter(name=slug).first()
    if producer is None:
        producer = create_producer(
            slug, actor=actor, title=f"{team.name} sender", team=team, streams=[stream]
        )
    else:
        require_team(producer.team_id, actor)
        producer.permitted.get_or_create(stream=stream)
    _, text = create_producer_key(producer, actor=actor, name=f"key for {stream.name}"[:120])
    return text


@require_GET
@declare(GET="signed_in")
def producers(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, parameters.LIST)
    page = paginate(parties.counted_producers(actor), order=("name",), cursor=asked.get("cursor"))
    return render(request, "catalog/producers.html", {"rows": page.items, "next": page.next})


@require_http_methods(["GET", "POST"])
@declare(GET="signed_in", POST="producer.manage")
def producer(request: HttpRequest, name: str) -> HttpResponse:
    """One producer; its team makes keys here."""
    actor = request_actor(request)
    found = parties.get_producer(name)
    manages = actor.is_admin or (found.team_id is not None and found.team_id in actor.team_ids)
    text = ""
    if request.method == "POST":
        _, text = create_producer_key(found, actor=actor, name=request.POST.get("name", "")[:120])
    return render(
        request,
        "catalog/producer.html",
        {
            "producer": found,
            "manages": manages,
            "text": text,
            "keys": parties.keys_of("prod", found.pk)[:100] if manages else [],
            "streams": visible_streams(actor).filter(permitted_producers__producer=found)[:200],
            "globs": found.permitted.exclude(glob="").values_list("glob", flat=True)[:50],
            "sources": found.sources.order_by("source")[:100],
        },
    )


@require_GET
@declare(GET="signed_in")
def consumers(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, parameters.LIST)
    page = paginate(parties.counted_consumers(actor), order=("name",), cursor=asked.get("cursor"))
    return render(request, "catalog/consumers.html", {"rows": page.items, "next": page.next})


@require_GET
@declare(GET="signed_in")
def consumer(request: HttpRequest, name: str) -> HttpResponse:
    found = parties.get_consumer(name)
    return render(
        request,
        "catalog/consumer.html",
        {
            "consumer": found,
            "mappings": parties.mappings_of(request_actor(request), found)[:200],
        },
    )
