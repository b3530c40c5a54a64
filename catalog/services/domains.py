"""Writing domains."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from catalog.models import Domain
from governance import access, audit
from governance.errors import RoleNeededError
from governance.models import Team
from governance.types import Permission, ResourceRef
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, PreconditionFailedError
from portal.kernel.once import only_once
from portal.kernel.slugs import check_slug


@transaction.atomic
def create_domain(
    slug: str,
    *,
    actor: Actor,
    name: str = "",
    description: str = "",
    owner_team: Team | None = None,
) -> Domain:
    """Make a domain; engineers and admins may."""
    require_registrar(actor)
    return _make(slug, actor=actor, name=name, description=description, owner_team=owner_team)


def _make(
    slug: str,
    *,
    actor: Actor,
    name: str = "",
    description: str = "",
    owner_team: Team | None = None,
) -> Domain:
    check_slug(slug)
    with only_once("There is a domain of this name already."):
        domain = Domain.objects.create(
            slug=slug,
            name=name or slug.replace("-", " ").capitalize(),
            description=description,
            owner_team=owner_team,
        )
    audit.record(
        actor, "domain.created", ResourceRef("domain", slug), summary=f"made the domain {slug}"
    )
    return domain


def domain_for(slug: str, *, actor: Actor) -> Domain:
    """Shared step: the domain of this slug, made when it is not there yet; of many at once one
    makes it."""
    found = Domain.objects.filter(slug=slug).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return _make(slug, actor=actor)
    except (ConflictError, IntegrityError):  # somebody made it meanwhile
        return Domain.objects.get(slug=slug)


@transaction.atomic
def change_domain(
    domain: Domain, changes: Mapping[str, Any], *, actor: Actor, unless_after: datetime
) -> Domain:
    """Change name, description or owner team, unless somebody changed it after that time."""
    access.require(actor, Permission.EDIT, domain)
    if not changes:
        return domain
    if "owner_team" in changes:
        access.require(actor, Permission.ADMINISTER, domain)
    moved = Domain.objects.filter(pk=domain.pk, updated_at=unless_after).update(
        **changes, updated_at=clock.now()
    )
    if not moved:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    domain.refresh_from_db()
    audit.record(
        actor,
        "domain.changed",
        domain.ref,
        summary=f"changed {', '.join(sorted(changes))} of the domain {domain.slug}",
    )
    return domain


def require_registrar(actor: Actor) -> None:
    """Refuse whoever may not register things: engineers and admins may."""
    if actor.is_admin:
        return
    if not actor.has_role("engineer") or "write" not in actor.scopes:
        raise RoleNeededError(
            "Registering needs the role engineer, which an admin gives.", "stream.register"
        )
