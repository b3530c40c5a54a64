"""Writing domains."""

from django.db import IntegrityError, transaction

from catalog import naming
from catalog.models import Domain
from governance import audit
from governance.models import Team
from governance.types import ResourceRef
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, NotPermittedError


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
    naming.check_slug(slug)
    if Domain.objects.filter(slug=slug).exists():
        raise ConflictError("There is a domain of this name already.", code="name_taken")
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
    except (ConflictError, IntegrityError):
        return Domain.objects.get(slug=slug)


def require_registrar(actor: Actor) -> None:
    """Refuse whoever may not register things: engineers and admins may."""
    if actor.is_admin:
        return
    if not actor.has_role("engineer") or "write" not in actor.scopes:
        raise NotPermittedError(
            "Registering needs the role engineer. An admin gives it.",
            code="role",
            extra={"permission": "stream.register"},
        )
