"""The compose file: valid by the compose specification, and true to the settings."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from portal.launcher import postgres

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"


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


def test_every_queue_has_its_worker(services: dict[str, Any]) -> None:
    served = {
        queue
        for service in services.values()
        if "--queues" in (command := service.get("command") or [])
        for queue in command[command.index("--queues") + 1].split(",")
    }
    assert served == set(settings.CELERY_TASK_QUEUES_NAMES)


def test_every_variable_is_a_documented_setting(services: dict[str, Any]) -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(), re.M))
    for name, service in services.items():
        if service.get("image") == "event-portal:local":
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


def test_images_are_pinned_and_ours_runs_without_rights(services: dict[str, Any]) -> None:
    for name, service in services.items():
        image = service["image"]
        assert ":" in image
        assert not image.endswith(":latest"), name
        if image == "event-portal:local":
            assert service["cap_drop"] == ["ALL"]
            assert service["read_only"] is True
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER portal$", text, re.M)
    assert "--require-hashes" in text


def test_what_others_wait_for_says_when_it_is_healthy(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, condition in (service.get("depends_on") or {}).items():
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[name], name
