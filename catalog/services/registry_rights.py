"""Who may do what through the registry. Whoever may not know of a subject gets its 40401.

| | a person's token | a producer's key |
| --- | --- | --- |
| register on a stream | who may edit it | where it may publish |
| first registration | engineers and admins | of a team, or where a pattern lets it publish |
| settings, deletion | who may edit it | of the owner team; where the registry made it for none |
"""

from catalog.models import RegistrySubject, Stream
from catalog.registry.errors import denied, subject_not_found
from catalog.registry.subjects import new_name
from catalog.selectors.registry_callers import producer_rights, registry_streams
from catalog.services.domains import require_registrar
from governance import access
from governance.models import Team
from governance.types import Permission
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError


def require_register(actor: Actor, subject: str, stream: Stream) -> None:
    """Refuse who may not register a version of this stream."""
    _require_known(actor, subject, stream)
    rights = producer_rights(actor)
    if rights is None:
        _require_edit(actor, subject, stream)
    elif not rights.may_publish(stream):
        raise denied(
            f"This key may not publish to {stream.name}. Ask for the permission publish at "
            f"{access.ask_url(stream.ref)}"
        )


def require_administer(actor: Actor, subject: str, stream: Stream) -> None:
    """Refuse who may neither set the rules of this subject nor delete it."""
    require_register(actor, subject, stream)
    rights = producer_rights(actor)
    if rights is None:
        return
    is_team = rights.producer.team_id is not None and (
        rights.producer.team_id == stream.owner_team_id
    )
    is_ownerless = (
        stream.owner_team_id is None
        and RegistrySubject.objects.filter(stream=stream, made_stream=True).exists()
    )
    if not (is_team or is_ownerless):
        raise denied(f"Only producers of the team that owns {stream.name} may do this.")


def require_newcomer(actor: Actor, subject: str) -> None:
    """Refuse who may not make the stream of a subject that nobody registered yet."""
    rights = producer_rights(actor)
    if rights is None:
        require_registrar(actor)
        return
    name = new_name(subject, domain=new_domain(actor))
    has_team = rights.producer.team_id is not None and bool(rights.key_pattern.fullmatch(name))
    if not has_team and not rights.covers(name):
        raise denied(
            f"This key may not make {name}: its producer has no team, and no pattern lets it "
            "publish there. An admin gives either."
        )


def new_domain(actor: Actor) -> str:
    """Where subjects of a single part go: the producer's default domain."""
    rights = producer_rights(actor)
    return (rights.producer.default_domain if rights is not None else "") or "imported"


def new_owner(actor: Actor) -> Team | None:
    """The team that owns what the caller makes: the producer's, or the person's (the first of
    several by name)."""
    rights = producer_rights(actor)
    if rights is not None:
        return rights.producer.team
    return Team.objects.filter(pk__in=actor.team_ids).order_by("slug").first()


def _require_known(actor: Actor, subject: str, stream: Stream) -> None:
    if not registry_streams(actor).filter(pk=stream.pk).exists():
        raise subject_not_found(subject)


def _require_edit(actor: Actor, subject: str, stream: Stream) -> None:
    try:
        access.require(actor, Permission.EDIT, stream)
    except NotFoundError as error:
        raise subject_not_found(subject) from error
