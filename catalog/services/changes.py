"""Changing a contract: propose, look, decide, activate. Each step is one audited transaction.

proposed ──approvals──▶ approved ──activate──▶ active
    └────────reject, withdraw────────▶ rejected

On the experimental track no approval is needed. Only activation is refused as incompatible, so
that a breaking change can be proposed, measured and talked about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from catalog.compatibility.types import Verdict
from catalog.models import Change, ChangeComment, ChangeVote, SchemaVersion, Stream, Vote
from catalog.schema_safety import check_schema, fingerprint
from catalog.services.policing import keep_activation_in_order, weigh_change
from catalog.services.schemas import lock, make_active, store_version
from catalog.services.telling import (
    tell_of_activation,
    tell_of_proposal,
    tell_of_rejection,
    tell_of_vote,
)
from catalog.types import OPEN_STATES, Lifecycle, Track, VersionState
from governance import access, audit
from governance.deciding import require_other
from governance.services.jobs import start_job
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    ConflictError,
    FieldError,
    InvalidError,
    InvalidStateError,
    NotPermittedError,
)

REPORT: Final = "catalog.change_report"
MAX_COMMENT: Final = 4_000
MAX_OPEN: Final = 50


@dataclass(frozen=True, slots=True)
class Proposal:
    """What proposing takes. `opens_group`: it breaks earlier versions on purpose."""

    document: Mapping[str, Any]
    label: str = ""
    summary: str = ""
    reason: str = ""
    opens_group: bool = False


@transaction.atomic
def propose_change(stream: Stream, proposal: Proposal, *, actor: Actor) -> Change:
    """Propose the next version, breaking or not; workers begin to measure it.

    Raises InvalidError for a document that cannot be taken, ConflictError when it equals the
    default version or another open proposal, or when too many are open.
    """
    access.require(actor, Permission.EDIT, stream)
    change = open_change(stream, proposal, actor=actor)
    tell_of_proposal(change, by=actor)
    start_report(change, actor=actor)
    return change


def open_change(stream: Stream, proposal: Proposal, *, actor: Actor) -> Change:
    """Shared step: store the next version as an open change, whoever proposes it.

    Raises InvalidStateError where the stream is retired: no event of it is taken any more.
    """
    draft = check_schema(proposal.document)
    locked = lock(stream)
    if locked.lifecycle == Lifecycle.RETIRED:
        raise InvalidStateError(f"{locked.name} is retired, for good: it has no next version.")
    _refuse_same(locked, fingerprint(proposal.document))
    version = store_version(
        locked, proposal.document, draft=draft, actor=actor, label=proposal.label,
        note=proposal.summary,
    )  # fmt: skip
    change = Change.objects.create(
        stream=locked,
        version=version,
        summary=proposal.summary[:200],
        reason=proposal.reason,
        opens_group=proposal.opens_group,
        needed_approvals=approvals_needed(locked, actor),
        asked_by_id=actor.id if actor.is_person else None,
        opened_by=actor.label,
        opened_at=clock.now(),
    )
    if change.needed_approvals == 0:
        move_version(version, VersionState.PROPOSED, VersionState.APPROVED)
    audit.record(
        actor,
        "schema.proposed",
        stream.ref,
        summary=f"proposed {stream.name} v{version.version}",
        after={"version": version.version, "summary": proposal.summary},
    )
    return change


def approvals_needed(stream: Stream, actor: Actor) -> int:
    """Approvals that a change of this stream needs: one on the production track."""
    return 1 if stream.track == Track.PRODUCTION and not actor.is_system else 0


def _refuse_same(stream: Stream, digest: bytes) -> None:
    same = (
        stream.versions.filter(document_sha256=digest)
        .filter(state__in=[*OPEN_STATES, VersionState.ACTIVE])
        .order_by("-version")
        .first()
    )
    if same is not None and (same.state in OPEN_STATES or same.version == stream.default_version):
        raise ConflictError(
            f"It is the same as version {same.version}, which is {same.state}.",
            code="unchanged",
            extra={"version": same.version},
        )
    if stream.versions.filter(state__in=OPEN_STATES).count() >= MAX_OPEN:
        raise ConflictError(
            f"{MAX_OPEN} changes of this stream are open. Decide on some first.", code="too_many"
        )


@transaction.atomic
def publish_schema(
    stream: Stream, document: Mapping[str, Any], *, actor: Actor, label: str = "", note: str = ""
) -> tuple[SchemaVersion, bool]:
    """Propose and activate in one step, where no approval is needed.

    A document equal to the default version changes nothing: gives that version and False. Raises
    ConflictError for an incompatible one, InvalidStateError when it needs an approval.
    """
    access.require(actor, Permission.EDIT, stream)
    current = stream.versions.filter(version=stream.default_version or 0).first()
    if current is not None and bytes(current.document_sha256) == fingerprint(document):
        return current, False
    change = open_change(stream, Proposal(document, label=label, summary=note), actor=actor)
    _activate(change, actor, opens_group=False, makes_default=True)
    stream.refresh_from_db()
    change.version.refresh_from_db()
    return change.version, True


def start_report(change: Change, *, actor: Actor) -> None:
    """Have workers measure a change, from the beginning."""
    start_job(
        REPORT,
        change.ref,
        actor=actor,
        title=f"What {change.stream.name} v{change.version.version} would do",
        owner_team_id=change.stream.owner_team_id,
        track=change.stream.track,
    )


@transaction.atomic
def rerun_report(change: Change, *, actor: Actor) -> None:
    """Measure an open change again, with the events that came since."""
    access.require(actor, Permission.EDIT, change.stream)
    if change.state not in OPEN_STATES:
        raise InvalidStateError("Only open changes are measured.")
    start_report(change, actor=actor)


@transaction.atomic
def vote_on_change(change: Change, vote: Vote, *, actor: Actor, comment: str = "") -> Change:
    """Approve a change or ask for changes; never one's own. The newest word of a person counts.

    With as many approvals as it needs, and nobody asking for changes, it is approved.
    """
    _require_decider(change, actor)
    _check_text(comment, "/comment")
    locked = hold_open(change)
    if vote == Vote.ASK and not comment.strip():
        raise InvalidError(
            "Say what to change.", errors=[FieldError("/comment", "required", "say what to change")]
        )
    ChangeVote.objects.update_or_create(
        change=locked,
        user_id=actor.id,
        defaults={"vote": vote, "comment": comment.strip(), "at": clock.now()},
    )
    votes = list(locked.votes.values_list("vote", flat=True))
    is_approved = Vote.ASK not in votes and votes.count(Vote.APPROVE) >= locked.needed_approvals
    wanted = VersionState.APPROVED if is_approved else VersionState.PROPOSED
    if locked.version.state != wanted:
        move_version(locked.version, VersionState(locked.version.state), wanted)
    touch(locked)
    tell_of_vote(locked, vote, comment, by=actor)
    audit.record(
        actor,
        "schema.approved" if vote == Vote.APPROVE else "schema.changes_asked",
        locked.stream.ref,
        summary=f"{'approved' if vote == Vote.APPROVE else 'asked for changes to'} "
        f"{locked.stream.name} v{locked.version.version}",
        after={"comment": comment.strip()},
    )
    return locked


@transaction.atomic
def reject_change(change: Change, *, actor: Actor, reason: str) -> Change:
    """End an open change: by who may approve, or by who proposed it (a withdrawal)."""
    is_own = actor.is_person and change.asked_by_id == actor.id
    if not is_own:
        access.require(actor, Permission.APPROVE, change.stream)
    if not reason.strip():
        raise InvalidError(
            "Say why.", errors=[FieldError("/reason", "required", "say why, in one line")]
        )
    _check_text(reason, "/reason")
    locked = hold_open(change)
    move_version(locked.version, VersionState(locked.version.state), VersionState.REJECTED)
    locked.closed_at = clock.now()
    touch(locked)
    tell_of_rejection(locked, reason, by=actor)
    audit.record(
        actor,
        "schema.withdrawn" if is_own else "schema.rejected",
        locked.stream.ref,
        summary=f"{'withdrew' if is_own else 'rejected'} "
        f"{locked.stream.name} v{locked.version.version}",
        after={"reason": reason.strip()},
    )
    return locked


@transaction.atomic
def activate_change(
    change: Change, *, actor: Actor, opens_group: bool | None = None, makes_default: bool = True
) -> Verdict:
    """Make an approved version active, under the stream's lock; gives the verdict it stood.

    Raises InvalidStateError without its approvals, ConflictError when it is incompatible and does
    not open a compatibility group.
    """
    access.require(actor, Permission.EDIT, change.stream)
    return _activate(change, actor, opens_group=opens_group, makes_default=makes_default)


def _activate(
    change: Change, actor: Actor, *, opens_group: bool | None, makes_default: bool
) -> Verdict:
    stream = lock(change.stream)
    locked = hold_open(change)
    if locked.version.state != VersionState.APPROVED:
        missing = locked.needed_approvals - locked.votes.filter(vote=Vote.APPROVE).count()
        raise InvalidStateError(
            f"It needs {max(missing, 1)} more approval by somebody else before it can be active.",
            code="not_approved",
        )
    opens = locked.opens_group if opens_group is None else opens_group
    weighed = weigh_change(locked)
    verdict = make_active(stream, locked.version, opens_group=opens, makes_default=makes_default)
    keep_activation_in_order(
        weighed, stream, compatible=verdict.compatible, is_default=makes_default
    )
    locked.closed_at = clock.now()
    locked.opens_group = opens
    touch(locked)
    tell_of_activation(stream, locked.version, by=actor)
    audit.record(
        actor,
        "schema.published",
        stream.ref,
        summary=f"published {stream.name} v{locked.version.version}",
        after={
            "version": locked.version.version,
            "note": locked.summary,
            "compatibility_group": locked.version.compatibility_group,
            "default": makes_default,
        },
    )
    return verdict


@transaction.atomic
def comment_on_change(change: Change, text: str, *, actor: Actor, path: str = "") -> ChangeComment:
    """Say something about a change, or about one field of it."""
    access.require(actor, Permission.DISCOVER, change.stream)
    if not actor.is_person:
        raise NotPermittedError("People comment; keys do not.")
    _check_text(text, "/text")
    if not text.strip():
        raise InvalidError(
            "There is no text.", errors=[FieldError("/text", "required", "write something")]
        )
    row = ChangeComment.objects.create(
        change=change, path=path[:500], text=text.strip(), by_id=actor.id, by_label=actor.label,
        at=clock.now(),
    )  # fmt: skip
    audit.record(
        actor,
        "schema.commented",
        change.stream.ref,
        summary=f"commented on {change.stream.name} v{change.version.version}",
        after={"path": path[:500]},
    )
    return row


def _require_decider(change: Change, actor: Actor) -> None:
    if not actor.is_person:
        raise NotPermittedError("People decide on changes; keys do not.")
    access.require(actor, Permission.APPROVE, change.stream)
    page = f"/changes/{change.pk}/"
    if change.asked_by_id == actor.id:
        raise NotPermittedError(
            "Somebody else must decide on your own change.",
            code="own_change",
            permission="stream.approve",
            request_at=page,
            about=change.stream.ref.as_pair(),
        )
    require_other(
        actor,
        change.asked_by_id,
        permission="stream.approve",
        request_at=page,
        about=change.stream.ref,
    )


def hold_open(change: Change) -> Change:
    """Shared step: the change's row, held, as it is now; InvalidStateError when it is not open any more."""
    locked = (
        Change.objects.select_for_update(of=("self",))
        .select_related("version", "stream")
        .get(pk=change.pk)
    )
    if locked.version.state not in OPEN_STATES:
        raise InvalidStateError(f"The change is {locked.version.state}.")
    return locked


def move_version(version: SchemaVersion, old: VersionState, new: VersionState) -> None:
    """Shared step: from one state to the next; InvalidStateError when somebody was faster."""
    moved = SchemaVersion.objects.filter(pk=version.pk, state=old).update(state=new)
    if moved != 1:
        raise InvalidStateError(f"The version is no longer {old}.")
    version.state = new


def touch(change: Change) -> None:
    """Shared step: keep what became of a change, under a new revision."""
    change.updated_at = clock.now()
    change.revision += 1
    change.save(
        update_fields=["closed_at", "opens_group", "updated_at", "revision"],
    )


def _check_text(text: str, pointer: str) -> None:
    if len(text) > MAX_COMMENT or "\0" in text:
        raise InvalidError(
            "The text cannot be kept.",
            errors=[FieldError(pointer, "too_long", f"at most {MAX_COMMENT:,} characters")],
        )
