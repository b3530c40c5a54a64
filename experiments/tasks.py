"""Celery entries of experiments."""

from celery import shared_task

from experiments.services.analysis import analyse, analyse_running


@shared_task(name="experiments.analyse")
def analyse_all() -> None:
    analyse_running()


@shared_task(name="experiments.analyse_one")
def analyse_one(experiment_id: int) -> None:
    analyse(experiment_id)
