"""Child processes that die with the launcher and stop in order."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1
LOG_LIMIT_BYTES: Final = 20 * 1024 * 1024


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask Linux to signal this child when the launcher is gone, even after SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


class Child:
    """One process in a session of its own, its output in one log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: dict[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        last_signal: signal.Signals = signal.SIGKILL,
        grace_seconds: float = 10,
        cwd: Path | None = None,
        pid_file: Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.env = env
        self.stop_signal = stop_signal
        self.last_signal = last_signal
        self.grace_seconds = grace_seconds
        self.cwd = cwd
        self.pid_file = pid_file
        self.started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what a killed one left of its session goes first, as it may hold the port."""
        if self._process is not None:
            self._end_session(self._process)
        rotate(self.log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = self._spawn(output)
        if self.pid_file is not None:
            # Only a help for the next start: a full disk must not keep this one from going on.
            with contextlib.suppress(OSError):
                self.pid_file.write_text(f"{self._process.pid} {self.command[0]}")
        self.started_at = time.monotonic()

    def _spawn(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=self.env,
            cwd=self.cwd,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(self.stop_signal),  # noqa: PLW1509  # no threads
        )

    @property
    def pid(self) -> int | None:
        """Of the latest start, also after its end; None before the first."""
        return self._process.pid if self._process is not None else None

    def exit_code(self) -> int | None:
        """None while it runs (or was never started)."""
        return self._process.poll() if self._process is not None else None

    def stop(self) -> None:
        """Ask it to stop, wait its grace, then end the whole session."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.stop_signal)
            try:
                process.wait(self.grace_seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(self.last_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)
        self._end_session(process)
        if self.pid_file is not None:
            self.pid_file.unlink(missing_ok=True)

    @staticmethod
    def _end_session(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_leftover(pid_file: Path, *, grace_seconds: float = 10) -> None:
    """End a child, and its session, that outlived the launcher which wrote this file."""
    try:
        pid, _, program = pid_file.read_text().partition(" ")
        number = int(pid)
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + grace_seconds
    with contextlib.suppress(ProcessLookupError):
        if pid_runs_in(number, Path(program)):
            os.kill(number, signal.SIGTERM)
        while pid_runs_in(number, Path(program)):
            if time.monotonic() > deadline:
                os.killpg(number, signal.SIGKILL)
            time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


def rotate(log: Path) -> None:
    """Keep one older file once a log has grown beyond its limit, also while it is written.

    Writers append, so a file that was emptied under them grows again from its start. A full disk
    costs the older file, never the limit.
    """
    if not log.exists() or log.stat().st_size <= LOG_LIMIT_BYTES:
        return
    older = log.with_suffix(log.suffix + ".1")
    try:
        shutil.copyfile(log, older)
    except OSError:
        older.unlink(missing_ok=True)
    os.truncate(log, 0)


def pid_runs_in(pid: int, directory: Path) -> bool:
    """Whether the process is alive (not a zombie) and its command line names the directory."""
    if Path("/proc/self/status").exists():
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            return False
        return "State:\tZ" not in status and str(directory) in line
    answer = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return str(directory) in answer.stdout
