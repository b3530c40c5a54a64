"""What the launcher says when it cannot go on: one sentence and the way out."""


class LauncherError(Exception):
    pass
