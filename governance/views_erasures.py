"""Pages of erasures: asking for one, deciding, how far it is by store, the receipt."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from governance.errors import RoleNeededError
from governance.forms_erasures import ErasureForm
from governance.middleware import request_actor
from governance.models import Erasure, ErasureState
from governance.models.jobs import JobState
from governance.selectors import erasures as selectors
from governance.services import erasures as services
from governance.sudo import sudo, sudo_anew
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.http.rendering import dump
from portal.kernel.actor import Actor
from portal.kernel.errors import PortalError, sentence

_TITLES: Final = {
    ErasureState.WAITING.value: "An erasure waits for a decision.",
    ErasureState.RUNNING.value: "A person is being erased.",
    ErasureState.DONE.value: "A person was erased.",
    ErasureState.DENIED.value: "An erasure was declined.",
    ErasureState.WITHDRAWN.value: "An erasure was taken back.",
}
_ENDED: Final = (JobState.PAUSED, JobState.STOPPED, JobState.FAILED)


@require_http_methods(["GET", "POST"])
@sudo_anew
def overview(request: HttpRequest) -> HttpResponse:
    """What waits for a decision, what was done, and the form to ask for one."""
    actor = _admin(request)
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    form = ErasureForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            row = services.request_erasure(
                form.lines(), actor=actor, basis=form.cleaned_data["basis"],
                reason=form.cleaned_data["reason"],
            )  # fmt: skip
        except PortalError as error:
            form.show(error)
        else:
            messages.success(request, "It waits for another admin, who was told.")
            return redirect("erasure", erasure_id=row.pk)
    page = paginate(
        selectors.visible_erasures(actor),
        order=("-created_at", "id"),
        limit=selectors.SHOWN,
        cursor=asked.get("cursor"),
    )
    waiting = list(selectors.waiting(actor)[: selectors.SHOWN])
    return render(
        request,
        "governance/erasures.html",
        {
            "form": form,
            "title": _headline(len(waiting)),
            "waiting": [(row, selectors.may_decide(actor, row)) for row in waiting],
            "rows": page.items,
            "next": page.next,
        },
        status=422 if form.errors else 200,
    )


def _headline(waiting: int) -> str:
    if not waiting:
        return "No erasure waits for a decision."
    verb = "waits" if waiting == 1 else "wait"
    counted = f"{words.counted(waiting, 'erasure')} {verb} for a decision."
    return words.capitalized(counted)


@require_http_methods(["GET", "POST"])
@sudo
def erasure(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    """One erasure, and the hand on it: approve, deny, withdraw, have it go on."""
    actor = _admin(request)
    row = selectors.get_erasure(actor, erasure_id)
    fault = ""
    if request.method == "POST":
        step = _STEPS.get(request.POST.get("do", ""))
        if step is None:
            messages.error(request, "Nothing was done: the form said nothing that can be done.")
            return redirect("erasure", erasure_id=erasure_id)
        try:
            said = step(request, actor, row)
        except PortalError as error:
            if not error.errors:
                messages.error(request, sentence(error))
                return redirect("erasure", erasure_id=erasure_id)
            fault = words.capitalized(f"{error.errors[0].detail}.")
        else:
            messages.success(request, said)
            return redirect("erasure", erasure_id=erasure_id)
    checks = request.GET.get("verify") == "receipt" and row.receipt is not None
    shown = _shown(actor, row) | {
        "has_checked": checks,
        "disproof": selectors.verdict_on_receipt(actor, row.pk) if checks else "",
        "fault": fault,
        "typed": request.POST.get("reason", ""),
    }
    return render(request, "governance/erasure.html", shown, status=422 if fault else 200)


@require_GET
def state(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    """How far it is, alone, for the page that follows it live."""
    actor = _admin(request)
    row = selectors.get_erasure(actor, erasure_id)
    return render(request, "governance/_erasure.html", _shown(actor, row))


@require_GET
def receipt(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    """The signed receipt as a file."""
    found = selectors.get_receipt(_admin(request), erasure_id)
    answer = HttpResponse(dump(found), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="erasure-{erasure_id}.json"'
    return answer


def _shown(actor: Actor, row: Erasure) -> dict[str, Any]:
    job = row.job
    is_own = actor.is_person and actor.id == row.requested_by_user
    return {
        "row": row,
        "title": _TITLES[row.state],
        "job": job,
        "stores": selectors.swept(row),
        "may_decide": selectors.may_decide(actor, row),
        "may_withdraw": row.state == ErasureState.WAITING and is_own,
        "may_go_on": row.state == ErasureState.RUNNING and (job is None or job.state in _ENDED),
        "is_live": row.state == ErasureState.RUNNING and job is not None and job.is_live,
        "signed_by": row.receipt["signature"]["key_id"] if row.receipt else "",
        "ledger": row.receipt["receipt"]["ledger"] if row.receipt else "",
    }


def _revision(request: HttpRequest) -> int | None:
    text = request.POST.get("revision", "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _approve(request: HttpRequest, actor: Actor, row: Erasure) -> str:
    services.approve_erasure(
        row.pk, actor=actor, note=request.POST.get("reason", ""), revision=_revision(request)
    )
    return "Approved. It begins within the minute, and cannot be taken back."


def _deny(request: HttpRequest, actor: Actor, row: Erasure) -> str:
    services.deny_erasure(
        row.pk, actor=actor, note=request.POST.get("reason", ""), revision=_revision(request)
    )
    return "Declined. Whom it was about is forgotten."


def _withdraw(request: HttpRequest, actor: Actor, row: Erasure) -> str:
    services.withdraw_erasure(row.pk, actor=actor, revision=_revision(request))
    return "Taken back. Whom it was about is forgotten."


def _go_on(request: HttpRequest, actor: Actor, row: Erasure) -> str:
    services.go_on(row.pk, actor=actor)
    return "It goes on where it was."


_STEPS: Final[dict[str, Callable[[HttpRequest, Actor, Erasure], str]]] = {
    "approve": _approve, "deny": _deny, "withdraw": _withdraw, "go_on": _go_on,
}  # fmt: skip


def _admin(request: HttpRequest) -> Actor:
    actor = request_actor(request)
    if not actor.is_admin:
        raise RoleNeededError("Persons are erased by admins.", "admin")
    return actor
