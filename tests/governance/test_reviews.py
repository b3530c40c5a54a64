"""Reviews: due by tier and classification, answered once by owners, told to admins when late."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.utils import IntegrityError
from django.test import Client

from catalog.models import Stream
from catalog.reviewing import due_at
from catalog.selectors.policy_facts import stream_thing
from catalog.selectors.reviews import overdue_days, with_due
from catalog.services.consumers import create_consumer, map_consumer
from governance.errors import PeopleOnlyError
from governance.models import AuditEntry, Notice, PolicyFinding, Review, User
from governance.policies import facts
from governance.selectors.people import actor_of
from governance.selectors.reviews import shown, visible_reviews
from governance.services.delegations import delegate
from governance.services.jobs import run_due_jobs
from governance.services.policy_runs import run_policies
from governance.services.reviews import Answer, complete_review, keep_reviews
from governance.types import Permission, ReviewOutcome, ReviewPoint, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor, ActorKind
from portal.kernel.errors import (
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
)
from quality.selectors.trust import trust_of
from quality.trust import State
from tests.support.factories import (
    make_actor,
    make_grant,
    make_person,
    make_stream,
    make_team,
    token_of,
)

pytestmark = pytest.mark.django_db
CONFIRMED, CHANGED = ReviewOutcome.CONFIRMED, ReviewOutcome.CHANGED
ALL = dict.fromkeys(ReviewPoint, Answer(CONFIRMED))
PLAIN: dict[str, Any] = {"type": "object", "properties": {"code": {"type": "string"}}}


def reviewed(stream: Stream, days_ago: float) -> Stream:
    """The stream as if it was last reviewed so many days ago."""
    at = clock.now() - timedelta(days=days_ago)
    Stream.objects.filter(pk=stream.pk).update(reviewed_at=at)
    stream.refresh_from_db()
    return stream


def plain(tier: str = "T3", **fields: Any) -> Stream:
    """A stream without personal data."""
    return make_stream(schema=PLAIN, tier=tier, classification="internal", **fields)


def open_review(stream: Stream) -> Review:
    return Review.objects.get(resource_key=stream.name, completed_at=None)


def told(user: User) -> list[str]:
    rows = Notice.objects.filter(user=user, kind="review_due").order_by("created_at", "id")
    return list(rows.values_list("title", flat=True))


# When


@pytest.mark.parametrize(
    ("tier", "days", "personal_days"), [("T1", 90, 60), ("T2", 180, 90), ("T3", 365, 180)]
)
def test_the_term_goes_by_tier_and_is_shorter_with_personal_data(
    tier: str, days: int, personal_days: int
) -> None:
    stream = reviewed(plain(tier), 0)
    for column, value, term in (
        ("classification", "internal", days),
        ("classification", "personal", personal_days),
        ("classification", "internal", days),
        ("subject_classification", "sensitive", personal_days),
    ):
        Stream.objects.filter(pk=stream.pk).update(**{column: value})
        row = with_due().get(pk=stream.pk)
        assert row.review_due_at - row.reviewed_at == timedelta(days=term)
        assert row.review_due_at == due_at(row.reviewed_at, tier, is_personal=row.is_personal)


def test_the_clock_of_a_stream_that_was_never_reviewed_starts_at_its_registration() -> None:
    stream = plain("T1")
    Stream.objects.filter(pk=stream.pk).update(
        reviewed_at=None, created_at=clock.now() - timedelta(days=80)
    )
    assert -11 <= overdue_days([stream.name])[stream.name] < 0


def test_a_review_opens_two_weeks_before_its_day_once_and_tells_who_may_approve() -> None:
    team = make_team()
    ada, cy = make_person(Role.ENGINEER, team=team), make_person(Role.ENGINEER)
    near, far = reviewed(plain(team=team), 352), reviewed(plain(team=team), 350)
    assert [keep_reviews(), keep_reviews()] == [1, 0]
    row = open_review(near)
    assert row.due_at == with_due().get(pk=near.pk).review_due_at
    assert not row.is_overdue
    assert not Review.objects.filter(resource_key=far.name).exists()
    assert told(ada) == [f"{near.name} is to be reviewed"]
    assert told(cy) == []


def test_where_nobody_may_approve_the_admins_are_asked() -> None:
    dot = make_person(Role.ADMIN)
    stream = reviewed(plain(), 360)
    keep_reviews()
    assert told(dot) == [f"{stream.name} is to be reviewed"]


def test_an_open_review_follows_tier_and_end_of_its_stream() -> None:
    team = make_team()
    stream, other = reviewed(plain("T1", team=team), 85), reviewed(plain("T1", team=team), 85)
    keep_reviews()
    before = open_review(stream)
    Stream.objects.filter(pk=stream.pk).update(classification="personal")
    Stream.objects.filter(pk=other.pk).update(lifecycle="retired")
    keep_reviews()
    moved = open_review(stream)
    assert (moved.pk, moved.due_at) == (before.pk, before.due_at - timedelta(days=30))
    assert not Review.objects.filter(resource_key=other.name).exists()
    Stream.objects.filter(pk=stream.pk).update(classification="internal", tier="T3")
    keep_reviews()
    assert not Review.objects.exists()


# Overdue


def test_an_overdue_review_lowers_trust_and_breaks_the_policy_without_any_task() -> None:
    team = make_team()
    make_person(team=team)
    stream = reviewed(make_stream(team=team, classification="personal"), 179)
    subject = facts.subject_of("stream")

    def seen() -> tuple[State, State, bool]:
        thing = stream_thing(stream)
        subject.add_measured([thing])
        parts = trust_of([Stream.objects.select_related("owner_team").get(pk=stream.pk)])
        owned, cleared = parts[stream.pk].parts[0], parts[stream.pk].parts[4]
        return owned.state, cleared.state, thing.facts["stream"]["review_overdue_days"] > 0

    assert seen() == (State.FINE, State.FINE, False)
    reviewed(stream, 180.1)
    assert seen() == (State.CARE, State.CARE, True)


def test_after_two_weeks_without_an_answer_admins_are_told_once() -> None:
    team = make_team()
    make_person(Role.ENGINEER, team=team)
    dot = make_person(Role.ADMIN)
    stream = reviewed(plain(team=team), 365 + 13.9)
    keep_reviews()
    assert told(dot) == []
    reviewed(stream, 365 + 14.1)
    keep_reviews()
    keep_reviews()
    assert told(dot) == [f"Nobody reviews {stream.name}"]
    assert open_review(stream).escalated_at is not None
    assert AuditEntry.objects.filter(action="review.escalated").count() == 1


# Answering


@pytest.fixture
def waiting() -> tuple[Stream, Review, Actor]:
    """An overdue stream, its review, and Ada, who is of its team."""
    team = make_team()
    ada = actor_of(make_person(Role.ENGINEER, team=team))
    stream = reviewed(plain(team=team), 400)
    keep_reviews()
    return stream, open_review(stream), ada


def test_completing_keeps_what_was_said_and_known_and_starts_the_clock_again(
    waiting: tuple[Stream, Review, Actor],
) -> None:
    stream, row, ada = waiting
    consumer = create_consumer("billing", actor=SYSTEM)
    map_consumer(consumer, stream, actor=SYSTEM, purpose="To write bills.")
    answers = ALL | {ReviewPoint.DESCRIPTION: Answer(CHANGED, " It now says what it is for. ")}
    revision = stream.revision
    done = complete_review(row.pk, actor=ada, answers=answers)
    assert [one["point"] for one in done.points] == list(ReviewPoint.values)
    assert done.points[1] == {
        "point": "description", "outcome": "changed", "note": "It now says what it is for.",
    }  # fmt: skip
    assert done.completed_label == ada.label
    assert done.snapshot["consumers"]["lines"] == [
        "billing: To write bills.; fields not said; key never used"
    ]
    stream.refresh_from_db()
    assert (stream.reviewed_at, stream.revision) == (done.completed_at, revision + 1)
    entry = AuditEntry.objects.get(action="review.completed")
    assert entry.summary.endswith("changed description")
    assert "what it is for" not in str(entry.detail)
    assert keep_reviews() == 0
    Stream.objects.filter(pk=stream.pk).update(description="Another one.")
    done.refresh_from_db()
    assert done.snapshot["description"]["says"] == "Something happened."


def test_completing_closes_the_finding_of_the_policy_at_once(
    waiting: tuple[Stream, Review, Actor],
) -> None:
    stream, row, ada = waiting
    run_policies(actor=make_actor(Role.ADMIN))
    run_due_jobs()
    found = PolicyFinding.objects.filter(policy__slug="review-not-overdue", closed_at=None)
    assert [one.subject_key for one in found] == [stream.name]
    complete_review(row.pk, actor=ada, answers=ALL)
    assert not found.all().exists()


def test_a_point_without_an_answer_or_a_change_without_a_note_is_refused_at_its_place(
    waiting: tuple[Stream, Review, Actor],
) -> None:
    _, row, ada = waiting
    answers: dict[ReviewPoint, Answer] = {
        point: one for point, one in ALL.items() if point != ReviewPoint.ACCESS
    }
    answers[ReviewPoint.OWNER] = Answer(CHANGED, "short")
    answers[ReviewPoint.RETENTION] = Answer(CONFIRMED, "x" * 1001)
    with pytest.raises(InvalidError) as caught:
        complete_review(row.pk, actor=ada, answers=answers)
    assert [(one.pointer, one.code) for one in caught.value.errors] == [
        ("/points/owner", "too_short"), ("/points/retention", "too_long"),
        ("/points/access", "required"),
    ]  # fmt: skip
    row.refresh_from_db()
    assert row.is_open


def test_it_is_completed_once(waiting: tuple[Stream, Review, Actor]) -> None:
    _, row, ada = waiting
    complete_review(row.pk, actor=ada, answers=ALL)
    with pytest.raises(InvalidStateError):
        complete_review(row.pk, actor=ada, answers=ALL)
    assert AuditEntry.objects.filter(action="review.completed").count() == 1


def test_the_database_keeps_one_open_review_a_thing_and_none_half_said(
    waiting: tuple[Stream, Review, Actor],
) -> None:
    stream, row, _ = waiting
    with pytest.raises(IntegrityError), transaction.atomic():
        Review.objects.create(resource_kind="stream", resource_key=stream.name, due_at=clock.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        Review.objects.filter(pk=row.pk).update(completed_at=clock.now())


def test_who_may_approve_answers_and_nobody_else(waiting: tuple[Stream, Review, Actor]) -> None:
    stream, row, ada = waiting
    ben = make_person(Role.ENGINEER)
    make_grant(stream, ben, Permission.EDIT)
    for other in (actor_of(ben), make_actor(Role.ANALYST), make_actor(Role.ON_CALL)):
        with pytest.raises(NotPermittedError):
            complete_review(row.pk, actor=other, answers=ALL)
    narrow = Actor(
        ada.kind, ada.id, ada.label, ada.roles, ada.team_ids, frozenset({"read", "write"})
    )
    with pytest.raises(NotPermittedError):
        complete_review(row.pk, actor=narrow, answers=ALL)
    cy = make_person(Role.ANALYST)
    make_grant(stream, cy, Permission.APPROVE)
    complete_review(row.pk, actor=actor_of(cy), answers=ALL)


def test_a_deputy_answers_for_who_is_away(waiting: tuple[Stream, Review, Actor]) -> None:
    _, row, ada = waiting
    eve = make_person(Role.ANALYST)
    now = clock.now()
    delegate(actor=ada, deputy=eve, since=now, until=now + timedelta(days=3), note="")
    assert list(shown(actor_of(eve), "mine")) == [row]
    complete_review(row.pk, actor=actor_of(eve), answers=ALL)


def test_a_program_never_completes_one(waiting: tuple[Stream, Review, Actor]) -> None:
    _, row, _ = waiting
    for kind in (ActorKind.PRODUCER, ActorKind.CONSUMER, ActorKind.SYSTEM):
        with pytest.raises(PeopleOnlyError):
            complete_review(row.pk, actor=Actor(kind, 1, "program"), answers=ALL)


def test_reviews_of_what_may_not_be_known_of_are_not_there(
    waiting: tuple[Stream, Review, Actor],
) -> None:
    stream, row, ada = waiting
    cy = make_actor(Role.ENGINEER)
    assert row in visible_reviews(cy)
    assert row not in shown(cy, "mine")
    Stream.objects.filter(pk=stream.pk).update(restricted=True)
    assert row not in visible_reviews(cy)
    assert row in visible_reviews(ada)
    with pytest.raises(NotFoundError):
        complete_review(row.pk, actor=cy, answers=ALL)


# Pages and API


def signed_in(actor: Actor) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=actor.id))
    return client


def test_the_page_shows_the_points_takes_the_answers_and_says_faults_at_the_field(
    waiting: tuple[Stream, Review, Actor],
) -> None:
    stream, row, ada = waiting
    client = signed_in(ada)
    listed = client.get("/reviews/").content.decode().replace("<wbr>", "")
    assert stream.name in listed
    assert "<h1>One review waits for you.</h1>" in listed
    page = client.get(f"/reviews/{row.pk}/").content.decode()
    assert "Something happened." in page
    assert "Complete the review" in page
    said = dict.fromkeys(ReviewPoint.values, "confirmed") | {"owner": "changed"}
    bad = client.post(f"/reviews/{row.pk}/", said)
    assert bad.status_code == 422
    assert "say what was changed" in bad.content.decode()
    assert client.post(f"/reviews/{row.pk}/", {}).status_code == 422
    good = client.post(f"/reviews/{row.pk}/", said | {"owner_note": "The team took it over."})
    assert (good.status_code, good["Location"]) == (302, "/reviews/")
    kept = client.get(f"/reviews/{row.pk}/").content.decode()
    assert "The team took it over." in kept
    assert "Complete the review" not in kept
    assert client.post(f"/reviews/{row.pk}/", said).status_code in (302, 422)
    assert client.get("/reviews/?show=done").content.decode().count(f"/reviews/{row.pk}/") == 1
    assert "<h1>No review waits for you.</h1>" in client.get("/reviews/").content.decode()


def test_the_page_lets_others_read_and_not_answer(waiting: tuple[Stream, Review, Actor]) -> None:
    stream, row, _ = waiting
    client = signed_in(make_actor(Role.ENGINEER))
    assert "Complete the review" not in client.get(f"/reviews/{row.pk}/").content.decode()
    assert client.post(f"/reviews/{row.pk}/", {}).status_code == 403
    Stream.objects.filter(pk=stream.pk).update(restricted=True)
    assert client.get(f"/reviews/{row.pk}/").status_code == 404
    assert stream.name not in client.get("/reviews/?show=open").content.decode()


def test_the_api_lists_reads_and_completes(waiting: tuple[Stream, Review, Actor]) -> None:
    stream, row, ada = waiting
    token = token_of(User.objects.get(pk=ada.id))
    client = Client(headers={"Authorization": f"Bearer {token}"})
    (listed,) = client.get("/api/v1/reviews?show=mine").json()["items"]
    assert (listed["id"], listed["state"]) == (str(row.pk), "overdue")
    found = client.get(f"/api/v1/reviews/{row.pk}").json()
    assert [one["point"] for one in found["points"]] == list(ReviewPoint.values)
    path, kind = f"/api/v1/reviews/{row.pk}/complete", "application/json"
    points: dict[str, Any] = {point: {"outcome": "confirmed"} for point in ReviewPoint.values}
    bad = client.post(path, {"points": points | {"owner": {"outcome": "maybe"}}}, kind)
    assert (bad.status_code, bad.json()["errors"][0]["pointer"]) == (422, "/points/owner/outcome")
    odd = client.post(path, {"points": points | {"colour": {"outcome": "confirmed"}}}, kind)
    assert (odd.status_code, odd.json()["errors"][0]["pointer"]) == (422, "/points")
    good = client.post(path, {"points": points}, kind)
    assert (good.status_code, good.json()["state"]) == (200, "completed")
    assert client.post(path, {"points": points}, kind).status_code == 409
    stream.refresh_from_db()
    assert isinstance(stream.reviewed_at, datetime)
