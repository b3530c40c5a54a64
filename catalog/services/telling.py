"""Who is told of what about streams: who follows one, who owns it, who decides, who asked.

Shared steps of the services of the catalog and of the apps above it; each runs in the transaction
of the change and before its audit row, which holds the head of the chain.
"""

from datetime import datetime
from typing import Final

from catalog.models import Change, Follow, Promotion, SchemaVersion, Stream, Vote
from catalog.types import Track
from governance import access
from governance.models import Membership
from governance.services.notices import News, tell
from governance.types import NoticeKind, Permission
from portal.http import words
from portal.kernel.actor import SYSTEM, Actor

_SIDES: Final = {
    Track.PRODUCTION.value: "the production track",
    Track.EXPERIMENTAL.value: "the experimental track",
}


def audience(stream: Stream) -> set[int]:
    """Who is told of a stream: its followers, and the team that owns it or else its domain."""
    owner = stream.owner_team_id or stream.domain.owner_team_id
    followers = Follow.objects.filter(stream=stream).values_list("user_id", flat=True)
    owners = Membership.objects.filter(team=owner).values_list("user_id", flat=True)
    return {*followers, *owners}


def tell_of_stream(
    stream: Stream,
    kind: NoticeKind,
    title: str,
    sentence: str,
    *,
    by: Actor,
    url: str = "",
    dedupe: str = "",
    at: datetime | None = None,
) -> int:
    """Tell followers and owners of a stream; gives how many are told."""
    news = News(kind, stream.ref, title, sentence, url or f"/streams/{stream.name}/", dedupe)
    return tell(audience(stream), news, by=by, at=at)


def tell_of_proposal(change: Change, *, by: Actor) -> None:
    """Tell of a proposed version; who may vote on it is told that it waits for them."""
    stream, number = change.stream, change.version.version
    url, about = f"/changes/{change.pk}/", change.summary or "No summary was given."
    deciders = access.holders(Permission.APPROVE, stream) if change.needed_approvals else set()
    tell(
        deciders,
        News(
            NoticeKind.VOTE_WANTED,
            stream.ref,
            f"{stream.name} v{number} waits for your vote",
            f"{by.label} proposed: {about}",
            url,
            f"vote:{change.pk}",
        ),
        by=by,
    )
    tell(
        audience(stream) - deciders,
        News(
            NoticeKind.PROPOSED,
            stream.ref,
            f"{stream.name} v{number} is proposed",
            f"{by.label} proposed: {about}",
            url,
            f"proposed:{change.pk}",
        ),
        by=by,
    )


def tell_of_vote(change: Change, vote: Vote, comment: str, *, by: Actor) -> None:
    """Tell who proposed a change what somebody decided on it."""
    said = "approved" if vote == Vote.APPROVE else "asked for changes to"
    _tell_proposer(change, f"{by.label} {said} it.", comment, by=by)


def tell_of_rejection(change: Change, reason: str, *, by: Actor) -> None:
    """Tell who proposed a change that it was rejected, and why."""
    _tell_proposer(change, f"{by.label} rejected it.", reason, by=by)


def _tell_proposer(change: Change, sentence: str, comment: str, *, by: Actor) -> None:
    if change.asked_by_id is None:
        return
    stream = change.stream
    news = News(
        NoticeKind.DECIDED,
        stream.ref,
        f"A decision on {stream.name} v{change.version.version}",
        f"{sentence} {comment.strip()}".strip(),
        f"/changes/{change.pk}/",
    )
    tell([change.asked_by_id], news, by=by)


def tell_of_activation(stream: Stream, version: SchemaVersion, *, by: Actor) -> None:
    """Tell of a version that became active; the first one comes with the stream itself."""
    if version.version == 1:
        return
    tell_of_stream(
        stream,
        NoticeKind.ACTIVATED,
        f"{stream.name} v{version.version} is active",
        version.note or "Events may follow it from now on.",
        by=by,
        url=f"/streams/{stream.name}/schema/?v={version.version}",
        dedupe=f"active:{version.pk}",
    )


def tell_of_move_asked(promotion: Promotion, *, by: Actor) -> None:
    """Tell of a request to move a stream; who may approve it is told that it waits for them."""
    stream = promotion.stream
    told = f"{by.label} asked: {promotion.reason or 'No reason was given.'}"
    url = _moved_at(promotion)
    deciders = access.holders(Permission.APPROVE, stream)
    tell(
        deciders,
        News(
            NoticeKind.VOTE_WANTED,
            stream.ref,
            f"{stream.name} waits for your approval to move to {_SIDES[promotion.to_track]}",
            told,
            url,
            f"move:{promotion.pk}",
        ),
        by=by,
    )
    tell(
        audience(stream) - deciders,
        News(
            NoticeKind.PROPOSED,
            stream.ref,
            f"{stream.name} is to move to {_SIDES[promotion.to_track]}",
            told,
            url,
            f"move-asked:{promotion.pk}",
        ),
        by=by,
    )


def tell_of_move_unanswered(promotion: Promotion, admins: set[int], *, days: int) -> None:
    """Tell admins of a request that nobody answered for so many days, and who asked that they know."""
    stream, url = promotion.stream, _moved_at(promotion)
    once = f"move-escalated:{promotion.pk}"
    asker = {promotion.asked_by_id} if promotion.asked_by_id is not None else set[int]()
    tell(
        admins - asker,
        News(
            NoticeKind.VOTE_WANTED,
            stream.ref,
            f"Nobody answers whether {stream.name} moves to {_SIDES[promotion.to_track]}",
            f"{promotion.opened_by} asked more than {days} days ago: "
            f"{promotion.reason or 'No reason was given.'}",
            url,
            once,
        ),
        by=SYSTEM,
    )
    tell(
        asker,
        News(
            NoticeKind.PROPOSED,
            stream.ref,
            f"Your request to move {stream.name} went to the admins",
            f"Nobody who may approve it has answered in {days} days.",
            url,
            once,
        ),
        by=SYSTEM,
    )


def tell_asker_of_move(promotion: Promotion, sentence: str, comment: str, *, by: Actor) -> None:
    """Tell who asked to move a stream what somebody decided on it."""
    if promotion.asked_by_id is None:
        return
    stream = promotion.stream
    news = News(
        NoticeKind.DECIDED,
        stream.ref,
        f"A decision on moving {stream.name}",
        f"{sentence} {comment.strip()}".strip(),
        _moved_at(promotion),
    )
    tell([promotion.asked_by_id], news, by=by)


def tell_of_move(promotion: Promotion, *, by: Actor) -> None:
    """Tell from which own time on events of a stream lie on the other track."""
    moment = promotion.moves_at
    since = f"Events whose own time is later than {moment:%Y-%m-%d %H:%M} UTC" if moment else "All"
    tell_of_stream(
        promotion.stream,
        NoticeKind.CHANGED,
        f"{promotion.stream.name} moves to {_SIDES[promotion.to_track]}",
        f"{since} are stored there. Nothing changes for who sends or reads it.",
        by=by,
        url=_moved_at(promotion),
        dedupe=f"moved:{promotion.pk}",
    )


def _moved_at(promotion: Promotion) -> str:
    return f"/streams/{promotion.stream.name}/promote/"


def tell_of_deprecation(
    stream: Stream, what: str, sunset_at: datetime, advice: str, *, by: Actor
) -> None:
    """Tell until when a stream or a version of it (`what`) lives, and what to use instead."""
    tell_of_stream(
        stream,
        NoticeKind.DEPRECATED,
        f"{what} ends on {words.day(sunset_at)}",
        f"It is taken until {sunset_at:%Y-%m-%d %H:%M} UTC. {advice}".strip(),
        by=by,
        url=f"/streams/{stream.name}/versions/",
    )


def tell_of_retirement(stream: Stream, what: str, *, by: Actor) -> None:
    """Tell that a stream or a version of it (`what`) takes no events any more."""
    tell_of_stream(
        stream,
        NoticeKind.RETIRED,
        f"{what} is retired",
        "Events that name it are refused from now on.",
        by=by,
        url=f"/streams/{stream.name}/versions/",
    )


def tell_of_facts(stream: Stream, changed: set[str], *, by: Actor) -> None:
    """Tell of a new owner or description; other facts are no news."""
    told = []
    if "owner_team" in changed:
        owner = stream.owner_team
        told.append(f"It is owned by {owner.name} now." if owner else "It has no owner now.")
    if "description" in changed:
        told.append(f"It reads now: {stream.description or 'no description'}")
    if told:
        tell_of_stream(
            stream, NoticeKind.CHANGED, f"{stream.name} was changed", " ".join(told), by=by
        )
