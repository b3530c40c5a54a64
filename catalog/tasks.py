"""Celery entries of the catalog."""

from celery import shared_task

from catalog.services.drafts import thin_drafts
from catalog.services.endings import retire_due_streams
from catalog.services.lifecycle import retire_due_versions
from catalog.services.promotion_escalation import escalate_moves


@shared_task(name="catalog.retire_due_versions")
def retire_due() -> None:
    retire_due_versions()
    retire_due_streams()


@shared_task(name="catalog.escalate_moves")
def escalate() -> None:
    escalate_moves()


@shared_task(name="catalog.thin_drafts")
def thin() -> None:
    thin_drafts()
