"""A producer's limits and use: the panel of its page, and a page of its own without JavaScript."""

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from catalog.models import Producer
from catalog.selectors import parties
from catalog.selectors.streams import get_stream, visible_streams
from catalog.services.producers import require_team
from catalog.services.quotas import UNCHANGED, KeyQuota, set_quotas
from catalog.services.streams import MAX_EVENTS_PER_SECOND
from governance.middleware import request_actor
from ingest.pages.stream_names import OFFERED, StreamName
from ingest.selectors.limits import ProducerLimits, limits_of
from portal.kernel.actor import Actor
from portal.kernel.errors import PortalError, sentence


class QuotaForm(forms.Form):
    """One quota of one key: over all streams, or for one. Only parses."""

    key = forms.ChoiceField(widget=forms.Select(attrs={"class": "in"}))
    stream = StreamName(required=False, label="Stream")
    events_per_second = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_EVENTS_PER_SECOND,
        widget=forms.NumberInput(attrs={"class": "in", "inputmode": "numeric"}),
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"),
            f"Write a whole number from 1 to {MAX_EVENTS_PER_SECOND:,}.",
        ),
        help_text="Empty takes the quota away: the key then has what every key has.",
    )
    revision = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(
        self, found: ProducerLimits, streams: list[str], said: QueryDict | None = None
    ) -> None:
        super().__init__(said, initial={"revision": found.producer.revision})
        keys, stream = self.fields["key"], self.fields["stream"]
        assert isinstance(keys, forms.ChoiceField)
        assert isinstance(stream, StreamName)
        keys.choices = [(row.key.pk, f"{row.key.name} ({row.key.pk})") for row in found.keys]
        stream.offer(streams, list_id="streams-to-limit")


@require_http_methods(["GET", "POST"])
def producer_limits(request: HttpRequest, name: str) -> HttpResponse:
    """Quotas and use of a producer's keys; a POST sets one quota, and a refused one stays written."""
    actor, producer = request_actor(request), parties.get_producer(name)
    require_team(producer.team_id, actor)
    found, streams = limits_of(producer, actor), _streams(producer, actor)
    form = QuotaForm(found, streams, request.POST if request.method == "POST" else None)
    refused = ""
    if request.method == "POST" and form.is_valid():
        refused = _set(producer, form, actor)
        if not refused:
            return redirect("producer_limits", name=name)
    is_part = request.method == "GET" and request.headers.get("HX-Request") == "true"
    return render(
        request,
        "ingest/_producer_limits.html" if is_part else "ingest/producer_limits.html",
        {"producer": producer, "limits": found, "form": form, "refused": refused,
         "is_part": is_part},
        status=422 if refused or form.errors else 200,
    )  # fmt: skip


def _streams(producer: Producer, actor: Actor) -> list[str]:
    """The streams that it may publish to by name and the actor may know of."""
    rows = visible_streams(actor).filter(permitted_producers__producer=producer)
    return list(rows.order_by("name").values_list("name", flat=True)[:OFFERED])


def _set(producer: Producer, form: QuotaForm, actor: Actor) -> str:
    """Change one quota; gives why not, or nothing."""
    said = form.cleaned_data
    number, stream = said["events_per_second"], said["stream"]
    try:
        if stream:
            change = KeyQuota(said["key"], UNCHANGED, ((get_stream(actor, stream), number),))
        else:
            change = KeyQuota(said["key"], number)
        set_quotas(producer, [change], actor=actor, revision=said["revision"])
    except PortalError as error:
        return sentence(error)
    return ""
