"""What people set for themselves: the look of pages, and where the rest of it is."""

import pytest
from django.test import Client

from governance.errors import PeopleOnlyError
from governance.models import AuditEntry, User
from governance.selectors.people import actor_of
from governance.services.accounts import choose_density
from governance.services.notices import choose_mail
from governance.types import Density, MailWish, Role
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_person

pytestmark = pytest.mark.django_db
LOOK = "/settings/look/"


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def head_of(client: Client, path: str) -> str:
    return client.get(path).content.decode().split("<head>")[0]


def test_the_density_is_kept_with_the_person_and_the_theme_with_the_browser() -> None:
    ada, ben = make_person(Role.ENGINEER), make_person(Role.ENGINEER)
    here, elsewhere = signed_in(ada), signed_in(ada)
    assert "data-density" not in head_of(here, "/streams/")
    answer = here.post(LOOK, {"theme": "dark", "density": "compact"})
    assert (answer.status_code, answer["Location"]) == (302, "/settings/")
    assert here.cookies["theme"].value == "dark"
    for path in ("/streams/", "/settings/", "/notifications/"):
        assert 'data-theme="dark" data-density="compact"' in head_of(here, path)
    assert 'data-density="compact"' in head_of(elsewhere, "/streams/")
    assert "data-theme" not in head_of(elsewhere, "/streams/")
    assert "data-density" not in head_of(signed_in(ben), "/streams/")
    here.post(LOOK, {"theme": "", "density": "comfortable"})
    assert here.cookies["theme"].value == "", "as the system has it"
    assert "data-" not in head_of(here, "/streams/").replace("data-plotly", "")


def test_the_page_shows_what_is_chosen_and_is_written_down_once() -> None:
    ada = make_person(Role.ENGINEER)
    client = signed_in(ada)
    for _ in range(2):
        client.post(LOOK, {"theme": "light", "density": "compact"})
    page = client.get("/settings/").content.decode()
    assert 'value="light" checked' in page
    assert 'value="compact" checked' in page
    rows = AuditEntry.objects.filter(action="person.density_chosen", object_key=ada.email)
    assert rows.count() == 1


@pytest.mark.parametrize("form", [{}, {"density": "dense"}, {"density": "compact", "theme": "red"}])
def test_what_is_not_offered_is_refused(form: dict[str, str]) -> None:
    ada = make_person(Role.ENGINEER)
    client = signed_in(ada)
    assert client.post(LOOK, form).status_code == 400
    ada.refresh_from_db()
    assert ada.density == Density.COMFORTABLE
    assert "theme" not in client.cookies


def test_nobody_else_chooses_it() -> None:
    answer = Client().post(LOOK, {"density": "compact"})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")
    with pytest.raises(PeopleOnlyError):
        choose_density(Density.COMPACT, actor=SYSTEM)
    assert not User.objects.filter(density=Density.COMPACT).exists()


def test_notifications_are_said_and_linked(settings: object) -> None:
    ada = make_person(Role.ENGINEER)
    choose_mail(MailWish.EACH, actor=actor_of(ada))
    client = signed_in(ada)
    page = client.get("/settings/").content.decode()
    assert "no address to send mail from" in page
    settings.MAIL_FROM = "portal@shop.example"  # type: ignore[attr-defined]  # a fixture
    page = client.get("/settings/").content.decode()
    assert "by mail: a mail for each" in page
    assert 'href="/notifications/#mail"' in page
    assert 'id="mail"' in client.get("/notifications/").content.decode()
