"""REST of the vault: what tokens stand for, and which tokens stand for a value."""

from typing import Any, ClassVar, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import repeatable
from governance.services import vault_lookups as services
from portal.http import bodies
from portal.http.bodies import Body
from portal.http.operations import operation
from portal.kernel.errors import FieldError, InvalidError

ASKING: Final = Body(
    required={"reason": bodies.text(500)},
    optional={
        "tokens": bodies.texts(services.MOST, services.LONGEST),
        "values": bodies.texts(services.MOST, services.LONGEST),
        "purpose": bodies.text(60, 1),
    },
)


class MeaningBody(TypedDict):
    token: str
    known: bool
    purpose: str | None
    value: Any


class StandingBody(TypedDict):
    at: int
    token: str
    purpose: str


class LookUpBody(TypedDict):
    meanings: list[MeaningBody]
    tokens: list[StandingBody]


class LookUps(ApiView):
    sudo: ClassVar = {"POST"}

    @operation(
        "What `tokens` stand for (`known` is false for one that means nothing, or nothing any more), "
        "or which tokens stand for `values` (texts; `at` is a value's place), in one `purpose` or in "
        "all. One row of the audit log a look, which names tokens and no values.",
        body=ASKING,
        gives=LookUpBody,
        refuses=(429,),
    )
    @repeatable
    def post(self, request: Request) -> Response:
        said, actor = self.said(request), api_actor(request)
        if ("tokens" in said) == ("values" in said) or ("tokens" in said and "purpose" in said):
            raise InvalidError(
                "Send either `tokens`, or `values` and, if you like, a `purpose`.",
                errors=[FieldError("/tokens", "either", "or values")],
            )
        if "tokens" in said:
            found = services.look_up_tokens(said["tokens"], reason=said["reason"], actor=actor)
            return Response({"meanings": [_meaning(one) for one in found], "tokens": []})
        standing = services.look_up_values(
            said["values"], purpose=said.get("purpose"), reason=said["reason"], actor=actor
        )
        tokens: list[StandingBody] = [
            {"at": one.at, "token": one.token, "purpose": one.purpose} for one in standing
        ]
        return Response({"meanings": [], "tokens": tokens})


def _meaning(one: services.Meaning) -> MeaningBody:
    return {
        "token": one.token,
        "known": one.is_known,
        "purpose": one.purpose or None,
        "value": one.value,
    }
