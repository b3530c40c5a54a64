"""Who may do what through the registry, and that outsiders learn nothing."""

import pytest
from django.test import Client

from catalog.models import Change, Producer, ProducerStream, Stream
from catalog.services.tracks import promote_stream
from governance.models import AuditEntry, Team
from governance.selectors.requests import live_grants
from governance.services.grants import end_grant
from governance.services.keys import create_key
from governance.types import Permission, Role
from portal.kernel.actor import SYSTEM
from tests.catalog.registry.conftest import (
    BREAKING,
    ORDER,
    WIDER,
    Caller,
    basic,
    person,
    producer,
    sent,
)
from tests.support.factories import make_grant, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def secret(team: Team) -> Stream:
    return make_stream(
        "shop.secret_thing", team=team, schema={**ORDER, "title": "Secret"},
        extra={"restricted": True},
    )  # fmt: skip


def test_the_first_registration_makes_the_stream_of_the_keys_team(team: Team) -> None:
    person(Role.ENGINEER, team=team).register("Checkout.OrderPlaced", ORDER)
    stream = Stream.objects.get(name="checkout.order_placed")
    assert (stream.owner_team, stream.track, stream.lifecycle) == (team, "experimental", "active")
    assert (stream.compatibility_policy, stream.compatibility_mode) == ("strict", "BACKWARD")
    assert [row.alias for row in stream.aliases.all()] == ["Checkout.OrderPlaced"]
    assert stream.versions.get().state == "active"
    actions = AuditEntry.objects.filter(object_key=stream.name).values_list("action", flat=True)
    assert list(actions.order_by("seq")) == ["stream.registered", "schema.published"]


def test_a_producer_makes_streams_in_its_domain_and_may_publish_there(team: Team) -> None:
    made = producer(team=team, domain="checkout")
    made.register("orders", ORDER)
    stream = Stream.objects.get(name="checkout.orders")
    assert stream.owner_team == team
    assert ProducerStream.objects.get(stream=stream).producer.team == team
    made.register("orders", WIDER)
    made.expect("PUT", "/config/orders", {"compatibility": "NONE"})
    assert made.expect("DELETE", "/subjects/orders") == [1, 2]


def test_a_producer_without_team_and_pattern_makes_nothing() -> None:
    nobody = producer()
    message = nobody.fail("POST", "/subjects/orders/versions", sent(ORDER), status=403, code=40301)
    assert "no team" in message
    assert not Stream.objects.exists()
    producer(globs=("imported.*",)).register("orders", ORDER)
    assert Stream.objects.get().owner_team is None


def test_a_producers_key_reaches_only_the_streams_of_its_own_pattern(team: Team) -> None:
    narrow = producer(team=team, globs=("*",), key_glob="billing.*")
    narrow.fail("POST", "/subjects/shop.paid/versions", sent(ORDER), status=403, code=40301)
    narrow.register("billing.paid", ORDER)


def test_a_producer_registers_where_it_may_publish_and_settles_nothing_of_others(
    team: Team,
) -> None:
    stream = make_stream("shop.order_paid", team=team, schema=ORDER)
    guest = producer(streams=(stream,))
    guest.register("shop.order_paid-value", WIDER)
    guest.fail("PUT", "/config/shop.order_paid", {"compatibility": "NONE"}, status=403, code=40301)
    guest.fail("DELETE", "/subjects/shop.order_paid", status=403, code=40301)
    other = producer(team=make_team())
    message = other.fail(
        "POST", "/subjects/shop.order_paid/versions", sent(WIDER), status=403, code=40301
    )
    assert "/access/new/?stream=shop.order_paid" in message


def test_a_producer_registers_where_a_grant_lets_it_publish_as_long_as_it_holds(
    secret: Stream,
) -> None:
    guest = producer()
    made = Producer.objects.get()
    body = {**WIDER, "title": "Secret"}
    guest.fail("GET", "/subjects/shop.secret_thing/versions", status=404, code=40401)
    make_grant(secret, made, Permission.DISCOVER)
    assert guest.expect("GET", "/subjects/shop.secret_thing/versions") == [1]
    guest.fail("POST", "/subjects/shop.secret_thing/versions", sent(body), status=403, code=40301)
    make_grant(secret.domain, made, Permission.PUBLISH)
    guest.register("shop.secret_thing", body)
    guest.fail("DELETE", "/subjects/shop.secret_thing", status=403, code=40301)
    for grant in live_grants(SYSTEM):
        end_grant(grant.id, actor=SYSTEM)
    guest.fail("GET", "/subjects/shop.secret_thing/versions", status=404, code=40401)


def test_a_stream_made_under_a_grant_stays_its_makers_when_that_ends(team: Team) -> None:
    domain = make_stream("checkout.other_done").domain
    maker = producer(team=team, domain="checkout")
    made = Producer.objects.get()
    make_grant(domain, made, Permission.PUBLISH)
    maker.register("orders", ORDER)
    stream = Stream.objects.get(name="checkout.orders")
    assert ProducerStream.objects.filter(producer=made, stream=stream).exists()


def test_people_need_the_permission_to_edit_and_the_role_to_make(team: Team) -> None:
    stream = make_stream("shop.order_paid", team=team, schema=ORDER)
    user = make_person(Role.ANALYST)
    analyst = Caller(token_of(user))
    analyst.fail("POST", "/subjects/shop.order_paid/versions", sent(WIDER), status=403, code=40301)
    analyst.fail("POST", "/subjects/shop.new/versions", sent(ORDER), status=403, code=40301)
    assert analyst.expect("GET", "/subjects/shop.order_paid/versions") == [1]
    make_grant(stream, user, Permission.EDIT)
    analyst.register("shop.order_paid", WIDER)


def test_a_restricted_stream_does_not_exist_for_an_outsider(secret: Stream, team: Team) -> None:
    owner = person(Role.ENGINEER, team=team)
    made = owner.expect("GET", "/subjects/shop.secret_thing/versions/latest")
    for outsider in (person(Role.ENGINEER), producer(team=make_team(), globs=("*",))):
        for method, path, body in (
            ("GET", "/subjects/shop.secret_thing/versions", None),
            ("GET", "/subjects/shop.secret_thing-value/versions/1", None),
            ("GET", "/subjects/shop.secret_thing/versions/1/referencedby", None),
            ("POST", "/subjects/shop.secret_thing", sent(ORDER)),
            ("POST", "/subjects/shop.secret_thing/versions", sent(WIDER)),
            ("DELETE", "/subjects/shop.secret_thing", None),
            ("DELETE", "/subjects/shop.secret_thing/versions/1", None),
            ("PUT", "/config/shop.secret_thing", {"compatibility": "NONE"}),
            ("GET", "/config/shop.secret_thing", None),
            ("GET", "/mode/shop.secret_thing", None),
            ("PUT", "/mode/shop.secret_thing", {"mode": "READONLY"}),
            ("DELETE", "/config/shop.secret_thing", None),
        ):
            outsider.fail(method, path, body, status=404, code=40401)
        for path in (f"/schemas/ids/{made['id']}", f"/schemas/guids/{made['guid']}"):
            outsider.fail("GET", path, status=404, code=40403)
        for path in ("/subjects?deleted=true", "/schemas?deleted=true"):
            assert "secret" not in str(outsider.expect("GET", path)).lower()
        body = sent(ORDER, references=[{"name": "s", "subject": "shop.secret_thing", "version": 1}])
        outsider.fail("POST", "/subjects/x.y/versions", body, status=422, code=42201)
    secret.refresh_from_db()
    assert secret.compatibility_mode == "BACKWARD"
    insider = producer(team=team, globs=("*",))
    insider.register("shop.secret_thing", {**WIDER, "title": "Secret"})


def test_the_scopes_of_a_token_narrow_what_it_does(team: Team) -> None:
    reader = person(Role.ENGINEER, team=team, scopes=("read",))
    assert reader.expect("GET", "/subjects") == []
    reader.fail("POST", "/subjects/shop.paid/versions", sent(ORDER), status=403, code=40301)
    writer = person(Role.ENGINEER, team=team, scopes=("write",))
    writer.fail("GET", "/subjects", status=403, code=40301)


def test_only_admins_set_what_holds_for_all(admin: Caller, team: Team) -> None:
    for caller in (person(Role.ENGINEER, team=team), producer(team=team, globs=("*",))):
        caller.fail("PUT", "/config", {"compatibility": "NONE"}, status=403, code=40301)
        caller.fail("DELETE", "/config", status=403, code=40301)
        caller.fail("PUT", "/mode", {"mode": "READONLY"}, status=403, code=40301)
        caller.fail("DELETE", "/mode", status=403, code=40301)
    assert admin.expect("PUT", "/config", {"compatibility": "full"}) == {"compatibility": "FULL"}


def test_without_a_known_key_there_is_one_401_for_all_causes(team: Team) -> None:
    user = make_person(Role.ENGINEER)
    user_token = token_of(user)
    make_person(Role.ENGINEER)
    for headers in (
        {},
        {"Authorization": "Bearer nope"},
        {"Authorization": "Basic !!!"},
        {"Authorization": basic("nobody", "nothing")},
        {"Authorization": "Digest x"},
        {"Authorization": "Bearer \xff"},
    ):
        answer = Client().get("/registry/subjects", headers=headers)
        assert answer.status_code == 401
        assert set(answer.json()) == {"error_code", "message"}
        assert "Basic" in answer["WWW-Authenticate"]
        assert "Bearer" in answer["WWW-Authenticate"]
    for name, password in ((user_token, ""), ("anybody", user_token)):
        answer = Client().get(
            "/registry/subjects", headers={"Authorization": basic(name, password)}
        )
        assert answer.status_code == 200
    session = Client()
    session.force_login(user)
    assert session.get("/registry/subjects").status_code == 401
    in_address = Client().get(f"/registry/subjects?key={user_token}")
    assert (in_address.status_code, in_address.json()["error_code"]) == (400, 400)


@pytest.mark.parametrize("kind", ["cons", "flag"])
def test_keys_of_consumers_and_flag_clients_are_for_elsewhere(kind: str) -> None:
    _, text = create_key(actor=SYSTEM, kind=kind, name="reader", holder_id=1)
    Caller(text).fail("GET", "/subjects", status=403, code=40301)


def test_where_approvals_are_asked_for_the_proposal_is_open(team: Team) -> None:
    stream = make_stream("shop.order_paid", team=team, schema=ORDER)
    promote_stream(stream, actor=SYSTEM)
    for caller in (person(Role.ENGINEER, team=team), producer(streams=(stream,))):
        message = caller.fail(
            "POST", "/subjects/shop.order_paid/versions", sent(WIDER), status=422, code=42205
        )
        change = Change.objects.get()
        assert f"/changes/{change.pk}/" in message
        assert (change.state, change.version.version) == ("proposed", 2)
        assert caller.expect("GET", "/subjects/shop.order_paid/versions") == [1]
    caller.fail("POST", "/subjects/shop.order_paid/versions", sent(BREAKING), status=409, code=409)
    assert Change.objects.count() == 1


def test_an_approved_proposal_has_the_id_of_the_schema_as_it_was_sent(team: Team) -> None:
    from catalog.models import Vote
    from catalog.services.changes import activate_change, vote_on_change
    from governance.selectors.people import actor_of

    make_stream("shop.item", team=team, schema=ORDER)
    stream = make_stream("shop.order_paid", team=team, schema={"type": "object"})
    promote_stream(stream, actor=SYSTEM)
    ada, ben = make_person(Role.ENGINEER, team=team), make_person(Role.ENGINEER, team=team)
    caller = Caller(token_of(ada))
    caller.expect("PUT", "/config/shop.order_paid", {"compatibility": "NONE"})
    body = sent(
        {"type": "object", "properties": {"item": {"$ref": "item.json"}}},
        references=[{"name": "item.json", "subject": "shop.item", "version": 1}],
    )
    path = "/subjects/shop.order_paid/versions"
    caller.fail("POST", path, body, status=422, code=42205)
    change = Change.objects.get()
    vote_on_change(change, Vote.APPROVE, actor=actor_of(ben))
    activate_change(change, actor=actor_of(ben))
    made = caller.expect("POST", path, body)
    assert (made["version"], made["references"]) == (2, body["references"])
    assert "$defs" not in made["schema"]
