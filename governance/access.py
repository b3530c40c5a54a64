"""Who may do what to which thing: the only place that decides.

One predicate serves lists and single objects alike. It is a `Q` over the protected model, so the
decision is part of the statement that reads, and terms are judged by the database's clock in that
statement. In words, a person holds a permission on a thing when one of these is true:

1. the thing is open to it: whatever is not restricted may be discovered by everybody;
2. their team owns the thing (or its parent, where the thing has no owner): all but personal fields;
3. their role gives it: admins see and edit everything and read payloads with personal fields
   masked; on-call may discover everything;
4. a live grant says so, on the thing or on its parent, to the person or to one of their teams;
5. to approve only: somebody who holds it by 2 or 4 is away and made them their deputy.

The key of a producer or a consumer holds it by 1, or by 4 where the grant is to that producer or
consumer and the key's glob covers the thing; `governance.programs` says what each may hold at all.
Where a producer may publish by mapping, ingest and the registry know beside this.
A personal token narrows all of it by its scopes. Nothing else grants anything.

The models above register themselves (`protect`) at start-up, because governance lies below them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeVar

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as PermissionRow
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Now
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from governance import held, programs
from governance.errors import ScopeNeededError
from governance.grant_words import reach_of
from governance.models import Delegation, Membership, User
from governance.types import Governed, Permission, ResourceRef
from portal.kernel.actor import Actor, ActorKind
from portal.kernel.errors import NotFoundError, NotPermittedError

M = TypeVar("M", bound=Model)

# A grant of the permissions on the right also gives the one on the left.
GIVEN_BY: Final[dict[Permission, tuple[Permission, ...]]] = {
    Permission.DISCOVER: tuple(Permission),
    Permission.READ_PAYLOAD: (Permission.READ_PAYLOAD, Permission.READ_PERSONAL),
    Permission.READ_PERSONAL: (Permission.READ_PERSONAL,),
    Permission.PUBLISH: (Permission.PUBLISH, Permission.ADMINISTER),
    Permission.EDIT: (Permission.EDIT, Permission.ADMINISTER),
    Permission.APPROVE: (Permission.APPROVE, Permission.ADMINISTER),
    Permission.ADMINISTER: (Permission.ADMINISTER,),
}
OWNED: Final = frozenset(
    {
        Permission.DISCOVER,
        Permission.READ_PAYLOAD,
        Permission.PUBLISH,
        Permission.EDIT,
        Permission.APPROVE,
        Permission.ADMINISTER,
    }
)
BY_ROLE: Final[dict[str, frozenset[Permission]]] = {
    "admin": frozenset(
        {
            Permission.DISCOVER,
            Permission.READ_PAYLOAD,
            Permission.EDIT,
            Permission.APPROVE,
            Permission.ADMINISTER,
        }
    ),
    "on_call": frozenset({Permission.DISCOVER}),
}
SCOPE: Final[dict[Permission, str]] = {
    Permission.DISCOVER: "read",
    Permission.READ_PAYLOAD: "read",
    Permission.READ_PERSONAL: "read",
    Permission.PUBLISH: "write",
    Permission.EDIT: "write",
    Permission.APPROVE: "approve",
    Permission.ADMINISTER: "admin",
}
# What a grant of some fields narrows.
READS: Final = frozenset({Permission.READ_PAYLOAD, Permission.READ_PERSONAL})
NOBODY: Final = Q(pk__in=[])


@dataclass(frozen=True, slots=True)
class Protected:
    """How a model is protected: its grant tables, its owner column and its parent, if any.

    `fields` gives the fields of a thing that a grant may be about, by path, each with its
    classification; without it a grant is about all of the thing. `program_grants` are the tables of
    what producers and consumers hold; of things with globs, a key reaches those that its glob covers.
    `facts` are those of a thing that policies on requests read, as `resource`.
    """

    kind: str
    model: type[Model]
    user_grants: type[UserObjectPermissionBase]
    group_grants: type[GroupObjectPermissionBase]
    find: Callable[[str], Model | None]
    owner: str = "owner_team"
    parent: str | None = None
    restricted: str | None = None
    key: str = "name"  # the column that a reference's key names it by
    fields: Callable[[Any], Mapping[str, str]] | None = None
    program_grants: Mapping[ActorKind, type[Model]] = field(default_factory=dict)
    has_globs: bool = False
    facts: Callable[[Any], Mapping[str, Any]] | None = None


_PROTECTED: dict[type[Model], Protected] = {}


def protect(protected: Protected) -> None:
    """Register a model and its grant tables; called once by its app at start-up."""
    _PROTECTED[protected.model] = protected


def protected_kinds() -> dict[str, Protected]:
    """What can be granted on, by kind."""
    return {protected.kind: protected for protected in _PROTECTED.values()}


def find_resource(ref: ResourceRef) -> Model:
    """The protected thing of a reference; NotFoundError without one."""
    protected = protected_kinds().get(ref.kind)
    found = protected.find(ref.key) if protected is not None else None
    if found is None:
        raise NotFoundError
    return found


def fields_of(thing: Model) -> Mapping[str, str] | None:
    """The fields of a thing that a grant may be about, by path, each with its classification; None
    where it is granted whole."""
    fields = _PROTECTED[type(thing)].fields
    return fields(thing) if fields is not None else None


def facts_of(thing: Model) -> Mapping[str, Any]:
    """What policies on requests read of a thing, by name."""
    facts = _PROTECTED[type(thing)].facts
    return facts(thing) if facts is not None else {}


def condition(
    actor: Actor,
    permission: Permission,
    model: type[Model],
    *,
    via: str = "",
    scope: str | None = None,
) -> Q:
    """The predicate as a `Q`; `via` is the path to the protected model from the one filtered.

    `scope` is what a token needs where holding the permission only opens a view of things.
    """
    if actor.is_system:
        return Q()
    if via:
        held = model._default_manager.filter(condition(actor, permission, model, scope=scope))
        return Q(**{f"{via}__in": held.values("pk")})
    protected = _PROTECTED[model]
    opened = _open(protected, permission)
    if not actor.is_person:
        return opened | _granted(protected, actor, permission)
    if (scope or SCOPE[permission]) not in actor.scopes:
        return NOBODY
    if any(permission in given for role, given in BY_ROLE.items() if _acts_as(actor, role)):
        return Q()
    return opened | _owned(protected, actor, permission) | _granted(protected, actor, permission)


def permitted(
    actor: Actor, permission: Permission, queryset: QuerySet[M], *, scope: str | None = None
) -> QuerySet[M]:
    """Those things of a queryset on which the actor holds the permission."""
    return queryset.filter(condition(actor, permission, queryset.model, scope=scope))


def discoverable(actor: Actor, queryset: QuerySet[M]) -> QuerySet[M]:
    """Those things of a queryset that the actor may know of."""
    return permitted(actor, Permission.DISCOVER, queryset)


def refers_to_known(actor: Actor, *, kind: str, key: str) -> Q:
    """Rows whose two columns name a thing that the actor may know of, or nothing protected."""
    known = ~Q(**{f"{kind}__in": list(protected_kinds())})
    for protected in _PROTECTED.values():
        things = discoverable(actor, protected.model._default_manager.all()).order_by()
        known |= Q(**{kind: protected.kind, f"{key}__in": things.values(protected.key)})
    return known


def holders(permission: Permission, thing: Governed) -> set[int]:
    """The people who hold a permission on a thing as its owners or by a live grant, not by role.

    Those whom a role gives it are not meant by it: an admin may decide everywhere and is asked
    only where nobody else is.
    """
    assert isinstance(thing, Model)
    found = held_by(permission, [thing])[thing.pk]
    if permission is Permission.APPROVE:
        deputies = _delegations().filter(person__in=found)
        found = found | set(deputies.values_list("deputy_id", flat=True))
    return found or set(
        User.objects.filter(groups__name="admin", is_active=True).values_list("pk", flat=True)
    )


def held_by(permission: Permission, things: Sequence[Model]) -> dict[Any, set[int]]:
    """For each of many things of one model, by primary key, the people who hold a permission on it
    as its owners or by a live grant, not by role. Their parents are read before."""
    found: dict[Any, set[int]] = {thing.pk: set() for thing in things}
    owned: dict[int, list[Any]] = {}
    placed: dict[type[Model], tuple[Protected, dict[Any, list[Any]]]] = {}
    for thing in things:
        levels = _levels(_PROTECTED[type(thing)], thing)
        for protected, target in levels:
            _, mine = placed.setdefault(type(target), (protected, {}))
            mine.setdefault(target.pk, []).append(thing.pk)
        owners = [getattr(target, "owner_team_id", None) for _, target in levels]
        if owner := next((one for one in owners if one), None):
            owned.setdefault(owner, []).append(thing.pk)
    held: list[tuple[Any, int]] = []
    for protected, targets in placed.values():
        users = _live(protected.user_grants, permission).filter(content_object__in=targets)
        groups = _live(protected.group_grants, permission).filter(
            content_object__in=targets, group__user__gt=0
        )
        for rows, column in ((users, "user_id"), (groups, "group__user")):
            for target, user in rows.values_list("content_object_id", column):
                held += [(pk, user) for pk in targets[target]]
    if permission in OWNED:
        members = Membership.objects.filter(team__in=owned)
        for team, user in members.values_list("team_id", "user_id"):
            held += [(pk, user) for pk in owned[team]]
    for pk, user in held:
        found[pk].add(user)
    return found


def may(actor: Actor, permission: Permission, thing: Governed) -> bool:
    """Whether the actor holds the permission on one thing, judged now by the database."""
    assert isinstance(thing, Model)
    return permitted(actor, permission, type(thing)._default_manager.filter(pk=thing.pk)).exists()


def require(actor: Actor, permission: Permission, thing: Governed) -> None:
    """Refuse unless the actor holds the permission on the thing.

    Who may not even know of it gets NotFoundError, as if it did not exist; who may know of it
    gets NotPermittedError with the permission and where to ask for it.
    """
    if may(actor, permission, thing):
        return
    if permission is Permission.DISCOVER or not may(actor, Permission.DISCOVER, thing):
        raise NotFoundError
    if actor.is_person and SCOPE[permission] not in actor.scopes:
        raise ScopeNeededError(SCOPE[permission], about=thing.ref.as_pair())
    raise NotPermittedError(
        f"This needs the permission {permission.value} on {thing.ref}.",
        code="permission_missing",
        permission=permission.value,
        request_at=ask_url(thing.ref),
        about=thing.ref.as_pair(),
    )


def ask_url(ref: ResourceRef) -> str:
    """Where a person asks for access to a thing."""
    return f"/access/new/?{ref.kind}={ref.key}"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why somebody holds a permission: `by` is open, owner, role or grant."""

    by: str
    text: str
    until: datetime | None = None
    purpose: str = ""


def explain(actor: Actor, permission: Permission, thing: Governed) -> list[Reason]:
    """Every reason for which the actor holds the permission; empty when they do not."""
    assert isinstance(thing, Model)
    if actor.is_person and SCOPE[permission] not in actor.scopes:
        return []
    protected = _PROTECTED[type(thing)]
    one = type(thing)._default_manager.filter(pk=thing.pk)
    reasons = [
        Reason("role", f"the role {role} gives it")
        for role, given in BY_ROLE.items()
        if permission in given and _acts_as(actor, role)
    ]
    if one.filter(_open(protected, permission)).exists():
        reasons.append(Reason("open", "it is open to everybody here"))
    if one.filter(_owned_by(protected, actor.team_ids, permission)).exists():
        reasons.append(Reason("owner", "your team owns it"))
    for row in live_rows(actor, permission, thing, with_holder=True):
        how = f"granted {reach_of(row, permission, protected.kind)} by {row.granted_by}"
        reasons.append(Reason("grant", how, row.valid_until, row.purpose))
    if permission is Permission.APPROVE and actor.is_person and not reasons:
        reasons += [
            Reason("deputy", f"you decide for {each.person.email}", each.until, each.note)
            for each in _delegations(actor).select_related("person")
            if each.person_id in holders(permission, thing)
        ]
    return reasons


def live_rows(
    actor: Actor, permission: Permission, thing: Governed, *, with_holder: bool = False
) -> list[Any]:
    """The grants by which somebody holds a permission on a thing now, by the database's clock."""
    assert isinstance(thing, Model)
    protected = _PROTECTED[type(thing)]
    if not _may_hold(actor, permission) or not _is_reached(protected, actor, thing):
        return []
    found = []
    for holder, target in _levels(protected, thing):
        for grants, mine in _grant_tables(holder, actor, [actor.id]):
            rows = _live(grants, permission).filter(mine, content_object=target)
            found += list(_with_holder(rows) if with_holder else rows.select_related("permission"))
    return found


def is_reached(actor: Actor, thing: Governed) -> bool:
    """Whether the glob of a key covers a thing; of everybody else, yes."""
    assert isinstance(thing, Model)
    return _is_reached(_PROTECTED[type(thing)], actor, thing)


def grants_of_program(kind: ActorKind, program_id: int, model: type[Model]) -> QuerySet[Any]:
    """The grants of a producer or a consumer on things of a model that are not over, by the
    database's clock; some of them may begin later."""
    table: Any = _PROTECTED[model].program_grants[kind]
    rows: QuerySet[Any] = table._default_manager.filter(
        **{kind.value: program_id}, valid_until__gt=Now(), revoked_at=None
    )
    return rows


def ended_rows(
    actor: Actor, permission: Permission, thing: Governed, *, most: int
) -> list[tuple[Any, Any]]:
    """Grants that would give it and hold no longer, the latest first, each with what it is on: to
    the person, to their teams and roles, or to a key's holder, on the thing or on its parent."""
    assert isinstance(thing, Model)
    if not _may_hold(actor, permission):
        return []
    found: list[tuple[Any, Any]] = []
    for protected, target in _levels(_PROTECTED[type(thing)], thing):
        for grants, mine in _grant_tables(protected, actor, [actor.id]):
            rows = (
                _giving(grants, permission)
                .filter(mine, content_object=target)
                .filter(Q(valid_until__lte=Now()) | Q(revoked_at__isnull=False))
                .order_by("-valid_until")
            )
            found += [(row, target) for row in _with_holder(rows)[:most]]
    found.sort(key=lambda pair: pair[0].revoked_at or pair[0].valid_until, reverse=True)
    return found[:most]


def levels_of(thing: Governed) -> list[Any]:
    """The thing, and what it lies in: where a grant on it may be."""
    assert isinstance(thing, Model)
    return [target for _, target in _levels(_PROTECTED[type(thing)], thing)]


def holds_all(actor: Actor, permission: Permission, thing: Governed) -> bool:
    """Whether it is theirs without a grant: by role, or because their team owns the thing."""
    assert isinstance(thing, Model)
    if actor.is_system:
        return True
    if any(permission in given for role, given in BY_ROLE.items() if _acts_as(actor, role)):
        return True
    owned = _owned_by(_PROTECTED[type(thing)], actor.team_ids, permission)
    return type(thing)._default_manager.filter(owned, pk=thing.pk).exists()


def held_without(
    actor: Actor,
    permission: Permission,
    protected: Protected,
    *,
    until: datetime,
    fields: Collection[str] = (),
    row: Model | None = None,
) -> Q:
    """The things that a person has a permission on, for at least so long and of these fields (none:
    of all), if one grant (`row`) did not exist. What they decide as somebody's deputy is not meant.
    """
    if any(permission in given for role, given in BY_ROLE.items() if _acts_as(actor, role)):
        return Q()
    found = _open(protected, permission) | _owned_by(protected, actor.team_ids, permission)
    whole = Q(fields=[])
    if permission not in READS:
        whole = Q()
    elif fields:
        whole |= Q(fields__contains=sorted(fields))
    levels = [("pk", protected)]
    if protected.parent:
        levels.append((protected.parent, parent_of(protected)))
    for column, level in levels:
        for grants, mine in _grant_tables(level, actor, [actor.id]):
            rows = _live(grants, permission).filter(mine, whole, valid_until__gte=until)
            if isinstance(row, grants):
                rows = rows.exclude(pk=row.pk)
            found |= Q(**{f"{column}__in": rows.values("content_object_id")})
    return found


def _acts_as(actor: Actor, role: str) -> bool:
    return actor.is_admin if role == "admin" else actor.has_role(role)


def _open(protected: Protected, permission: Permission) -> Q:
    if permission is not Permission.DISCOVER:
        return NOBODY
    return Q(**{protected.restricted: False}) if protected.restricted else Q(pk__isnull=False)


def _owned(protected: Protected, actor: Actor, permission: Permission) -> Q:
    owned = _owned_by(protected, actor.team_ids, permission)
    if permission is Permission.APPROVE:
        away = _delegations(actor).values("person")
        teams = Membership.objects.filter(user__in=away).values("team")
        owned |= _owned_by(protected, teams, permission)
    return owned


def _owned_by(protected: Protected, teams: Any, permission: Permission) -> Q:
    """Things of teams, given as numbers or as a query of them."""
    if permission not in OWNED or (isinstance(teams, frozenset) and not teams):
        return NOBODY
    owned = Q(**{f"{protected.owner}__in": teams})
    if protected.parent:
        no_own, of_parent = f"{protected.owner}__isnull", f"{protected.parent}__owner_team__in"
        owned |= Q(**{no_own: True, of_parent: teams})
    return owned


def _delegations(actor: Actor | None = None) -> QuerySet[Delegation]:
    """Who is away now and has a deputy; of one deputy where an actor is given."""
    rows = Delegation.objects.filter(since__lte=Now(), until__gt=Now(), ended_at=None)
    return rows if actor is None else rows.filter(deputy_id=actor.id)


def approved_by(actor: Actor, protected: Protected) -> QuerySet[Any]:
    """The things on which the actor decides: what their teams own, and what a grant lets them
    approve on. A role that decides everywhere is not meant, as `holders` does not mean it."""
    return protected.model._default_manager.filter(
        _owned(protected, actor, Permission.APPROVE)
        | _granted(protected, actor, Permission.APPROVE)
    )


def _granted(protected: Protected, actor: Actor, permission: Permission) -> Q:
    if not _may_hold(actor, permission):
        return NOBODY
    levels = [("pk", protected)]
    if protected.parent:
        levels.append((protected.parent, parent_of(protected)))
    found = NOBODY
    for column, level in levels:
        ids = _permission_ids(level.kind, permission)
        if actor.is_person:
            things = held.by_person(
                level.user_grants, level.group_grants, actor.id, ids,
                and_absent=permission is Permission.APPROVE,
            )  # fmt: skip
        elif table := level.program_grants.get(actor.kind):
            things = held.by_program(table, actor.kind.value, actor.id, ids)
        else:
            continue
        found |= Q(**{f"{column}__in": things})
    return found & _reach(protected, actor)


def _may_hold(actor: Actor, permission: Permission) -> bool:
    """Whether there can be a grant of it to the actor at all."""
    return actor.is_person or programs.may_hold(actor.kind, permission)


def _reach(protected: Protected, actor: Actor) -> Q:
    """The things that a key's glob covers; all of them for people, whose tokens have none."""
    if actor.streams == programs.ANY_STREAM or not protected.has_globs:
        return Q()
    return Q(**{f"{protected.key}__regex": programs.glob_pattern(actor.streams)})


def _is_reached(protected: Protected, actor: Actor, thing: Model) -> bool:
    reach = _reach(protected, actor)
    return not reach or type(thing)._default_manager.filter(reach, pk=thing.pk).exists()


def parent_of(protected: Protected) -> Protected:
    """How what a thing lies in is protected; only for those with a parent."""
    related = protected.model._meta.get_field(protected.parent or "").related_model
    assert isinstance(related, type)
    return _PROTECTED[related]


def _levels(protected: Protected, thing: Model) -> list[tuple[Protected, Model]]:
    levels = [(protected, thing)]
    if protected.parent:
        levels.append((parent_of(protected), getattr(thing, protected.parent)))
    return levels


def _grant_tables(protected: Protected, actor: Actor, people: Any) -> list[tuple[type[Any], Q]]:
    """Grants to people, and to the groups they are in: their teams and roles; of a key, to who holds
    it."""
    if not actor.is_person:
        table = protected.program_grants.get(actor.kind)
        return [(table, Q(**{actor.kind.value: actor.id}))] if table is not None else []
    groups = Group.objects.filter(user__in=people)
    return [
        (protected.user_grants, Q(user__in=people)),
        (protected.group_grants, Q(group__in=groups.values("pk"))),
    ]


def _live(grants: type[Any], permission: Permission) -> QuerySet[Any]:
    """The grant rows that hold at this moment of the database's clock."""
    return held.live(_giving(grants, permission))


def _giving(grants: type[Any], permission: Permission) -> QuerySet[Any]:
    """The grant rows that give a permission, or gave it."""
    kind = grants._meta.get_field("content_object").related_model._meta.model_name
    rows: QuerySet[Any] = grants._default_manager.filter(
        permission_id__in=_permission_ids(kind, permission)
    )
    return rows


def _with_holder(rows: QuerySet[Any]) -> QuerySet[Any]:
    """With what is told of a grant: its permission, its holder and what it is on."""
    names = {each.name for each in rows.model._meta.get_fields()}
    holder = next(name for name in ("user", "group", "consumer", "producer") if name in names)
    joined = "group__team" if holder == "group" else holder
    return rows.select_related("permission", "content_object", joined)


@cache
def _permission_ids(kind: str, permission: Permission) -> tuple[int, ...]:
    """The rows of Django's permission table that give a permission; they change with migrations."""
    codes = [f"{given.value}_{kind}" for given in GIVEN_BY[permission]]
    return tuple(
        PermissionRow.objects.filter(codename__in=codes).order_by("pk").values_list("pk", flat=True)
    )


def forget_permission_ids(**kwargs: Any) -> None:
    """Read the permission rows again; connected to `post_migrate`."""
    _permission_ids.cache_clear()
