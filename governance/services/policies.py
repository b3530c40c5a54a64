"""Writing policies: make, change, switch off until a day, switch on. By admins, each audited.

Each change of what is judged is a version that stays. Whatever changes what a policy finds starts
a run of that policy over all its things.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F

from governance import audit
from governance.errors import RoleNeededError
from governance.models import Policy, PolicyFinding, PolicyVersion
from governance.models.policies import FOR_GOOD
from governance.policies import facts
from governance.policies.built_in import BUILT_IN, BuiltIn
from governance.policies.judging import check_expression
from governance.services.policy_runs import close_findings, start_run
from governance.types import Severity
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.cel import MAX_CHARACTERS
from portal.kernel.errors import (
    FieldError,
    InvalidError,
    InvalidStateError,
    PreconditionFailedError,
)
from portal.kernel.once import only_once
from portal.kernel.slugs import check_slug

CHANGEABLE: Final = ("title", "sentence", "expression", "remedy", "severity")
LONGEST_OFF: Final = timedelta(days=366)
MAX_REASON: Final = 1_000
_EXAMPLE: Final = "It is an example. Switch it on where it says what this house wants."
_KEPT_SLUGS: Final = frozenset(
    {"new", "try", "run", "waivers", "findings", "facts", "export", "compliance"}
)
_TEXTS: Final = {"title": (1, 120), "sentence": (1, 1_000), "remedy": (0, 1_000)}


def require_admin(actor: Actor) -> None:
    """Refuse whoever is no admin acting with the scope `admin`."""
    if not actor.is_admin:
        raise RoleNeededError("Policies are made and waived by admins.", "admin")


@transaction.atomic
def create_policy(
    slug: str,
    *,
    actor: Actor,
    title: str,
    sentence: str,
    subject: str,
    expression: str,
    severity: str = Severity.WARN,
    remedy: str = "",
    note: str = "",
) -> Policy:
    """Make a policy; it is on at once, and a run looks what it finds.

    Raises InvalidError for an expression that cannot judge, ConflictError when the slug is taken.
    """
    require_admin(actor)
    check_slug(slug)
    if slug in _KEPT_SLUGS:
        raise InvalidError(
            "The name breaks a rule.", errors=[FieldError("/slug", "slug", "is kept for a page")]
        )
    values = {
        "title": title.strip(), "sentence": sentence.strip(), "expression": expression.strip(),
        "severity": severity, "remedy": remedy.strip(),
    }  # fmt: skip
    _check(values, subject, note)
    with only_once("There is a policy of this name already."):
        policy = Policy.objects.create(slug=slug, subject=subject, **values)
    _keep_version(policy, actor, note)
    start_run(actor=actor, policy=policy)
    audit.record(
        actor, "policy.created", policy.ref, summary=f"made the policy {policy.title}", after=values
    )
    return policy


@transaction.atomic
def change_policy(
    policy: Policy,
    changes: Mapping[str, Any],
    *,
    actor: Actor,
    revision: int | None = None,
    note: str = "",
) -> Policy:
    """Change what a policy says, as its next version. What is the same already changes nothing.

    Raises PreconditionFailedError when somebody changed it since `revision`.
    """
    require_admin(actor)
    if unknown := set(changes) - set(CHANGEABLE):
        raise InvalidError(
            "Some members cannot be changed.",
            errors=[FieldError(f"/{name}", "fixed", "cannot be changed") for name in unknown],
        )
    _check(changes, policy.subject, note)
    held = _held(policy, revision)
    values = {name: str(value).strip() for name, value in changes.items()}
    before = {name: getattr(held, name) for name in values if getattr(held, name) != values[name]}
    if not before:
        return held
    after = {name: values[name] for name in before}
    _update(held, version=F("version") + 1, **after)
    _keep_version(held, actor, note)
    start_run(actor=actor, policy=held)
    audit.record(
        actor,
        "policy.changed",
        held.ref,
        summary=f"changed {', '.join(before)} of the policy {held.title}",
        before=before,
        after=after | ({"note": note.strip()} if note.strip() else {}),
    )
    return held


@transaction.atomic
def switch_off(
    policy: Policy, *, actor: Actor, reason: str, until: datetime, revision: int | None = None
) -> Policy:
    """Have a policy judge nothing until a day, a year ahead at most; then it is on by itself."""
    require_admin(actor)
    said = checked_term(reason, until)
    held = _held(policy, revision)
    _update(held, off_until=until, off_reason=said, off_by=actor.label)
    close_findings(PolicyFinding.objects.filter(policy=held))
    audit.record(
        actor,
        "policy.switched_off",
        held.ref,
        summary=f"switched off the policy {held.title} until {until:%Y-%m-%d}",
        after={"reason": said, "until": until},
    )
    return held


@transaction.atomic
def switch_on(policy: Policy, *, actor: Actor, revision: int | None = None) -> Policy:
    """Have a policy judge again before its day. InvalidStateError when it does already."""
    require_admin(actor)
    held = _held(policy, revision)
    if not held.is_off:
        raise InvalidStateError("The policy is on.")
    _update(held, off_until=None, off_reason="", off_by="")
    start_run(actor=actor, policy=held)
    audit.record(
        actor, "policy.switched_on", held.ref, summary=f"switched on the policy {held.title}"
    )
    return held


def checked_term(reason: str, until: datetime) -> str:
    """The reason without blanks around it; InvalidError without one, or for an end that does not
    lie ahead within a year."""
    said, faults = reason.strip(), []
    if not said or len(said) > MAX_REASON or "\0" in said:
        faults.append(FieldError("/reason", "required", "say why, in 1 to 1,000 characters"))
    if not clock.now() < until <= clock.now() + LONGEST_OFF:
        faults.append(FieldError("/until", "range", "must lie ahead, within a year"))
    if faults:
        raise InvalidError("It needs a reason and an end.", errors=faults)
    return said


@transaction.atomic
def sync_built_in() -> int:
    """Make the built-in policies that are missing, and bring up to date those that no person ever
    changed; gives how many were written. Safe to run twice; runs after each migration."""
    known = {row.slug: row for row in Policy.objects.filter(built_in=True)}
    written = 0
    for one in BUILT_IN:
        found = known.get(one.slug)
        if found is None:
            written += _add_built_in(one)
        elif not _is_edited(found) and any(
            getattr(found, name) != getattr(one, name) for name in CHANGEABLE
        ):
            _update(
                found, version=F("version") + 1, **{name: getattr(one, name) for name in CHANGEABLE}
            )
            _keep_version(found, SYSTEM, "Comes with this release.")
            written += 1
    return written


def after_migration(plan: Sequence[Any] = (), **kwargs: Any) -> None:
    """Connected to `post_migrate`: where the tables are there, so are the built-in policies."""
    if Policy._meta.db_table in connection.introspection.table_names():
        sync_built_in()


def _add_built_in(one: BuiltIn) -> bool:
    """Make one, unless an admin has a policy of that name."""
    values = {name: getattr(one, name) for name in CHANGEABLE}
    off: dict[str, Any] = {}
    if one.is_off:
        off = {"off_until": FOR_GOOD, "off_reason": _EXAMPLE, "off_by": SYSTEM.label}
    policy, is_new = Policy.objects.get_or_create(
        slug=one.slug, defaults={"subject": one.subject, "built_in": True, **values, **off}
    )
    if is_new:
        _keep_version(policy, SYSTEM, "Comes with the portal.")
    return is_new


def _is_edited(policy: Policy) -> bool:
    return policy.versions.exclude(by=SYSTEM.label).exists()


def _held(policy: Policy, revision: int | None) -> Policy:
    """The policy as it is now, its row held; PreconditionFailedError when it was changed since."""
    held = Policy.objects.select_for_update(no_key=True).get(pk=policy.pk)
    if revision is not None and held.revision != revision:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    return held


def _update(policy: Policy, **values: Any) -> None:
    Policy.objects.filter(pk=policy.pk).update(
        revision=F("revision") + 1, updated_at=clock.now(), **values
    )
    policy.refresh_from_db()


def _keep_version(policy: Policy, actor: Actor, note: str) -> None:
    PolicyVersion.objects.create(
        policy=policy,
        version=policy.version,
        note=note.strip(),
        at=clock.now(),
        by=actor.label,
        **{name: getattr(policy, name) for name in CHANGEABLE},
    )


def _check(values: Mapping[str, Any], subject: str, note: str) -> None:
    kind = facts.subject_of(subject)
    faults = []
    for name, (least, most) in _TEXTS.items():
        text = values.get(name)
        if text is not None and (not least <= len(text.strip()) <= most or "\0" in text):
            faults.append(FieldError(f"/{name}", "text", f"from {least} to {most:,} characters"))
    if "severity" in values and values["severity"] not in Severity.values:
        faults.append(
            FieldError("/severity", "choice", f"must be one of {', '.join(Severity.values)}")
        )
    if len(note) > MAX_REASON or "\0" in note:
        faults.append(FieldError("/note", "text", f"at most {MAX_REASON:,} characters"))
    if "expression" in values and (
        "\0" in values["expression"] or len(values["expression"]) > MAX_CHARACTERS
    ):
        faults.append(
            FieldError("/expression", "expression", f"at most {MAX_CHARACTERS:,} characters")
        )
    if faults:
        raise InvalidError("The policy breaks a rule.", errors=faults)
    if "expression" in values:
        check_expression(values["expression"].strip(), kind)
