"""The pages that keep drafts, with a script (fragments) and without one (a button)."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Change, Draft, DraftKind, Stream
from catalog.services.drafts import change_draft, create_draft, share_draft
from governance.models import Team, User
from governance.selectors.people import actor_of
from governance.types import Role
from portal.kernel import clock
from tests.catalog.test_register_page import NEW, SAMPLE, form_of, review
from tests.support.factories import ORDER_SCHEMA, make_person, make_stream, make_team

pytestmark = pytest.mark.django_db
SAVE = "/drafts/save/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def ada(team: Team) -> User:
    return make_person(Role.ENGINEER, team=team)


@pytest.fixture
def client(ada: User) -> Client:
    return signed_in(ada)


def signed_in(user: User) -> Client:
    found = Client()
    found.force_login(user)
    return found


def hidden(page: str) -> dict[str, str]:
    """The draft and revision that a fragment or page carries."""
    return dict(re.findall(r'name="(draft|draft_revision)" value="([^"]+)"', page))


def keep(client: Client, form: dict[str, Any], **changes: str) -> str:
    """What the page gets that saves by itself."""
    answer = client.post(SAVE, {**form, **changes}, headers=HTMX)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_registration_saves_itself_and_goes_on_where_it_was(client: Client) -> None:
    form = review(client, SAMPLE)
    assert form["draft_kind"] == "registration"
    place = next(name for name, value in form.items() if value == "qty").partition("_")[0]
    said = keep(client, form, description="A friend came.", **{f"{place}_meaning": "How many."})
    assert "Draft saved" in said
    assert "<h1" not in said, "a fragment, not a page"
    draft = Draft.objects.get()
    assert (draft.kind, draft.title) == ("registration", "growth.referral_accepted")
    assert draft.content["schema"]["properties"]["qty"]["description"] == "How many."
    keep(client, {**form, **hidden(said)}, description="Somebody came.")
    draft.refresh_from_db()
    assert (draft.revision, draft.content["description"]) == (2, "Somebody came.")
    page = client.get(f"/drafts/{draft.pk}/").content.decode()
    again = form_of(page)
    assert (again["name"], again["description"]) == (form["name"], "Somebody came.")
    assert again["state"] == form["state"], "what the samples said travels on"
    assert hidden(page) == {"draft": str(draft.pk), "draft_revision": "2"}


def test_without_a_script_a_button_saves_and_opens_the_draft(client: Client) -> None:
    form = review(client, SAMPLE)
    answer = client.post(SAVE, form)
    draft = Draft.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/drafts/{draft.pk}/")
    page = client.get(answer["Location"]).content.decode()
    assert "The draft is saved." in page
    assert "only you see it" in page


def test_a_step_on_the_page_keeps_its_draft_and_publishing_ends_it(
    client: Client, team: Team
) -> None:
    form = review(client, SAMPLE)
    saved = hidden(keep(client, form))
    stepped = client.post(NEW, {**form, **saved, "do": "accept"}).content.decode()
    assert hidden(stepped) == saved
    given = {**form_of(stepped), **saved, "description": "A friend came.", "owner": team.slug,
             "tier": "T3", "do": "publish"}  # fmt: skip
    done = client.post(NEW, given)
    assert done.status_code == 302, done.content.decode()[:2000]
    assert Stream.objects.filter(name="growth.referral_accepted").exists()
    assert not Draft.objects.exists()


def test_who_was_slower_is_told_and_nothing_is_overwritten(
    client: Client, ada: User, team: Team
) -> None:
    form = review(client, SAMPLE)
    saved = hidden(keep(client, form))
    draft = Draft.objects.get()
    ben = make_person(Role.ENGINEER, team=team)
    share_draft(draft, actor=actor_of(ada), users=[ben])
    change_draft(draft, actor=actor_of(ben), content={**draft.content, "description": "Bens."})
    said = keep(client, {**form, **saved}, description="Adas.")
    assert f"Not saved: {ben.email} changed it at" in said
    assert f"/drafts/{draft.pk}/" in said
    draft.refresh_from_db()
    assert draft.content["description"] == "Bens."
    whole = client.post(SAVE, {**form, **saved, "description": "Adas."})
    assert whole.status_code == 409
    assert form_of(whole.content.decode())["description"] == "Adas.", "what was typed is not lost"
    given = {**form, **saved, "description": "Adas.", "owner": team.slug, "tier": "T3"}
    refused = client.post(NEW, {**given, "do": "accept"})
    refused = client.post(NEW, {**form_of(refused.content.decode()), **saved, "tier": "T3",
                                "owner": team.slug, "do": "publish"})  # fmt: skip
    assert refused.status_code == 422
    assert "Somebody else changed this draft" in refused.content.decode()
    assert not Stream.objects.exists()


def test_a_draft_that_is_gone_is_said_and_not_begun_again(client: Client) -> None:
    form = review(client, SAMPLE)
    saved = hidden(keep(client, form))
    Draft.objects.all().delete()
    assert "This draft is gone" in keep(client, {**form, **saved})
    assert not Draft.objects.exists()


def test_a_change_is_kept_even_while_its_text_cannot_be_read(client: Client, team: Team) -> None:
    make_stream("shop.order_paid", team=team)
    page = client.get("/streams/shop.order_paid/change/").content.decode()
    assert 'name="draft_stream" value="shop.order_paid"' in page
    form = {"draft_kind": "change", "draft_stream": "shop.order_paid", "summary": "A note",
            "reason": "", "document": '{"type": '}  # fmt: skip
    said = keep(client, form)
    draft = Draft.objects.get()
    assert (draft.title, draft.page) == ("A note", {"text": '{"type": '})
    opened = client.get(f"/drafts/{draft.pk}/").content.decode()
    assert "{&quot;type&quot;: </textarea>" in opened
    wide = {**ORDER_SCHEMA, "title": "Wider"}
    said = keep(client, {**form, **hidden(said)}, document=json.dumps(wide), opens_group="on")
    draft.refresh_from_db()
    assert (draft.page, draft.content["schema"], draft.content["opens_group"]) == ({}, wide, True)
    done = client.post(
        "/streams/shop.order_paid/change/",
        {"summary": "A note", "document": json.dumps(wide), **hidden(said)},
    )
    change = Change.objects.get()
    assert (done.status_code, done["Location"]) == (302, f"/changes/{change.pk}/")
    assert not Draft.objects.exists()


def test_a_change_that_cannot_be_kept_shows_its_text_again(client: Client, team: Team) -> None:
    make_stream("shop.order_paid", team=team)
    large = json.dumps({"description": "x" * (1024 * 1024)})
    form = {"draft_kind": "change", "draft_stream": "shop.order_paid", "summary": "A note",
            "document": large}  # fmt: skip
    answer = client.post(SAVE, form)
    assert answer.status_code == 409
    assert "may have 1 MiB at most" in answer.content.decode()
    assert answer.content.decode().count("x" * 1000) > 0
    assert not Draft.objects.exists()


def test_the_list_shows_own_and_shared_ones_and_when_they_go(
    client: Client, ada: User, team: Team
) -> None:
    assert "No draft is here." in client.get("/drafts/").content.decode()
    ben = actor_of(make_person(Role.ENGINEER, team=team))
    with clock.at(clock.now() - timedelta(days=80)):
        create_draft(DraftKind.REGISTRATION, {"name": "shop.old_one"}, actor=actor_of(ada))
    theirs = create_draft(DraftKind.REGISTRATION, {"name": "shop.of_ben"}, actor=ben)
    page = client.get("/drafts/").content.decode()
    assert "shop.old_one" in page
    assert "unless somebody touches it" in page
    assert "shop.of_ben" not in page
    share_draft(theirs, actor=ben, teams=[team])
    page = client.get("/drafts/").content.decode()
    assert "shop.of_ben" in page
    assert "Shared with you" in page


def test_sharing_and_discarding_from_the_page(client: Client, ada: User, team: Team) -> None:
    ben = make_person(Role.ENGINEER)
    draft = create_draft(DraftKind.REGISTRATION, {"name": "shop.new_one"}, actor=actor_of(ada))
    path = f"/drafts/{draft.pk}/"
    assert signed_in(ben).get(path).status_code == 404
    assert signed_in(ben).post(f"{path}share/", {}).status_code == 404
    assert signed_in(ben).post(f"{path}discard/").status_code == 404
    wrong = client.post(f"{path}share/", {"users": "nobody@test.example"}, follow=True)
    assert "Nobody here is nobody@test.example" in wrong.content.decode()
    client.post(f"{path}share/", {"users": ben.email.upper(), "team": [team.slug]})
    shown = signed_in(ben).get(path)
    assert shown.status_code == 200
    assert f"of {ada.email}" in shown.content.decode()
    assert "Discard this draft" not in shown.content.decode()
    assert signed_in(ben).post(f"{path}discard/").status_code == 403
    private = client.post(f"{path}share/", {"users": ""}, follow=True)
    assert "It is private again." in private.content.decode()
    client.post(f"{path}discard/")
    assert not Draft.objects.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"name": 5, "schema": {"type": 5}},
        {"schema": "text"},
        {"schema": {"properties": 5}},
        {"schema": {"$ref": "https://evil.example/"}},
        {},
        {"name": ["x"], "tags": "x", "schema": {}},
    ],
)
def test_a_draft_from_the_api_opens_whatever_it_holds(
    content: dict[str, Any], client: Client, ada: User, team: Team
) -> None:
    stream = make_stream("shop.order_paid", team=team)
    actor = actor_of(ada)
    for made in (
        create_draft(DraftKind.REGISTRATION, content, actor=actor),
        create_draft(DraftKind.CHANGE, content, actor=actor, stream=stream),
    ):
        page = client.get(f"/drafts/{made.pk}/")
        assert page.status_code == 200
        assert "Discard this draft" in page.content.decode()


def test_only_who_may_register_or_edit_begins_one(team: Team) -> None:
    make_stream("shop.order_paid", team=team)
    analyst = signed_in(make_person(Role.ANALYST))
    form = {"draft_kind": "change", "draft_stream": "shop.order_paid", "document": "{}"}
    assert "Not saved" in keep(analyst, form)
    Stream.objects.update(restricted=True)
    assert "order_paid" not in keep(analyst, form)
    assert not Draft.objects.exists()
