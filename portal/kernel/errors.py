"""Every error the portal answers with, drawn as a tree.

PortalError                      code, HTTP status, a sentence, per-field errors
├── BadRequestError       400    cannot be read: syntax, type, unknown field or parameter
├── UnauthenticatedError  401    no or bad credentials; one wording for all causes
├── NotPermittedError     403    may know of the thing, may not do this
├── NotFoundError         404    does not exist, or may not be known: the same answer
├── ConflictError         409    in conflict with a state
│   └── InvalidStateError 409    the transition is not possible from the present state
├── PreconditionFailedError 412  If-Match is stale
├── TooLargeError         413
├── UnsupportedMediaError 415
├── InvalidError          422    read, but breaks a rule
├── PreconditionRequiredError 428
├── RateLimitedError      429
└── UnavailableError      503    try again later; carries Retry-After
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypedDict


class FieldErrorDict(TypedDict):
    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule: where (JSON Pointer), which rule, and what to do. Never the value."""

    pointer: str
    code: str
    detail: str

    def as_dict(self) -> FieldErrorDict:
        return {"pointer": self.pointer, "code": self.code, "detail": self.detail}


class PortalError(Exception):
    """Base of all errors that reach a caller as a problem document or an error page."""

    status: ClassVar[int] = 500
    code: str = "internal_error"
    title: ClassVar[str] = "Something failed on our side"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
        extra: dict[str, object] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        if code is not None:
            self.code = code
        self.errors = tuple(errors)[:20]
        self.headers = headers or {}
        self.extra = extra or {}


class BadRequestError(PortalError):
    status = 400
    code = "bad_request"
    title = "The request cannot be read"


class UnauthenticatedError(PortalError):
    status = 401
    code = "unauthenticated"
    title = "Valid credentials are needed"

    def __init__(self) -> None:
        super().__init__(
            "Send a valid key, not expired and not revoked, in the Authorization header.",
            headers={"WWW-Authenticate": 'Bearer realm="event-portal"'},
        )


class NotPermittedError(PortalError):
    """`permission` is what is lacking, `request_at` the page where a person asks for it, `about` the
    thing that was asked for, as kind and key."""

    status = 403
    code = "not_permitted"
    title = "This is not permitted"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        permission: str = "",
        request_at: str = "",
        about: tuple[str, str] | None = None,
    ) -> None:
        self.about = about
        named = {"permission": permission, "request_at": request_at}
        super().__init__(
            f"{detail} Ask for it at {request_at}" if request_at else detail,
            code=code,
            extra={name: value for name, value in named.items() if value},
        )


class NotFoundError(PortalError):
    status = 404
    code = "not_found"
    title = "There is nothing here"

    def __init__(self, detail: str = "It does not exist, or you may not know of it.") -> None:
        super().__init__(detail)


class ConflictError(PortalError):
    status = 409
    code = "conflict"
    title = "In conflict with the present state"


class InvalidStateError(ConflictError):
    code = "invalid_state"


class PreconditionFailedError(PortalError):
    status = 412
    code = "precondition_failed"
    title = "It was changed meanwhile"


class TooLargeError(PortalError):
    status = 413
    code = "too_large"
    title = "The request is too large"


class UnsupportedMediaError(PortalError):
    status = 415
    code = "unsupported_media_type"
    title = "This media type is not understood here"


class InvalidError(PortalError):
    status = 422
    code = "invalid"
    title = "The request breaks a rule"


class PreconditionRequiredError(PortalError):
    status = 428
    code = "precondition_required"
    title = "Send If-Match with the ETag you read"


class RateLimitedError(PortalError):
    status = 429
    code = "rate_limited"
    title = "Too many requests"


class UnavailableError(PortalError):
    status = 503
    code = "unavailable"
    title = "Not available just now"

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)})


def sentence(error: PortalError) -> str:
    """An error in one line: its sentence, and the first field that broke a rule."""
    if not error.errors:
        return error.detail
    first = error.errors[0]
    return f"{error.detail} {first.pointer}: {first.detail}".replace(" :", "")
