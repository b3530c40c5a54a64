"""`manage.py up` as a newcomer meets it: what it starts, what it says, what it leaves behind."""

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from portal.launcher.instance import free_port
from tests.support import live
from tests.support.live import wait_until

ROLES = {"product_manager", "engineer", "admin", "analyst", "on_call"}


def up(data: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run an `up` that is expected to refuse; what it said is in stderr."""
    return subprocess.run(
        [sys.executable, "manage.py", "up", "--data", str(data), *words],
        cwd=live.ROOT, env=live.environment() | variables, capture_output=True, text=True,
        check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Portal]:
    with live.running(tmp_path_factory.mktemp("up") / "data") as found:
        yield found


def test_it_says_where_it_is_and_who_may_sign_in(portal: live.Portal) -> None:
    assert portal.said["url"] == f"http://127.0.0.1:{portal.port}"
    assert set(portal.said["logins"]) == ROLES
    assert portal.is_ready()
    assert "admin" in portal.get("/api/v1/me")["roles"]


def test_a_second_up_on_the_same_data_is_refused(portal: live.Portal) -> None:
    done = up(portal.data, "--port", str(free_port()))
    assert done.returncode == 1
    assert "A portal already runs on" in done.stderr
    assert done.stderr.count("\n") <= 2, "one sentence, no traceback"


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = up(tmp_path / "data", "--port", str(port))
    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
    assert "--port" in done.stderr


def test_a_command_works_while_the_portal_runs(portal: live.Portal) -> None:
    words = ("keys", "create", "--kind", "producer", "--name", "cli")
    made = portal.manage_json(*words)
    assert set(made) >= {"id", "key"}
    assert made["key"].startswith("ep_prod_")


@pytest.mark.parametrize("words", ["uvicorn portal.asgi", "celery", "beat-schedule"])
def test_a_process_that_dies_comes_back(portal: live.Portal, words: str) -> None:
    wait_until(lambda: bool(portal.pids(words)), f"the start of {words}")
    first = min(portal.pids(words))
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: any(pid != first for pid in portal.pids(words)), f"a new {words}")
    wait_until(portal.is_ready, "readiness")


def test_the_second_start_takes_less_than_ten_seconds_and_keeps_everything(
    tmp_path: Path,
) -> None:
    with live.running(tmp_path / "data") as first:
        logins = first.said["logins"]
        assert first.stop() == 0
        wait_until(lambda: first.pids("") == [], "the end of everything", seconds=5)
        started = time.monotonic()
        with live.running(first.data) as second:
            assert time.monotonic() - started < 10
            assert second.said["logins"] == logins


def test_ctrl_c_stops_web_before_the_servers(tmp_path: Path) -> None:
    log = tmp_path / "said"
    with log.open("w") as said, live.running(tmp_path / "data", stderr=said) as portal:
        assert portal.stop(signal.SIGINT) == 0
    order = [line.split()[-1] for line in log.read_text().splitlines() if "stopping" in line]
    assert order == ["beat", "worker", "web", "redis", "postgres"]
    assert portal.pids("") == []


def test_servers_named_in_the_environment_replace_the_embedded_ones(tmp_path: Path) -> None:
    name = f"outside_{os.getpid()}"
    base = os.environ["DATABASE_URL"].rsplit("/", 1)[0]
    with psycopg.connect(f"{base}/postgres", autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    try:
        variables = {
            "DATABASE_URL": f"{base}/{name}",
            "REDIS_URL": os.environ["REDIS_URL"].rsplit("/", 1)[0] + "/5",
        }
        with live.running(tmp_path / "data", variables=variables) as portal:
            assert portal.pids("bin/postgres") == portal.pids("valkey-server") == []
            assert not (tmp_path / "data" / "postgres").exists()
            assert portal.get("/api/v1/me")["roles"]
    finally:
        with psycopg.connect(f"{base}/postgres", autocommit=True) as db:
            db.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_data_of_a_newer_portal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("99\n")
    done = up(tmp_path)
    assert done.returncode == 1
    assert "was written by a newer portal" in done.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = up(tmp_path / "file" / "data")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "--data" in done.stderr


def test_a_full_disk_is_said_before_anything_is_made(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    assert unshare, "this test mounts a small disk with util-linux's unshare"
    script = (
        f"mount -t tmpfs -o size=64m none {tmp_path} && "
        f"{sys.executable} manage.py up --data {tmp_path}/data"
    )
    done = subprocess.run(
        [unshare, "-Urm", "sh", "-c", script], cwd=live.ROOT, env=live.environment(),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Less than 300 MB are free" in done.stderr


def test_reset_asks_and_takes_no_for_an_answer(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "postgres").mkdir(parents=True)
    done = up(data, "--reset")
    assert done.returncode == 1
    assert "add --yes" in done.stderr
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up", "--reset", "--data", str(data)],
        cwd=live.ROOT, env=live.environment(), stdin=theirs, stdout=theirs, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    os.write(ours, b"no\n")
    assert "Nothing was deleted" in process.communicate(timeout=60)[1]
    os.close(ours)
    os.close(theirs)
    assert (data / "postgres").is_dir()


def test_reset_begins_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with live.running(data) as portal:
        logins = portal.said["logins"]
    with live.running(data, words=("--reset", "--yes")) as portal:
        assert portal.said["logins"] != logins


@pytest.mark.parametrize("word", ["--port=nonsense", "--workers=0", "--port=99999", "--nope"])
def test_an_option_that_makes_no_sense_is_refused(tmp_path: Path, word: str) -> None:
    done = up(tmp_path / "data", word)
    assert done.returncode == 2
    assert word.split("=", maxsplit=1)[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_workers_sets_the_number_of_worker_processes(tmp_path: Path) -> None:
    with live.running(tmp_path / "data", words=("--workers", "3")) as portal:
        # The parent and its three.
        wait_until(lambda: len(portal.pids("portal.celery:app worker")) == 4, "four processes")
