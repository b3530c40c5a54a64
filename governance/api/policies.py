"""REST of policies: what they are, what they say today, trying, running and switching them."""

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.api.jobs import JobBody, job_body
from governance.models import Policy, PolicyVersion
from governance.policies import facts
from governance.policies.facts import Subject
from governance.selectors import policies as selectors
from governance.services import policies as services
from governance.services import policy_runs
from governance.types import Severity
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate, paginate_rows
from portal.kernel import slugs
from portal.kernel.cel import MAX_CHARACTERS


class PolicyBody(TypedDict):
    """`breaks`, `undecided` and `waived` count open findings on what the caller may know of."""

    slug: str
    title: str
    sentence: str
    subject: str
    expression: str
    remedy: str
    severity: str
    built_in: bool
    version: int
    state: str
    off_until: Time | None
    off_reason: str
    breaks: int
    undecided: int
    waived: int
    created_at: Time
    updated_at: Time
    revision: int


class PolicyVersionBody(TypedDict):
    version: int
    title: str
    sentence: str
    expression: str
    remedy: str
    severity: str
    note: str
    at: Time
    by: str


class HitBody(TypedDict):
    key: str
    title: str
    url: str
    outcome: str
    detail: str
    is_new: bool


class TryBody(TypedDict):
    """What an expression finds today. `news`: not found by the policy as it stands; `lacks`: facts
    that it reads and nobody measures; `first`: the first 50 findings."""

    judged: int
    total: int
    in_order: int
    breaks: int
    undecided: int
    not_measured: int
    news: int
    lacks: list[str]
    first: list[HitBody]


class FactBody(TypedDict):
    path: str
    says: str
    example: Any


class SubjectBody(TypedDict):
    subject: str
    facts: list[FactBody]


_SLUG: Final = bodies.name(slugs.SLUG.pattern, slugs.LONGEST)
_SEVERITY: Final = bodies.choice(Severity.values)
_EXPRESSION: Final = bodies.text(MAX_CHARACTERS)
_NOTE: Final = bodies.text(services.MAX_REASON)
NEW_POLICY: Final = Body(
    required={
        "slug": _SLUG,
        "title": bodies.text(120),
        "sentence": bodies.text(1000),
        "subject": bodies.text(20),
        "expression": _EXPRESSION,
    },
    optional={"severity": _SEVERITY, "remedy": bodies.text(1000), "note": _NOTE},
)
POLICY_CHANGES: Final = Body(
    optional={
        "title": bodies.text(120),
        "sentence": bodies.text(1000),
        "expression": _EXPRESSION,
        "severity": _SEVERITY,
        "remedy": bodies.text(1000),
        "note": _NOTE,
    }
)
TERM: Final = Body(required={"reason": bodies.text(services.MAX_REASON), "until": bodies.moment})
ATTEMPT: Final = Body(
    required={"subject": bodies.text(20), "expression": _EXPRESSION}, optional={"policy": _SLUG}
)


def policy_body(row: Policy, counts: Mapping[int, Mapping[str, int]]) -> PolicyBody:
    found = counts.get(row.pk, {})
    is_off = row.is_off
    return {
        "slug": row.slug,
        "title": row.title,
        "sentence": row.sentence,
        "subject": row.subject,
        "expression": row.expression,
        "remedy": row.remedy,
        "severity": row.severity,
        "built_in": row.built_in,
        "version": row.version,
        "state": "off" if is_off else "on",
        "off_until": row.off_until if is_off and not row.is_off_for_good else None,
        "off_reason": row.off_reason if is_off else "",
        "breaks": found.get("breaks", 0),
        "undecided": found.get("undecided", 0),
        "waived": found.get("waived", 0),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision": row.revision,
    }


def _version_body(row: PolicyVersion) -> PolicyVersionBody:
    return {
        "version": row.version,
        "title": row.title,
        "sentence": row.sentence,
        "expression": row.expression,
        "remedy": row.remedy,
        "severity": row.severity,
        "note": row.note,
        "at": row.at,
        "by": row.by,
    }


def _answer(request: Request, row: Policy, *, status: int = 200) -> Response:
    headers = {"ETag": etag(row.revision)}
    if status == 201:
        headers["Location"] = f"/api/v1/policies/{row.slug}"
    counts = selectors.counts_by_policy(api_actor(request))
    return Response(policy_body(row, counts), status=status, headers=headers)


class Policies(ApiView):
    @operation(
        "The policies by slug, with what they find today on what you may know of.",
        takes={
            "subject": parameters.text(20),
            "severity": parameters.choice(Severity.values),
            **parameters.LIST,
        },
        gives=listed(PolicyBody),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked
        rows = Policy.objects.filter(
            **{name: asked[name] for name in ("subject", "severity") if name in asked}
        )
        page = paginate(rows, order=("slug",), limit=asked.get("limit"), cursor=asked.get("cursor"))
        counts = selectors.counts_by_policy(api_actor(request))
        return Response(page.as_dict(lambda row: policy_body(row, counts)))

    @operation(
        "Make a policy; it is on at once, and a run looks what it finds.",
        body=NEW_POLICY,
        gives=PolicyBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        row = services.create_policy(actor=api_actor(request), **self.said(request))
        return _answer(request, row, status=201)


class PolicyDetail(ApiView):
    @operation("One policy.", gives=PolicyBody)
    def get(self, request: Request, slug: str) -> Response:
        return _answer(request, selectors.get_policy(slug))

    @operation(
        "Change a policy, as its next version; `note` says why.",
        body=POLICY_CHANGES,
        gives=PolicyBody,
    )
    def patch(self, request: Request, slug: str) -> Response:
        row = selectors.get_policy(slug)
        require_match(request.headers, etag(row.revision))
        changes = self.said(request)
        note = changes.pop("note", "")
        row = services.change_policy(
            row, changes, actor=api_actor(request), revision=row.revision, note=note
        )
        return _answer(request, row)


class PolicyVersions(ApiView):
    @operation(
        "What a policy said over time, the newest first.",
        takes=parameters.LIST,
        gives=listed(PolicyVersionBody),
    )
    def get(self, request: Request, slug: str) -> Response:
        rows = selectors.versions_of(selectors.get_policy(slug))
        page = paginate(
            rows,
            order=("-version",),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(_version_body))


class SwitchOff(ApiView):
    @operation(
        "Have it judge nothing until a day within a year; then it is on by itself.",
        body=TERM,
        gives=PolicyBody,
    )
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        body = self.said(request)
        row = services.switch_off(selectors.get_policy(slug), actor=api_actor(request), **body)
        return _answer(request, row)


class SwitchOn(ApiView):
    @operation("Have it judge again before its day.", gives=PolicyBody)
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        bodies.EMPTY.read(request.data)
        row = services.switch_on(selectors.get_policy(slug), actor=api_actor(request))
        return _answer(request, row)


class RunAll(ApiView):
    @operation(
        "Run all policies over everything now; a run that is under way is given instead.",
        gives=JobBody,
        status=202,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        bodies.EMPTY.read(request.data)
        job = policy_runs.run_policies(actor=api_actor(request))
        return Response(job_body(job), status=202, headers={"Location": f"/api/v1/jobs/{job.pk}"})


class RunOne(ApiView):
    @operation("Run one policy over all its things now.", gives=JobBody, status=202)
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        bodies.EMPTY.read(request.data)
        row = selectors.get_policy(slug)
        job = policy_runs.run_policies(actor=api_actor(request), policy=row)
        return Response(job_body(job), status=202, headers={"Location": f"/api/v1/jobs/{job.pk}"})


class Try(ApiView):
    @operation(
        "What an expression would find today, in three seconds at most; nothing is kept. `policy` "
        "names the one that it would take the place of.",
        body=ATTEMPT,
        gives=TryBody,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        row = selectors.get_policy(body["policy"]) if "policy" in body else None
        found = policy_runs.try_policy(
            body["subject"], body["expression"], actor=api_actor(request), policy=row
        )
        return Response(found)


class Facts(ApiView):
    @operation(
        "What expressions may read, by the kind of thing.",
        takes=parameters.LIST,
        gives=listed(SubjectBody),
    )
    def get(self, request: Request) -> Response:
        page = paginate_rows(
            facts.subjects(),
            key=lambda one: (one.kind,),
            made_for="policies/facts",
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(_subject_body))


def _subject_body(subject: Subject) -> SubjectBody:
    return {
        "subject": subject.kind,
        "facts": [
            {"path": fact.path, "says": fact.says, "example": fact.example}
            for fact in subject.facts
        ],
    }
