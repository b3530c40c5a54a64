"""The glossary: who writes it, what uses a term, and where terms are found."""

from typing import Any

import pytest
from django.test import Client

from catalog.models import Stream, Term, TermUse
from catalog.selectors.glossary import (
    ORDER,
    fields_using,
    find_terms,
    streams_using,
    terms_of_fields,
)
from catalog.services.glossary import change_term, create_term, delete_term
from governance.models import AuditEntry, Team, User
from governance.selectors.people import actor_of
from governance.types import Role
from portal.http.pagination import paginate
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import (
    ConflictError,
    InvalidError,
    NotPermittedError,
    PreconditionFailedError,
)
from tests.support.factories import make_actor, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
JSON = "application/json"


def make_term(slug: str = "order-value", **more: Any) -> Term:
    values = {"name": "Order value", "definition": "What the customer pays, in minor units."}
    return create_term(slug, actor=SYSTEM, **{**values, **more})


@pytest.fixture
def keeper() -> tuple[User, Team]:
    team = make_team()
    return make_person(team=team), team


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def with_token(user: User, *scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(user, *scopes)}"})


# --- Writing ----------------------------------------------------------------------------------


def test_a_term_is_written_by_its_team_and_admins_and_nobody_else(
    keeper: tuple[User, Team],
) -> None:
    person, team = keeper
    term = create_term(
        "basket", actor=actor_of(person), name="Basket", definition="Things.", owner_team=team
    )
    other = make_actor(Role.ENGINEER, team=make_team())
    for refused in (
        lambda: change_term(term, {"definition": "Mine."}, actor=other),
        lambda: delete_term(term, actor=other),
        lambda: create_term("x", actor=other, name="X", definition="X", owner_team=team),
        lambda: create_term("x", actor=actor_of(person), name="X", definition="X"),
        lambda: change_term(term, {"owner_team": make_team()}, actor=actor_of(person)),
    ):
        with pytest.raises(NotPermittedError):
            refused()
    change_term(term, {"definition": "Things to buy."}, actor=make_actor(Role.ADMIN))
    delete_term(term, actor=actor_of(person))
    actions = AuditEntry.objects.filter(object_kind="term").order_by("seq")
    assert list(actions.values_list("action", flat=True)) == [
        "term.created", "term.changed", "term.deleted",
    ]  # fmt: skip


def test_a_reading_token_writes_nothing(keeper: tuple[User, Team]) -> None:
    person, team = keeper
    make_term(owner_team=team)
    answer = with_token(person, "read").delete(
        "/api/v1/glossary/order-value", headers={"If-Match": "*"}
    )
    assert (answer.status_code, Term.objects.count()) == (403, 1)


def test_a_slug_is_taken_once_and_who_was_slower_changes_nothing() -> None:
    term = make_term()
    with pytest.raises(ConflictError):
        make_term()
    change_term(term, {"definition": "One."}, actor=SYSTEM, revision=1)
    for late in (
        lambda: change_term(term, {"definition": "Two."}, actor=SYSTEM, revision=1),
        lambda: delete_term(term, actor=SYSTEM, revision=1),
    ):
        with pytest.raises(PreconditionFailedError):
            late()
    assert Term.objects.get().definition == "One."


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"name": "  "}, "/name"),
        ({"definition": ""}, "/definition"),
        ({"synonyms": ["x" * 121]}, "/synonyms"),
        ({"uses": [(None, "")]}, "/uses/0"),
    ],
)
def test_a_term_without_what_it_needs_is_refused(values: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidError) as caught:
        make_term(**values)
    assert caught.value.errors[0].pointer == pointer


def test_a_use_of_a_field_that_the_contract_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidError) as caught:
        make_term(uses=[(make_stream(), "nothing")])
    assert caught.value.errors[0].code == "unknown"


def test_replacing_uses_keeps_those_the_writer_may_not_know_of(keeper: tuple[User, Team]) -> None:
    person, team = keeper
    open_one, hidden = make_stream(), make_stream(team=make_team())
    term = make_term(owner_team=team, uses=[(open_one, ""), (hidden, "")])
    Stream.objects.filter(pk=hidden.pk).update(restricted=True)
    change_term(term, {"uses": [(None, "order_id")]}, actor=actor_of(person))
    uses = TermUse.objects.values_list("stream", "field")
    assert set(uses) == {(hidden.pk, ""), (None, "order_id")}


# --- Reading ----------------------------------------------------------------------------------


def test_a_term_knows_the_streams_and_fields_that_mean_it() -> None:
    whole, by_field, by_name = (
        make_stream(),
        make_stream(),
        make_stream(schema={"type": "object", "properties": {"total": {"type": "integer"}}}),
    )
    term = make_term(uses=[(whole, ""), (by_field, "amount_minor"), (None, "total")])
    rows = list(streams_using(SYSTEM, term).order_by("pk"))
    assert rows == [whole, by_field, by_name]
    assert fields_using(term, rows) == {by_field.pk: ["amount_minor"], by_name.pk: ["total"]}
    Stream.objects.filter(pk=by_field.pk).update(restricted=True)
    assert list(streams_using(make_actor(), term).order_by("pk")) == [whole, by_name]


def test_what_is_said_of_one_stream_goes_before_what_holds_everywhere() -> None:
    stream, other = make_stream(), make_stream()
    make_term(uses=[(None, "amount_minor")])
    own = make_term("net-value", name="Net value", uses=[(stream, "amount_minor")])
    fields = list(stream.fields.all())
    assert terms_of_fields(stream, fields)["amount_minor"] == own
    assert terms_of_fields(other, list(other.fields.all()))["amount_minor"].slug == "order-value"
    assert "email" not in terms_of_fields(stream, fields)


def test_terms_are_found_by_name_first_then_by_what_they_are_also_called() -> None:
    make_term("basket", name="Basket", definition="Chosen for an order.", synonyms=["Cart"])
    make_term("order", name="Order")
    make_term("reorder", name="Reorder")

    def found(text: str) -> list[str]:
        return [term.slug for term in paginate(find_terms(text), order=ORDER).items]

    assert found("order") == ["order", "reorder", "basket"]
    assert found("CART") == ["basket"]
    assert found("100%") == []


# --- Pages and REST ---------------------------------------------------------------------------


def test_the_api_makes_reads_changes_and_deletes_a_term(keeper: tuple[User, Team]) -> None:
    person, team = keeper
    stream, hidden = make_stream(), make_stream(team=make_team(), extra={"restricted": True})
    client = with_token(person)
    body = {
        "slug": "order-value",
        "name": "Order value",
        "definition": "What is paid.",
        "owner": team.slug,
        "synonyms": ["basket value"],
        "uses": [{"stream": stream.name, "field": "amount_minor"}, {"field": "total"}],
    }
    unknown = body | {"uses": [{"stream": hidden.name}]}
    assert client.post("/api/v1/glossary", unknown, content_type=JSON).status_code == 404
    made = client.post("/api/v1/glossary", body, content_type=JSON)
    assert (made.status_code, made["Location"]) == (201, "/api/v1/glossary/order-value")
    read = client.get(made["Location"])
    assert read.json()["uses"] == [
        {"stream": None, "field": "total"}, {"stream": stream.name, "field": "amount_minor"},
    ]  # fmt: skip
    changed = client.patch(
        made["Location"],
        {"synonyms": ["cart value"]},
        content_type=JSON,
        headers={"If-Match": read["ETag"]},
    )
    assert (changed.status_code, changed.json()["synonyms"]) == (200, ["cart value"])
    listed = client.get("/api/v1/glossary?q=cart").json()["items"]
    assert [row["slug"] for row in listed] == ["order-value"]
    assert client.get("/api/v1/search?q=cart").json()["terms"][0]["slug"] == "order-value"
    gone = client.delete(made["Location"], headers={"If-Match": changed["ETag"]})
    assert (gone.status_code, client.get(made["Location"]).status_code) == (204, 404)


def test_the_pages_write_a_term_and_show_it_where_its_field_stands(
    keeper: tuple[User, Team],
) -> None:
    person, team = keeper
    stream = make_stream()
    client = client_of(person)
    said = {
        "name": "Order value",
        "definition": "What the customer pays.",
        "synonyms": "basket value, ",
        "owner": team.slug,
        "uses": f"{stream.name}#amount_minor\nno.such_stream",
    }
    refused = client.post("/glossary/new/", said)
    assert (refused.status_code, Term.objects.count()) == (422, 0)
    assert "Line 2: there is no such stream." in refused.content.decode()
    said["uses"] = f"{stream.name}#amount_minor\n\n#total"
    assert client.post("/glossary/new/", said)["Location"] == "/glossary/order-value/"
    page = client.get("/glossary/order-value/").content.decode()
    assert "<code>amount_minor</code>" in page
    for path in (f"/streams/{stream.name}/schema/", f"/streams/{stream.name}/"):
        assert "What the customer pays." in client.get(path).content.decode()
    assert "/glossary/order-value/" in client.get("/search/?q=basket").content.decode()
    assert "/glossary/order-value/" in client.get("/search/palette/?q=basket").content.decode()
    edit = client.get("/glossary/order-value/edit/").content.decode()
    assert f"{stream.name}#amount_minor" in edit
    stale = client.post("/glossary/order-value/edit/", said | {"revision": "9"})
    assert "someone else changed it" in stale.content.decode()
    saved = client.post("/glossary/order-value/edit/", said | {"revision": "1", "name": "Value"})
    assert (saved.status_code, Term.objects.get().name) == (302, "Value")


def test_a_stranger_reads_a_term_and_is_refused_its_form(keeper: tuple[User, Team]) -> None:
    make_term(owner_team=keeper[1])
    stranger = client_of(make_person(Role.ENGINEER, team=make_team()))
    page = stranger.get("/glossary/order-value/")
    assert page.status_code == 200
    assert "/edit/" not in page.content.decode()
    assert stranger.get("/glossary/order-value/edit/").status_code == 403
    assert stranger.post("/glossary/order-value/delete/").status_code == 403
    assert client_of(make_person()).get("/glossary/new/").status_code == 403
    assert Term.objects.count() == 1
