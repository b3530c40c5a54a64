"""ETags: every resource has one, and a change must name the one it was made from."""

from django.http.request import HttpHeaders

from portal.kernel.errors import PreconditionFailedError, PreconditionRequiredError


def etag(revision: int | str) -> str:
    """The strong ETag of a resource's revision."""
    return f'"{revision}"'


def names_etag(headers: HttpHeaders, current: str) -> bool:
    """Whether If-None-Match names what the caller would get, so that 304 answers it."""
    tags = {tag.strip().removeprefix("W/") for tag in headers.get("If-None-Match", "").split(",")}
    return "*" in tags or current in tags


def require_match(headers: HttpHeaders, current: str) -> None:
    """Refuse a change that does not say which revision it was made from, or says an old one.

    Raises PreconditionRequiredError (428) without If-Match, PreconditionFailedError (412) when
    it is stale. `*` means whatever is there.
    """
    given = headers.get("If-Match")
    if given is None:
        raise PreconditionRequiredError("Read the resource and send its ETag in If-Match.")
    tags = {tag.strip() for tag in given.split(",")}
    if "*" not in tags and current not in tags:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
