"""Taking contracts in on a page: give a file, read the plan, confirm. Works without a script."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from catalog.exchange.uploads import Text, read_texts
from catalog.forms_import import ImportForm
from catalog.services.domains import require_registrar
from catalog.services.uploads import Taken, take_in
from governance.middleware import request_actor
from portal.kernel.actor import Actor
from portal.kernel.errors import PortalError


@require_http_methods(["GET", "POST"])
def import_page(request: HttpRequest) -> HttpResponse:
    """First the plan, which changes nothing; the second press does it."""
    actor = request_actor(request)
    require_registrar(actor)
    if request.method != "POST":
        return _page(request, ImportForm())
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, form, status=422)
    is_confirmed = request.POST.get("do") == "import"
    given: Text = form.cleaned_data["given"]
    try:
        taken = _take(form, given, actor, dry_run=not is_confirmed)
    except PortalError as error:
        form.add_error("file" if request.FILES else "text", error.detail)
        for one in error.errors[:10]:
            form.add_error(None, one.detail)
        return _page(request, form, status=error.status if error.status < 500 else 422)
    return _page(request, form, given=given, taken=taken)


def _take(form: ImportForm, given: Text, actor: Actor, *, dry_run: bool) -> Taken:
    found = read_texts([given], said=form.cleaned_data["format"])
    return take_in(found, actor=actor, domain=form.cleaned_data["domain"], dry_run=dry_run)


def _page(
    request: HttpRequest,
    form: ImportForm,
    *,
    given: Text | None = None,
    taken: Taken | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "taken": taken,
        "plan": taken.plan if taken else None,
        "text": given.raw.decode("utf-8", "replace") if given else "",
        "file_name": given.name if given else "",
    }
    return render(request, "catalog/import.html", context, status=status)
