"""Errors of the catalog."""

from portal.kernel.errors import ConflictError


class NotReadyError(ConflictError):
    """A move between the tracks that asks for what does not hold; `errors` name each (`check:<key>`)."""

    code = "not_ready"
