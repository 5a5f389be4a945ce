"""docker-compose.yml, as far as it can be checked without Docker; with it, by `config`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"

SERVICE_KEYS = {
    "command", "depends_on", "environment", "healthcheck", "image", "init", "ports",
    "profiles", "shm_size", "tty", "volumes", "working_dir",
}  # fmt: skip
HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period", "start_interval"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
REFERENCE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}|(?P<other>.))")


def interpolate(value: Any) -> Any:
    """As `docker compose` does it in an empty environment."""
    if isinstance(value, dict):
        return {key: interpolate(item) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        assert match["other"] is None, f"lone $ in {value!r}"
        if match["name"] is None:
            return "$"
        assert match["default"] is not None, f"no default for ${match['name']}"
        return match["default"]

    return REFERENCE.sub(replace, value)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    result: dict[str, Any] = interpolate(yaml.safe_load(FILE.read_text()))
    return result


def test_has_only_known_parts(compose: dict[str, Any]) -> None:
    assert {key for key in compose if not key.startswith("x-")} == {"services"}
    assert set(compose["services"]) == {"postgres", "pgbouncer", "demo"}
    for name, service in compose["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        assert all(isinstance(value, str) for value in service["environment"].values()), name
        assert all(isinstance(word, str) for word in service.get("command", [])), name
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), name
        for other, how in service.get("depends_on", {}).items():
            assert other in compose["services"]
            assert how["condition"] in CONDITIONS
            if how["condition"] == "service_healthy":
                assert "healthcheck" in compose["services"][other]


def test_postgres_is_health_checked_and_its_major_is_a_variable(compose: dict[str, Any]) -> None:
    assert "postgres:${POSTGRES_MAJOR:-18}" in FILE.read_text()
    postgres = compose["services"]["postgres"]
    assert postgres["image"] == "postgres:18"
    assert set(postgres["healthcheck"]) <= HEALTH_KEYS
    kind, command = postgres["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    assert command.startswith("pg_isready -h 127.0.0.1")


def test_the_pooler_is_in_transaction_mode(compose: dict[str, Any]) -> None:
    pgbouncer = compose["services"]["pgbouncer"]
    assert pgbouncer["environment"]["POOL_MODE"] == "transaction"
    assert pgbouncer["environment"]["DB_HOST"] == "postgres"


def test_the_demo_starts_on_request_only(compose: dict[str, Any]) -> None:
    demo = compose["services"]["demo"]
    assert demo["profiles"] == ["demo"]
    assert 'recovery demo --dsn "$RECOVERY_DSN"' in demo["command"][-1]
    user = compose["services"]["postgres"]["environment"]
    assert demo["environment"]["RECOVERY_DSN"] == (
        f"postgresql://{user['POSTGRES_USER']}:{user['POSTGRES_PASSWORD']}"
        f"@postgres:5432/{user['POSTGRES_DB']}"
    )


def test_docker_accepts_it() -> None:
    for client in (["docker", "compose"], ["docker-compose"]):
        found = shutil.which(client[0])
        if found and not subprocess.run([*client, "version"], capture_output=True).returncode:
            break
    else:
        pytest.skip("no docker compose")
    done = subprocess.run(
        [*client, "-f", FILE, "--profile", "demo", "config", "--quiet"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
