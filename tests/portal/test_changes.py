"""What changed, said in sentences with the times of the things themselves."""

from datetime import timedelta
from typing import Any

import pytest

from catalog.models import Stream
from catalog.services.changes import publish_schema
from catalog.services.endings import deprecate_stream
from catalog.services.enforcement import move_enforcement
from catalog.services.streams import change_stream
from governance.models import Notice
from governance.selectors.people import actor_of
from governance.services.requests import approve_request, ask_for_access
from governance.types import Role
from portal.changes import Change, what_changed
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from quality.models import Alarm
from tests.support.factories import ORDER_SCHEMA, make_actor, make_person, make_stream, make_team

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=200)


def old_stream(**fields: Any) -> Stream:
    """A stream whose registration is no news."""
    with clock.at(clock.now() - LONG_AGO):
        return make_stream(**fields)


def said(change: Change) -> str:
    named = "".join(f" {name}" for name in (change.stream, change.thing) if name)
    return f"{change.who} {change.did}{named}{change.rest}".replace("\u00a0", " ")


def sentences(actor: Actor) -> list[str]:
    return [said(change) for change in what_changed(actor)]


def test_a_new_version_says_what_it_adds_and_drops() -> None:
    stream = old_stream(team=make_team("Playback"))
    fields = {**ORDER_SCHEMA["properties"], "network_kind": {"type": "string"}}
    del fields["email"]
    publish_schema(stream, {**ORDER_SCHEMA, "properties": fields}, actor=SYSTEM)
    assert sentences(make_actor(Role.PRODUCT_MANAGER)) == [
        f"Playback published {stream.name} v2. Adds network_kind and drops email."
    ]


def test_an_import_of_many_streams_is_one_sentence() -> None:
    team = make_team("Growth")
    make_stream("growth.alone", description="An invite link was shared.", team=make_team("Other"))
    for number in range(3):
        make_stream(f"growth.event_{number}", team=team)
    assert set(sentences(make_actor())) == {
        "Growth registered growth.event_0 and two more streams.",
        "Other registered growth.alone. An invite link was shared.",
    }


def test_a_change_of_one_short_fact_says_from_what_to_what() -> None:
    team = make_team()
    engineer = make_actor(Role.ENGINEER, team=team)
    stream = old_stream(team=team, tier="T2")
    change_stream(stream, {"tier": "T1"}, actor=engineer)
    long = "A much longer sentence than twenty-four."
    change_stream(stream, {"description": long}, actor=engineer)
    assert sentences(make_actor()) == [
        f"{engineer.label} changed the description of {stream.name}.",
        f"{engineer.label} changed the tier of {stream.name} from T2 to T1.",
    ]


def test_a_step_on_the_ladder_says_from_where_to_where() -> None:
    team = make_team()
    engineer = make_actor(Role.ENGINEER, team=team)
    stream = old_stream(team=team)
    move_enforcement(stream, to="warn", reason="A new app.", actor=engineer)
    assert sentences(make_actor()) == [
        f"{engineer.label} moved {stream.name} from enforce to warn."
    ]


def test_a_deprecation_names_its_end_and_its_successor() -> None:
    stream, after = old_stream(team=make_team("Discovery")), old_stream()
    end = clock.now() + timedelta(days=12)
    deprecate_stream(stream, actor=SYSTEM, sunset_at=end, successor=after)
    (only,) = sentences(make_actor())
    assert only.startswith(f"Discovery deprecated {stream.name} until ")
    assert only.endswith(f" Use {after.name} instead.")


def test_a_successor_is_named_only_to_who_may_know_of_it() -> None:
    team = make_team()
    stream, secret = old_stream(team=team), old_stream(extra={"restricted": True})
    end = clock.now() + timedelta(days=12)
    owner = make_person(Role.ENGINEER, team=team)
    deprecate_stream(stream, actor=SYSTEM, sunset_at=end, successor=secret)
    (only,) = sentences(make_actor())
    assert stream.name in only
    assert secret.name not in only
    (told,) = Notice.objects.filter(user=owner, subject_key=stream.name)
    assert secret.name not in told.title + told.sentence
    assert any(secret.name in sentence for sentence in sentences(make_actor(Role.ADMIN)))


def test_alarms_stand_with_their_own_times() -> None:
    stream = old_stream(team=make_team("Playback"))
    opened = clock.now() - timedelta(hours=17)
    Alarm.objects.create(stream=stream, kind="validity", opened_at=opened, level=2, sentence="s")
    Alarm.objects.create(
        stream=stream, kind="volume", opened_at=opened - timedelta(hours=4), closed_at=opened,
        level=1, sentence="s",
    )  # fmt: skip
    changes = what_changed(make_actor())
    assert {change.at for change in changes} == {opened}
    assert {said(change).partition(" since ")[0] for change in changes} == {
        f"Playback has a validity alarm on {stream.name}",
        f"Playback saw {stream.name} recover from a volume alarm after 4 h.",
    }


def test_a_grant_is_told_to_who_asked_and_who_decides_and_nobody_else() -> None:
    team = make_team()
    stream, asker = old_stream(team=team), make_person(Role.ANALYST)
    request = ask_for_access(
        stream.ref, actor=actor_of(asker), purpose="To count what was sold.",
        until=clock.now() + timedelta(days=30),
    )  # fmt: skip
    owner = make_actor(Role.ENGINEER, team=team)
    approve_request(request.pk, actor=owner)
    for actor in (actor_of(asker), owner):
        (only,) = sentences(actor)
        assert only.startswith(
            f"{asker.email} was granted {stream.name} with personal fields masked, until "
        )
    assert sentences(make_actor(Role.ENGINEER)) == []


def test_what_one_may_not_know_of_is_not_told() -> None:
    stream = make_stream(team=make_team(), extra={"restricted": True})
    Alarm.objects.create(stream=stream, kind="validity", level=2, sentence="s")
    publish_schema(stream, {**ORDER_SCHEMA, "title": "x"}, actor=SYSTEM)
    assert sentences(make_actor(Role.PRODUCT_MANAGER)) == []
    assert len(sentences(make_actor(Role.ADMIN))) == 3
