"""The pages of long work: who sees what, what the buttons do, and what is shown when."""

from collections.abc import Iterator

import pytest
from django.test import Client

from governance import job_kinds
from governance.job_kinds import Face, Step
from governance.models import Job, Team, User
from governance.selectors.people import actor_of
from governance.services.jobs import run_due_jobs, start_job
from governance.types import ResourceRef, Role
from tests.support.factories import make_person, make_team

pytestmark = pytest.mark.django_db
KIND = "testing.counting"


@pytest.fixture(autouse=True)
def counting() -> Iterator[None]:
    """A kind whose work is three steps; the second says how far it is."""

    def step(job: Job) -> Step:
        number = int(job.cursor.get("n", 0)) + 1
        return Step({"n": number}, number, 3, f"counted to {number}", is_finished=number == 3)

    job_kinds.register(KIND, step, face=Face("Counting", "/things/{key}/"))
    yield
    job_kinds.forget(KIND)


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def ada(team: Team) -> User:
    return make_person(Role.ENGINEER, team=team)


@pytest.fixture
def job(ada: User, team: Team) -> Job:
    return started(ada, "one", team)


def started(user: User, key: str, team: Team | None = None) -> Job:
    return start_job(
        KIND, ResourceRef("thing", key), actor=actor_of(user), title=f"Counting {key}",
        owner_team_id=team.pk if team else None,
    )  # fmt: skip


def page(user: User, path: str, status: int = 200) -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(path)
    assert answer.status_code == status
    return answer.content.decode()


def press(user: User, job: Job, word: str, **more: str) -> str:
    client = Client()
    client.force_login(user)
    answer = client.post(f"/jobs/{job.pk}/steer/", {"do": word, **more}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_people_see_their_own_and_their_teams_and_admins_all(
    job: Job, ada: User, team: Team
) -> None:
    ben = make_person(Role.ENGINEER, team=team)
    stranger, admin = make_person(Role.ENGINEER), make_person(Role.ADMIN)
    for user in (ada, ben, admin):
        assert "Counting one" in page(user, "/jobs/")
        assert "Counting one" in page(user, f"/jobs/{job.pk}/")
    assert "No job is here yet." in page(stranger, "/jobs/")
    for path in (f"/jobs/{job.pk}/", f"/jobs/{job.pk}/state/"):
        page(stranger, path, 404)
    client = Client()
    client.force_login(stranger)
    assert client.post(f"/jobs/{job.pk}/steer/", {"do": "stop"}).status_code == 404
    job.refresh_from_db()
    assert (job.state, job.wish) == ("waiting", "")


def test_the_buttons_pause_resume_and_stop(job: Job, ada: User) -> None:
    shown = page(ada, f"/jobs/{job.pk}/")
    assert 'value="pause"' in shown
    assert 'value="resume"' not in shown
    assert "It rests after its present step." in press(ada, job, "pause")
    assert run_due_jobs() == 0
    shown = page(ada, "/jobs/")
    assert 'value="resume"' in shown
    assert 'value="pause"' not in shown
    assert "Not done: The work is paused." in press(ada, job, "pause")
    assert "It goes on where it was." in press(ada, job, "resume")
    assert "Jobs</h1>" in press(ada, job, "stop", back="/jobs/")
    job.refresh_from_db()
    assert job.state == "stopped"
    shown = page(ada, f"/jobs/{job.pk}/")
    assert 'action="/jobs/' not in shown, "nothing is left to press"
    for word in ("pause", "resumed", "stop"):
        assert f"{word}: Counting one" in shown, "what people wished is told"
    assert "It was stopped" in shown
    again = started(ada, "one")
    press(ada, again, "pause")
    assert shown.count("pause: Counting one") == 1
    assert page(ada, f"/jobs/{job.pk}/").count("pause: Counting one") == 1
    assert page(ada, f"/jobs/{again.pk}/").count(": Counting one</div>") == 1


@pytest.mark.parametrize(
    "elsewhere", ["", "//elsewhere.example/", "https://elsewhere.example/", "job"]
)
def test_a_button_leads_to_no_other_site(job: Job, ada: User, elsewhere: str) -> None:
    client = Client()
    client.force_login(ada)
    answer = client.post(f"/jobs/{job.pk}/steer/", {"do": "pause", "back": elsewhere})
    assert answer.headers["Location"] == f"/jobs/{job.pk}/"


def test_an_unknown_button_does_nothing(job: Job, ada: User) -> None:
    client = Client()
    client.force_login(ada)
    assert client.post(f"/jobs/{job.pk}/steer/", {"do": "explode"}).status_code == 404


def test_a_page_follows_live_work_and_rests_when_it_is_over(job: Job, ada: User) -> None:
    assert f'data-live="/jobs/{job.pk}/state/"' in page(ada, f"/jobs/{job.pk}/")
    assert 'data-live="/jobs/list/?' in page(ada, "/jobs/")
    Job.objects.update(state="running", done=1, total=3, said="counted to 1", lease_until=None)
    part = page(ada, f"/jobs/{job.pk}/state/")
    assert "<h1" not in part
    assert 'max="3" value="1"' in part
    assert "33 %" in part
    listed = page(ada, "/jobs/list/")
    assert "<h1" not in listed
    assert "counted to 1" in listed
    Job.objects.update(state="waiting")
    assert run_due_jobs() == 1
    done = page(ada, f"/jobs/{job.pk}/")
    assert "data-live" not in done.partition("<main")[2]
    assert 'href="/things/one/"' in done
    assert "See the result" in done
    assert "Counted to 3" in done


def test_a_failed_job_says_why_and_may_go_on(job: Job, ada: User) -> None:
    Job.objects.update(state="failed", said="The stream is gone.", attempts=3)
    shown = page(ada, f"/jobs/{job.pk}/")
    assert "The stream is gone." in shown
    assert 'value="resume"' in shown
    assert "after 5 it has failed" in shown


def test_tabs_part_what_is_under_way_from_what_ended(job: Job, ada: User) -> None:
    ended = started(ada, "two")
    Job.objects.filter(pk=ended.pk).update(state="done")
    live, over = page(ada, "/jobs/?show=live"), page(ada, "/jobs/?show=ended")
    assert "Counting one" in live
    assert "Counting two" not in live
    assert "Counting one" not in over
    assert "Counting two" in over
    Job.objects.update(state="done")
    assert "No work is under way." in page(ada, "/jobs/?show=live")
    page(ada, "/jobs/?show=nothing", 400)


def test_a_long_list_is_paged(ada: User) -> None:
    for number in range(26):
        started(ada, f"n{number}")
    first = page(ada, "/jobs/")
    assert first.count("<li>") >= 25
    assert "Next page" in first
    assert "Counting n0<" not in first


def test_the_number_of_queries_does_not_grow_with_the_list(
    ada: User, django_assert_max_num_queries: object
) -> None:
    client = Client()
    client.force_login(ada)
    started(ada, "n0")
    counts = []
    for more in (1, 15):
        for number in range(more):
            started(ada, f"{more}-{number}")
        client.get("/jobs/list/")
        with django_assert_max_num_queries(12):  # type: ignore[operator]  # a fixture
            answer = client.get("/jobs/list/")
        counts.append(answer.status_code)
    assert counts == [200, 200]


def test_a_kind_that_nobody_named_is_shown_by_its_code(ada: User) -> None:
    job = start_job("testing.nameless", ResourceRef("thing", "x/y"), actor=actor_of(ada), title="T")
    assert job_kinds.name_of(job.kind) == "testing.nameless"
    assert job_kinds.address_of(job) == ""
    assert "x/y" in page(ada, f"/jobs/{job.pk}/")
    named = started(ada, "x/y ?")
    assert job_kinds.address_of(named) == "/things/x%2Fy%20%3F/"
