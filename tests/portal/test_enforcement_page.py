"""The ladder and what ends, on the pages of a stream and of a producer."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import EnforcementRule, FieldExtension, Stream
from catalog.services.changes import publish_schema
from catalog.services.lifecycle import deprecate_version, supersede_version
from catalog.services.producers import create_producer
from governance.models import Team, User
from governance.types import Role
from ingest.models import DeprecatedUse, IngestMinute
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.support.factories import ORDER_SCHEMA, make_person, make_stream, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team()


def page(path: str, user: User) -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(path)
    assert answer.status_code == 200, answer.content[:300]
    return answer.content.decode().replace("\u00a0", " ")


def submit(stream: Stream, user: User, **said: Any) -> Any:
    client = Client()
    client.force_login(user)
    return client.post(f"/streams/{stream.name}/enforcement/", said, follow=True)


def test_the_quality_page_says_where_the_stream_stands_and_when_it_advances(team: Team) -> None:
    stream = make_stream(team=team, extra={"enforcement": "observe"})
    EnforcementRule.objects.create(
        stream=stream, days=3, least_events=100, rung_since=clock.now() - timedelta(days=9)
    )
    yesterday = clock.now().replace(second=0, microsecond=0) - timedelta(days=1)
    IngestMinute.objects.create(
        stream_id=stream.pk, minute=yesterday, producer_id=1, received=4_000, accepted=4_000,
        violations=2,
    )  # fmt: skip
    reader = make_person(Role.ANALYST)
    html = page(f"/streams/{stream.name}/quality/", reader)
    assert "Advances to warn on " in html
    assert "if it holds: 1 of 3 days below 0.1 %, 100 events each." in html
    assert "0.05 % of 4,000 events, bound 0.1 %" in html
    assert "Move it by hand" not in html, "only for who may edit"
    assert submit(stream, reader, to="enforce", reason="Mine.").status_code == 403


def test_its_people_move_it_with_a_reason_and_change_the_rule(team: Team) -> None:
    stream = make_stream(team=team)
    ada = make_person(Role.ENGINEER, team=team)
    assert "Move it by hand" in page(f"/streams/{stream.name}/quality/", ada)
    refused = submit(stream, ada, to="observe", reason=" ")
    assert "say why" in refused.content.decode()
    moved = submit(stream, ada, to="observe", reason="A new app.").content.decode()
    assert "stands at observe now" in moved
    assert "A new app." in moved
    ruled = submit(stream, ada, mode="hand", bound="0.5", days="5", least_events="50")
    assert "The rule is changed." in ruled.content.decode()
    rule = EnforcementRule.objects.get(stream=stream)
    assert (rule.mode, rule.violation_bound, rule.days, rule.least_events) == ("hand", 0.005, 5, 50)
    for bad in ({"bound": "x"}, {"bound": "nan"}, {"days": "0"}, {"days": "-1"}, {"mode": "?"}):
        said = {"mode": "hand", "bound": "0.5", "days": "5", "least_events": "50"} | bad
        assert "breaks a rule" in submit(stream, ada, **said).content.decode()
    assert EnforcementRule.objects.get(stream=stream).days == 5


def test_pages_say_what_ends_and_who_still_sends_it(team: Team) -> None:
    stream = make_stream(team=team)
    old = {"type": "string", "deprecated": True, "x-sunset": "2031-05-01"}
    properties = {**ORDER_SCHEMA["properties"], "coupon": old}
    publish_schema(stream, {**ORDER_SCHEMA, "properties": properties}, actor=SYSTEM)
    first, second = stream.versions.order_by("version")
    deprecate_version(
        first, actor=SYSTEM, sunset_at=clock.now() + timedelta(days=9), migration="Send 2."
    )
    supersede_version(second, corrects=1, actor=SYSTEM)
    FieldExtension.objects.create(
        stream=stream, path="coupon", until_on="2031-06-01", reason="Late.", approved_by="ada"
    )
    ada = make_person(Role.ANALYST)
    nobody = page(f"/streams/{stream.name}/versions/", ada)
    assert "Nobody named it in the last 7 days." in nobody
    assert "Corrects v1" in nobody
    web = create_producer("web", actor=SYSTEM, streams=[stream])
    for kind, name in (("version", "1"), ("field", "coupon")):
        DeprecatedUse.objects.create(
            stream_id=stream.pk, day=clock.now().date(), producer_id=web.pk, kind=kind, name=name,
            events=1_234, last_at=clock.now(),
        )  # fmt: skip
    versions = page(f"/streams/{stream.name}/versions/", ada)
    assert "Send 2." in versions
    assert 'href="/producers/web/">web</a> (1,234 events' in versions
    schema = page(f"/streams/{stream.name}/schema/", ada)
    assert "ends 1 May 2031" in schema
    assert "extended until 1 Jun 2031" in schema
    assert 'href="/producers/web/">web</a> (1,234 events' in schema
    producer = page("/producers/web/", ada)
    assert "Still to move" in producer
    assert "version 1" in producer
    Stream.objects.filter(pk=stream.pk).update(restricted=True)
    assert "Still to move" not in page("/producers/web/", ada), "not of what one may not know of"
