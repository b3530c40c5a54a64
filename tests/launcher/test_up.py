"""`manage.py up` as a newcomer meets it: what it starts, what it says, what it leaves behind."""

import json
import os
import pty
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest

from portal.launcher.instance import free_port
from tests.support import live
from tests.support.live import wait_until

BATCH = {"Content-Type": "application/cloudevents-batch+json"}
ROLES = {"product_manager", "engineer", "admin", "analyst", "on_call"}


def manage(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run any command as a person would, without what the tests' own servers set."""
    return subprocess.run(
        [sys.executable, "manage.py", *words], cwd=live.ROOT, env=live.environment() | variables,
        capture_output=True, text=True, check=False, timeout=200, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def up(data: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run an `up` that is expected to refuse; what it said is in stderr."""
    port = () if any(word.startswith("--port") for word in words) else ("--port", str(free_port()))
    return manage("up", "--data", str(data), *port, *words, **variables)


@pytest.fixture
def outside() -> Iterator[Callable[[], str]]:
    """Makes a database on the tests' own server, anew at each call: somebody else's server."""
    base, name = os.environ["DATABASE_URL"].rsplit("/", 1)[0], f"outside_{os.getpid()}"

    def run(*statements: str) -> None:
        with psycopg.connect(f"{base}/postgres", autocommit=True) as db:
            for statement in statements:
                db.execute(statement)

    drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"

    def make() -> str:
        run(drop, f"CREATE DATABASE {name}")
        return f"{base}/{name}"

    yield make
    run(drop)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Portal]:
    place = tmp_path_factory.mktemp("up") / "data"
    with live.running(place, is_first=True, words=("--workers", "3")) as found:
        yield found


def test_it_says_where_it_is_and_who_may_sign_in(portal: live.Portal) -> None:
    assert portal.said["url"] == f"http://127.0.0.1:{portal.port}"
    assert set(portal.said["logins"]) == ROLES
    wait_until(portal.is_ready, "readiness")  # it asks for two seconds at most, once may be late
    assert "admin" in portal.get("/api/v1/me")["roles"]


def test_workers_sets_the_number_of_worker_processes(portal: live.Portal) -> None:
    # The parent and its three.
    wait_until(lambda: len(portal.pids("portal.celery:app worker")) == 4, "four processes")
    wait_until(portal.is_ready, "readiness")


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


def test_the_log_of_the_database_tells_no_values(portal: live.Portal) -> None:
    with psycopg.connect(portal.database_url, autocommit=True) as db:
        db.execute("CREATE TABLE probe (email text PRIMARY KEY)")
        row = ("INSERT INTO probe VALUES (%s)", ("somebody@shop.example",))
        db.execute(*row)
        with pytest.raises(psycopg.errors.UniqueViolation):
            db.execute(*row)
        db.execute("DROP TABLE probe")
    said = (portal.data / "logs" / "postgres.log").read_text()
    assert "duplicate key value" in said
    assert "somebody" not in said


@pytest.mark.parametrize("words", ["uvicorn portal.asgi", "celery", "beat-schedule"])
def test_a_process_that_dies_comes_back(portal: live.Portal, words: str) -> None:
    wait_until(lambda: bool(portal.pids(words)), f"the start of {words}")
    first = min(portal.pids(words))
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: any(pid != first for pid in portal.pids(words)), f"a new {words}")
    wait_until(portal.is_ready, "readiness")
    wait_until(lambda: first not in portal.pids(words), f"the end of the killed {words}")


@pytest.mark.alone
def test_the_second_start_takes_less_than_ten_seconds_and_keeps_everything(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    live.copy_started(data)
    logins = json.loads((data / "logins.json").read_text())["logins"]
    took = []
    for _ in range(3):  # whoever else uses the machine may cost one of them its time
        started = time.monotonic()
        with live.running(data) as again:
            took.append(time.monotonic() - started)
            assert again.said["logins"] == logins
            assert again.stop() == 0
            wait_until(lambda: again.pids("") == [], "the end of everything", seconds=5)
        if took[-1] < 10:
            break
    assert min(took) < 10, took


def test_ctrl_c_stops_web_before_the_servers(tmp_path: Path) -> None:
    log = tmp_path / "said"
    with log.open("w") as said, live.running(tmp_path / "data", stderr=said) as portal:
        assert portal.stop(signal.SIGINT) == 0
    order = [line.split()[-1] for line in log.read_text().splitlines() if "stopping" in line]
    assert order == ["beat", "worker", "web", "redis", "postgres"]
    wait_until(lambda: portal.pids("") == [], "the end of everything", seconds=5)


def test_each_server_named_in_the_environment_replaces_an_embedded_one(
    tmp_path: Path, outside: Callable[[], str]
) -> None:
    data = tmp_path / "data"
    database = outside()
    redis = os.environ["REDIS_URL"].rsplit("/", 1)[0] + "/5"
    with live.running(data, is_first=True, variables={"DATABASE_URL": database}) as portal:
        assert portal.pids("bin/postgres") == []
        assert len(portal.pids("valkey-server")) == 1
        assert not (data / "postgres").exists()
        # A command needs not be told again: the running portal says what it uses.
        assert portal.manage_json("keys", "create", "--kind", "producer", "--name", "there")["id"]
        assert portal.get("/api/v1/me")["roles"]
        first = portal.said["admin_token"]
    with psycopg.connect(database) as db:
        assert db.execute(
            "SELECT count(*) FROM governance_key WHERE name = 'there'"
        ).fetchone() == (1,)
    # A database made anew under its address is prepared again, and its logins are its own.
    variables = {"DATABASE_URL": outside(), "REDIS_URL": redis}
    with live.running(data, is_first=True, variables=variables) as portal:
        assert portal.pids("valkey-server") == []
        assert portal.said["admin_token"] != first
        assert portal.get("/api/v1/me")["roles"]


@pytest.mark.parametrize(
    ("name", "url", "said"),
    [
        ("DATABASE_URL", "mysql://x/y", "must look like postgresql://"),
        ("DATABASE_URL", "postgresql://u@[::1/x", "must look like postgresql://"),
        ("DATABASE_URL", "postgresql://u:p@host.invalid/db", "DATABASE_URL: failed to resolve"),
        ("REDIS_URL", "http://127.0.0.1:1", "must look like redis://"),
        ("REDIS_URL", "redis://host.invalid:6379/0", "REDIS_URL: Error"),
        ("REDIS_URL", "redis://127.0.0.1:1/0", "Connection refused"),
    ],
)
def test_a_server_that_does_not_answer_is_named_in_one_sentence(
    tmp_path: Path, name: str, url: str, said: str
) -> None:
    done = up(tmp_path / "data", **{name: url})
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") <= 2, done.stderr


def test_a_wrong_password_of_the_database_is_named(tmp_path: Path) -> None:
    wrong = os.environ["DATABASE_URL"].replace("//portal:", "//portal:not-")
    done = up(tmp_path / "data", DATABASE_URL=wrong)
    assert done.returncode == 1
    assert "password authentication failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_data_of_a_newer_portal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("99\n")
    done = up(tmp_path)
    assert done.returncode == 1
    assert "was written by a newer portal" in done.stderr
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize("content", ["abc", "-1", "1.5"])
def test_a_version_that_is_no_number_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "VERSION").write_text(content)
    done = up(tmp_path)
    assert done.returncode == 1
    assert "should hold the number 1" in done.stderr
    assert "Traceback" not in done.stderr


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
    (data / "VERSION").write_text("1\n")
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


def test_reset_deletes_nothing_that_is_not_a_portals(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = up(tmp_path, "--reset", "--yes")
    assert done.returncode == 1
    assert "is not a portal's directory" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_reset_begins_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    live.copy_started(data)
    logins = json.loads((data / "logins.json").read_text())["logins"]
    with live.running(data, words=("--reset", "--yes")) as portal:
        assert portal.said["logins"] != logins


def test_ctrl_c_before_it_is_up_ends_it_without_complaint(tmp_path: Path) -> None:
    said = []
    with subprocess.Popen(
        [sys.executable, "manage.py", "up", "--data", str(tmp_path / "data"), "--port",
         str(free_port())],
        cwd=live.ROOT, env=live.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if "migrating" in line:
                os.killpg(process.pid, signal.SIGINT)  # a terminal signals its whole group
        assert process.wait(60) == 0
    assert "stopped before it was up" in "".join(said)
    assert "Traceback" not in "".join(said)


def test_a_closed_terminal_stops_everything_in_order(tmp_path: Path) -> None:
    said, theirs = pty.openpty()
    with live.heard(signal.SIGHUP):
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--no-demo", "--data", str(tmp_path / "data"),
             "--port", str(port := free_port())],
            cwd=live.ROOT, env=live.environment(), stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, text=True,
        )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"Ctrl-C stops it" not in seen:
        seen += os.read(said, 4096)
    os.close(said)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0
    portal = live.Portal(tmp_path / "data", port, process)
    wait_until(lambda: portal.pids("") == [], "the end of everything", seconds=5)
    # PostgreSQL was asked to end, not cut off.
    assert "database system is shut down" in (tmp_path / "data/logs/postgres.log").read_text()


def test_a_killed_up_can_be_started_again_at_once_on_its_port(tmp_path: Path) -> None:
    with live.running(tmp_path / "data") as first:
        first.process.kill()
        first.process.wait()
        with live.running(first.data, port=first.port) as again:
            assert again.said["logins"] == first.said["logins"]
            wait_until(again.is_ready, "readiness")


def test_a_command_before_the_first_up_makes_the_portal(tmp_path: Path) -> None:
    words = ("keys", "create", "--kind", "user", "--name", "mine", "--json")
    done = manage(*words, "--data", str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    token = json.loads(done.stdout)["key"]
    with live.running(tmp_path / "data") as portal:
        answer = httpx2.get(
            f"{portal.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=20
        )
        assert "admin" in answer.json()["roles"]


def test_asked_nothing_it_lists_the_portals_commands(tmp_path: Path) -> None:
    for word in ([], ["help"], ["--help"]):
        done = manage(*word, PORTAL_DATA=str(tmp_path / "data"))
        assert done.returncode == 0
        for name in ("up", "test", "import", "keys", "audit", "verify-statistics", "--data"):
            assert name in done.stdout
    for words in (("import", "--help"), ("keys", "create", "--help"), ("help", "audit")):
        done = manage(*words, PORTAL_DATA=str(tmp_path / "data"))
        assert done.returncode == 0, done.stderr
        assert "--json" in done.stdout
    assert not (tmp_path / "data").exists(), "help needs no servers"


def test_data_without_a_directory_is_refused(tmp_path: Path) -> None:
    for words in (("--data",), ("--data", ""), ("--data=",)):
        done = manage("partitions", *words, PORTAL_DATA=str(tmp_path / "data"))
        assert (done.returncode, done.stderr) == (1, "--data needs a directory.\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for PostgreSQL")
def test_root_can_run_it_where_user_namespaces_are_forbidden(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "unshare").write_text("#!/bin/sh\nexit 1\n")
    (tools / "unshare").chmod(0o755)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    poor = {"PATH": f"{tools}:{os.environ['PATH']}"}
    with live.running(private / "data", is_first=True, variables=poor) as one:
        assert one.get("/api/v1/me")["roles"]
        assert (one.data / "postgres").stat().st_uid != 0
    assert private.stat().st_mode & 0o777 == 0o700, "no directory is opened to others"
    with live.running(private / "data") as again:
        assert again.said["logins"] == one.said["logins"]


def test_a_disk_that_fills_while_it_runs_costs_503s_and_nothing_else(tmp_path: Path) -> None:
    """In a mount namespace of its own; the shell in it fills and frees the disk when told."""
    port = free_port()
    script = f"""
        mount -t tmpfs -o size=600m none {tmp_path}
        {sys.executable} manage.py up --no-demo --json --data {tmp_path}/data --port {port} &
        read word; cat /dev/zero > {tmp_path}/filler 2>/dev/null; echo full
        read word; rm {tmp_path}/filler
        read word; kill -INT $!; wait $!
    """
    shell = subprocess.Popen(
        [shutil.which("unshare") or "unshare", "-Urm", "sh", "-c", script], cwd=live.ROOT,
        env=live.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    to_shell, from_shell = shell.stdin, shell.stdout
    assert to_shell is not None
    assert from_shell is not None

    def tell() -> None:
        to_shell.write("\n")
        to_shell.flush()

    try:
        said = json.loads(from_shell.readline())
        headers = {"Authorization": f"Bearer {said['admin_token']}"}
        with httpx2.Client(base_url=said["url"], headers=headers, timeout=20) as client:
            stream = {"name": "disk.filled", "schema": {"type": "object"}}
            assert client.post("/api/v1/streams", json=stream).status_code == 201
            made = client.post("/api/v1/producers", json={"name": "disk", "globs": ["disk.*"]})
            assert made.status_code == 201, made.text
            key = client.post("/api/v1/producers/disk/keys", json={"name": "disk"}).json()["key"]
            sender = {"Authorization": f"Bearer {key}"}
            assert send(client, sender, "before").status_code == 202
            tell()
            assert from_shell.readline() == "full\n"
            statuses = set()
            for number in range(60):
                answer = send(client, sender, f"full-{number}")
                statuses.add(answer.status_code)
                assert answer.status_code == 202 or int(answer.headers["Retry-After"]) >= 1
            assert 503 in statuses
            assert statuses <= {202, 503}
            tell()
            wait_until(
                lambda: send(client, sender, "after").status_code == 202, "recovery", seconds=90
            )
    finally:
        tell()
        complaints = shell.communicate(timeout=60)[1]
    assert "has little space left" in complaints
    assert shell.returncode == 0


def send(client: httpx2.Client, headers: dict[str, str], name: str) -> httpx2.Response:
    """One large event that does not compress."""
    event = {"specversion": "1.0", "id": name, "source": "/disk", "type": "disk.filled",
             "data": {"noise": secrets.token_hex(30_000)}}  # fmt: skip
    return client.post("/v1/events", json=[event], headers=headers | BATCH)


@pytest.mark.parametrize("word", ["--port=nonsense", "--workers=0", "--port=99999", "--nope"])
def test_an_option_that_makes_no_sense_is_refused(tmp_path: Path, word: str) -> None:
    done = up(tmp_path / "data", word)
    assert done.returncode == 2
    assert word.split("=", maxsplit=1)[0] in done.stderr
    assert "Traceback" not in done.stderr
