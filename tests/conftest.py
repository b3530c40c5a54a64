"""Fixtures that every test may use. `manage.py test` provides the servers and the variables."""
