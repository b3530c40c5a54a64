"""The Celery application. Tasks are found in each app's `tasks.py`; the schedule is in settings."""

import os
from importlib import import_module

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

import_module("portal.watching_tasks")  # its signals

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
