"""Each request of `portal/matrix.toml`, sent as each of its people, about a thing open and restricted.

What is expected is read out of the matrix alone: who is let through, who is told that they may not,
and who is told the same as if there were nothing, to the byte. Where a thing is named by what only a
longer story makes, other tests judge it (`ELSEWHERE`).
"""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from catalog.models import Consumer, Domain, Producer, Stream, Term
from catalog.services.consumers import create_consumer
from catalog.services.producers import create_producer
from governance.models import User
from governance.selectors.requests import live_grants
from governance.services.grants import end_grant
from governance.services.keys import create_key
from governance.types import Permission, ReviewPoint, Role
from ingest.models import PrivacySuggestion
from portal.checks import the_matrix_names_every_route_and_method
from portal.http.policy import KEYS, SAFE, Policy, matrix, read
from portal.kernel import clock, rfc3339
from portal.kernel.actor import SYSTEM
from tests.api.conftest import (
    ARGUMENTS,
    NAME,
    PROMOTION,
    SECRET,
    Address,
    Secret,
    addresses,
    credential,
)
from tests.api.test_openapi import NEEDED
from tests.api.test_walk import undone
from tests.support.factories import make_grant, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
MACHINES: Final = ("/api/", "/registry", "/metrics", "/livez", "/readyz")
GRANTS: Final = {
    "discoverer": Permission.DISCOVER,
    "reader": Permission.READ_PAYLOAD,
    "personal_reader": Permission.READ_PERSONAL,
    "publisher": Permission.PUBLISH,
    "editor": Permission.EDIT,
    "approver": Permission.APPROVE,
    "administrator": Permission.ADMINISTER,
    "revoked": Permission.ADMINISTER,
}
ROLES: Final = {
    "product_manager": Role.PRODUCT_MANAGER, "on_call": Role.ON_CALL, "admin": Role.ADMIN,
    "admin_reading": Role.ADMIN,
}  # fmt: skip
# Where a request of the matrix is judged instead, and why not here.
ELSEWHERE: Final = {
    "registry/.+$": "there is nothing at any such address",
    ".well-known/security.txt": "there is nothing until a contact is set",
    "access/break-glass/": "the page says at the form who may",
    "replays/<uuid:repair_id>/": "only a repair on its way can be handled",
    "dead-letters/": "the page says in a message of which groups nothing was done",
    "streams/<str:name>/waiting/": "the page says in a message that nothing was done",
    "changes/<uuid:change_id>/remedy/": "the page says in a message that nothing was done",
    "api/v1/changes/<uuid:change_id>/remedy": "only what the report suggests can be taken over",
    "letters/<uuid:letter_id>/reveal/": "the page says in a message that nothing was shown",
    "jobs/<uuid:job_id>/steer/": "only work on its way can be steered",
    "drafts/save/": "the page keeps what was typed and says why it was not saved",
    "ingest/synthetic/": "the page says at the form that there is no such stream",
    "api/v1/streams/<name:name>/field-extensions": "only a field that ends can be extended",
    "api/v1/experiments": "tests/experiments judges a whole design",
    "api/v1/metrics": "tests/experiments judges a whole metric",
}
ITS_OWN: Final = frozenset({"X-Request-Id", "traceparent", "Server-Timing"})
# Who is an analyst where a policy is about no thing.
NO_ROLE: Final = matrix().policies["stream.discover"].restricted.difference(
    {"owner", "on_call", "admin"}
) | {"once_granted", "revoked"}
# The first version is active; what is done to a change needs the one that is proposed.
PROPOSED: Final = ("/approve", "/ask", "/reject", "/activate")


def bodies(secret: Secret) -> dict[str, Any]:
    """What is sent to routes that read a body before they know which thing it is about."""
    soon = rfc3339.spell(clock.now() + timedelta(days=9))
    ended = rfc3339.spell(clock.now() + timedelta(days=200))
    stream = {"kind": "stream", "key": NAME}
    steps = [{"do": "remove", "at": "/data/zebra_code"}]
    return {
        "access/requests/<uuid:request_id>/decide/": {"decision": "deny", "reason": "No."},
        "access/requests/accept/": {"request": str(secret.request.pk)},
        "streams/<str:name>/access/": {
            "holder": make_person().email, "permission": "read_payload",
            "purpose": "To know it well.", "until": soon[:10],
        },
        "access/grants/<str:grant_id>/extend/": {"until": ended[:10]},
        "access/new/": {"stream": NAME, "purpose": "To know about it.", "until": soon[:10]},
        "jobs/<uuid:job_id>/steer/": {"do": "pause"},
        "drafts/save/": {"kind": "change", "stream": NAME, "document": "{}"},
        "dead-letters/": {"do": "discard", "group": ARGUMENTS["group"], "reason": "Old."},
        "api/v1/access-requests": {"resource": stream, "purpose": "To know it well.", "until": soon},
        "api/v1/access-requests/<uuid:request_id>/deny": {"reason": "No."},
        "api/v1/grants": {
            "resource": stream, "permission": "read_payload", "holder": make_person().email,
            "purpose": "To know it well.", "until": soon,
        },
        "api/v1/grants/recertify": {"keep": [secret.grant.id]},
        "api/v1/grants/<str:grant_id>/renew": {"until": soon},
        "access/recertify/": {f"do-{secret.grant.id}": "keep"},
        "access/deputies/": {"deputy": make_person().email, "until": soon[:10]},
        "api/v1/delegations": {"deputy": make_person().email, "until": soon},
        "api/v1/break-glass": {"stream": NAME, "reason": "The zebra burns."},
        "api/v1/break-glass/<uuid:glass_id>/review": {
            "verdict": "confirmed", "sentence": "The zebra burnt.",
        },
        "api/v1/reviews/<uuid:review_id>/complete": {
            "points": {point: {"outcome": "confirmed"} for point in ReviewPoint.values}
        },
        "api/v1/consumers": {"name": "newcomer"},
        "api/v1/producers": {"name": "newcomer"},
        "api/v1/consumers/<slug:name>/mappings": {"stream": NAME, "purpose": "To read it."},
        "api/v1/dead-letters/discard": {"group": ARGUMENTS["group"], "reason": "Old."},
        "api/v1/dead-letters/repairs": {"group": ARGUMENTS["group"], "steps": steps},
        "api/v1/dead-letters/replay": {"group": ARGUMENTS["group"]},
        "api/v1/dead-letters/repairs/<uuid:repair_id>/decline": {"reason": "No."},
        "api/v1/drafts": {"kind": "change", "stream": NAME, "content": {}},
        "api/v1/glossary": {
            "slug": "newcomer", "name": "Newcomer", "definition": "Who comes.",
            "owner": secret.team.slug,
        },
        "api/v1/experiments/<str:key>/stop": {"reason": "Enough."},
        "api/v1/streams/<name:name>/deprecate": {"sunset_at": ended, "migration": "Use another."},
        "api/v1/streams/<name:name>/field-extensions": {
            "field": "/zebra_code", "until": ended, "reason": "Not yet."
        },
        "api/v1/streams/<name:name>/schemas/<name:version>/extend": {
            "sunset_at": ended, "reason": "Not yet."
        },
        "api/v1/streams/<name:name>/schemas/<name:version>/ask": {"comment": "Why?"},
        "api/v1/streams/<name:name>/schemas/<name:version>/deprecate": {
            "sunset_at": ended, "migration": "Use another."
        },
        "api/v1/streams/<name:name>/schemas/<name:version>/reject": {"reason": "No."},
        "api/v1/streams/<name:name>/schemas/<name:version>/supersede": {"corrects": 1},
        "api/v1/streams/<name:name>/schemas": {"schema": {"type": "object"}},
        "api/v1/streams/<name:name>/schemas/check": {"schema": {"type": "object"}},
        "api/v1/streams/<name:name>/enforcement/move": {"to": "warn", "reason": "Better."},
        "api/v1/streams/<name:name>/restores": {"since": "2026-01-01", "until": "2026-01-02"},
        "api/v1/streams/<name:name>/privacy-suggestions/<int:number>/accept": {
            "treatment": "tokenize"
        },
        "api/v1/streams/<name:name>/privacy-suggestions/<int:number>/dismiss": {"reason": "No."},
        "api/v1/streams/<name:name>/promote/approve": {"request": str(PROMOTION)},
        "api/v1/streams/<name:name>/promote/reject": {"request": str(PROMOTION), "reason": "No."},
        "api/v1/streams/<name:name>/promote/withdraw": {"request": str(PROMOTION)},
        "api/v1/changes/<uuid:change_id>/comments": {"text": "Why?"},
        "api/v1/changes/<uuid:change_id>/remedy": {"remedies": []},
        "api/v1/synthetic-runs": {"stream": NAME, "events": 10},
        "api/v1/domains": {"slug": "newcomer"},
        "api/v1/teams": {"slug": "newcomer", "name": "Newcomer"},
        "api/v1/people": {"email": "newcomer@test.example", "name": "Newcomer"},
        "teams/<slug:slug>/members/<int:user_id>/": {"do": "lead"},
        "api/v1/streams": {"name": "newcomer.came_in", "schema": {"type": "object"}},
    }  # fmt: skip


@pytest.fixture
def world(secret: Secret) -> Secret:
    """All that hangs on the secret is of its owner team."""
    for model in (Producer, Consumer):
        model.objects.filter(name__in=("sender", "reader")).update(team=secret.team)
    Domain.objects.filter(pk=secret.stream.domain_id).update(owner_team=secret.team)
    Term.objects.filter(pk=secret.term.pk).update(owner_team=secret.team)
    now = clock.now()
    PrivacySuggestion.objects.create(
        id=1, stream=secret.stream, path="/zebra_code", kind="email", first_seen_at=now,
        last_seen_at=now,
    )  # fmt: skip
    return secret


@dataclass(frozen=True)
class Visitor:
    """One of the matrix's people: what sends their requests to pages, and to machines' addresses."""

    pages: Client
    machines: Client

    def send(self, path: str, method: str, body: Any) -> Any:
        is_machine = path.startswith(MACHINES)
        client = self.machines if is_machine else self.pages
        query = NEEDED.get(path, "") or (f"stream={NAME}" if path == "/access/new/" else "")
        if method in SAFE:
            return client.get(f"{path}?{query}")
        if is_machine:
            return client.generic(
                method, path, json.dumps(body), content_type="application/json",
                headers={"If-Match": "*"},
            )  # fmt: skip
        return client.generic(
            method, path, "&".join(f"{k}={v}" for k, v in body.items()),
            content_type="application/x-www-form-urlencoded",
        )  # fmt: skip


def visitor(who: str, secret: Secret) -> Visitor:
    keys = {
        "producer_key": lambda: credential("prod", create_producer("other", actor=SYSTEM).pk),
        "consumer_key": lambda: credential("cons", create_consumer("other", actor=SYSTEM).pk),
        "reading_key": lambda: credential("cons", _reading_consumer(secret)),
        "flag_key": lambda: credential("flag", 0),
    }
    if who == "anybody":
        return Visitor(Client(), Client())
    if who in keys:
        return Visitor(Client(), with_key(keys[who]()))
    person = _person(who, secret)
    pages = Client()
    pages.force_login(person)
    scopes = ("read",) if who == "admin_reading" else ()
    return Visitor(pages, with_key(token_of(person, *scopes)))


def _reading_consumer(secret: Secret) -> int:
    consumer = create_consumer("other", actor=SYSTEM)
    make_grant(secret.stream, consumer, Permission.READ_PAYLOAD)
    return consumer.pk


def with_key(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


def _person(who: str, secret: Secret) -> User:
    if who == "owner":
        return secret.owner
    if who == "engineer":
        team = make_team()
        make_stream("quagga.plan_agreed", team=team, extra={"restricted": True})
        return make_person(Role.ENGINEER, team=team)
    person = make_person(ROLES.get(who, Role.ANALYST))
    if who == "domain_reader":
        make_grant(secret.stream.domain, person, Permission.READ_PAYLOAD)
    elif who == "once_granted":
        with clock.at(clock.now() - timedelta(days=3)):
            make_grant(secret.stream, person, Permission.ADMINISTER, days=1)
    elif who in GRANTS:
        make_grant(secret.stream, person, GRANTS[who])
    if who == "revoked":
        (grant,) = [one for one in live_grants(SYSTEM) if one.holder == person.email]
        end_grant(grant.id, actor=SYSTEM)
    return person


def told(answer: Any) -> str:
    """An answer in the words of the matrix: yes, no, unknown, sign in, or broken."""
    status = answer.status_code
    if status == 401 or answer.get("Location", "").startswith("/accounts/login/"):
        return "sign in"
    return {403: "no", 404: "unknown"}.get(status, "yes" if status < 500 else "broken")


def expected(who: str, policy: Policy, state: str, method: str, path: str) -> str:
    """What the matrix says that somebody is told."""
    is_machine = path.startswith(MACHINES)
    if policy.word == "public":
        return "yes"
    if who == "anybody":
        return "sign in"
    people = matrix().people
    if who.endswith("_key"):
        if not is_machine:
            return "sign in"
        (kind,) = [kind for kind, keys in KEYS.items() if who in keys]
        reads = method in SAFE and policy.lets_in(kind) and who != "flag_key"
        own_door = path.startswith("/registry") and who in policy.open
        if not reads and not own_door and policy.word != "credentials":
            return "no"
    elif who == "admin_reading" and is_machine and policy.scope_for(method) != "read":
        return "no"
    assert who in people
    if who in (policy.open if state == "open" else policy.restricted):
        return "yes"
    knows = policy.known_to
    if knows is None and policy.is_of_stream and state == "restricted":
        knows = matrix().policies["stream.discover"].restricted
    return "no" if knows is None or who in knows else "unknown"


def asked(secret: Secret, who: str, state: str) -> Iterator[tuple[Address, str, Policy]]:
    """What is sent as somebody. What depends on no thing is sent once, and not as each grantee."""
    for one in addresses(secret):
        for method in one.methods:
            policy = matrix().policy(one.route, method)
            assert policy is not None
            is_machine = one.path.startswith(MACHINES)
            is_elsewhere = one.route in ELSEWHERE and (
                method not in SAFE or one.route.startswith(("registry", ".well-known"))
            )
            depends = policy.is_of_stream or policy.known_to is not None
            is_told_once = not depends and (state == "open" or who in NO_ROLE)
            is_page_by_token = who == "admin_reading" and not is_machine
            # Where no grant changes what an analyst is told of an open thing, one analyst asks.
            is_as_any = (
                state == "open"
                and who in NO_ROLE
                and expected(who, policy, state, method, one.path)
                == expected("analyst", policy, state, method, one.path)
            )
            if (
                policy.word == "producer"
                or is_elsewhere
                or is_told_once
                or is_page_by_token
                or is_as_any
            ):
                continue
            is_of_change = one.path.endswith(PROPOSED)
            path = one.path.replace("/schemas/1/", "/schemas/2/") if is_of_change else one.path
            yield replace(one, path=path), method, policy


@pytest.mark.parametrize("state", ["open", "restricted"])
@pytest.mark.parametrize("who", matrix().people)
def test_everybody_is_told_what_the_matrix_says(who: str, state: str, world: Secret) -> None:
    if state == "open":
        Stream.objects.filter(pk=world.stream.pk).update(restricted=False)
    key, _ = create_key(actor=SYSTEM, kind="user", name="own", user=world.owner)
    ARGUMENTS["key_id"] = key.pk
    sender, sent = visitor(who, world), bodies(world)
    knows = who in matrix().policies["stream.discover"].restricted
    differing = []
    for one, method, policy in asked(world, who, state):
        body = sent.get(one.route, {})
        with undone():
            answer = sender.send(one.path, method, body)
        found, wanted = told(answer), expected(who, policy, state, method, one.path)
        where = f"{method} {one.path} ({policy.word})"
        if found != wanted:
            differing.append(f"{where}: {wanted}, but {found} {answer.status_code}")
        elif found == "unknown" and one.absent != one.path and NAME not in json.dumps(body):
            with undone():
                nothing = sender.send(one.absent, method, body)
            if bare(answer, one.path) != bare(nothing, one.absent):
                differing.append(f"{where}: another answer than where there is nothing")
        is_hidden = policy.is_of_stream and state == "restricted" and not knows
        if is_hidden and found in ("no", "unknown") and SECRET in bare(answer, one.path)[1]:
            differing.append(f"{where}: tells of the thing")
    assert differing == [], "\n".join(differing)


def bare(answer: Any, path: str) -> tuple[int, bytes, list[tuple[str, str]]]:
    """An answer without what each has of its own: its id, its address, the form's token."""
    content = answer.content.replace(path.encode(), b"")
    for name in ("X-Request-Id", "traceparent"):
        content = content.replace(answer.get(name, "none").encode(), b"")
    content = re.sub(rb'name="csrfmiddlewaretoken" value="[^"]*"', b"", content)
    fields = {name: value for name, value in answer.items() if name not in ITS_OWN}
    return answer.status_code, content, sorted(fields.items())


def test_a_route_or_method_that_is_missing_stops_the_start(monkeypatch: Any) -> None:
    assert the_matrix_names_every_route_and_method(None) == []
    routes = dict(matrix().routes)
    routes["streams/<str:name>/follow/"] = {"PUT": "stream.edit"}
    del routes["audit/"]
    routes["nowhere/"] = {"GET": "public"}
    changed = replace(matrix(), routes=routes)
    monkeypatch.setattr("portal.checks.matrix", lambda: changed)
    said = [(one.id, one.msg) for one in the_matrix_names_every_route_and_method(None)]
    assert said == [
        ("portal.E001", "/audit/ has no policy for any method."),
        ("portal.E002", "There is no route /nowhere/."),
    ]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ('may = ["nobody"]\nsays = "x"', "public names 'nobody', which is nobody"),
        ('says = "x"', "'public' needs `says`, and either `may` or `open` and `restricted`"),
        ('may = []\nopen = []\nsays = "x"', "either `may` or"),
        ('may = []\nsays = "x"\n[routes]\n"x/" = { GOT = "public" }', "GOT is no method"),
        ('may = []\nsays = "x"\n[routes]\n"x/" = { GET = "secret" }', "no policy 'secret'"),
        ('may = []\nsays = "x"', "no route asks for 'public'"),
    ],
)
def test_a_matrix_that_contradicts_itself_is_refused(broken: str, why: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(why)):
        read(tomllib.loads(f"[policies.public]\n{broken}"))
