"""REST of people, and of who is in which team. Addresses name people by number: an e-mail address in
one would stand in logs."""

from typing import ClassVar, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.errors import RoleNeededError
from governance.models import Membership, User
from governance.selectors import people as selectors
from governance.services import invitations, teams
from governance.services.accounts import change_person
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate

_NAME: Final = bodies.text(invitations.LONGEST_NAME, 1)
NEW_PERSON: Final = Body(
    required={"email": bodies.text(254, 1), "name": _NAME},
    optional={
        "roles": bodies.choices(sorted(selectors.ROLES)),
        "teams": bodies.texts(invitations.MOST_TEAMS, 60),
    },
)
PERSON_CHANGES: Final = Body(
    optional={
        "name": _NAME,
        "roles": bodies.choices(sorted(selectors.ROLES)),
        "is_active": bodies.boolean,
    }
)
MEMBER: Final = Body(optional={"is_lead": bodies.boolean})


class PersonBody(TypedDict):
    """`is_active` is false for who has left: their account is closed, what they did stays."""

    id: int
    email: str
    name: str
    roles: list[str]
    teams: list[str]
    is_active: bool
    joined_at: Time


class InvitedBody(PersonBody):
    """`handed` says what became of the link with which they choose a password: `mailed`, `not_mailed`
    (ask for another), `shown` in `link`, this once, or `company` where there is none."""

    handed: str
    link: str | None


class MemberBody(TypedDict):
    person: int
    email: str
    name: str
    is_lead: bool
    since: Time


def person_body(row: User) -> PersonBody:
    return {
        "id": row.pk,
        "email": row.email,
        "name": row.name,
        "roles": selectors.role_names(row),
        "teams": sorted(membership.team.slug for membership in row.memberships.all()),
        "is_active": row.is_active,
        "joined_at": row.joined_at,
    }


def member_body(row: Membership) -> MemberBody:
    return {
        "person": row.user_id,
        "email": row.user.email,
        "name": row.user.name,
        "is_lead": row.is_lead,
        "since": row.since,
    }


def _invited(invited: invitations.Invited, *, status: int) -> Response:
    row = selectors.get_person(invited.person.pk)
    body: InvitedBody = {
        **person_body(row), "handed": invited.handed, "link": invited.link or None,
    }  # fmt: skip
    headers = {"ETag": etag(selectors.revision_of(row)), "Location": f"/api/v1/people/{row.pk}"}
    return Response(body, status=status, headers=headers)


class People(ApiView):
    sudo: ClassVar = {"POST"}

    @operation(
        "The people here, by address; `email` finds one, `active` leaves those out who have left.",
        takes={"email": parameters.text(254), "active": parameters.flag, **parameters.LIST},
        gives=listed(PersonBody),
    )
    def get(self, request: Request) -> Response:
        rows, asked = selectors.people(), self.asked
        if "email" in asked:
            rows = rows.filter(email=asked["email"].lower())
        if "active" in asked:
            rows = rows.filter(is_active=asked["active"])
        page = paginate(
            rows, order=("email",), limit=asked.get("limit"), cursor=asked.get("cursor")
        )
        return Response(page.as_dict(person_body))

    @operation(
        "Make a person. They get a link to choose a password by mail; where this portal sends none, "
        "it is in this answer and nowhere else.",
        body=NEW_PERSON,
        gives=InvitedBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        new = invitations.NewPerson(
            body["email"], body["name"], body.get("roles", ()), body.get("teams", ())
        )
        return _invited(invitations.create_person(new, actor=api_actor(request)), status=201)


class PersonDetail(ApiView):
    sudo: ClassVar = {"PATCH"}

    @operation("One person.", gives=PersonBody)
    def get(self, request: Request, user_id: int) -> Response:
        return _answer(selectors.get_person(user_id))

    @operation(
        "Change a person: the name, the roles (exactly these), whether the account is in use.",
        body=PERSON_CHANGES,
        gives=PersonBody,
    )
    def patch(self, request: Request, user_id: int) -> Response:
        row = selectors.get_person(user_id)
        revision = selectors.revision_of(row)
        require_match(request.headers, etag(revision))
        change_person(row, self.said(request), actor=api_actor(request), revision=revision)
        return _answer(selectors.get_person(user_id))


class PersonLink(ApiView):
    sudo: ClassVar = {"POST"}

    @operation(
        "Another link to choose a first password, for who never signed in.",
        body=bodies.EMPTY,
        gives=InvitedBody,
    )
    @idempotent
    def post(self, request: Request, user_id: int) -> Response:
        self.said(request)
        row = selectors.get_person(user_id)
        return _invited(invitations.invite_again(row, actor=api_actor(request)), status=200)


class Members(ApiView):
    @operation("Who is in a team.", takes=parameters.LIST, gives=listed(MemberBody))
    def get(self, request: Request, slug: str) -> Response:
        rows, asked = selectors.members_of(selectors.get_team(slug)), self.asked
        page = paginate(rows, order=("id",), limit=asked.get("limit"), cursor=asked.get("cursor"))
        return Response(page.as_dict(member_body))


class MemberDetail(ApiView):
    sudo: ClassVar = {"PUT", "DELETE"}

    @operation("One person's place in a team.", gives=MemberBody)
    def get(self, request: Request, slug: str, user_id: int) -> Response:
        return _place(selectors.get_member(selectors.get_team(slug), user_id))

    @operation(
        "Put a person into a team, or say whether they lead it; with If-Match where they are in it.",
        body=MEMBER,
        gives=MemberBody,
    )
    def put(self, request: Request, slug: str, user_id: int) -> Response:
        actor, team = api_actor(request), selectors.get_team(slug)
        if not selectors.may_manage(actor, team):
            raise RoleNeededError("Admins and leads of the team add people.", "team.manage")
        person, said = selectors.get_person(user_id), self.said(request)
        found = selectors.members_of(team).filter(user=person).first()
        if found is None:
            made = teams.add_member(team, person, actor=actor, is_lead=said.get("is_lead", False))
            return _place(made)
        require_match(request.headers, _tag(found))
        return _place(teams.set_lead(found, said.get("is_lead", found.is_lead), actor=actor))

    @operation("Take a person out of a team; what came by it ends at once.", status=204)
    def delete(self, request: Request, slug: str, user_id: int) -> Response:
        actor, team = api_actor(request), selectors.get_team(slug)
        if not selectors.may_manage(actor, team):
            raise RoleNeededError("Admins and leads of the team take people out.", "team.manage")
        found = selectors.get_member(team, user_id)
        require_match(request.headers, _tag(found))
        teams.remove_member(team, found.user, actor=actor)
        return Response(status=204)


def _answer(row: User) -> Response:
    return Response(person_body(row), headers={"ETag": etag(selectors.revision_of(row))})


def _tag(row: Membership) -> str:
    return etag(f"{row.pk}-{'lead' if row.is_lead else 'member'}")


def _place(row: Membership) -> Response:
    return Response(member_body(row), headers={"ETag": _tag(row)})
