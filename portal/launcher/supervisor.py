"""Keeps the portal's processes running and stops them in order."""

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, TextIO

from portal.launcher.processes import Child, rotate

STEADY_SECONDS: Final = 30


class Supervisor:
    """Starts children in order; a crashed one comes back after 0.5 s, doubling to 30 s."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.stopping = False
        self._delay: dict[str, float] = {}
        self._due: dict[str, float] = {}

    def adopt(self, child: Child) -> None:
        """Watch a child that runs already."""
        self.children.append(child)

    def add(self, child: Child) -> None:
        """Start a child and watch it."""
        child.start()
        self.adopt(child)

    def listen(self) -> None:
        """Take Ctrl-C, SIGTERM and a closed terminal (unless `nohup` bars it) as wish to stop."""
        signal.signal(signal.SIGINT, self._stop_wanted)
        signal.signal(signal.SIGTERM, self._stop_wanted)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._stop_wanted)

    def is_stopping(self) -> bool:
        return self.stopping

    def _stop_wanted(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def run(self, look: Callable[[], None] = lambda: None) -> None:
        """Watch until a stop is wanted; `look` is called on each round."""
        while not self.stopping:
            self.revive()
            look()
            time.sleep(0.2)

    def wait_for(self, is_ready: Callable[[], bool], *, seconds: float) -> bool:
        """Watch until something is ready; False when the time is over or a stop is wanted."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.stopping:
            if is_ready():
                return True
            self.revive()
            time.sleep(0.1)
        return False

    def revive(self) -> None:
        """Restart each child that ended by itself and is due; keep the logs within their limit."""
        moment = time.monotonic()
        for child in self.children:
            rotate(child.log)
            code = child.exit_code()
            if code is None:
                continue
            if child.name not in self._due:
                if moment - child.started_at > STEADY_SECONDS:
                    self._delay.pop(child.name, None)
                delay = self._delay.get(child.name, 0.5)
                self._delay[child.name] = min(delay * 2, 30)
                self._due[child.name] = moment + delay
                say(f"{child.name} ended ({code}); it starts again in {delay:g} s ({child.log})")
            elif moment >= self._due[child.name]:
                del self._due[child.name]
                child.start()

    def stop(self) -> None:
        """Stop the last started first."""
        for child in reversed(self.children):
            say(f"stopping {child.name}")
            child.stop()
        self.children.clear()


def say(text: str) -> None:
    """Progress for the person at the terminal; standard output is for results."""
    _write(sys.stderr, f"  {text}")


def tell(text: str) -> None:
    """A result, on standard output."""
    _write(sys.stdout, text)


def _write(stream: TextIO, text: str) -> None:
    """One line. A terminal that is gone or a pipe nobody reads must not stop the portal midway."""
    with contextlib.suppress(OSError):
        stream.write(f"{text}\n")
        stream.flush()
