"""Celery entries of quality."""

from celery import shared_task

from quality.services.baselines import learn_baselines
from quality.services.evaluation import run_checks


@shared_task(name="quality.run_checks")
def run_all_checks(track: str | None = None) -> None:
    run_checks(track=track)


@shared_task(name="quality.learn_baselines")
def learn_all_baselines(track: str | None = None) -> None:
    learn_baselines(track=track)
