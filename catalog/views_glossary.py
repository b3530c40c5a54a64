"""Pages of the glossary: the list, a term with what uses it, and writing one."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from catalog.models import Term, TermUse
from catalog.selectors import glossary as selectors
from catalog.selectors.streams import get_stream
from catalog.services import glossary as services
from governance.middleware import request_actor
from governance.models import Team
from portal.http import parameters
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError, PortalError, PreconditionFailedError
from portal.kernel.slugs import LONGEST

_ROWS: Final = 50
_STREAMS: Final = 25
_WIDE: Final = {"class": "in"}


class TermForm(forms.Form):
    """A term as people write it: synonyms by commas, one use a line."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs=_WIDE))
    definition = forms.CharField(
        max_length=services.MAX_DEFINITION, widget=forms.Textarea(attrs={**_WIDE, "rows": 4})
    )
    synonyms = forms.CharField(
        required=False, max_length=2_500, widget=forms.TextInput(attrs=_WIDE)
    )
    owner = forms.ChoiceField(required=False, widget=forms.Select(attrs=_WIDE))
    uses = forms.CharField(
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"class": "in mono", "rows": 5, "spellcheck": "false"}),
    )
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput())

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = Team.objects.order_by("name")
        if not actor.is_admin:
            teams = teams.filter(pk__in=actor.team_ids)
        nobody = [("", "nobody")] if actor.is_admin else []
        owner = self.fields["owner"]
        assert isinstance(owner, forms.ChoiceField)
        owner.choices = [*nobody, *((team.slug, team.name) for team in teams[:500])]
        self.actor = actor

    def clean_synonyms(self) -> list[str]:
        return [word for word in self.cleaned_data["synonyms"].split(",") if word.strip()]

    def clean_uses(self) -> list[services.Use]:
        """`stream`, `stream#path`, or `#name` for a field of every stream."""
        found: list[services.Use] = []
        for number, line in enumerate(self.cleaned_data["uses"].splitlines(), start=1):
            name, _, field = (part.strip() for part in line.partition("#"))
            if not name and not field:
                continue
            try:
                found.append((get_stream(self.actor, name) if name else None, field))
            except NotFoundError:
                self.add_error("uses", f"Line {number}: there is no such stream.")
        return found

    @property
    def owner_team(self) -> Team | None:
        return Team.objects.filter(slug=self.cleaned_data["owner"]).first()


@require_GET
def glossary(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(
        request.GET, {"q": parameters.text(200), "cursor": parameters.text(2000)}
    )
    text = asked.get("q", "")
    page = paginate(
        selectors.find_terms(text), order=selectors.ORDER, limit=_ROWS, cursor=asked.get("cursor")
    )
    return render(
        request,
        "catalog/glossary.html",
        {"terms": page.items, "next": page.next, "text": text, "may_add": _may_add(actor)},
    )


def _may_add(actor: Actor) -> bool:
    return actor.is_admin or bool(actor.team_ids)


@require_GET
def term(request: HttpRequest, slug: str) -> HttpResponse:
    """One term and, as far as they may be known, the streams and fields that mean it."""
    actor = request_actor(request)
    found = selectors.get_term(slug)
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    rows = selectors.streams_using(actor, found)
    page = paginate(rows, order=("name",), limit=_STREAMS, cursor=asked.get("cursor"))
    paths = selectors.fields_using(found, page.items)
    return render(
        request,
        "catalog/term.html",
        {
            "term": found,
            "rows": [(stream, paths.get(stream.pk, [])) for stream in page.items],
            "count": rows.count(),
            "next": page.next,
            "names": TermUse.objects.filter(term=found, stream=None).order_by("field"),
            "may_edit": services.may_keep(found.owner_team, actor),
        },
    )


@require_http_methods(["GET", "POST"])
def term_new(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    if not _may_add(actor):
        services.require_keeper(None, actor)
    form = TermForm(request.POST or None, actor=actor)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_term(
                slugify(form.cleaned_data["name"])[:LONGEST].strip("-"),
                actor=actor,
                owner_team=form.owner_team,
                **_said(form),
            )
        except PortalError as error:
            _show(form, error)
        else:
            messages.success(request, f"{made.name} stands in the glossary.")
            return redirect("term", slug=made.slug)
    return _form_page(request, form, None)


@require_http_methods(["GET", "POST"])
def term_edit(request: HttpRequest, slug: str) -> HttpResponse:
    actor = request_actor(request)
    found = selectors.get_term(slug)
    services.require_keeper(found.owner_team, actor)
    form = TermForm(request.POST or None, actor=actor, initial=_initial(actor, found))
    if request.method == "POST" and form.is_valid():
        changes = _said(form)
        if form.owner_team != found.owner_team:
            changes["owner_team"] = form.owner_team
        try:
            services.change_term(
                found, changes, actor=actor, revision=form.cleaned_data["revision"] or 0
            )
        except PreconditionFailedError:
            form.add_error(None, "Not saved: someone else changed it. Open it again to compare.")
        except PortalError as error:
            _show(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("term", slug=found.slug)
    return _form_page(request, form, found)


@require_POST
def term_delete(request: HttpRequest, slug: str) -> HttpResponse:
    found = selectors.get_term(slug)
    services.delete_term(found, actor=request_actor(request))
    messages.success(request, f"Deleted {found.name}.")
    return redirect("glossary")


def _form_page(request: HttpRequest, form: TermForm, found: Term | None) -> HttpResponse:
    return render(
        request,
        "catalog/term_edit.html",
        {"form": form, "term": found},
        status=422 if form.errors else 200,
    )


def _said(form: TermForm) -> dict[str, Any]:
    return {name: form.cleaned_data[name] for name in ("name", "definition", "synonyms", "uses")}


def _initial(actor: Actor, found: Term) -> dict[str, Any]:
    uses = selectors.visible_uses(actor, found)
    return {
        "name": found.name,
        "definition": found.definition,
        "synonyms": ", ".join(found.synonyms),
        "owner": found.owner_team.slug if found.owner_team else "",
        "uses": "\n".join(
            f"{use.stream.name if use.stream else ''}{'#' if use.field else ''}{use.field}"
            for use in uses
        ),
        "revision": found.revision,
    }


def _show(form: TermForm, error: PortalError) -> None:
    """Put a refusal at its fields; the rest above the form."""
    placed = False
    for fault in error.errors:
        name = fault.pointer.strip("/").partition("/")[0]
        name = "name" if name == "slug" else name
        if name in form.fields:
            form.add_error(name, fault.detail)
            placed = True
    if not placed:
        form.add_error(None, error.detail)
