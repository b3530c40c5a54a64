"""Errors of governance."""

from collections.abc import Sequence

from governance.policies.judging import Said
from governance.types import ResourceRef
from portal.kernel.errors import ConflictError, FieldError, NotPermittedError

PEOPLE_AT = "/teams/"  # who is in which team and who is an admin
TOKENS_AT = "/settings/"


class RoleNeededError(NotPermittedError):
    """A role would give it; admins give roles."""

    code = "role"

    def __init__(self, detail: str, permission: str) -> None:
        super().__init__(detail, permission=permission, request_at=PEOPLE_AT)


class TeamNeededError(NotPermittedError):
    """Being in the team that owns the thing would give it."""

    code = "team"

    def __init__(self, detail: str, permission: str) -> None:
        super().__init__(detail, permission=permission, request_at=PEOPLE_AT)


class ScopeNeededError(NotPermittedError):
    """The personal token that was sent is narrower than its owner."""

    code = "scope"

    def __init__(self, scope: str, *, about: tuple[str, str] | None = None) -> None:
        super().__init__(
            f"The token lacks the scope {scope}.",
            permission=scope,
            request_at=TOKENS_AT,
            about=about,
        )


class PeopleOnlyError(NotPermittedError):
    """A key of a program did what only people do."""

    code = "not_for_keys"

    def __init__(self, permission: str) -> None:
        super().__init__(
            "This is for people: send a personal token.",
            permission=permission,
            request_at=TOKENS_AT,
        )


class NotOwnRequestError(NotPermittedError):
    """A step that only the one who asked may take, or everybody but them; `request_at` is where the
    request stands for who may."""

    code = "own_request"

    def __init__(
        self, detail: str, permission: str, request_at: str, *, about: ResourceRef | None = None
    ) -> None:
        pair = about.as_pair() if about is not None else None
        super().__init__(detail, permission=permission, request_at=request_at, about=pair)


class OwnGrantError(NotPermittedError):
    """A grant by which who decides on it would hold more than before."""

    code = "own_grant"

    def __init__(self, ref: ResourceRef, permission: str, *, request_at: str) -> None:
        super().__init__(
            f"You, or who you decide for, would gain {permission} on {ref}. Nobody decides on their "
            "own grant, their team's or its programs': somebody else does.",
            permission=permission,
            request_at=request_at,
            about=ref.as_pair(),
        )


class RequestOpenError(ConflictError):
    """A second request for a thing while the first waits for its answer."""

    code = "request_open"


class TeamByGroupError(ConflictError):
    """Who is in a team was changed by hand, but a group at the company's sign-in says who is."""

    code = "team_by_group"

    def __init__(self) -> None:
        super().__init__(
            "Who is in this team follows a group at the company's sign-in: change it there, or have an "
            "admin keep the team by hand."
        )


class ErasureRunsError(ConflictError):
    """What is kept about somebody was asked for while they are being erased."""

    code = "erasure_runs"


class PolicyError(ConflictError):
    """Policies stop a change. `policies` names each, what of the thing is not in order, how to
    mend it, and the page where an admin waives it."""

    code = "policy"

    def __init__(self, said: Sequence[Said]) -> None:
        named = " ".join(one.sentence for one in said[:3])
        more = f" And {len(said) - 3} more." if len(said) > 3 else ""
        super().__init__(
            f"Policies stop this. {named}{more} Mend it, or ask an admin for a waiver.",
            errors=[FieldError("", f"policy:{one.policy}", one.sentence) for one in said],
            extra={
                "policies": [
                    {
                        "policy": one.policy,
                        "title": one.title,
                        "detail": one.detail,
                        "remedy": one.remedy,
                        "waiver_at": f"/policies/{one.policy}/",
                    }
                    for one in said
                ]
            },
        )
