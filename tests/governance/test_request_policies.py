"""Policies over requests for access: what they advise, what they answer at once, how long they let it be."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Consumer, Stream
from catalog.services.consumers import create_consumer
from governance import access
from governance.models import AccessRequest, AuditEntry, Notice, Policy, Team, User
from governance.policies.facts import subject_of
from governance.policies.judging import check_expression
from governance.selectors.people import actor_of
from governance.selectors.policies import live_rules
from governance.selectors.requests import live_grants
from governance.services.policies import create_policy, switch_on
from governance.services.policy_runs import try_policy
from governance.services.requests import (
    Wanted,
    accept_agreed,
    approve_request,
    ask_for_access,
    renew_grant,
)
from governance.types import Permission, Role
from portal.kernel import clock, rfc3339
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import InvalidError, InvalidStateError, NotFoundError
from tests.support.factories import (
    make_actor,
    make_grant,
    make_person,
    make_stream,
    make_team,
    token_of,
)

pytestmark = pytest.mark.django_db
MASKED = Wanted()
PURPOSE = "Signup funnel by country."
PLAIN = {"type": "object", "properties": {"order_id": {"type": "string"}}}
AT_ONCE = 'request.permission == "read_payload" ? {"answer": "approve"} : {"answer": "none"}'


@pytest.fixture
def shop() -> Team:
    return make_team("Shop")


@pytest.fixture
def stream(shop: Team) -> Stream:
    return make_stream(team=shop)


@pytest.fixture
def ida() -> User:
    return make_person(Role.ANALYST, team=make_team("Desk"))


def policy(expression: str, slug: str = "house-rule", **fields: Any) -> Policy:
    values = {"title": "The house agrees", "sentence": "It says so.", "remedy": "Ask for less."}
    return create_policy(
        slug, actor=SYSTEM, subject="access_request", expression=expression, **values | fields
    )


def ask(
    stream: Stream, who: User, *, days: int = 20, wanted: Wanted = MASKED, **more: Any
) -> AccessRequest:
    return ask_for_access(
        stream.ref, actor=actor_of(who), purpose=PURPOSE, wanted=wanted,
        until=clock.now() + timedelta(days=days), **more,
    )  # fmt: skip


def words_of(request: AccessRequest) -> list[tuple[str, str]]:
    assert request.policy is not None
    return [(one["word"], one["sentence"]) for one in request.policy["words"]]


def test_without_policies_people_decide_and_nothing_is_kept(stream: Stream, ida: User) -> None:
    request = ask(stream, ida)
    assert (request.state, request.policy) == ("open", None)


def test_policies_that_agree_and_object_advise_who_decides(stream: Stream, ida: User) -> None:
    policy('"analyst" in requester.roles && "desk" != ""', "analysts")
    request = ask(stream, ida)
    assert request.state == "open"
    assert (request.policy or {})["stance"] == "agrees"
    assert words_of(request) == [("agrees", "The house agrees.")]
    policy("request.fields.filter(f, f.clear).map(f, f.path)", "nothing-clear")
    other = ask(stream, make_person(Role.ANALYST), wanted=Wanted(personal=True))
    assert (other.policy or {})["stance"] == "objects"
    assert words_of(other)[1] == ("objects", "The house agrees (email). Ask for less.")


def test_a_policy_grants_at_once_in_its_own_name_and_those_who_decide_are_told(
    stream: Stream, shop: Team, ida: User
) -> None:
    ada = make_person(Role.ENGINEER, team=shop)
    policy(AT_ONCE)
    request = ask(stream, ida)
    assert (request.state, request.decided_by) == ("approved", None)
    assert (request.decision_reason, request.policy or {}) == (
        "The house agrees.",
        {
            "words": [
                {"policy": "house-rule", "word": "grants", "sentence": "The house agrees."}
            ],
            "stance": "agrees", "answer": "approve", "by": "house-rule", "longest_days": None,
        },
    )  # fmt: skip
    actor = actor_of(ida)
    assert access.may(actor, Permission.READ_PAYLOAD, stream)
    assert not access.may(actor, Permission.READ_PERSONAL, stream)
    (grant,) = live_grants(actor, mine=True)
    assert grant.granted_by == "policy house-rule"
    asked, granted = AuditEntry.objects.filter(
        object_key=stream.name, action__startswith="access."
    ).order_by("seq")
    assert (asked.action, asked.actor) == ("access.requested", ida.email)
    assert asked.detail["after"]["policy"]["answer"] == "approve"
    assert (granted.action, granted.actor) == ("access.granted", "policy house-rule")
    assert Notice.objects.filter(user=ada, title__startswith="A policy granted").count() == 1


def test_personal_fields_in_clear_are_never_granted_without_a_person(
    stream: Stream, ida: User
) -> None:
    policy('{"answer": "approve"}')
    request = ask(stream, ida, wanted=Wanted(personal=True))
    assert request.state == "open"
    assert (request.policy or {})["answer"] == ""
    assert not access.may(actor_of(ida), Permission.READ_PAYLOAD, stream)


@pytest.mark.parametrize(
    "other", ["request.days < 5", '{"answer": "object"}', '[1][0] == request.days ? [""] : [7]']
)
def test_what_one_policy_grants_waits_where_another_objects_or_fails(
    other: str, stream: Stream, ida: User
) -> None:
    policy(AT_ONCE)
    Policy.objects.create(
        slug="other", title="Other", sentence="x", subject="access_request", expression=other,
        severity="warn",
    )  # fmt: skip
    request = ask(stream, ida)
    assert request.state == "open"
    assert (request.policy or {})["stance"] == "objects"


@pytest.mark.parametrize(
    ("expression", "severity", "reason"),
    [
        (
            'request.days > 10 ? {"answer": "deny", "because": "Ten days are enough."} : {}',
            "warn",
            "Ten days are enough.",
        ),
        ("request.days <= 10", "block", "The house agrees. Ask for less."),
    ],
)
def test_a_policy_declines_at_once_with_its_reason_whoever_else_agrees(
    expression: str, severity: str, reason: str, stream: Stream, shop: Team, ida: User
) -> None:
    ada = make_person(Role.ENGINEER, team=shop)
    policy(AT_ONCE, "a-first")
    policy(expression, severity=severity)
    request = ask(stream, ida, days=11)
    assert (request.state, request.decision_reason) == ("denied", reason)
    assert live_grants(actor_of(ida), mine=True) == []
    last = AuditEntry.objects.filter(object_key=stream.name).latest("seq")
    assert (last.action, last.actor) == ("access.denied", "policy house-rule")
    assert not Notice.objects.filter(user=ada).exists()
    assert Notice.objects.filter(user=ida, sentence=f"Declined: {reason}").exists()
    assert ask(stream, ida, days=10).state == "approved"


def test_the_longest_term_is_ninety_days_to_the_second_unless_a_policy_says_other(
    stream: Stream, ida: User
) -> None:
    now = clock.now()
    with clock.at(now):
        with pytest.raises(InvalidError) as caught:
            ask_for_access(
                stream.ref, actor=actor_of(ida), purpose=PURPOSE,
                until=now + timedelta(days=90, seconds=1),
            )  # fmt: skip
        assert caught.value.errors[0].detail == "at most 90 days from now"
        assert ask(stream, ida, days=90).state == "open"
    policy('requester.teams.size() > 0 ? {"longest_days": 180} : {}', "teams")
    asked = ask(stream, make_person(team=make_team()), days=180)
    assert words_of(asked) == [("term", "The house agrees: at most 180 days.")]
    with pytest.raises(InvalidError) as caught:
        ask(stream, make_person(team=make_team()), days=181)
    assert caught.value.errors[0].detail == "at most 180 days from now by the policy teams"
    policy('{"longest_days": 7}', "short")
    with pytest.raises(InvalidError):
        ask(stream, make_person(team=make_team()), days=8)


def test_the_day_of_a_form_is_whole_and_no_later_one_is_taken(stream: Stream, ida: User) -> None:
    client = Client()
    client.force_login(ida)
    place = f"/access/new/?stream={stream.name}"
    today = clock.now().date()

    def send(days: int) -> int:
        until = (today + timedelta(days=days)).isoformat()
        return client.post(place, {"purpose": PURPOSE, "until": until}).status_code

    assert send(91) == 422
    assert send(90) == 302


def test_policies_read_the_resource_the_holder_and_whether_it_is_a_renewal(
    stream: Stream, shop: Team, ida: User
) -> None:
    ada = make_person(Role.ENGINEER, team=shop)
    reader: Consumer = create_consumer("reader", actor=SYSTEM, team=shop)
    policy(
        'resource.tier == "T3" && resource.domain == "testing" && resource.is_personal && '
        'resource.owner.startsWith("team-") && '
        '(request.is_renewal || holder.kind == "consumer" && holder.name == "reader")'
    )
    assert (ask(stream, ada, holder=reader).policy or {})["stance"] == "agrees"
    assert (ask(stream, ida).policy or {})["stance"] == "objects"
    make_grant(stream, ida, Permission.READ_PAYLOAD)
    AccessRequest.objects.all().delete()
    (held,) = live_grants(actor_of(ida), mine=True)
    renewed = renew_grant(
        held.id, actor=actor_of(ida), until=clock.now() + timedelta(days=30), purpose=PURPOSE
    )
    assert (renewed.policy or {})["stance"] == "agrees"


def test_of_a_domain_the_gravest_of_its_streams_counts(stream: Stream, ida: User) -> None:
    make_stream(f"{stream.domain.slug}.plain", schema=PLAIN)
    policy('resource.kind == "domain" && resource.classification == "personal"')
    request = ask_for_access(
        stream.domain.ref, actor=actor_of(ida), purpose=PURPOSE,
        until=clock.now() + timedelta(days=5),
    )  # fmt: skip
    assert (request.policy or {})["stance"] == "agrees"


@pytest.mark.parametrize(
    "expression",
    [
        '{"answer": "maybe"}', '{"longest_days": 0}', '{"longest_days": 367}', '{"reply": "deny"}',
        '{"answer": "deny", "because": 7}', "request.nothing", "stream.tier",
    ],
)  # fmt: skip
def test_an_answer_that_means_nothing_is_refused_as_it_is_written(expression: str) -> None:
    with pytest.raises(InvalidError):
        check_expression(expression, subject_of("access_request"))


def test_of_other_things_an_answer_is_none() -> None:
    with pytest.raises(InvalidError):
        check_expression('{"answer": "approve"}', subject_of("stream"))


def test_the_example_is_off_and_grants_only_what_is_internal_once_switched_on(
    stream: Stream, shop: Team, ida: User
) -> None:
    example = Policy.objects.get(slug="internal-read-at-once")
    assert example.is_off_for_good
    assert "internal-read-at-once" not in {rule.slug for rule in live_rules()}
    plain = make_stream(team=shop, schema=PLAIN)
    switch_on(example, actor=SYSTEM)
    assert ask(plain, ida).state == "approved"
    assert ask(stream, ida).state == "open"
    restricted = make_stream(team=shop, schema=PLAIN, extra={"restricted": True})
    make_grant(restricted, ida, Permission.DISCOVER)
    assert ask(restricted, ida).state == "open"
    assert ask(plain, make_person(), days=31).state == "open"


def test_those_that_policies_agree_with_are_accepted_at_once_all_or_none(
    stream: Stream, shop: Team, ida: User
) -> None:
    ada = actor_of(make_person(Role.ENGINEER, team=shop))
    rule = policy("request.days <= 20")
    first, second = ask(stream, ida), ask(stream, make_person())
    far = ask(stream, make_person(), days=21)
    with pytest.raises(InvalidStateError):
        accept_agreed([first.pk, far.pk], actor=ada)
    assert AccessRequest.objects.filter(state="open").count() == 3
    with pytest.raises(NotFoundError):
        accept_agreed([first.pk], actor=make_actor(Role.ENGINEER, team=make_team()))
    assert accept_agreed([first.pk, second.pk], actor=ada) == 2
    first.refresh_from_db()
    assert first.decided_by_id == ada.id
    third = ask(stream, make_person())
    Policy.objects.filter(pk=rule.pk).update(expression="request.days <= 2")
    with pytest.raises(InvalidStateError):
        accept_agreed([third.pk], actor=ada)
    own = ask(stream, User.objects.get(pk=ada.id), days=2)
    with pytest.raises(Exception, match="your own request"):
        accept_agreed([own.pk], actor=ada)


def test_the_pages_say_what_would_happen_and_what_policy_said(
    stream: Stream, shop: Team, ida: User
) -> None:
    policy('request.days <= 40 ? {"answer": "agree", "because": "Short is fine."} : {}')
    client = Client()
    client.force_login(ida)
    place = f"/access/new/?stream={stream.name}"
    page = client.get(place).content.decode()
    assert "Policy agrees; who owns it decides." in page
    until = (clock.now() + timedelta(days=60)).date().isoformat()
    said = {"purpose": PURPOSE, "until": until, "do": "try"}
    page = client.post(place, said).content.decode()
    assert "Short is fine." not in page
    assert not AccessRequest.objects.exists()
    request = ask(stream, ida)
    ada = make_person(Role.ENGINEER, team=shop)
    client.force_login(ada)
    page = client.get("/access/").content.decode()
    assert "Policy agrees" in page
    assert "Short is fine." in page
    assert "Accept the 1 policy agrees with" in page
    outsider = Client()
    outsider.force_login(make_person(Role.ENGINEER, team=make_team()))
    sent = {"request": str(request.pk)}
    assert outsider.post("/access/requests/accept/", sent).status_code == 404
    assert client.post("/access/requests/accept/", sent).status_code == 302
    request.refresh_from_db()
    assert request.state == "approved"


def test_a_page_that_was_answered_at_once_says_so(stream: Stream, ida: User) -> None:
    policy('request.days <= 5 ? {"answer": "approve"} : {"answer": "deny", "because": "Too long."}')
    client = Client()
    client.force_login(ida)
    place = f"/access/new/?stream={stream.name}"
    page = client.get(place).content.decode()
    assert "It is declined at once." in page

    def send(days: int) -> str:
        until = (clock.now() + timedelta(days=days)).date().isoformat()
        return client.post(
            place, {"purpose": PURPOSE, "until": until}, follow=True
        ).content.decode()

    assert "Declined by a policy: Too long." in send(9)
    assert "Granted at once until" in send(3)


def test_over_rest_a_request_says_what_policies_said(stream: Stream, ida: User) -> None:
    policy(AT_ONCE)
    said = {
        "resource": {"kind": "stream", "key": stream.name}, "purpose": PURPOSE,
        "until": rfc3339.spell(clock.now() + timedelta(days=3)),
    }  # fmt: skip
    answer = Client().post(
        "/api/v1/access-requests", said, content_type="application/json",
        headers={"Authorization": f"Bearer {token_of(ida)}"},
    )  # fmt: skip
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["state"], body["decided_by"]) == ("approved", None)
    assert (body["policy"]["answer"], body["policy"]["by"]) == ("approve", "house-rule")


def test_a_preview_judges_the_requests_that_wait(stream: Stream, ida: User) -> None:
    ask(stream, ida)
    ask(stream, make_person(), days=3)
    found = try_policy("access_request", "request.days < 5", actor=make_actor(Role.ADMIN))
    assert (found["judged"], found["breaks"], found["in_order"]) == (2, 1, 1)
    (hit,) = found["first"]
    assert hit["title"] == f"{ida.email} asks to read {stream.name}"


def test_a_request_of_a_person_is_still_decided_by_another(stream: Stream, ida: User) -> None:
    policy("request.days < 5")
    request = ask(stream, ida)
    ada = make_actor(Role.ENGINEER, team=stream.owner_team)
    assert approve_request(request.pk, actor=ada).state == "approved"
