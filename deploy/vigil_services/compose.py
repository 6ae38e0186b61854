"""The same two services as containers, where a Docker engine answers."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from vigil_services import timescale
from vigil_services.common import HOST, ROOT, STATE, run_logged

LOG = STATE / "log" / "docker.log"
SECRETS = Path(os.environ.get("VIGIL_SECRETS") or ROOT / "deploy" / ".services" / "secrets")
PGPASS = STATE / "pgpass"


def available() -> bool:
    """Whether services run in Docker: ``VIGIL_SERVICES_MODE`` or a live engine decides."""
    wish = os.environ.get("VIGIL_SERVICES_MODE")
    if wish in ("docker", "native"):
        return wish == "docker"
    if not shutil.which("docker"):
        return False
    try:
        for question in (["docker", "info"], ["docker", "compose", "version"]):
            subprocess.run(question, capture_output=True, timeout=15, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def ensure_secret() -> None:
    """Write a random database password once, and a password file for clients on this host."""
    SECRETS.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = SECRETS / "database_password"
    if not secret.exists():
        secret.write_text(secrets.token_urlsafe(24) + "\n")
    # Containers read it as their own user; the folder around it is closed to others.
    secret.chmod(0o444)
    PGPASS.parent.mkdir(parents=True, exist_ok=True)
    PGPASS.touch(mode=0o600)
    PGPASS.write_text(f"{HOST}:{timescale.PORT}:*:vigil:{secret.read_text().strip()}\n")


def compose(*arguments: str) -> None:
    """Run ``docker compose`` on the project's file.

    Raises
    ------
    ServiceError
        When it ends with another status than 0.
    """
    call = ["docker", "compose", "-f", str(ROOT / "docker-compose.yml"), *arguments]
    run_logged(call, LOG, f"docker compose {arguments[0]}")


def wipe(service: str) -> None:
    """Remove a service's container and its volume."""
    compose("rm", "-s", "-f", service)
    run_logged(["docker", "volume", "rm", "-f", f"vigil_{service}"], LOG, "docker volume rm")


def show_logs(service: str) -> None:
    """Write a container's last lines to stdout."""
    call = ["docker", "compose", "-f", str(ROOT / "docker-compose.yml"), "logs", "--tail=200"]
    subprocess.run([*call, service], check=False)
