"""Composition root: settings, URLs, Celery, the launcher, home and search."""
