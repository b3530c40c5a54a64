"""Bringing in whole files: of other tools stream by stream, declarations all or nothing.

A dry run does the same work and rolls it back, so what it says is what would be done.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from django.db import transaction

from catalog.exchange.documents import OutsideStream, Unreadable
from catalog.exchange.plans import Plan, StreamPlan
from catalog.exchange.portal_yaml import PortalFile
from catalog.services.declarations import Declaration
from catalog.services.imports import import_or_refuse
from governance import audit
from portal.kernel.actor import Actor

Tell = Callable[[str], None]


class _UndoneError(Exception):
    """Leaves a transaction so that it is rolled back."""


def import_streams(
    found: Iterable[OutsideStream | Unreadable],
    *,
    actor: Actor,
    domain: str = "imported",
    dry_run: bool = False,
    tell: Tell | None = None,
) -> Plan:
    """Take in each stream in a transaction of its own; what is refused is named, the rest is taken.

    A dry run holds one transaction over all of them and ends by undoing it.
    """
    if dry_run:
        return _tried(lambda: _import_all(found, actor, domain, tell))
    return replace(_import_all(found, actor, domain, tell), is_applied=True)


def apply_file(declared: PortalFile, *, actor: Actor, dry_run: bool = False) -> Plan:
    """Make the catalog as a portal file says: all of it or, with any refusal, nothing.

    What the file does not mention is left alone; nothing is ever removed.
    """
    plan = Plan(())
    try:
        with transaction.atomic(), audit.held_back():
            plan = Declaration(declared, actor).plan()
            if dry_run or plan.refused:
                raise _UndoneError
    except _UndoneError:
        return plan
    return replace(plan, is_applied=True)


def apply_files(files: Sequence[PortalFile], *, actor: Actor, dry_run: bool = False) -> list[Plan]:
    """Apply one file after the other, each as a whole. A dry run undoes all of them at the end, so
    that a file may build on one before it."""
    if not dry_run:
        return [apply_file(one, actor=actor) for one in files]
    plans: list[Plan] = []
    try:
        with transaction.atomic(), audit.held_back():
            plans = [replace(apply_file(one, actor=actor), is_applied=False) for one in files]
            raise _UndoneError
    except _UndoneError:
        return plans


def _tried(work: Callable[[], Plan]) -> Plan:
    plan = Plan(())
    try:
        with transaction.atomic(), audit.held_back():
            plan = work()
            raise _UndoneError
    except _UndoneError:
        return plan


def _import_all(
    found: Iterable[OutsideStream | Unreadable], actor: Actor, domain: str, tell: Tell | None
) -> Plan:
    plans: list[StreamPlan] = []
    for number, outside in enumerate(found, start=1):
        plans.append(import_or_refuse(outside, actor=actor, domain=domain))
        if tell is not None and number % 20 == 0:
            tell(f"{number} streams read, {Plan(tuple(plans)).new_versions} new versions")
    return Plan(tuple(plans))
