"""Drafts: private unless shared, bounded, published by the ordinary rules, thinned."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from catalog.models import Change, Draft, DraftKind, Stream
from catalog.selectors.drafts import get_draft, visible_drafts
from catalog.services.drafts import (
    MAX_BYTES,
    MAX_DRAFTS,
    UNTOUCHED,
    change_draft,
    create_draft,
    publish_registration,
    share_draft,
    thin_drafts,
)
from catalog.services.streams import NewStream
from governance.models import AuditEntry, Team
from governance.selectors.people import actor_of
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    InvalidError,
    NotFoundError,
    NotPermittedError,
    PortalError,
    PreconditionFailedError,
)
from tests.catalog.test_changes_api import WIDER, Caller
from tests.support.factories import (
    ORDER_SCHEMA,
    make_actor,
    make_person,
    make_stream,
    make_team,
    token_of,
)

pytestmark = pytest.mark.django_db
CONTENT = {"name": "shop.refund_paid", "description": "Money went back.", "schema": ORDER_SCHEMA}


class Person:
    """Somebody with a token, who talks to the API of drafts."""

    def __init__(self, *roles: Role, team: Team | None = None) -> None:
        self.user = make_person(*roles, team=team)
        self.actor = actor_of(self.user)
        self.client = Client(headers={"Authorization": f"Bearer {token_of(self.user)}"})

    def call(
        self, method: str, path: str, body: Any = None, status: int = 200, match: str = ""
    ) -> Any:
        answer = self.client.generic(
            method, f"/api/v1/drafts{path}", b"" if body is None else json.dumps(body),
            content_type="application/json", headers={"If-Match": match} if match else {},
        )  # fmt: skip
        assert answer.status_code == status, answer.content
        self.tag = answer.get("ETag", "")
        return answer.json() if answer.content else None

    def begin(self, **more: Any) -> Any:
        return self.call("POST", "", {"kind": "registration", "content": CONTENT, **more}, 201)


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def ada(team: Team) -> Person:
    return Person(Role.ENGINEER, team=team)


@pytest.fixture
def ben(team: Team) -> Person:
    return Person(Role.ENGINEER, team=team)


def test_a_draft_keeps_what_no_rule_would_take_yet(ada: Person) -> None:
    odd: dict[str, Any] = {
        "name": "Not A Name",
        "schema": {"type": 5},
        "anything": [None, {"deep": {}}],
    }
    made = ada.call("POST", "", {"kind": "registration", "content": odd}, 201)
    assert (made["title"], made["mine"], made["content"]) == ("Not A Name", True, odd)
    refused = ada.call("POST", f"/{made['id']}/publish", {}, 400)
    assert refused["code"] == "bad_request"
    assert ada.call("GET", f"/{made['id']}")["content"] == odd, "it is still there"


def test_it_is_seen_by_its_author_alone_until_it_is_shared(ada: Person, ben: Person) -> None:
    made = ada.begin()
    boss = Person(Role.ADMIN)
    for other in (ben, boss):
        other.call("GET", f"/{made['id']}", status=404)
        other.call("PATCH", f"/{made['id']}", {"title": "x"}, 404, match="*")
        other.call("DELETE", f"/{made['id']}", status=404, match="*")
        other.call("POST", f"/{made['id']}/share", {"users": []}, 404)
        other.call("POST", f"/{made['id']}/publish", {}, 404)
        assert other.call("GET", "")["items"] == []
    shared = ada.call("POST", f"/{made['id']}/share", {"users": [ben.user.email]})
    assert shared["shared"] == {"users": [ben.user.email], "teams": []}
    assert [row["id"] for row in ben.call("GET", "")["items"]] == [made["id"]]
    assert ben.call("GET", "?mine=true")["items"] == []
    assert boss.call("GET", "")["items"] == []
    ada.call("POST", f"/{made['id']}/share", {"users": []})
    ben.call("GET", f"/{made['id']}", status=404)


def test_a_team_shares_it_with_whoever_is_in_it(ada: Person, ben: Person, team: Team) -> None:
    made = ada.begin()
    cy = Person(Role.ENGINEER, team=make_team())
    ada.call("POST", f"/{made['id']}/share", {"team": team.slug})
    assert ben.call("GET", f"/{made['id']}")["shared"]["teams"] == [team.slug]
    cy.call("GET", f"/{made['id']}", status=404)
    for body, pointer in (
        ({"users": ["nobody@test.example"]}, "/users/0"),
        ({"team": "nothing"}, "/team"),
        ({"teams": [team.slug, "nothing"]}, "/teams/1"),
        ({}, "/users"),
    ):
        bad = ada.call("POST", f"/{made['id']}/share", body, 422)
        assert bad["errors"][0]["pointer"] == pointer
    assert ben.call("GET", f"/{made['id']}")["mine"] is False


def test_whom_it_is_shared_with_edits_but_neither_shares_nor_discards(
    ada: Person, ben: Person
) -> None:
    made = ada.begin()
    ada.call("POST", f"/{made['id']}/share", {"users": [ben.user.email]})
    ben.call("GET", f"/{made['id']}")
    changed = ben.call("PATCH", f"/{made['id']}", {"title": "Ours"}, match=ben.tag)
    assert (changed["title"], changed["updated_by"]) == ("Ours", ben.user.email)
    ben.call("POST", f"/{made['id']}/share", {"users": []}, 403)
    ben.call("DELETE", f"/{made['id']}", status=403, match=ben.tag or "*")


def test_who_is_slower_is_told_so(ada: Person) -> None:
    made = ada.begin()
    tag = ada.tag
    ada.call("PATCH", f"/{made['id']}", {"title": "One"}, 428)
    ada.call("PATCH", f"/{made['id']}", {"title": "One"}, match=tag)
    ada.call("PATCH", f"/{made['id']}", {"title": "Two"}, 412, match=tag)
    ada.call("DELETE", f"/{made['id']}", status=412, match=tag)
    ada.call("GET", f"/{made['id']}")
    ada.call("DELETE", f"/{made['id']}", status=204, match=ada.tag)
    ada.call("GET", f"/{made['id']}", status=404)


def test_publishing_registers_the_stream_and_ends_the_draft(ada: Person, team: Team) -> None:
    made = ada.begin(content={**CONTENT, "owner": team.slug, "tags": ["money"]})
    done = ada.call("POST", f"/{made['id']}/publish", {}, 201)
    assert (done["kind"], done["stream"]["name"]) == ("registration", "shop.refund_paid")
    stream = Stream.objects.get(name="shop.refund_paid")
    assert (stream.owner_team_id, stream.default_version) == (team.pk, 1)
    ada.call("GET", f"/{made['id']}", status=404)
    actions = list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))
    assert [word for word in actions if word.startswith(("draft", "stream"))] == [
        "draft.created", "draft.published", "stream.registered",
    ]  # fmt: skip


def test_what_cannot_be_published_stays_a_draft(ada: Person, team: Team) -> None:
    make_stream("shop.refund_paid")
    made = ada.begin(content={**CONTENT, "owner": team.slug})
    taken = ada.call("POST", f"/{made['id']}/publish", {}, 409)
    assert taken["code"] == "name_taken"
    ada.call("GET", f"/{made['id']}")
    assert not AuditEntry.objects.filter(action="draft.published").exists()


def test_a_draft_of_a_change_is_proposed(ada: Person, team: Team) -> None:
    make_stream("shop.order_paid", team=team)
    body = {"kind": "change", "stream": "shop.order_paid",
            "content": {"schema": WIDER, "summary": "A note."}}  # fmt: skip
    made = ada.call("POST", "", body, 201)
    assert (made["stream"], made["title"]) == ("shop.order_paid", "A note.")
    done = ada.call("POST", f"/{made['id']}/publish", {}, 201)
    assert done["change"]["summary"] == "A note."
    assert Change.objects.get().asked_by_id == ada.user.pk


def test_a_draft_names_a_stream_exactly_when_it_is_of_a_change(ada: Person, team: Team) -> None:
    make_stream("shop.order_paid", team=team)
    for body in (
        {"kind": "change", "content": {}},
        {"kind": "registration", "stream": "shop.order_paid", "content": {}},
    ):
        assert ada.call("POST", "", body, 422)["errors"][0]["pointer"] == "/stream"
    ada.call("POST", "", {"kind": "other", "content": {}}, 422)
    ada.call("POST", "", {"kind": "registration", "content": []}, 400)


def test_beginning_asks_for_the_right_to_finish(ada: Person, team: Team) -> None:
    make_stream("shop.order_paid", team=team)
    Person(Role.ANALYST).call("POST", "", {"kind": "registration", "content": {}}, 403)
    body = {"kind": "change", "stream": "shop.order_paid", "content": {}}
    Person(Role.ENGINEER).call("POST", "", body, 403)
    Stream.objects.update(restricted=True)
    Person(Role.ENGINEER).call("POST", "", body, 404)
    ada.call("POST", "", body, 201)


def test_a_draft_of_a_stream_that_one_may_not_know_of_any_more_is_gone(
    ada: Person, ben: Person, team: Team
) -> None:
    stream = make_stream("shop.order_paid", team=team)
    made = ada.call("POST", "", {"kind": "change", "stream": stream.name, "content": {}}, 201)
    cy = Person(Role.ENGINEER)
    ada.call("POST", f"/{made['id']}/share", {"users": [cy.user.email, ben.user.email]})
    assert cy.call("GET", f"/{made['id']}")["stream"] == stream.name
    Stream.objects.update(restricted=True)
    cy.call("GET", f"/{made['id']}", status=404)
    assert cy.call("GET", "")["items"] == []
    ben.call("GET", f"/{made['id']}")


def test_a_draft_is_bounded(ada: Person) -> None:
    large = {"schema": {"description": "x" * MAX_BYTES}}
    bad = ada.call("POST", "", {"kind": "registration", "content": large}, 422)
    assert bad["errors"][0]["pointer"] == "/content"
    made = ada.begin()
    ada.call("PATCH", f"/{made['id']}", {"content": large}, 422, match="*")
    raw = b'{"kind": "registration", "content": {"name": "\\u0000"}}'
    answer = ada.client.post("/api/v1/drafts", raw, content_type="application/json")
    assert answer.status_code == 400, "a text that cannot be stored"
    deep: Any = {}
    for _ in range(150):
        deep = {"a": deep}
    ada.call("PATCH", f"/{made['id']}", {"content": deep}, match="*")


def test_a_person_has_so_many_drafts(ada: Person, ben: Person) -> None:
    Draft.objects.bulk_create(
        Draft(kind=DraftKind.REGISTRATION, owner=ada.user, updated_by="x")
        for _ in range(MAX_DRAFTS - 1)
    )
    ada.begin()
    full = ada.call("POST", "", {"kind": "registration", "content": {}}, 409)
    assert full["code"] == "too_many"
    ben.begin()


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_not_pass_the_bound(ada: Person) -> None:
    Draft.objects.bulk_create(
        Draft(kind=DraftKind.REGISTRATION, owner=ada.user, updated_by="x")
        for _ in range(MAX_DRAFTS - 1)
    )

    def begin(_: int) -> str:
        try:
            create_draft(DraftKind.REGISTRATION, {}, actor=ada.actor)
        except PortalError as error:
            return error.code
        else:
            return "made"
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(begin, range(4)))
    assert said == ["made", "too_many", "too_many", "too_many"]
    assert Draft.objects.count() == MAX_DRAFTS


def test_of_two_who_publish_one_finds_it_gone_and_a_stale_one_is_told(
    ada: Person, ben: Person, team: Team
) -> None:
    draft = create_draft(DraftKind.REGISTRATION, CONTENT, actor=ada.actor)
    share_draft(draft, actor=ada.actor, users=[ben.user])
    seen = get_draft(ben.actor, draft.pk)
    change_draft(draft, actor=ada.actor, title="Newer")
    new = NewStream("shop.refund_paid", ORDER_SCHEMA, owner_team=team)
    with pytest.raises(PreconditionFailedError, match="Somebody else changed this draft"):
        publish_registration(seen, new, actor=ben.actor, revision=seen.revision)
    publish_registration(draft, new, actor=ada.actor)
    with pytest.raises(NotFoundError):
        publish_registration(seen, new, actor=ben.actor)


def test_keeping_a_text_leaves_no_row_in_the_log(ada: Person) -> None:
    draft = create_draft(DraftKind.REGISTRATION, CONTENT, actor=ada.actor)
    before = AuditEntry.objects.count()
    change_draft(draft, actor=ada.actor, content={**CONTENT, "title": "x"})
    assert AuditEntry.objects.count() == before
    assert draft.revision == 2
    assert change_draft(draft, actor=ada.actor).revision == 2, "nothing was changed"


def test_the_log_says_nothing_of_what_a_draft_holds(ada: Person) -> None:
    made = ada.begin(title="Acquisition of Zebra")
    ada.call("DELETE", f"/{made['id']}", status=204, match="*")
    rows = AuditEntry.objects.filter(action__startswith="draft.")
    assert rows.count() == 2
    for row in rows:
        assert "Zebra" not in f"{row.summary}{row.detail}"
        assert "refund" not in f"{row.summary}{row.detail}"


def test_untouched_drafts_go_after_ninety_days(ada: Person) -> None:
    with clock.at(clock.now() - UNTOUCHED - timedelta(hours=1)):
        old = create_draft(DraftKind.REGISTRATION, {}, actor=ada.actor)
        touched = create_draft(DraftKind.REGISTRATION, {}, actor=ada.actor)
    young = create_draft(DraftKind.REGISTRATION, {}, actor=ada.actor)
    change_draft(touched, actor=ada.actor, title="Still wanted")
    assert thin_drafts() == 1
    assert set(Draft.objects.values_list("pk", flat=True)) == {touched.pk, young.pk}
    assert thin_drafts() == 0
    assert not Draft.objects.filter(pk=old.pk).exists()
    assert AuditEntry.objects.filter(action="draft.thinned").count() == 1


def test_drafts_are_never_found(ada: Person, team: Team) -> None:
    ada.begin(content={"name": "shop.hidden_gem", "description": "A hidden gem."})
    caller = Caller(Role.ENGINEER, team=team)
    for path in ("/search?q=hidden", "/streams?q=hidden", "/fields?q=hidden"):
        assert "hidden_gem" not in str(caller.get(path))


def test_programs_have_no_drafts() -> None:
    robot = Actor(kind=make_actor().kind.PRODUCER, id=1, label="robot")
    assert list(visible_drafts(robot)) == []
    with pytest.raises(NotPermittedError):
        create_draft(DraftKind.REGISTRATION, {}, actor=robot)


def test_more_people_than_may_be_are_refused(ada: Person) -> None:
    draft = create_draft(DraftKind.REGISTRATION, {}, actor=ada.actor)
    with pytest.raises(InvalidError):
        share_draft(draft, actor=ada.actor, users=[ada.user] * 51)
