"""A real Kafka broker that asks who you are: TLS, SCRAM, and an authoriser that denies."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from streams.io.broker import Broker, Security
from tests.fixtures_services import free_ports
from tests.service.emitters.tls_kit import certificate

VERSION: Final = "4.1.1"
USERS: Final = ("admin", "worker", "gateway", "desk", "sink")
START_S: Final = 60.0


class SecureBroker(NamedTuple):
    """Where it is, and the files its clients need."""

    servers: str
    ca_file: Path
    folder: Path

    def login(self, user: str, password: str | None = None) -> Broker:
        """The address as one user sees it."""
        secret = password_of(user) if password is None else password
        return Broker(
            self.servers,
            Security("sasl_ssl", "SCRAM-SHA-512", user, secret, str(self.ca_file)),
        )

    def settings(self, user: str) -> dict[str, object]:
        """The `[kafka]` keys of a process that logs in as this user."""
        secret = self.folder / f"{user}.secret"
        secret.write_text(password_of(user) + "\n", encoding="utf-8")
        return {
            "bootstrap": self.servers,
            "security": "sasl_ssl",
            "user": user,
            "password_file": str(secret),
            "ca_file": str(self.ca_file),
        }


def password_of(user: str) -> str:
    """A password that would be noticed in a log."""
    return f"canary-{user}-secret-5521"


def jars() -> Path:
    """Where deploy/services keeps the broker it installed."""
    cache = os.environ.get("VIGIL_SERVICES_CACHE") or Path.home() / ".cache" / "vigil-services"
    found = Path(cache) / f"kafka-{VERSION}"
    if not found.is_dir():
        pytest.skip("no native Kafka here: a container's broker is not reconfigured")
    return found


def start(folder: Path) -> tuple[SecureBroker, subprocess.Popen[bytes]]:
    """Format, start and wait."""
    certificate(folder)
    port, controller = free_ports(2)
    config = folder / "server.properties"
    config.write_text(_properties(folder, port, controller), encoding="utf-8")
    java = ["java", "-Xmx384m", "-cp", f"{jars()}/*"]
    scram = [f"SCRAM-SHA-512=[name={user},password={password_of(user)}]" for user in USERS]
    added = [word for each in scram for word in ("--add-scram", each)]
    tool = [*java, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA"]
    done = subprocess.run([*tool, "-c", str(config), *added], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    with (folder / "kafka.log").open("wb") as log:
        process = subprocess.Popen([*java, "kafka.Kafka", str(config)], stdout=log, stderr=log)
    deadline_s = time.monotonic() + START_S
    while b"Kafka Server started" not in (folder / "kafka.log").read_bytes():
        assert process.poll() is None, (folder / "kafka.log").read_text()[-2000:]
        assert time.monotonic() < deadline_s, "the secure broker did not start"
        time.sleep(0.2)
    return SecureBroker(f"localhost:{port}", folder / "cert.pem", folder), process


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL when that is not heard."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _properties(folder: Path, port: int, controller: int) -> str:
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    login = f'{module} required username="admin" password="{password_of("admin")}";'
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"SASL_SSL://localhost:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"SASL_SSL://localhost:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": login,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": folder / "both.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": folder / "cert.pem",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",  # the node talks to its own controller
        "log.dirs": folder / "data",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())
