"""The compose file and the image: valid by the specification, and true to the code."""

import argparse
import itertools
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from portal.launcher import postgres, up
from portal.launcher.instance import Instance

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
OURS = "event-portal:local"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return found


def test_it_is_valid_by_the_compose_specification() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_queue_has_a_worker_of_its_own(services: dict[str, Any]) -> None:
    queues = [
        command[command.index("--queues") + 1]
        for service in services.values()
        if "--queues" in (command := service.get("command") or [])
    ]
    assert sorted(queues) == sorted(settings.CELERY_TASK_QUEUES_NAMES)


def test_every_variable_is_a_documented_setting(services: dict[str, Any]) -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(), re.M))
    for name, service in services.items():
        if service.get("image") == OURS:
            unknown = set(service["environment"]) - documented
            assert not unknown, f"{name}: {unknown}"


def test_postgres_logs_no_submitted_value_as_when_it_is_embedded(services: dict[str, Any]) -> None:
    command = services["postgres"]["command"]
    for name in (
        "log_error_verbosity",
        "log_min_error_statement",
        "log_parameter_max_length_on_error",
    ):
        assert f"{name}={postgres.SETTINGS[name]}" in command


def test_postgres_is_set_for_a_full_year_of_days_as_when_it_is_embedded(
    services: dict[str, Any],
) -> None:
    command = services["postgres"]["command"]
    for name in ("max_locks_per_transaction", "random_page_cost", "track_commit_timestamp"):
        assert f"{name}={postgres.SETTINGS[name]}" in command


def test_the_example_names_every_value_that_must_be_filled_in() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", FILE.read_text()))
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^([A-Z_]+)=", example, re.M)) == asked
    for name in asked - {"PORTAL_HOST"}:  # extras are empty until somebody wants one
        assert re.search(rf"^{name}=$", example, re.M), f"{name} has a value in the example"


def test_images_are_pinned_and_ours_runs_without_rights(services: dict[str, Any]) -> None:
    for name, service in services.items():
        image = service["image"]
        assert re.search(r":[a-z0-9.-]+$", image), name
        assert not image.endswith(":latest"), name
        if image == OURS:
            assert service["cap_drop"] == ["ALL"]
            assert service["read_only"] is True


def test_the_image_is_built_from_the_lock_by_nobody_in_particular() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER portal$", text, re.M)
    assert text.index("USER portal") < text.index("CMD ")
    assert "--require-hashes" in text
    assert "--only-binary :all:" in text, "no compiler is needed"
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".env", ".git", ".portal", ".venv"} <= set(ignored), "no secret goes into the image"


def test_every_service_says_whether_it_is_healthy(services: dict[str, Any]) -> None:
    without = {name for name, service in services.items() if "healthcheck" not in service}
    assert without == {"migrate"}, "it runs once and ends"
    for service in services.values():
        for name in service.get("depends_on") or {}:
            assert name in services


def test_only_the_proxy_is_reachable_and_it_ends_tls(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert "443:443" in services["proxy"]["ports"]
    assert services["postgres"]["image"].startswith("postgres:18")


def test_the_proxy_gives_every_answer_hsts_and_redirects_no_program() -> None:
    text = (ROOT / "deploy/Caddyfile").read_text()
    assert "auto_https disable_redirects" in text
    (line,) = re.findall(r"^\s*header \?Strict-Transport-Security \"(.+)\"$", text, re.M)
    assert line == "max-age=31536000; includeSubDomains; preload", "as Django says it"
    assert re.search(r"^\s*header @doors \?Content-Security-Policy ", text, re.M)
    assert "header_up X-Forwarded-Proto https" in text, "whatever the client said"
    assert "X-Forwarded-For" not in text, "Caddy takes none from who is not a trusted proxy"


def test_a_server_gets_its_tables_partitions_people_and_static_files(
    services: dict[str, Any],
) -> None:
    script = services["migrate"]["command"][2]
    lines = [shlex.split(step) for step in script.split(" && ")]
    steps = [line[3] for line in lines]
    assert steps == ["audit", "migrate", "audit", "first_run", "collectstatic"]
    assert lines[0][4:] == ["hand-over", "--before-migrating"]
    assert lines[2][4:] == ["hand-over"]
    assert "DATABASE_URL=" not in script, "migrations run as the portal's role"
    assert set(steps) <= set(get_commands())


def test_only_who_migrates_is_told_of_the_databases_owner(services: dict[str, Any]) -> None:
    told = {
        name: {text for text in service["environment"].values() if "POSTGRES_PASSWORD" in str(text)}
        for name, service in services.items()
        if service.get("image") == OURS
    }
    assert {name for name, texts in told.items() if texts} == {"migrate"}


def test_an_extra_that_is_asked_for_at_build_time_comes_from_its_own_lock(
    services: dict[str, Any],
) -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert services["web"]["build"]["args"] == {"PORTAL_EXTRAS": "${PORTAL_EXTRAS:-}"}
    assert 'ARG PORTAL_EXTRAS=""' in text, "none unless asked for"
    loop = text[text.index("RUN for extra in $PORTAL_EXTRAS") :]
    assert '-r "requirements-$extra.lock" || exit 1' in loop
    locks = {path.name for path in ROOT.glob("requirements-*.lock")}
    copied = set(re.findall(r"requirements-\w+\.lock", text.split("RUN ", 1)[0]))
    extras = {
        f"requirements-{name}.lock"
        for name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
            "optional-dependencies"
        ]
    }
    assert copied == extras & locks, "each extra of pyproject.toml has a lock and is at hand"
    # The archive is written where the volume is, which the web and the workers share.
    assert "PORTAL_DATA=/var/lib/portal" in text
    assert "PORTAL_ARCHIVE_DIR" not in services["web"]["environment"]
    assert "portal-data:/var/lib/portal" in services["worker-system"]["volumes"]


def test_the_image_serves_as_the_launcher_does(services: dict[str, Any], tmp_path: Path) -> None:
    options = argparse.Namespace(port=8000, workers=1)
    web, worker, beat = up._processes(Instance(tmp_path), {}, options)
    served = json.loads(re.findall(r"^CMD (.*)$", (ROOT / "Dockerfile").read_text(), re.M)[-1])

    def said(words: Sequence[str], *, apart: set[str]) -> set[str]:
        """A command's words, without where it listens and what differs on purpose."""
        pairs = dict(itertools.pairwise(words))
        left = [word for word in words if word not in {*apart, *(pairs.get(one) for one in apart)}]
        return set(left)

    assert said(served, apart={"--host"}) == said(web.command[2:], apart={"--host"})
    ours = said(worker.command[2:], apart={"--queues", "--concurrency"})
    theirs = said(services["beat"]["command"], apart={"--schedule"})
    assert theirs == said(beat.command[2:], apart={"--schedule"})
    for name, service in services.items():
        if name.startswith("worker-"):
            found = said(service["command"], apart={"--queues", "--concurrency"})
            # Several workers look for each other; the launcher's only one need not.
            assert found == ours - {"--without-mingle", "--without-gossip"}, name


def test_the_proxy_speaks_tls_1_2_and_1_3_with_strong_suites_alone() -> None:
    text = (ROOT / "deploy/Caddyfile").read_text()
    (protocols,) = re.findall(r"^\s*protocols (.+)$", text, re.M)
    assert protocols.split() == ["tls1.2", "tls1.3"]
    (suites,) = re.findall(r"^\s*ciphers (.+)$", text, re.M)
    strong = r"TLS_ECDHE_(ECDSA|RSA)_WITH_(AES_(128|256)_GCM|CHACHA20_POLY1305)_SHA(256|384)"
    assert len(suites.split()) == len(set(suites.split())) == 6
    assert all(re.fullmatch(strong, one) for one in suites.split())
    assert suites.split()[0].endswith("AES_256_GCM_SHA384"), "the strongest first"


def test_the_proxys_certificate_is_of_a_public_authority(services: dict[str, Any]) -> None:
    text = (ROOT / "deploy/Caddyfile").read_text()
    assert re.search(r"^\{\$PORTAL_HOST\} \{$", text, re.M), "a name, so that ACME is asked"
    for word in ("internal", "acme_ca", "local_certs", "skip_install_trust", "on_demand",
                 "disable_certs", "tls_insecure", "auto_https off"):  # fmt: skip
        assert word not in text, word
    assert {"80:80", "443:443"} <= set(services["proxy"]["ports"]), "where ACME asks"
    assert "caddy-data:/data" in services["proxy"]["volumes"], "it is kept, and renewed in time"
