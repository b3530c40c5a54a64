"""What the launcher says when it cannot go on: one sentence and the way out."""


class LauncherError(Exception):
    pass


class StoppedError(Exception):
    """A stop was wanted before the portal was up: nothing is wrong, and nothing is said."""
