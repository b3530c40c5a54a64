"""Taking one stream in from outside through the same steps as the API, in one transaction.

Names are mapped (`catalog.naming.from_outside`) and keep their original as an alias. What a file
states is set, what it does not state stays as it is; taking the same in again changes nothing.

1. A file of another tool is taken kindly: nothing is refused for style or for breaking an earlier
   version (that opens a compatibility group); a fact that does not fit here is left out and noted.
2. A declaration (portal YAML) is taken at its word: a fact that does not fit refuses the stream, and
   so does a version that breaks a known stream's unless the file says that it opens a group.

Where a production stream asks for an approval, its new versions become proposals.
"""

from dataclasses import dataclass

from django.db import transaction

from catalog import naming
from catalog.exchange.documents import OutsideStream, Unreadable, description_of
from catalog.exchange.plans import Action, Breaking, Step, StreamPlan, VersionPlan
from catalog.exchange.portal_keys import foreign
from catalog.models import Stream, StreamAlias
from catalog.services import import_facts as facts
from catalog.services import import_versions as versions
from catalog.services.import_taking import Taking
from catalog.services.policing import keep_stream_in_order
from catalog.services.streams import NewStream, is_taken, register_stream
from catalog.services.telling import tell_of_activation
from governance import access, audit
from governance.models import Team
from governance.types import Permission
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, InvalidError, PortalError, sentence


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one stream. `plan.versions` follow the input."""

    stream: Stream
    plan: StreamPlan

    @property
    def is_new(self) -> bool:
        return self.plan.action is Action.CREATE

    @property
    def new_versions(self) -> int:
        """How many versions were added or proposed."""
        return len(self.plan.new_versions)

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions' numbers here, in the order of the input."""
        return tuple(one.version for one in self.plan.versions)


@transaction.atomic
def import_stream(
    outside: OutsideStream, *, actor: Actor, domain: str = "imported", declared: bool = False
) -> Imported:
    """Register a stream from outside or bring it up to date.

    Raises InvalidError for a name that leaves nothing or a schema that cannot be taken,
    ConflictError when the name is not to be had or a version of the same label holds something
    else here, NotPermittedError when the actor may not change what would change.
    """
    with audit.held_back():
        return _take(Taking(outside, actor, declared), domain)


def _take(taking: Taking, domain: str) -> Imported:
    outside = taking.outside
    name = naming.from_outside(outside.name, domain=_domain(outside.domain, domain))
    _check_domain(taking, name)
    stream = _known(taking, name)
    owner = facts.owner_of(taking)
    rest = outside.versions
    if stream is None:
        stream, rest = _register(taking, name, owner), rest[1:]
    else:
        facts.set_judging(taking, stream)
    versions.take_versions(taking, stream, rest)
    versions.deprecate_versions(taking, stream)
    facts.promote(taking, stream)
    facts.set_facts(taking, stream, facts.stated_facts(taking, stream, owner))
    facts.keep_aliases(taking, stream)
    facts.tie_parties(taking, stream)
    facts.ask_for_track(taking, stream)
    added = sum(one.step is Step.ADD for one in taking.versions)
    if taking.is_new or added:
        keep_stream_in_order(stream)
    if added and not taking.is_new:
        tell_of_activation(stream, stream.versions.latest("version"), by=taking.actor)
        audit.record(
            taking.actor,
            "schema.published",
            stream.ref,
            summary=f"imported {added} versions of {stream.name}",
        )
    return Imported(stream, _plan(taking, stream))


def _plan(taking: Taking, stream: Stream) -> StreamPlan:
    is_changed = bool(taking.changes) or any(one.step is not Step.KNOWN for one in taking.versions)
    known = Action.CHANGE if is_changed else Action.UNCHANGED
    return StreamPlan(
        name=stream.name,
        original=taking.outside.name,
        where=taking.outside.where,
        action=Action.CREATE if taking.is_new else known,
        changes=() if taking.is_new else tuple(taking.changes),
        versions=tuple(taking.versions),
        notes=tuple(taking.notes),
    )


def _known(taking: Taking, name: str) -> Stream | None:
    """The stream that this name from outside meant before, if the actor may know of it."""
    original = taking.outside.name
    alias = StreamAlias.objects.select_related("stream").filter(alias=original).first()
    found = alias.stream if alias is not None else None
    if found is None and original == name:
        found = Stream.objects.filter(name=name).first()
    if found is not None and not access.may(taking.actor, Permission.DISCOVER, found):
        raise ConflictError("The name is taken.", code="name_taken")
    return found


def _register(taking: Taking, name: str, owner: Team | None) -> Stream:
    outside = taking.outside
    if not outside.versions:
        raise InvalidError("A new stream needs a schema.", code="schema_missing")
    first, newest = outside.versions[0], outside.versions[-1]
    taking.is_new = True
    stated = facts.stated_facts(taking, None, owner)
    described = "" if taking.declared else description_of(newest.document)
    stream = register_stream(
        NewStream(
            name=naming.free_name(name, is_taken),
            document=first.document,
            description=stated.pop("description", described),
            title=stated.pop("title", ""),
            owner_team=stated.pop("owner_team", None) or _own_team(taking.actor),
            tags=stated.pop("tags", ()),
            label=versions.label_of(first),
            note=first.note or taking.note,
            origin="import",
            version_extensions=foreign(first.extensions),
            **{key: stated.pop(key) for key in ("tier", "classification") if key in stated},
            extra=stated,
        ),
        actor=taking.actor,
        is_whole=False,
    )
    taking.versions.append(VersionPlan(1, versions.label_of(first), Step.ADD))
    return stream


def _own_team(actor: Actor) -> Team | None:
    """Whose a stream is that no file gives to anybody: the team of who brings it, if they have one;
    they could not change it afterwards otherwise."""
    if actor.is_admin or len(actor.team_ids) != 1:
        return None
    return Team.objects.filter(pk__in=actor.team_ids).first()


def _check_domain(taking: Taking, name: str) -> None:
    said = taking.outside.domain
    if taking.declared and said and said != naming.domain_of(name):
        raise InvalidError(
            f"The domain of {name} is {naming.domain_of(name)}, its first part, not {said}.",
            code="domain",
        )


def import_or_refuse(
    outside: OutsideStream | Unreadable, *, actor: Actor, domain: str, declared: bool = False
) -> StreamPlan:
    """One stream taken in, or the plan that says why it was not."""
    if isinstance(outside, Unreadable):
        return unreadable(outside)
    try:
        return import_stream(outside, actor=actor, domain=domain, declared=declared).plan
    except PortalError as error:
        return refusal(outside, error)


def unreadable(found: Unreadable) -> StreamPlan:
    """The plan of what cannot be read: refused, with the reason."""
    return StreamPlan("", "", found.where, Action.REFUSED, refused=found.why)


def refusal(outside: OutsideStream, error: PortalError) -> StreamPlan:
    """The plan of a stream that was refused."""
    is_breaking = error.code == "incompatible"
    return StreamPlan(
        name="",
        original=outside.name,
        where=outside.where,
        action=Action.REFUSED,
        refused=error.detail if is_breaking else sentence(error),
        breaking=tuple(
            Breaking(path=one.pointer, change=one.code, detail=one.detail)
            for one in (error.errors if is_breaking else ())
        ),
    )


def _domain(said: str, default: str) -> str:
    """The domain of a name of a single part: the file's own, mapped, else the default."""
    if not said:
        return default
    return naming.from_outside(f"{said}/event", domain=default).rsplit(".", 1)[0]
