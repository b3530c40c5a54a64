"""Celery entries of analytics."""

from celery import shared_task

from analytics.services.rollups import roll_up


@shared_task(name="analytics.roll_up")
def roll_up_counts() -> None:
    roll_up()
