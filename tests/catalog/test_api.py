"""The catalog over REST: every filter filters, and what is made can be read and changed."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Domain, Producer, Stream
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.producers import create_producer
from governance.models import AuditEntry
from governance.services.grants import grant_access
from governance.types import Permission, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from quality.models import Check
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
JSON = "application/json"
PLAIN = {"type": "object", "properties": {"other": {"type": "string"}}}


def client_of(*roles: Role, **fields: Any) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(make_person(*roles, **fields))}"})


@pytest.fixture
def reader() -> Client:
    return client_of(Role.ANALYST)


def names(client: Client, query: str) -> list[str]:
    answer = client.get(f"/api/v1/streams?{query}")
    assert answer.status_code == 200, answer.content
    return [row["name"] for row in answer.json()["items"]]


@pytest.fixture
def two() -> tuple[Stream, Stream]:
    """Two streams that differ in everything a filter knows."""
    team, other = make_team(), make_team()
    first = make_stream("shop.order_paid", team=team, tags=("money",), title="Paid", tier="T1")
    second = make_stream("search.query_typed", team=other, schema=PLAIN, tier="T3", title="Typed")
    Stream.objects.filter(pk=first.pk).update(track="production", lifecycle="deprecated")
    Check.objects.create(
        stream=first,
        kind="validity",
        state="alarm",
        level=2,
        sentence="x",
        evaluated_at=clock.now(),
    )
    map_consumer(create_consumer("c", actor=SYSTEM), second, actor=SYSTEM)
    first.refresh_from_db()
    return first, second


@pytest.mark.parametrize(
    ("this", "that"),
    [
        ("q=paid", "q=typed"),
        ("domain=shop", "domain=search"),
        ("owner={0}", "owner={1}"),
        ("tier=T1", "tier=T3"),
        ("track=production", "track=experimental"),
        ("lifecycle=deprecated", "lifecycle=active"),
        ("classification=personal", "classification=internal"),
        ("health=alarm", "health=not_measured"),
        ("field=order_id", "field=other"),
    ],
)
def test_each_filter_keeps_what_fits_and_drops_the_rest(
    this: str, that: str, two: tuple[Stream, Stream], reader: Client
) -> None:
    slugs = [stream.owner_team.slug for stream in two if stream.owner_team]
    assert names(reader, this.format(*slugs)) == [two[0].name]
    assert names(reader, that.format(*slugs)) == [two[1].name]
    if not this.startswith(("q=", "field=")):
        name, _, value = this.format(*slugs).partition("=")
        both = f"{name}={value},{that.format(*slugs).partition('=')[2]}"
        assert len(names(reader, both)) == 2


def test_tags_and_filters_together_narrow(two: tuple[Stream, Stream], reader: Client) -> None:
    assert names(reader, "tag=money") == ["shop.order_paid"]
    assert names(reader, "tag=money&tier=T1&health=alarm&q=paid&field=email") == ["shop.order_paid"]
    assert names(reader, "tag=money&tier=T3") == []
    assert names(reader, "tag=nothing") == []


def test_orderings_order(two: tuple[Stream, Stream], reader: Client) -> None:
    assert names(reader, "") == ["search.query_typed", "shop.order_paid"]
    assert names(reader, "ordering=name") == ["search.query_typed", "shop.order_paid"]
    assert names(reader, "ordering=newest") == ["search.query_typed", "shop.order_paid"]
    assert names(reader, "ordering=readers") == ["search.query_typed", "shop.order_paid"]
    assert names(reader, "q=shop&ordering=relevance") == ["shop.order_paid"]


@pytest.mark.parametrize(
    "query", ["tier=T9", "track=x", "lifecycle=x", "classification=x", "health=x", "ordering=x",
              "tier=T1,T9", "tier=T1,"],
)  # fmt: skip
def test_a_word_that_no_stream_can_have_is_a_400(query: str, reader: Client) -> None:
    answer = reader.get(f"/api/v1/streams?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == f"/{query.partition('=')[0]}"


def test_filters_left_empty_filter_nothing(two: tuple[Stream, Stream], reader: Client) -> None:
    query = (
        "q=&domain=&owner=&tier=&track=&lifecycle=&classification=&tag=&health=&field=&ordering="
    )
    assert len(names(reader, query)) == 2


def test_fields_are_paged_by_use(two: tuple[Stream, Stream], reader: Client) -> None:
    make_stream(schema=PLAIN)
    first = reader.get("/api/v1/fields?limit=1").json()
    (most_used,) = first["items"]
    assert {name: most_used[name] for name in ("name", "types", "streams", "conflicts")} == {
        "name": "other", "types": ["string"], "streams": 2, "conflicts": [],
    }  # fmt: skip
    assert first["next"]
    found, cursor = [], first["next"]
    while cursor:
        page = reader.get("/api/v1/fields", {"limit": 1, "cursor": cursor}).json()
        found += [row["name"] for row in page["items"]]
        cursor = page["next"]
    assert found == ["amount_minor", "email", "order_id"]


# --- Made, read, changed ----------------------------------------------------------------------


def change(client: Client, path: str, body: Any) -> Any:
    tag = client.get(path)["ETag"]
    return client.patch(path, body, content_type=JSON, headers={"If-Match": tag})


def test_a_domain_is_changed_by_its_owner_team() -> None:
    team = make_team()
    engineer = client_of(Role.ENGINEER, team=team)
    made = engineer.post(
        "/api/v1/domains", {"slug": "growth", "owner": team.slug}, content_type=JSON
    )
    assert (made.status_code, made["Location"]) == (201, "/api/v1/domains/growth")
    assert engineer.get("/api/v1/domains/growth")["ETag"] == made["ETag"]
    changed = change(engineer, "/api/v1/domains/growth", {"name": "Growth", "description": "G."})
    assert (changed.status_code, changed.json()["name"]) == (200, "Growth")
    stranger = change(client_of(Role.ENGINEER), "/api/v1/domains/growth", {"name": "Mine"})
    assert (stranger.status_code, stranger.json()["permission"]) == (403, "edit")
    assert AuditEntry.objects.filter(action="domain.changed", object_key="growth").count() == 1


@pytest.mark.parametrize("path", ["/api/v1/streams/shop.order_paid", "/api/v1/domains/shop"])
def test_an_editor_by_grant_does_not_make_the_thing_their_own(path: str) -> None:
    stream = make_stream("shop.order_paid", team=make_team())
    team = make_team()
    editor = make_person(Role.ENGINEER, team=team)
    things: list[Stream | Domain] = [stream, stream.domain]
    for thing in things:
        grant_access(
            thing.ref, actor=SYSTEM, permission=Permission.EDIT, holder=editor,
            purpose="To mend its texts.", until=clock.now() + timedelta(days=9),
        )  # fmt: skip
    client = Client(headers={"Authorization": f"Bearer {token_of(editor)}"})
    assert change(client, path, {"description": "Mended."}).status_code == 200
    taken = change(client, path, {"owner": team.slug})
    assert (taken.status_code, taken.json()["permission"]) == (403, "administer")
    given = change(client_of(Role.ADMIN), path, {"owner": team.slug})
    assert given.json()["owner"] == team.slug


def test_a_team_is_changed_by_its_lead() -> None:
    team = make_team()
    path = f"/api/v1/teams/{team.slug}"
    lead, member = client_of(team=team, is_lead=True), client_of(team=team)
    assert change(lead, path, {"description": "We build."}).json()["description"] == "We build."
    assert change(member, path, {"description": "No."}).json()["code"] == "role"
    assert member.get("/api/v1/teams/nothing").status_code == 404


def test_a_producer_shows_and_changes_what_it_may_publish_to() -> None:
    team = make_team()
    engineer = client_of(Role.ENGINEER, team=team)
    mine, next_one = make_stream(team=team), make_stream(team=team)
    hidden = make_stream(team=make_team(), extra={"restricted": True})
    made = engineer.post(
        "/api/v1/producers",
        {"name": "sender", "team": team.slug, "streams": [mine.name], "sources": ["/a"]},
        content_type=JSON,
    )
    assert made.status_code == 201, made.content
    assert (made.json()["streams"], made.json()["sources"]) == ([mine.name], ["/a"])
    Stream.objects.get(pk=hidden.pk).permitted_producers.create(
        producer=Producer.objects.get(name="sender")
    )
    body = {"title": "Sender", "streams": [next_one.name], "sources": ["/b"]}
    changed = change(engineer, "/api/v1/producers/sender", body).json()
    assert (changed["title"], changed["streams"], changed["sources"]) == (
        "Sender", [next_one.name], ["/b"],
    )  # fmt: skip
    # What the engineer may not know of stays as it was.
    assert hidden.permitted_producers.count() == 1
    assert change(engineer, "/api/v1/producers/sender", {"globs": ["*"]}).json()["code"] == "role"
    unknown = change(engineer, "/api/v1/producers/sender", {"streams": [hidden.name]})
    assert unknown.status_code == 404
    other = change(client_of(Role.ENGINEER), "/api/v1/producers/sender", {"title": "x"})
    assert (other.status_code, other.json()["permission"]) == (403, "producer.manage")


def test_a_consumer_is_changed_and_its_mappings_are_listed() -> None:
    team, stream = make_team(), make_stream()
    engineer = client_of(Role.ENGINEER, team=team)
    made = engineer.post(
        "/api/v1/consumers", {"name": "reader", "team": team.slug}, content_type=JSON
    )
    assert made.json()["mappings"] == []
    mapped = engineer.post(
        "/api/v1/consumers/reader/mappings",
        {"stream": stream.name, "fields": ["order_id"]},
        content_type=JSON,
    )
    assert mapped.status_code == 201
    listed = engineer.get("/api/v1/consumers/reader/mappings").json()["items"]
    assert [row["fields"] for row in listed] == [["order_id"]]
    changed = change(engineer, "/api/v1/consumers/reader", {"kind": "dashboard"})
    assert changed.json()["kind"] == "dashboard"
    assert change(engineer, "/api/v1/consumers/reader", {"kind": "x"}).status_code == 422


def test_following_is_a_resource_of_ones_own(reader: Client) -> None:
    stream = make_stream()
    path = f"/api/v1/streams/{stream.name}/follow"
    before = reader.get(path)
    assert before.json() == {"following": False}
    assert reader.post(path, {}, content_type=JSON).json() == {"following": True}
    assert reader.delete(path).status_code == 428
    assert reader.delete(path, headers={"If-Match": before["ETag"]}).status_code == 412
    assert reader.delete(path, headers={"If-Match": reader.get(path)["ETag"]}).json() == {
        "following": False
    }


def test_a_version_is_found_by_the_label_it_came_with(reader: Client) -> None:
    stream = make_stream(label="1.2.0")
    path = f"/api/v1/streams/{stream.name}/schemas"
    assert reader.get(f"{path}/1.2.0").json()["version"] == 1
    assert reader.get(f"{path}/1").json()["label"] == "1.2.0"
    for wrong in ("0", "2", "01", "-1", "9" * 30, "1.2.1"):
        assert reader.get(f"{path}/{wrong}").status_code == 404


def test_counts_of_lists_leave_out_what_may_not_be_known() -> None:
    hidden = make_stream(team=make_team(), extra={"restricted": True})
    map_consumer(create_consumer("c", actor=SYSTEM), hidden, actor=SYSTEM)
    create_producer("p", actor=SYSTEM, streams=[hidden])
    client = Client()
    for role, streams, permissions in ((Role.ANALYST, 0, 0), (Role.ADMIN, 1, 1)):
        client.force_login(make_person(role))
        readers = client.get("/consumers/").content.decode().replace("\u00a0", " ")
        senders = client.get("/producers/").content.decode().replace("\u00a0", " ")
        assert f"reads {streams} stream" in readers
        assert f"{permissions} permission" in senders
