"""Who is told of what: followers, owners, deciders and those who asked."""

from datetime import timedelta
from typing import Any

import pytest

from catalog.models import Change, Stream, Vote
from catalog.services import changes, lifecycle
from catalog.services.endings import deprecate_stream
from catalog.services.streams import change_stream, follow
from catalog.services.tracks import promote_stream
from governance.models import Notice, User
from governance.selectors.people import actor_of
from governance.services.requests import approve_request, ask_for_access
from governance.types import NoticeKind, Permission, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from quality.services.alarms import Happening, settle_alarms
from tests.support.factories import ORDER_SCHEMA, make_grant, make_person, make_stream, make_team

pytestmark = pytest.mark.django_db
WIDER: dict[str, Any] = {
    **ORDER_SCHEMA,
    "properties": {**ORDER_SCHEMA["properties"], "note": {"type": "string", "description": "N."}},
}


@pytest.fixture
def cast() -> tuple[Stream, User, User, User]:
    """Ada and Ben own the stream, Cy follows it, Dot does not know of it."""
    team = make_team()
    ada, ben = make_person(Role.ENGINEER, team=team), make_person(Role.ENGINEER, team=team)
    cy = make_person()
    make_person()
    stream = make_stream(team=team)
    follow(stream, actor=actor_of(cy))
    Notice.objects.all().delete()
    return stream, ada, ben, cy


def told() -> dict[int, list[str]]:
    """Kinds by person, in the order of telling; what was told is then forgotten."""
    found: dict[int, list[str]] = {}
    for user, kind in Notice.objects.order_by("created_at", "pk").values_list("user", "kind"):
        found.setdefault(user, []).append(kind)
    Notice.objects.all().delete()
    return found


def propose(stream: Stream, by: User) -> Change:
    return changes.propose_change(
        stream, changes.Proposal(WIDER, summary="Adds a note"), actor=actor_of(by)
    )


def test_a_proposal_is_told_and_its_votes_are_asked_of_who_may_vote(
    cast: tuple[Stream, User, User, User],
) -> None:
    stream, ada, ben, cy = cast
    promote_stream(stream, actor=SYSTEM)
    approver = make_person()
    make_grant(stream, approver, Permission.APPROVE)
    change = propose(stream, ada)
    url = Notice.objects.get(user=ben).url
    assert url == f"/changes/{change.pk}/"
    assert told() == {
        ben.pk: [NoticeKind.VOTE_WANTED],
        approver.pk: [NoticeKind.VOTE_WANTED],
        cy.pk: [NoticeKind.PROPOSED],
    }
    changes.vote_on_change(change, Vote.APPROVE, actor=actor_of(ben))
    assert told() == {ada.pk: [NoticeKind.DECIDED]}
    changes.activate_change(change, actor=actor_of(ada))
    assert told() == {ben.pk: [NoticeKind.ACTIVATED], cy.pk: [NoticeKind.ACTIVATED]}


def test_publishing_in_one_step_is_told_once(cast: tuple[Stream, User, User, User]) -> None:
    stream, ada, ben, cy = cast
    changes.publish_schema(stream, WIDER, actor=actor_of(ada))
    assert told() == {ben.pk: [NoticeKind.ACTIVATED], cy.pk: [NoticeKind.ACTIVATED]}


def test_a_rejection_is_told_to_who_proposed_with_its_reason(
    cast: tuple[Stream, User, User, User],
) -> None:
    stream, ada, ben, _ = cast
    change = propose(stream, ada)
    told()
    changes.reject_change(change, actor=actor_of(ben), reason="We have a note already.")
    assert "We have a note already." in Notice.objects.get().sentence
    assert told() == {ada.pk: [NoticeKind.DECIDED]}


def test_the_end_of_a_version_and_of_a_stream_is_told_with_its_day(
    cast: tuple[Stream, User, User, User],
) -> None:
    stream, ada, ben, cy = cast
    changes.publish_schema(stream, WIDER, actor=actor_of(ada))
    told()
    sunset = clock.now() + timedelta(days=30)
    version = stream.versions.get(version=1)
    lifecycle.deprecate_version(
        version, actor=actor_of(ada), sunset_at=sunset, migration="Send v2."
    )
    assert f"{sunset:%Y-%m-%d}" in Notice.objects.get(user=cy).sentence
    assert told() == {ben.pk: [NoticeKind.DEPRECATED], cy.pk: [NoticeKind.DEPRECATED]}
    with clock.at(sunset):
        assert lifecycle.retire_due_versions() == 1
    retired = [NoticeKind.RETIRED]
    assert told() == {ada.pk: retired, ben.pk: retired, cy.pk: retired}
    successor = make_stream()
    told()
    stream.refresh_from_db()
    deprecate_stream(stream, actor=actor_of(ben), sunset_at=sunset, successor=successor)
    said = Notice.objects.get(user=cy).sentence
    assert f"{sunset:%Y-%m-%d}" in said
    assert successor.name not in said, "the stream's page names it, to who may know of it"
    assert told() == {ada.pk: [NoticeKind.DEPRECATED], cy.pk: [NoticeKind.DEPRECATED]}


def test_a_new_description_is_news_and_the_same_one_or_a_tier_is_none(
    cast: tuple[Stream, User, User, User],
) -> None:
    stream, ada, ben, cy = cast
    change_stream(stream, {"tier": "T1"}, actor=actor_of(ada))
    change_stream(stream, {"description": stream.description}, actor=actor_of(ada))
    assert told() == {}
    change_stream(stream, {"description": "It was paid."}, actor=actor_of(ada))
    assert told() == {ben.pk: [NoticeKind.CHANGED], cy.pk: [NoticeKind.CHANGED]}


def test_a_new_owner_is_told_to_the_new_team(cast: tuple[Stream, User, User, User]) -> None:
    stream, ada, _, cy = cast
    team = make_team("Payments")
    newcomer = make_person(team=team)
    told()
    admin = make_person(Role.ADMIN)
    change_stream(stream, {"owner_team": team}, actor=actor_of(admin))
    assert "owned by Payments" in Notice.objects.get(user=newcomer).sentence
    assert told() == {newcomer.pk: [NoticeKind.CHANGED], cy.pk: [NoticeKind.CHANGED]}
    assert ada.pk != newcomer.pk


def test_a_request_is_told_to_who_decides_and_the_decision_to_who_asked(
    cast: tuple[Stream, User, User, User],
) -> None:
    stream, ada, ben, cy = cast
    request = ask_for_access(
        stream.ref,
        actor=actor_of(cy),
        purpose="To count what was paid.",
        until=clock.now() + timedelta(days=9),
    )
    waiting = [NoticeKind.REQUEST_WAITING]
    assert told() == {ada.pk: waiting, ben.pk: waiting}
    approve_request(request.pk, actor=actor_of(ada), reason="Fine.")
    assert told() == {cy.pk: [NoticeKind.REQUEST_DECIDED]}


def test_a_request_for_what_nobody_owns_is_told_to_admins() -> None:
    admin, asker = make_person(Role.ADMIN), make_person()
    make_person(Role.ENGINEER)
    stream = make_stream()
    ask_for_access(
        stream.ref,
        actor=actor_of(asker),
        purpose="To count what was paid.",
        until=clock.now() + timedelta(days=9),
    )
    assert told() == {admin.pk: [NoticeKind.REQUEST_WAITING]}


def test_an_alarm_is_told_when_it_begins_and_when_it_ends(
    cast: tuple[Stream, User, User, User],
) -> None:
    stream, ada, ben, cy = cast
    now = clock.now()
    everybody = {ada.pk, ben.pk, cy.pk}
    for event, kind in (
        ("persistent", NoticeKind.ALARM_RAISED),
        ("suspected", None),
        ("recovered", NoticeKind.ALARM_ENDED),
    ):
        settle_alarms(
            [Happening(stream, "validity", event, 2, 0.2, 0.1, "Too many broke it.")], at=now
        )
        assert told() == ({user: [kind] for user in everybody} if kind else {})
