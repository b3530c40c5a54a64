"""Celery entries of quality."""

from celery import shared_task

from quality.services.baselines import learn_baselines
from quality.services.evaluation import run_due_checks


@shared_task(name="quality.run_checks")
def run_all_checks() -> None:
    run_due_checks()


@shared_task(name="quality.learn_baselines")
def learn_all_baselines() -> None:
    learn_baselines()
