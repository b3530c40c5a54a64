"""Errors of governance."""

from portal.kernel.errors import ConflictError, NotPermittedError


class NotOwnRequestError(NotPermittedError):
    code = "own_request"


class RequestOpenError(ConflictError):
    code = "request_open"
