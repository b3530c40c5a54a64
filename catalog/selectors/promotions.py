"""Reading what a move between the tracks asks for, and the requests for one."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from catalog.models import Promotion, PromotionApproval, PromotionState, Stream
from catalog.policy_subjects import STREAM
from catalog.promotion_rules import ASKED, MENDED_AT, TO_PRODUCTION, TO_TRIAL
from catalog.selectors.policy_facts import stream_thing
from catalog.selectors.streams import visible_streams
from catalog.tracks import as_on
from catalog.types import Track
from governance import access
from governance.policies.facts import subject_of
from governance.policies.judging import Said, judge
from governance.selectors.policies import judged_now
from governance.types import Permission, PolicyOutcome, Severity
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

SHOWN: Final = 20  # earlier requests on a stream's page


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a move asks for. `state`: `ok`, `bad` (stops the move), `warn` or `info`."""

    key: str
    title: str
    state: str
    detail: str
    remedy: str
    is_policy: bool
    mend_at: str

    @property
    def stops(self) -> bool:
        return self.state == "bad"

    @property
    def sentence(self) -> str:
        named = f" ({self.detail})" if self.detail else ""
        return f"{self.title}{named}. {self.remedy}".strip()


def checks_of(stream: Stream, to: str) -> list[Check]:
    """What a move of a stream asks for, as the stream would be there; what stops it first."""
    thing = stream_thing(stream)
    moved = as_on(stream, to)
    thing.facts["stream"].update(
        track=str(to), retention_days=moved.retention_days,
        compatibility_mode=str(moved.compatibility_mode),
    )  # fmt: skip
    rules = TO_PRODUCTION if to == Track.PRODUCTION else TO_TRIAL
    asked = ASKED if to == Track.PRODUCTION else frozenset[str]()
    own = [judge(rule, subject_of(STREAM), thing.facts) for rule in rules]
    found = [_check(stream, one, is_policy=False, stops=one.blocks) for one in own]
    for one in judged_now(STREAM, thing):
        is_open = one.is_finding and one.waived_until is None
        found.append(
            _check(
                stream, one, is_policy=True, stops=is_open and (one.blocks or one.policy in asked)
            )
        )
    order = ("bad", "warn", "info", "ok")
    return sorted(found, key=lambda one: order.index(one.state))


def _check(stream: Stream, said: Said, *, is_policy: bool, stops: bool) -> Check:
    state, detail = "ok", said.detail
    if stops:
        state = "bad"
    elif said.is_finding and said.severity == Severity.INFORM:
        state = "info"
    elif said.is_finding:
        state = "warn"
    if said.waived_until is not None and said.is_finding:
        state, detail = "info", f"waived until {said.waived_until[:10]}"
    elif said.outcome == PolicyOutcome.NOT_MEASURED:
        state, detail = "info", "not measured"
    elif said.outcome == PolicyOutcome.UNDECIDED:
        detail = f"could not be judged: {said.detail}"
    page = MENDED_AT.get(said.policy)
    at = f"/streams/{stream.name}/{page}" if page and said.is_finding else ""
    return Check(said.policy, said.title, state, detail, said.remedy, is_policy, at)


def promotions_of(stream: Stream) -> QuerySet[Promotion]:
    """The requests to move a stream, the newest first."""
    return stream.promotions.order_by("-opened_at", "pk")


def open_promotion(stream: Stream) -> Promotion | None:
    """The request that waits for approvals; there is one at most."""
    return stream.promotions.filter(state=PromotionState.OPEN).first()


def get_promotion(stream: Stream, promotion_id: UUID) -> Promotion:
    """A request to move this stream, closed ones too; NotFoundError for another's."""
    found = stream.promotions.filter(pk=promotion_id).first()
    if found is None:
        raise NotFoundError
    return found


def approvals_of(promotion: Promotion) -> QuerySet[PromotionApproval]:
    """Who approved so far, the first one first."""
    return promotion.approvals.select_related("user").order_by("at", "pk")


def waiting_for(actor: Actor) -> QuerySet[Promotion]:
    """Open requests that this person may approve and has not: never their own."""
    if not actor.is_person:
        return Promotion.objects.none()
    decidable = access.permitted(actor, Permission.APPROVE, visible_streams(actor))
    return (
        Promotion.objects.filter(
            state=PromotionState.OPEN, stream__in=decidable.order_by().values("pk")
        )
        .exclude(asked_by_id=actor.id)
        .exclude(approvals__user_id=actor.id)
        .select_related("stream")
        .order_by("-opened_at", "pk")
    )
