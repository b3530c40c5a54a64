"""Errors of governance."""

from portal.kernel.errors import ConflictError, NotPermittedError

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

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"The token lacks the scope {scope}.", permission=scope, request_at=TOKENS_AT
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
    """A step that only the one who asked may take, or everybody but them."""

    code = "own_request"


class RequestOpenError(ConflictError):
    """A second request for a thing while the first waits for its answer."""

    code = "request_open"
