"""The compose file and the image: valid by the specification, and true to the code."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from portal.launcher import postgres

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


def test_the_example_names_every_value_that_must_be_filled_in() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", FILE.read_text()))
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^([A-Z_]+)=", example, re.M)) == asked
    for name in asked - {"PORTAL_HOST"}:
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


def test_a_server_gets_its_tables_partitions_people_and_static_files(
    services: dict[str, Any],
) -> None:
    script = services["migrate"]["command"][2]
    steps = [shlex.split(step)[3] for step in script.split(" && ")]
    assert steps == ["migrate", "first_run", "collectstatic"]
    assert set(steps) <= set(get_commands())
