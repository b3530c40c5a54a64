"""Children of the launcher: their logs, and what a killed launcher leaves."""

import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from portal.launcher import postgres, processes
from portal.launcher.errors import LauncherError
from portal.launcher.processes import Child, end_leftover, pid_runs_in
from tests.support.live import wait_until


def test_a_log_is_bounded_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOG_LIMIT_BYTES", 1000)
    log = tmp_path / "child.log"
    script = "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.001)"
    child = Child("writer", [sys.executable, "-c", script], log=log)
    child.start()
    try:
        older = tmp_path / "child.log.1"
        deadline = time.monotonic() + 60
        while not older.exists():
            assert time.monotonic() < deadline
            processes.rotate(log)
        wait_until(lambda: log.stat().st_size > 0, "the next line")
        assert log.read_bytes().startswith(b"x"), "no hole where the old lines were"
        assert older.read_bytes().startswith(b"x" * 99)
    finally:
        child.stop()


def test_a_leftover_is_ended_with_its_session_and_strangers_are_not(tmp_path: Path) -> None:
    file = tmp_path / "child.pid"
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    child = Child("left", [sys.executable, "-c", script], log=tmp_path / "log", pid_file=file)
    child.start()
    pid = child.pid
    assert pid is not None
    assert file.read_text() == f"{pid} {sys.executable}"
    end_leftover(file, grace_seconds=5)
    assert not pid_runs_in(pid, Path(sys.executable))
    assert not file.exists()
    # The number went to somebody else's process, here to our own with another program's name.
    file.write_text(f"{os.getpid()} /some/other/program")
    end_leftover(file)
    assert not file.exists()
    child.stop()


def test_a_stopped_child_leaves_no_trace(tmp_path: Path) -> None:
    file = tmp_path / "child.pid"
    child = Child(
        "calm",
        [sys.executable, "-c", "import time; time.sleep(60)"],
        log=tmp_path / "log",
        pid_file=file,
    )
    child.start()
    child.stop()
    assert not file.exists()
    assert child.exit_code() is not None


def test_a_database_that_recovers_is_waited_for_and_one_that_is_silent_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time that it is given up its recovery would begin from the start."""
    monkeypatch.setattr(postgres, "_ANSWERS_SECONDS", 0.3)
    said = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"
    refusal = b"E" + (len(said) + 4).to_bytes(4) + said
    answered: list[float] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while len(answered) < 4:
            link, _ = listener.accept()
            with link:
                while int.from_bytes(link.recv(1024)[4:8]) in (80877103, 80877104):  # TLS, GSS
                    link.sendall(b"N")
                link.sendall(refusal)
                answered.append(time.monotonic())
        listener.close()

    thread = threading.Thread(target=serve)
    thread.start()
    server = postgres.Server(tmp_path, listener.getsockname()[1], "secret")
    with pytest.raises(LauncherError, match="did not answer"):
        postgres.wait_ready(server)
    thread.join()
    assert answered[-1] - answered[0] > 0.3, "longer than one that is silent"


def test_the_databases_cache_is_an_eighth_of_the_memory(tmp_path: Path) -> None:
    sizes = {memory_gb: postgres.buffers_mb(memory_gb * 2**30) for memory_gb in (0, 4, 8, 24, 512)}
    assert sizes == {0: 128, 4: 512, 8: 1024, 24: 2048, 512: 2048}

    limit = tmp_path / "memory.max"
    machine = postgres.memory_bytes(limit)
    assert machine > 2**29, "no file: no container"
    limit.write_text("max\n")
    assert postgres.memory_bytes(limit) == machine
    limit.write_text(f"{2**29}\n")
    assert postgres.memory_bytes(limit) == 2**29
    limit.write_text(f"{machine * 2}\n")
    assert postgres.memory_bytes(limit) == machine

    safe = postgres.command(postgres.Server(tmp_path, 5432, "secret"))
    assert f"shared_buffers={postgres.buffers_mb(postgres.memory_bytes())}MB" in safe
    unsafe = postgres.command(postgres.Server(tmp_path, 5432, "secret", unsafe=True))
    assert [word for word in unsafe if "shared_buffers" in word] == ["shared_buffers=256MB"]
