"""Celery entries of governance."""

from celery import shared_task

from governance.services.anchoring import anchor_or_say_why
from governance.services.answers import forget_old_answers
from governance.services.audit_out import send_audit_out
from governance.services.escalation import escalate_erasures, escalate_requests
from governance.services.jobs import run_due_jobs
from governance.services.key_uses import forget_old_uses
from governance.services.mails import send_due_mails
from governance.services.notices import forget_old_notices
from governance.services.policy_runs import run_nightly
from governance.services.reviews import keep_reviews
from governance.services.subject_exports import remove_old_exports
from governance.services.verification import verify_chain


@shared_task(name="governance.verify_audit")
def verify_audit() -> None:
    verify_chain()


@shared_task(name="governance.anchor_audit")
def anchor_audit() -> None:
    anchor_or_say_why()


@shared_task(name="governance.send_audit_out")
def send_audit() -> None:
    send_audit_out()


@shared_task(name="governance.escalate_requests")
def escalate() -> None:
    escalate_requests()
    escalate_erasures()


@shared_task(name="governance.forget_answers")
def forget_answers() -> None:
    forget_old_answers()


@shared_task(name="governance.run_jobs")
def run_jobs(track: str | None = None) -> None:
    run_due_jobs(track=track)


@shared_task(name="governance.send_mails")
def send_mails() -> None:
    send_due_mails()


@shared_task(name="governance.forget_notices")
def forget_notices() -> None:
    forget_old_notices()


@shared_task(name="governance.forget_key_uses")
def forget_key_uses() -> None:
    forget_old_uses()


@shared_task(name="governance.run_policies")
def run_policies() -> None:
    run_nightly()


@shared_task(name="governance.keep_reviews")
def review() -> None:
    keep_reviews()


@shared_task(name="governance.remove_exports")
def remove_exports() -> None:
    remove_old_exports()
