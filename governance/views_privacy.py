"""Pages of the privacy office: its keys, look-ups in the vault, exports about persons. Admins only.

What people type here names persons. It goes by POST and is kept nowhere: a form that is sent too late
asks who it is and begins anew (`sudo.sudo_anew`).
"""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance import job_kinds
from governance.api.subject_exports import downloaded
from governance.forms_privacy import DestroyForm, ExportForm, TokensForm, ValueForm
from governance.middleware import request_actor
from governance.models import ExportState, Job, SubjectExport
from governance.models.jobs import LIVE, JobState
from governance.selectors import privacy_keys as keys_selectors
from governance.selectors.jobs import wishes_of
from governance.selectors.subject_exports import get_export, visible_exports
from governance.services import jobs, privacy_keys, subject_exports, vault_lookups
from governance.sudo import sudo, sudo_anew
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError, PortalError


@require_http_methods(["GET", "POST"])
@sudo_anew
def keys(request: HttpRequest) -> HttpResponse:
    """The versions of the keys and the newest renewal; a POST destroys the keys of a subject."""
    actor = request_actor(request)
    form = DestroyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            done = privacy_keys.destroy_subject(
                form.cleaned_data["subject"], reason=form.cleaned_data["reason"], actor=actor
            )
        except PortalError as error:
            _show(form, error)
        else:
            messages.success(request, _destroyed(done))
            return redirect("privacy_keys")
    versions = keys_selectors.key_versions(actor)
    rotation = keys_selectors.rotation(actor)
    return render(
        request,
        "governance/privacy_keys.html",
        {
            "form": form,
            "title": keys_selectors.headline(versions, rotation),
            "versions": versions,
            "current": next((one.version for one in versions if one.is_current), None),
            "job": _shown(actor, rotation) if rotation is not None else None,
            "wishes": wishes_of(rotation) if rotation is not None else [],
            "most_attempts": jobs.MAX_ATTEMPTS,
            "is_rotating": rotation is not None and rotation.state in LIVE,
        },
        status=422 if form.errors else 200,
    )


def _destroyed(done: privacy_keys.Destroyed) -> str:
    if not (done.keys or done.tokens):
        return "There was nothing to destroy: no key and no token of that subject."
    return (
        f"Destroyed {words.plural(done.keys, 'data key')} and {words.plural(done.tokens, 'token')}."
    )


def _shown(actor: Actor, row: Job) -> dict[str, Any]:
    """A piece of work as `governance/_job.html` shows it."""
    may_steer = jobs.may_steer(actor, row)
    return {
        "row": row,
        "kind": job_kinds.name_of(row.kind),
        "address": job_kinds.address_of(row),
        "may_pause": may_steer and row.state in (JobState.WAITING, JobState.RUNNING),
        "may_resume": may_steer and row.state in (JobState.PAUSED, JobState.FAILED),
        "may_stop": may_steer and row.is_live,
    }


def _show(form: forms.Form, error: PortalError) -> None:
    """Put a refusal at its field; the rest above the form."""
    if isinstance(error, NotFoundError):
        raise error
    for fault in error.errors:
        name = fault.pointer.strip("/")
        detail = words.capitalized(fault.detail or error.detail)
        form.add_error(name if name in form.fields else None, f"{detail.rstrip('.')}.")
    if not error.errors:
        form.add_error(None, error.detail)


# --- The vault ----------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@sudo_anew
def vault(request: HttpRequest) -> HttpResponse:
    """Ask what tokens stand for, or which stand for a value. What is found is in this answer alone."""
    actor = request_actor(request)
    asks_tokens = request.POST.get("ask") != "value"
    said = request.POST if request.method == "POST" else None
    tokens_form = TokensForm(said if asks_tokens else None, prefix="tokens")
    value_form = ValueForm(None if asks_tokens else said, prefix="value")
    found: dict[str, Any] = {}
    form: forms.Form = tokens_form if asks_tokens else value_form
    if said is not None and form.is_valid():
        try:
            found = _asked(actor, form.cleaned_data, asks_tokens=asks_tokens)
        except PortalError as error:
            _show(form, error)
    return render(
        request,
        "governance/vault.html",
        {
            "tokens_form": tokens_form,
            "value_form": value_form,
            "looks_an_hour": vault_lookups.LOOKS_AN_HOUR,
            **found,
        },
        status=422 if form.errors else 200,
    )


def _asked(actor: Actor, said: dict[str, Any], *, asks_tokens: bool) -> dict[str, Any]:
    if asks_tokens:
        meanings = vault_lookups.look_up_tokens(said["tokens"], reason=said["reason"], actor=actor)
        return {"meanings": meanings}
    standing = vault_lookups.look_up_values(
        [said["values"]], purpose=said["purpose"] or None, reason=said["reason"], actor=actor
    )
    return {"standing": standing, "has_looked": True}


# --- Exports about persons ----------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@sudo_anew
def exports(request: HttpRequest) -> HttpResponse:
    """The exports, the newest first, and the form that asks for one."""
    actor = request_actor(request)
    form = ExportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = subject_exports.request_export(
                form.cleaned_data["identifiers"], reason=form.cleaned_data["reason"], actor=actor
            )
        except PortalError as error:
            _show(form, error)
        else:
            messages.success(request, "It is being gathered. The other admins were told.")
            return redirect("subject_export", export_id=made.pk)
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    page = paginate(
        visible_exports(actor), order=("-created_at", "id"), limit=25, cursor=asked.get("cursor")
    )
    ready = visible_exports(actor).filter(state=ExportState.READY).count()
    return render(
        request,
        "governance/subject_exports.html",
        {"form": form, "title": _headline(ready), "rows": page.items, "next": page.next},
        status=422 if form.errors else 200,
    )


def _headline(ready: int) -> str:
    if not ready:
        return "No export about a person lies here."
    verb = "lies" if ready == 1 else "lie"
    return f"{words.capitalized(words.counted(ready, 'export'))} about persons {verb} here."


@require_GET
def export(request: HttpRequest, export_id: UUID) -> HttpResponse:
    return render(request, "governance/subject_export.html", _one(request, export_id))


@require_GET
def export_state(request: HttpRequest, export_id: UUID) -> HttpResponse:
    """How far it is, alone, for the page that follows it live."""
    return render(request, "governance/_subject_export.html", _one(request, export_id))


def _one(request: HttpRequest, export_id: UUID) -> dict[str, Any]:
    actor = request_actor(request)
    found: SubjectExport = get_export(actor, export_id)
    return {
        "export": found,
        "job": _shown(actor, found.job) if found.job is not None else None,
        "wishes": wishes_of(found.job) if found.job is not None else [],
        "most_attempts": jobs.MAX_ATTEMPTS,
    }


@require_POST
@sudo
def export_download(request: HttpRequest, export_id: UUID) -> HttpResponseBase:
    """The file in clear."""
    try:
        parts = subject_exports.download_export(export_id, actor=request_actor(request))
    except NotFoundError:
        raise
    except PortalError as error:
        messages.error(request, error.detail)
        return redirect("subject_export", export_id=export_id)
    return downloaded(parts, export_id)


@require_POST
@sudo
def export_delete(request: HttpRequest, export_id: UUID) -> HttpResponse:
    try:
        subject_exports.delete_export(export_id, actor=request_actor(request))
    except NotFoundError:
        raise
    except PortalError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, "Removed. Its key is destroyed.")
    return redirect("subject_export", export_id=export_id)
