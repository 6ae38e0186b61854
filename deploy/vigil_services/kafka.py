"""A single Kafka node (KRaft, broker and controller in one process) from Maven Central."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import struct
import uuid
from pathlib import Path

from vigil_services.common import (
    CACHE,
    HOST,
    ROOT,
    STATE,
    ServiceError,
    locked,
    need_programs,
    run_logged,
    say,
)

NAME = "kafka"
PORT = int(os.environ.get("VIGIL_KAFKA_PORT") or 29192)
CONTROLLER_PORT = int(os.environ.get("VIGIL_KAFKA_CONTROLLER_PORT") or PORT + 1)
VERSION = "4.1.1"
STOP_SIGNAL = signal.SIGTERM
LIBS = CACHE / f"kafka-{VERSION}"
HOME = STATE / NAME
LOG = STATE / "log" / "kafka.log"
INSTALL_LOG = STATE / "log" / "kafka-install.log"


def setting() -> str:
    """The line that tells Vigil where the broker is."""
    return f"VIGIL_KAFKA={HOST}:{PORT}"


def healthy(port: int = PORT) -> bool:
    """Whether a Kafka broker answers an ApiVersions request on the port."""
    request = struct.pack(">hhih", 18, 0, 7, -1)  # key, version, correlation, no client id
    try:
        with socket.create_connection((HOST, port), timeout=2) as link:
            link.settimeout(2)
            link.sendall(struct.pack(">i", len(request)) + request)
            answer = link.recv(10)
    except OSError:
        return False
    return len(answer) == 10 and answer[4:] == struct.pack(">ih", 7, 0)


def install() -> None:
    """Fetch the broker's jars once per machine.

    Raises
    ------
    ServiceError
        When Java or Maven is missing and cannot be installed, or the download fails.
    """
    need_programs({"java": "default-jre-headless"}, INSTALL_LOG)
    if LIBS.is_dir():
        return
    need_programs({"mvn": "maven"}, INSTALL_LOG)
    with locked(NAME):
        if LIBS.is_dir():
            return
        say(f"installing Kafka {VERSION} (about 15 s, once per machine)")
        part = LIBS.with_name(LIBS.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        maven = ["mvn", "-q", "-B", "-f", str(ROOT / "deploy" / "kafka" / "pom.xml")]
        maven += ["dependency:copy-dependencies", f"-DoutputDirectory={part}"]
        run_logged([*maven, "-DincludeScope=runtime"], INSTALL_LOG, "the download of Kafka")
        if not any(part.glob(f"kafka_2.13-{VERSION}.jar")):
            raise ServiceError(f"the download of Kafka brought no broker; log: {INSTALL_LOG}")
        part.rename(LIBS)


def _properties() -> str:
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{CONTROLLER_PORT}",
        "listeners": f"PLAINTEXT://{HOST}:{PORT},CONTROLLER://{HOST}:{CONTROLLER_PORT}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{PORT}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": HOME / "data",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # One node, started often: few internal partitions, no wait for other members.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def prepare() -> list[str]:
    """Write the configuration, format the log folder once, and give the start command."""
    HOME.mkdir(parents=True, exist_ok=True)
    config = HOME / "server.properties"
    config.write_text(_properties())
    java = ["java", "-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", f"{LIBS}/*"]
    if not (HOME / "data" / "meta.properties").exists():
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        cluster = cluster.replace("-", "A")  # a leading dash would read as an option
        tool = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config)]
        run_logged(tool, INSTALL_LOG, "formatting Kafka's log folder")
    return [java[0], "-Xms256m", "-Xmx512m", *java[1:], "kafka.Kafka", str(config)]


def after_start() -> str:
    """Nothing is left to do once the broker answers; names what runs."""
    return f"Kafka {VERSION}"


def data() -> Path:
    """Folder of what the broker stores."""
    return HOME
