"""Pages of the catalog that ask nothing of the apps above: register, producers, consumers."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from catalog import key_pages, snippets
from catalog.examples import example_of
from catalog.impact import old_uses_of
from catalog.models import SchemaVersion, Stream
from catalog.selectors import parties
from catalog.selectors.observed import readings_of
from catalog.selectors.streams import get_stream, may_read_payload, visible_streams
from catalog.services.consumers import create_consumer_key
from catalog.services.producers import create_producer, create_producer_key, require_team
from catalog.typed_code import LANGUAGES, typed_code
from governance.middleware import request_actor
from governance.selectors.requests import live_grants
from governance.sudo import sudo
from portal.http import parameters
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import NotPermittedError, PortalError


@require_http_methods(["GET", "POST"])
@sudo
def use(request: HttpRequest, name: str) -> HttpResponse:
    """How to send to a stream: code for four places, its types, a key, and the first event."""
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
    version = stream.versions.filter(version=stream.default_version or 0).first()
    asked = parameters.read(request.GET, _USE)
    way, language = asked.get("with", "curl"), asked.get("language", "python")
    data = example_of(version.document) if version is not None else None
    sending = snippets.Sending(
        endpoint=request.build_absolute_uri("/v1/events"),
        event=snippets.event_of(
            stream.name, f"/{stream.domain.slug}", data, stream.default_version
        ),
        key=key_text or snippets.NO_KEY,
    )
    code, no_code = _code_of(version, language) if version is not None else ("", "")
    return render(
        request,
        "catalog/stream_use.html",
        {
            "stream": stream,
            "version": version,
            "has_example": data is not None,
            "way": way,
            "ways": snippets.WAYS,
            "needs": snippets.WAYS[way].needs,
            "snippet": snippets.WAYS[way].make(sending),
            "language": language,
            "languages": LANGUAGES,
            "file_name": f"{stream.name.replace('.', '_')}_v{stream.default_version}"
            f".{LANGUAGES[language].suffix}",
            "code": code,
            "no_code": no_code,
            "reading": request.build_absolute_uri(f"/api/v1/streams/{stream.name}/events"),
            "may_read": may_read_payload(actor, stream),
            "may_send": may_make_key(stream, actor),
            "key": key_text,
            "refused": refused,
        },
        status=403 if refused else 200,
    )


_USE: Final[dict[str, parameters.Reader]] = {
    "with": parameters.choice(snippets.WAYS),
    "language": parameters.choice(LANGUAGES),
}


def _code_of(version: SchemaVersion, language: str) -> tuple[str, str]:
    """The typed code of a version, or why there is none."""
    try:
        code = typed_code(version.document, version.stream.name, version.version, language)
    except PortalError as error:
        return "", error.detail
    return code, ""


def may_make_key(stream: Stream, actor: Actor) -> bool:
    """Whether the person may make a producer's key here: they are in the owner team, or an admin."""
    if stream.owner_team is None:
        return False
    try:
        require_team(stream.owner_team.pk, actor)
    except NotPermittedError:
        return False
    return True


def manages_keys(team_id: int | None, actor: Actor) -> bool:
    """Whether the person keeps the keys of a program: they are in its team, or an admin."""
    return actor.is_admin or (team_id is not None and team_id in actor.team_ids)


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
def producers(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, parameters.LIST)
    page = paginate(parties.counted_producers(actor), order=("name",), cursor=asked.get("cursor"))
    return render(request, "catalog/producers.html", {"rows": page.items, "next": page.next})


@require_http_methods(["GET", "POST"])
@sudo
def producer(request: HttpRequest, name: str) -> HttpResponse:
    """One producer; its team makes keys here."""
    actor = request_actor(request)
    found = parties.get_producer(name)
    keys, done = parties.keys_of("prod", found.pk), key_pages.Done()
    manages = manages_keys(found.team_id, actor)

    def make() -> str:
        _, text = create_producer_key(
            found,
            actor=actor,
            name=request.POST.get("name", "")[:120],
            browser_origins=request.POST.get("origins", "")[:4000].replace(",", " ").split()[:20],
        )
        return text

    if request.method == "POST":
        require_team(found.team_id, actor)
        done = key_pages.act(request, keys, make)
    return render(
        request,
        "catalog/producer.html",
        {
            "producer": found,
            "manages": manages,
            **(key_pages.shown(keys, done) if manages else {}),
            "streams": visible_streams(actor).filter(permitted_producers__producer=found)[:200],
            "globs": found.permitted.exclude(glob="").values_list("glob", flat=True)[:50],
            "sources": found.sources.order_by("source")[:100],
            "old_uses": old_uses_of(found, actor)[:50],
            "grants": live_grants(actor, holder=found, limit=100),
        },
    )


@require_GET
def consumers(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, parameters.LIST)
    page = paginate(parties.counted_consumers(actor), order=("name",), cursor=asked.get("cursor"))
    return render(request, "catalog/consumers.html", {"rows": page.items, "next": page.next})


@require_http_methods(["GET", "POST"])
@sudo
def consumer(request: HttpRequest, name: str) -> HttpResponse:
    """One consumer; its team makes keys here."""
    actor, found = request_actor(request), parties.get_consumer(name)
    keys, done = parties.keys_of("cons", found.pk), key_pages.Done()
    manages = manages_keys(found.team_id, actor)
    if request.method == "POST":
        require_team(found.team_id, actor, permission="consumer.manage")
        name_said = request.POST.get("name", "")[:120]
        done = key_pages.act(
            request, keys, lambda: create_consumer_key(found, actor=actor, name=name_said)[1]
        )
    return render(
        request,
        "catalog/consumer.html",
        {
            "consumer": found,
            "manages": manages,
            **(key_pages.shown(keys, done) if manages else {}),
            "readings": readings_of(actor, found, limit=200),
            "grants": live_grants(actor, holder=found, limit=100),
        },
    )
