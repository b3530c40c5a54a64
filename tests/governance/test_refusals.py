"""A refusal names what is lacking and where to ask for it, wherever governance refuses."""

import ast
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from governance.errors import NotOwnRequestError
from governance.models import Job
from governance.second_factor import SecondFactorError
from governance.selectors.people import actor_of
from governance.selectors.privacy_keys import key_versions
from governance.services import erasures, privacy_keys, subject_exports, vault_lookups
from governance.services.jobs import pause_job
from governance.services.requests import approve_request, ask_for_access, withdraw_request
from governance.sudo import ConfirmError
from governance.types import Role
from portal.kernel import clock
from portal.kernel.errors import NotPermittedError
from tests.support.factories import make_actor, make_person, make_stream, make_team

APP = Path(__file__).resolve().parents[2] / "governance"
# What is refused that nobody could be granted.
NOTHING_TO_ASK_FOR = {
    "middleware.py": "a route of ours that nobody declared",
    "api/authentication.py": "a request that another site sent",
}


def test_every_refusal_of_governance_names_the_permission_and_the_place() -> None:
    silent = []
    for path in sorted(APP.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            named = {keyword.arg for keyword in node.keywords}
            if node.func.id == "NotPermittedError" and not {"permission", "request_at"} <= named:
                silent.append(str(path.relative_to(APP)))
    assert set(silent) == set(NOTHING_TO_ASK_FOR)


@pytest.mark.django_db
def test_what_only_admins_do_says_where_roles_are_given() -> None:
    cy = make_actor(Role.ENGINEER)
    calls: list[Any] = [
        lambda: privacy_keys.rotate_keys(actor=cy),
        lambda: key_versions(cy),
        lambda: vault_lookups.look_up_tokens(["tok_" + "A" * 22], actor=cy, reason="To see whose."),
        lambda: erasures.withdraw_erasure(uuid.uuid4(), actor=cy),
        lambda: subject_exports.request_export(["a@b.example"], actor=cy, reason="They asked."),
    ]
    for call in calls:
        with pytest.raises(NotPermittedError) as caught:
            call()
        assert caught.value.code == "role"
        assert caught.value.extra == {"permission": "admin", "request_at": "/teams/"}


def test_what_a_session_lacks_has_a_name() -> None:
    assert ConfirmError().extra["permission"] == "session.confirmed"
    assert SecondFactorError().extra["permission"] == "session.second_factor"


@pytest.mark.django_db
def test_ones_own_request_names_where_others_decide() -> None:
    team = make_team()
    stream, owner = make_stream(team=team), make_actor(Role.ENGINEER, team=team)
    request = ask_for_access(
        stream.ref, actor=owner, purpose="To look into it.", until=clock.now() + timedelta(days=3)
    )
    with pytest.raises(NotOwnRequestError) as caught:
        approve_request(request.pk, actor=owner)
    assert caught.value.extra == {"permission": "approve", "request_at": "/access/requests/"}
    other = make_actor(Role.ENGINEER, team=team)
    with pytest.raises(NotOwnRequestError) as caught:
        withdraw_request(request.pk, actor=other)
    assert caught.value.extra["permission"] == "request.withdraw"


@pytest.mark.django_db
def test_work_of_others_is_refused_with_the_teams_page() -> None:
    job = Job.objects.create(
        kind="governance.policies", object_kind="policy", object_key="*", title="Run them"
    )
    with pytest.raises(NotPermittedError) as caught:
        pause_job(job, actor=actor_of(make_person()))
    assert caught.value.code == "not_owner"
    assert caught.value.extra == {"permission": "job.steer", "request_at": "/teams/"}


@pytest.mark.django_db
def test_a_page_of_admins_names_the_role() -> None:
    client = Client()
    client.force_login(make_person(Role.ENGINEER))
    answer = client.get("/privacy/erasures/", headers={"Accept": "application/json"})
    assert answer.status_code == 403
    assert (answer.json()["permission"], answer.json()["request_at"]) == ("admin", "/teams/")
