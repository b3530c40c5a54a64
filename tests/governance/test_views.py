"""Questions kept under a name: whose they are, who sees them, what may be kept."""

from typing import Any

import pytest
from django.test import Client

from governance.models import AuditEntry, SavedView, User
from governance.selectors.people import actor_of
from governance.selectors.views import visible_views
from governance.services import views as services
from governance.services.views import delete_view, save_view
from governance.types import Role
from portal.kernel.errors import InvalidError, NotFoundError
from tests.support.factories import make_person, token_of

pytestmark = pytest.mark.django_db
ASKED = {"verb": "saw", "object": "checkout.order_placed", "period": "7 days"}


def api(person: User, *scopes: str) -> Client:
    key = token_of(person, *(scopes or ("read", "write", "admin")))
    return Client(headers={"Authorization": f"Bearer {key}"})


def post(client: Client, **body: Any) -> Any:
    whole = {"kind": "audit", "name": "Who saw orders", "asked": ASKED} | body
    return client.post("/api/v1/views", whole, "application/json")


def named(client: Client) -> list[str]:
    return [row["name"] for row in client.get("/api/v1/views").json()["items"]]


def test_a_question_is_kept_opened_changed_and_deleted_over_the_api() -> None:
    dot = make_person(Role.ADMIN)
    client = api(dot)
    made = post(client)
    assert made.status_code == 201
    body = made.json()
    assert body["asked"] == ASKED
    assert body["url"] == "/audit/?verb=saw&object=checkout.order_placed&period=7+days"
    assert (body["mine"], body["shared"], body["owner"]) == (True, False, dot.email)
    path = made["Location"]
    assert client.get(path).json() == body
    assert client.patch(path, {"shared": True}, "application/json").status_code == 428
    changed = client.patch(
        path, {"name": "Orders", "shared": True}, "application/json",
        headers={"If-Match": made["ETag"]},
    )  # fmt: skip
    assert (changed.status_code, changed.json()["shared"]) == (200, True)
    stale = client.delete(path, headers={"If-Match": made["ETag"]})
    assert stale.status_code == 412
    assert client.delete(path, headers={"If-Match": changed["ETag"]}).status_code == 204
    assert client.get(path).status_code == 404
    actions = AuditEntry.objects.filter(object_kind="view").order_by("seq")
    assert list(actions.values_list("action", flat=True)) == [
        "view.saved", "view.changed", "view.deleted",
    ]  # fmt: skip


def test_a_shared_question_is_seen_by_admins_alone_and_changed_by_its_owner_alone() -> None:
    dot, eve, cy = make_person(Role.ADMIN), make_person(Role.ADMIN), make_person(Role.ENGINEER)
    own, shared = post(api(dot)).json(), post(api(dot), name="For all", shared=True).json()
    assert named(api(dot)) == ["For all", "Who saw orders"]
    assert named(api(eve)) == ["For all"]
    for outsider in (api(cy), api(eve, "read", "write")):
        assert named(outsider) == []
        for row in (own, shared):
            assert outsider.get(f"/api/v1/views/{row['id']}").status_code == 404
        refused = post(outsider, name="Mine")
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/kind")
    path = f"/api/v1/views/{shared['id']}"
    assert api(eve).get(path).json()["mine"] is False
    tag = {"If-Match": "*"}
    patched = api(eve).patch(path, {"name": "x"}, "application/json", headers=tag)
    assert patched.status_code == 404
    assert api(eve).delete(path, headers=tag).status_code == 404
    with pytest.raises(NotFoundError):
        delete_view(SavedView.objects.get(name="For all").pk, actor=actor_of(eve))


def test_a_question_that_the_page_would_not_take_is_not_kept() -> None:
    client = api(make_person(Role.ADMIN))
    for body, pointer in (
        ({"asked": {"verb": "ate"}}, "/asked"), ({"asked": {"limit": "5"}}, "/asked"),
        ({"asked": {"actor": 5}}, "/asked"), ({"asked": {"object": "x" * 201}}, "/asked"),
        ({"kind": "nothing"}, "/kind"), ({"name": " "}, "/name"), ({"name": "a\nb"}, "/name"),
    ):  # fmt: skip
        answer = post(client, **body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert post(client).status_code == 201
    again = post(client)
    assert (again.status_code, again.json()["errors"][0]["code"]) == (422, "taken")


def test_a_person_keeps_a_hundred_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST", 2)
    actor = actor_of(make_person(Role.ADMIN))
    for name in ("a", "b"):
        save_view("audit", name, {}, actor=actor)
    with pytest.raises(InvalidError):
        save_view("audit", "c", {}, actor=actor)
    assert visible_views(actor).count() == 2


def test_the_page_keeps_its_question_shows_it_and_lets_it_go(client: Client) -> None:
    dot, eve = make_person(Role.ADMIN), make_person(Role.ADMIN)
    client.force_login(dot)
    answer = client.post("/audit/questions/", {**ASKED, "name": "Who saw orders", "shared": "on"})
    assert answer["Location"] == "/audit/?verb=saw&object=checkout.order_placed&period=7+days"
    page = client.get(answer["Location"]).content.decode()
    assert 'aria-current="true">Who saw orders</a>' in page
    row = SavedView.objects.get()
    assert (row.asked, row.is_shared, row.owner) == (ASKED, True, dot)
    again = client.post("/audit/questions/", {**ASKED, "name": "Who saw orders"}, follow=True)
    assert "you have one of this name" in again.content.decode()
    other = Client()
    other.force_login(eve)
    assert "Who saw orders" in other.get("/audit/").content.decode()
    path = f"/audit/questions/{row.pk}/delete/"
    assert path not in other.get("/audit/").content.decode()
    assert other.post(path).status_code == 404
    assert client.post(path).status_code == 302
    assert not SavedView.objects.exists()


def test_who_may_not_read_the_log_keeps_no_question_of_it(client: Client) -> None:
    client.force_login(make_person(Role.ENGINEER))
    assert client.post("/audit/questions/", {"name": "Mine"}).status_code == 403
    assert not SavedView.objects.exists()


def test_twenty_questions_cost_one_query(django_assert_num_queries: Any) -> None:
    actor = actor_of(make_person(Role.ADMIN))
    for number in range(20):
        save_view("audit", f"question {number}", {}, actor=actor)
    with django_assert_num_queries(1):
        assert len([row.owner.email for row in visible_views(actor)]) == 20
