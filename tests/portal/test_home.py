"""The home page: each role finds its job first, and what is said agrees with the other pages."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import ConsumerMapping, Stream
from catalog.services.changes import Proposal, propose_change
from catalog.services.consumers import create_consumer
from catalog.services.promotions import ask_to_move
from catalog.services.streams import follow
from catalog.types import Track
from governance.models import AuditVerification, Review, User
from governance.selectors.people import actor_of
from governance.services.break_glass import break_glass
from governance.services.erasures import request_erasure
from governance.services.requests import ask_for_access
from governance.types import Permission, Role
from ingest.models import DiscoveredStream
from portal.home import headline, home_page
from portal.home_needs import Item, waiting_items
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.portal.conftest import account, alarm, client_of, refuse, signed_in
from tests.support.factories import make_actor, make_grant, make_person, make_stream, make_team

pytestmark = pytest.mark.django_db


def panels(html: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]+)", html.split("<main", 1)[1])


@pytest.mark.parametrize(
    ("role", "first"),
    [
        (Role.PRODUCT_MANAGER, "Find a signal"),
        (Role.ENGINEER, "Build"),
        (Role.ANALYST, "Needs you"),  # no experiment runs: see the test of experiments
        (Role.ADMIN, "Needs you"),
        (Role.ON_CALL, "Needs you"),
    ],
)
def test_each_role_finds_its_job_first(role: Role, first: str) -> None:
    make_stream()
    html = client_of(role).get("/").content.decode()
    assert panels(html)[0] == first
    assert ("Dead letters" in panels(html)) == (role is Role.ON_CALL)
    assert ("Audit log" in panels(html)) == (role is Role.ADMIN)
    assert ("What I may read" in panels(html)) == (role is Role.ANALYST)


def test_a_move_waits_on_the_page_of_who_may_approve_it_and_of_nobody_else() -> None:
    team = make_team()
    asker, decider = (make_person(Role.ENGINEER, team=team) for _ in range(2))
    stream = make_stream("shop.order_paid", team=team, extra={"restricted": True})
    ask_to_move(stream, Track.PRODUCTION, actor=actor_of(asker), reason="It is ready.")
    waits = "shop.order_paid waits for your approval"
    page = signed_in(decider).get("/").content.decode()
    assert waits in page
    assert 'href="/streams/shop.order_paid/promote/"' in page
    for other in (asker, make_person(Role.ENGINEER, team=make_team())):
        assert waits not in signed_in(other).get("/").content.decode()


def test_a_person_of_two_roles_finds_both_jobs_once() -> None:
    make_stream()
    html = client_of(Role.ON_CALL, Role.ENGINEER).get("/").content.decode()
    names = panels(html)
    assert names.index("Needs you") < names.index("Build")
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("role", "may"), [(Role.ENGINEER, True), (Role.ADMIN, True), (Role.ANALYST, False)]
)
def test_a_button_that_would_be_refused_is_absent(role: Role, may: bool) -> None:
    make_stream()
    html = client_of(role).get("/").content.decode().split("<main", 1)[1]
    html = html.split("</main>", 1)[0]
    assert ("Register a stream" in html) is may


def test_an_alarm_is_said_as_its_check_says_it_now() -> None:
    team = make_team()
    stream = make_stream(team=team)
    alarm(stream, said_now="5 of 171 events broke the contract.")
    html = client_of(Role.ENGINEER, team=team).get("/").content.decode()
    assert "5 of 171 events broke the contract. Since" in html
    assert "This opened it." not in html
    assert "One stream is unwell. The rest is calm." in html


def test_what_waits_is_counted_in_words() -> None:
    def item(about: str, *, urgent: bool = False, decides: bool = False) -> Item:
        return Item("", "", "", "", "", about, urgent=urgent, decides=decides)

    assert headline([]) == "All calm. Nothing waits for you."
    assert headline([item("a", decides=True)]) == "One decision waits for you."
    assert (
        headline([item("a", urgent=True), item("a", urgent=True), item("b", decides=True)])
        == "One stream is unwell and one decision waits for you. The rest is calm."
    )
    assert headline([item("a"), item("b")]) == "Two things end soon."
    review = Item("", "", "", "", "", "a", reviews=True)
    assert headline([review, item("b")]) == "One review is due and one thing ends soon."


def test_decisions_stand_first_for_admins_and_alarms_for_on_call() -> None:
    stream = make_stream(team=make_team())
    alarm(stream)
    ask_for_access(
        stream.ref,
        actor=make_actor(Role.ANALYST),
        purpose="To count what was sold.",
        until=clock.now() + timedelta(days=9),
    )
    admin = home_page(make_actor(Role.ADMIN)).main[0].data.shown
    on_call = home_page(make_actor(Role.ON_CALL)).main[0].data.shown
    assert [item.urgent for item in admin] == [False, True]
    assert [item.urgent for item in on_call] == [True]


def test_what_retires_under_a_consumer_and_what_ends_is_said_ahead() -> None:
    team = make_team()
    person = make_person(Role.ANALYST, team=team)
    old, other = make_stream(), make_stream()
    Stream.objects.filter(pk=old.pk).update(
        lifecycle="deprecated", sunset_at=clock.now() + timedelta(days=12), successor=other
    )
    consumer = create_consumer("board", actor=SYSTEM, title="Sales board", team=team)
    ConsumerMapping.objects.create(consumer=consumer, stream=old)
    make_grant(other, person, Permission.READ_PAYLOAD, days=5)
    titles = [item.title for item in home_page(actor_of(person)).main[0].data.all]
    assert titles[0].startswith(f"{old.name} retires on")
    assert titles[1].startswith(f"Your access to {other.name} ends on")
    first = home_page(actor_of(person)).main[0].data.all[0]
    assert first.text == f"Sales board still reads it. Use {other.name} instead."


def test_a_successor_that_the_reader_may_not_know_of_is_not_named() -> None:
    team = make_team()
    person = make_person(Role.ANALYST, team=team)
    old, hidden = make_stream(), make_stream()
    Stream.objects.filter(pk=hidden.pk).update(restricted=True)
    Stream.objects.filter(pk=old.pk).update(
        lifecycle="deprecated", sunset_at=clock.now() + timedelta(days=12), successor=hidden
    )
    consumer = create_consumer("board", actor=SYSTEM, title="Sales board", team=team)
    ConsumerMapping.objects.create(consumer=consumer, stream=old)
    (item,) = home_page(actor_of(person)).main[0].data.all
    assert (item.text, item.url, item.action) == (
        "Sales board still reads it.",
        f"/streams/{old.name}/",
        "Look",
    )
    assert hidden.name not in signed_in(person).get("/").content.decode()


def test_my_streams_have_trust_volume_and_a_strip_of_their_day() -> None:
    person = make_person(Role.PRODUCT_MANAGER)
    stream = make_stream()
    follow(stream, actor=actor_of(person))
    account(stream, accepted=90, refused=10)
    (row,) = _panel(actor_of(person), "streams").rows
    assert len(row.strip) == 24
    assert row.strip[-1] == "bad"
    assert row.strip[:-1] == ["none"] * 23
    html = signed_in(person).get("/").content.decode()
    assert "refused beyond the goal in 1 of 24 hours" in html


def test_who_follows_nothing_is_offered_what_is_read_most() -> None:
    quiet, read = make_stream(), make_stream()
    ConsumerMapping.objects.create(consumer=create_consumer("board", actor=SYSTEM), stream=read)
    mine = _panel(make_actor(Role.PRODUCT_MANAGER), "streams")
    assert [row.stream.pk for row in mine.suggestions] == [read.pk, quiet.pk]
    person = make_person(Role.PRODUCT_MANAGER)
    client = signed_in(person)
    assert f'action="/streams/{read.name}/follow/"' in client.get("/").content.decode()
    client.post(f"/streams/{read.name}/follow/", {"follow": "on"})
    assert [row.stream.pk for row in _panel(actor_of(person), "streams").rows] == [read.pk]


def test_attention_is_new_readers_and_followers_of_others() -> None:
    person, other = make_person(Role.PRODUCT_MANAGER), make_person(Role.PRODUCT_MANAGER)
    read, followed, own = make_stream(), make_stream(), make_stream()
    ConsumerMapping.objects.create(consumer=create_consumer("board", actor=SYSTEM), stream=read)
    follow(followed, actor=actor_of(other))
    follow(own, actor=actor_of(person))
    found = [(row.stream.pk, row.strong) for row in _panel(actor_of(person), "attention")]
    assert found == [(read.pk, "One new consumer"), (followed.pk, "One new follower")]


def test_an_engineer_sees_what_arrives_unregistered_and_what_waits_for_its_first_event() -> None:
    team = make_team()
    stream = make_stream(team=team)
    DiscoveredStream.objects.create(
        type="shop.unheard_of", first_seen_at=clock.now(), last_seen_at=clock.now(), events=3,
        producer_id=1,
    )  # fmt: skip
    html = client_of(Role.ENGINEER, team=team).get("/").content.decode()
    assert "/streams/new/?discovered=shop.unheard_of" in html
    assert f'Send the first<span class="vh">: {stream.name}' in html


def test_on_call_sees_dead_letters_by_cause() -> None:
    refuse(make_stream(team=make_team()))
    html = client_of(Role.ON_CALL).get("/").content.decode()
    assert "<code>n</code> must be of type integer" in html


def test_an_empty_portal_says_how_to_begin() -> None:
    html = client_of(Role.ENGINEER).get("/").content.decode()
    assert "Nothing flows yet. There are three ways to begin." in html
    assert "Register from a sample" in html
    assert "Register from a sample" not in client_of(Role.ANALYST).get("/").content.decode()


def test_a_restricted_stream_leaves_no_trace_on_the_page_of_a_stranger() -> None:
    make_stream()
    hidden = make_stream(
        "secret.deal_signed", team=make_team(), description="A deal.", extra={"restricted": True}
    )
    alarm(hidden)
    refuse(hidden)
    ConsumerMapping.objects.create(consumer=create_consumer("board", actor=SYSTEM), stream=hidden)
    for role in (Role.PRODUCT_MANAGER, Role.ENGINEER, Role.ANALYST):
        html = client_of(role).get("/").content.decode()
        assert "secret" not in html
        assert "deal" not in html


def test_the_number_of_queries_does_not_grow_with_what_is_shown() -> None:
    team = make_team()
    person = make_person(*Role, team=team)
    counts = []
    for many in (2, 10):
        for _ in range(many):
            stream = make_stream(team=team)
            account(stream, accepted=5, refused=1)
            alarm(stream, said_now="Said.")
            refuse(stream)
        client = signed_in(person)
        client.get("/")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get("/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def _panel(actor: Any, name: str) -> Any:
    page = home_page(actor)
    return next(panel.data for panel in (*page.main, *page.side) if panel.name == name)


def test_a_broken_audit_chain_is_not_calm_for_admins_on_any_page() -> None:
    make_stream()
    AuditVerification.objects.create(
        rows=9, first_bad=4, head_hash="", seconds=0.1, fault="is gone"
    )
    said = "Audit chain broken"
    assert said in client_of(Role.ADMIN).get("/teams/").content.decode()
    assert said not in client_of(Role.ANALYST).get("/teams/").content.decode()
    AuditVerification.objects.create(rows=9, head_hash="", seconds=0.1)
    assert said not in client_of(Role.ADMIN).get("/teams/").content.decode()


def test_whatever_waits_for_a_decision_or_a_look_stands_here_and_on_nobody_elses_page() -> None:
    team = make_team()
    stream = make_stream("shop.order_paid", team=team)
    asker, owner = (make_person(Role.ENGINEER, team=team) for _ in range(2))
    admin, other = make_person(Role.ADMIN), make_person(Role.ENGINEER, team=make_team())
    wider = {"type": "object", "properties": {"code": {"type": "string"}}}
    Stream.objects.filter(pk=stream.pk).update(track=Track.PRODUCTION)  # where changes are voted on
    stream.refresh_from_db()
    proposed = Proposal(document=wider, summary="A code is new.")
    change = propose_change(stream, proposed, actor=actor_of(asker))
    review = Review.objects.create(
        resource_kind="stream", resource_key=stream.name, due_at=clock.now() - timedelta(days=3)
    )
    glass = break_glass(
        stream.ref, actor=actor_of(make_person(Role.ON_CALL)), reason="The checkout burns."
    )
    erasure = request_erasure(
        ["zebra@example.com"], basis="objection", reason="They asked.", actor=make_actor(Role.ADMIN)
    )

    def waits(person: User) -> dict[str, str]:
        return {item.url: item.title for item in waiting_items(actor_of(person)).all}

    of_owner = {
        f"/changes/{change.pk}/": "shop.order_paid version 2 waits for your approval",
        "/access/break-glass/": f"{glass.user.name} broke the glass on shop.order_paid",
        f"/reviews/{review.pk}/": "shop.order_paid is due for review",
    }
    assert waits(owner) == of_owner
    assert "The checkout burns." in signed_in(owner).get("/").content.decode()
    assert f"/changes/{change.pk}/" not in waits(asker), "never one's own"
    assert waits(admin)[f"/privacy/erasures/{erasure.pk}/"] == (
        "An erasure of one identifier waits for approval"
    )
    assert waits(other) == {}
