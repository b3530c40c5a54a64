"""From a proposal to an active version: who decides, what is refused, what is recorded."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from catalog.models import Change, SchemaVersion, Stream, Vote
from catalog.selectors import changes as selectors
from catalog.services import lifecycle
from catalog.services.changes import (
    Proposal,
    activate_change,
    comment_on_change,
    propose_change,
    publish_schema,
    reject_change,
    vote_on_change,
)
from catalog.services.streams import change_stream
from catalog.services.tracks import promote_stream
from governance.errors import NotOwnRequestError
from governance.models import AuditEntry, Job, User
from governance.services.delegations import delegate
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import (
    ConflictError,
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
    PortalError,
)
from tests.support.factories import ORDER_SCHEMA, make_actor, make_stream, make_team

WIDER = {
    **ORDER_SCHEMA,
    "properties": {**ORDER_SCHEMA["properties"], "note": {"type": "string"}},
}
BREAKING = {
    **ORDER_SCHEMA,
    "properties": {**ORDER_SCHEMA["properties"], "order_id": {"type": "integer"}},
}


def with_property(name: str) -> dict[str, Any]:
    return {**ORDER_SCHEMA, "properties": {**ORDER_SCHEMA["properties"], name: {"type": "string"}}}


@pytest.fixture
def team() -> Any:
    return make_team()


@pytest.fixture
def ada(team: Any) -> Actor:
    return make_actor(Role.ENGINEER, team=team)


@pytest.fixture
def ben(team: Any) -> Actor:
    return make_actor(Role.ENGINEER, team=team)


@pytest.fixture
def production(team: Any) -> Stream:
    return promote_stream(make_stream(team=team), actor=SYSTEM)


pytestmark = pytest.mark.django_db


def test_on_the_experimental_track_a_proposal_needs_nobody_else(team: Any, ada: Actor) -> None:
    stream = make_stream(team=team)
    change = propose_change(stream, Proposal(WIDER, summary="Adds a note."), actor=ada)
    assert (change.state, change.version.version, change.needed_approvals) == ("approved", 2, 0)
    stream.refresh_from_db()
    assert stream.default_version == 1, "nothing is active before it is activated"
    activate_change(change, actor=ada)
    stream.refresh_from_db()
    assert stream.default_version == 2
    assert stream.fields.filter(is_current=True, path="note").exists()


def test_a_proposal_is_measured_by_a_job(team: Any, ada: Actor) -> None:
    change = propose_change(make_stream(team=team), Proposal(WIDER), actor=ada)
    job = Job.objects.get(kind="catalog.change_report")
    assert (job.object_key, job.owner_team_id) == (str(change.pk), team.pk)


def test_in_production_somebody_else_approves(production: Stream, ada: Actor, ben: Actor) -> None:
    change = propose_change(production, Proposal(WIDER), actor=ada)
    assert change.state == "proposed"
    with pytest.raises(InvalidStateError, match="1 more approval"):
        activate_change(change, actor=ada)
    with pytest.raises(NotPermittedError, match="Somebody else"):
        vote_on_change(change, Vote.APPROVE, actor=ada)
    assert list(selectors.waiting_for(ben)) == [change]
    assert not selectors.waiting_for(ada).exists()
    assert vote_on_change(change, Vote.APPROVE, actor=ben).state == "approved"
    activate_change(change, actor=ada)
    change.refresh_from_db()
    assert change.version.state == "active"
    assert not selectors.waiting_for(ben).exists()


def test_whoever_asks_for_changes_holds_it_until_they_approve(
    production: Stream, ada: Actor, ben: Actor, team: Any
) -> None:
    cara = make_actor(Role.ENGINEER, team=team)
    change = propose_change(production, Proposal(WIDER), actor=ada)
    with pytest.raises(InvalidError, match="Say what"):
        vote_on_change(change, Vote.ASK, actor=ben)
    vote_on_change(change, Vote.ASK, actor=ben, comment="Call it remark.")
    assert vote_on_change(change, Vote.APPROVE, actor=cara).state == "proposed"
    assert vote_on_change(change, Vote.APPROVE, actor=ben).state == "approved"


def test_a_breaking_change_may_be_proposed_but_not_activated_unless_it_opens_a_group(
    team: Any, ada: Actor
) -> None:
    stream = make_stream(team=team)
    change = propose_change(stream, Proposal(BREAKING), actor=ada)
    with pytest.raises(ConflictError) as caught:
        activate_change(change, actor=ada)
    assert caught.value.code == "incompatible"
    assert caught.value.errors, "each break is named"
    activate_change(change, actor=ada, opens_group=True)
    version = SchemaVersion.objects.get(stream=stream, version=2)
    assert (version.state, version.compatibility_group) == ("active", 2)
    # From now on candidates are compared within the new group.
    later = {**BREAKING, "properties": {**BREAKING["properties"], "x": {"type": "string"}}}
    assert publish_schema(stream, later, actor=ada)[0].compatibility_group == 2


def test_under_the_mode_none_everything_may_be_active(team: Any, ada: Actor) -> None:
    stream = make_stream(team=team)
    change_stream(stream, {"compatibility_mode": "NONE"}, actor=ada)
    assert publish_schema(stream, BREAKING, actor=ada)[0].compatibility_group == 1


def test_what_is_the_same_as_the_default_or_an_open_change_is_not_proposed(
    team: Any, ada: Actor
) -> None:
    stream = make_stream(team=team)
    with pytest.raises(ConflictError, match="the same as version 1"):
        propose_change(stream, Proposal(ORDER_SCHEMA), actor=ada)
    propose_change(stream, Proposal(WIDER), actor=ada)
    with pytest.raises(ConflictError, match="the same as version 2"):
        propose_change(stream, Proposal(WIDER), actor=ada)


def test_a_change_is_rejected_with_a_reason_or_withdrawn_by_its_author(
    production: Stream, ada: Actor, ben: Actor
) -> None:
    one = propose_change(production, Proposal(WIDER), actor=ada)
    with pytest.raises(InvalidError, match="Say why"):
        reject_change(one, actor=ben, reason=" ")
    assert reject_change(one, actor=ben, reason="We have it elsewhere.").state == "rejected"
    with pytest.raises(InvalidStateError):
        vote_on_change(one, Vote.APPROVE, actor=ben)
    two = propose_change(production, Proposal(with_property("other")), actor=ada)
    assert two.version.version == 3, "numbers are never used again"
    reject_change(two, actor=ada, reason="Not needed.")
    actions = list(
        AuditEntry.objects.filter(object_key=production.name)
        .order_by("seq")
        .values_list("action", flat=True)
    )
    assert actions[-4:] == [
        "schema.proposed", "schema.rejected", "schema.proposed", "schema.withdrawn",
    ]  # fmt: skip


def test_a_stranger_may_talk_but_neither_propose_nor_decide(production: Stream, ada: Actor) -> None:
    cy = make_actor(Role.ENGINEER)
    change = propose_change(production, Proposal(WIDER), actor=ada)
    for act in (
        lambda: propose_change(production, Proposal(BREAKING), actor=cy),
        lambda: vote_on_change(change, Vote.APPROVE, actor=cy),
        lambda: reject_change(change, actor=cy, reason="No."),
        lambda: activate_change(change, actor=cy),
    ):
        with pytest.raises(NotPermittedError):
            act()
    comment_on_change(change, "What will become of order_id?", actor=cy, path="order_id")
    assert change.comments.get().path == "order_id"


def test_changes_of_a_restricted_stream_do_not_exist_for_strangers(
    production: Stream, ada: Actor
) -> None:
    change = propose_change(production, Proposal(WIDER), actor=ada)
    change_stream(production, {"restricted": True}, actor=ada)
    cy = make_actor(Role.ANALYST)
    with pytest.raises(NotFoundError):
        selectors.get_change(cy, change.pk)
    assert not selectors.visible_changes(cy).exists()


@pytest.mark.django_db(transaction=True)
def test_of_twenty_who_publish_at_once_each_gets_a_number_and_one_is_the_default() -> None:
    stream = make_stream()

    def publish(number: int) -> str:
        try:
            version, _ = publish_schema(stream, with_property(f"p{number}"), actor=SYSTEM)
            return str(version.version)
        except PortalError as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(publish, range(20)))
    numbers = sorted(int(word) for word in said if word.isdigit())
    assert numbers == list(range(2, 22))
    fresh = Stream.objects.get(pk=stream.pk)
    assert fresh.default_version == 21
    current = fresh.fields.filter(is_current=True).values("schema_version").distinct()
    assert current.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_who_activate_the_same_change_one_does() -> None:
    stream = make_stream()
    change = propose_change(stream, Proposal(WIDER), actor=SYSTEM)

    def activate(_: int) -> bool:
        try:
            activate_change(Change.objects.get(pk=change.pk), actor=SYSTEM)
        except InvalidStateError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(activate, range(8))) == 1


def test_a_version_is_deprecated_with_a_day_and_a_note_and_retired_on_it(
    team: Any, ada: Actor
) -> None:
    stream = make_stream(team=team)
    publish_schema(stream, WIDER, actor=ada)
    first, second = stream.versions.order_by("version")
    with pytest.raises(InvalidStateError, match="default"):
        lifecycle.deprecate_version(
            second, actor=ada, sunset_at=clock.now() + timedelta(days=9), migration="Use 3."
        )
    with pytest.raises(InvalidError) as caught:
        lifecycle.deprecate_version(
            first, actor=ada, sunset_at=clock.now() - timedelta(days=1), migration=""
        )
    assert [error.pointer for error in caught.value.errors] == ["/sunset_at", "/migration"]
    day = clock.now() + timedelta(days=9)
    lifecycle.deprecate_version(first, actor=ada, sunset_at=day, migration="Send version 2.")
    assert lifecycle.retire_due_versions() == 0
    with clock.at(day + timedelta(seconds=1)):
        assert lifecycle.retire_due_versions() == 1
        assert lifecycle.retire_due_versions() == 0
    first.refresh_from_db()
    assert (first.state, first.retired_at is not None) == ("retired", True)


def test_only_an_active_version_corrects_an_older_one(team: Any, ada: Actor) -> None:
    stream = make_stream(team=team)
    publish_schema(stream, WIDER, actor=ada)
    first, second = stream.versions.order_by("version")
    with pytest.raises(InvalidError):
        lifecycle.supersede_version(first, corrects=2, actor=ada)
    assert lifecycle.supersede_version(second, corrects=1, actor=ada).supersedes == 1


@pytest.mark.django_db
def test_a_deputy_of_who_proposed_does_not_vote_on_it(team: Any, ada: Actor) -> None:
    stream = make_stream(team=team)
    promote_stream(stream, actor=SYSTEM)
    change = propose_change(stream, Proposal(WIDER), actor=ada)
    ben = make_actor(Role.ENGINEER, team=team)
    now = clock.now()
    delegate(
        actor=ada, deputy=User.objects.get(pk=ben.id), since=now - timedelta(hours=1),
        until=now + timedelta(days=1), note="Away.",
    )  # fmt: skip
    with pytest.raises(NotOwnRequestError, match="decide for who asked"):
        vote_on_change(change, Vote.APPROVE, actor=ben)
    other = make_actor(Role.ENGINEER, team=team)
    assert vote_on_change(change, Vote.APPROVE, actor=other).state == "approved"
