"""The files that set Vigil up: services script, compose file, image, Makefile."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "services"
COMPOSE = (ROOT / "docker-compose.yml").read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def services(state: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run the script as another clone would: own state, own cache, own ports."""
    environment = {
        "VIGIL_SERVICES_STATE": str(state),
        "VIGIL_SERVICES_CACHE": str(state / "cache"),
        "VIGIL_SERVICES_MODE": "native",
        "VIGIL_KAFKA_PORT": str(free_port()),
        "VIGIL_PG_PORT": str(free_port()),
    }
    command = [sys.executable, str(SCRIPT), *arguments]
    every = os.environ | environment | extra
    return subprocess.run(command, env=every, capture_output=True, text=True, check=False)


def section(name: str) -> str:
    """One service of the compose file, with the template it merges."""
    found = re.search(rf"^  {name}:.*\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)
    assert found, name
    merged = re.search(r"<<: \*(\w+)", found[1])
    assert merged, f"{name} merges no template"
    template = re.search(rf"^x-{merged[1]}: .*\n((?:  .*\n)+)", COMPOSE, re.MULTILINE)
    assert template, merged[1]
    return found[1] + template[1]


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script's process module, keeping its records in a scratch folder."""
    monkeypatch.setenv("VIGIL_SERVICES_STATE", str(tmp_path))
    monkeypatch.setenv("VIGIL_SERVICES_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from vigil_services import processes as module

    yield module
    for name in [n for n in sys.modules if n.split(".")[0] == "vigil_services"]:
        del sys.modules[name]


def test_status_prints_one_line_per_service_and_fails_when_one_is_down(tmp_path: Path) -> None:
    done = services(tmp_path, "status")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["kafka", "stopped"],
        ["timescale", "stopped"],
    ]
    assert done.returncode == 3


def test_down_without_a_record_stops_nothing(tmp_path: Path) -> None:
    done = services(tmp_path, "down")
    assert done.returncode == 0
    assert done.stderr.count("this clone started none") == 2


def test_a_missing_engine_is_reported_in_one_line(tmp_path: Path) -> None:
    empty = {"PATH": str(tmp_path)}
    done = services(tmp_path, "up", "kafka", **empty)
    assert done.returncode == 1
    assert re.fullmatch(r"services: java missing.*apt-get install \S+\n", done.stderr)


def test_an_open_port_alone_does_not_count_as_a_running_service(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = str(stranger.getsockname()[1])
        done = services(tmp_path, "status", "timescale", VIGIL_PG_PORT=port)
    assert done.stdout.split()[1] == "stopped"


def test_a_process_is_stopped_by_its_pid_and_start_time(
    processes: ModuleType, tmp_path: Path
) -> None:
    record = processes.launch("kafka", free_port(), ["sleep", "60"], tmp_path / "log")
    assert processes.alive(record)
    assert processes.own_record("kafka") == record
    assert processes.stop(record, signal.SIGTERM)
    assert not processes.alive(record)


def test_a_pid_given_to_another_program_is_never_signalled(processes: ModuleType) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        ticks = processes.start_ticks(other.pid)
        stale = processes.Record("kafka", "native", 1, other.pid, ticks - 1, "", "")
        assert processes.stop(stale, signal.SIGTERM)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_damaged_record_reads_as_no_record(processes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "kafka.json").write_text('{"service": "kafka"')
    assert processes.own_record("kafka") is None


@pytest.mark.parametrize("name", ["kafka", "timescale", "init", "worker", "sink", "feed"])
def test_every_container_runs_unprivileged_within_limits(name: str) -> None:
    text = section(name)
    user = re.search(r'user: "(\d+):(\d+)"', text)
    assert user
    assert int(user[1]) > 0
    assert "limits:" in text
    inherited = re.search(r"^x-service: .*\n((?:  .*\n)+)", COMPOSE, re.MULTILINE)
    assert inherited
    assert "no-new-privileges:true" in inherited[1]
    assert "cap_drop: [ALL]" in inherited[1]


@pytest.mark.parametrize("name", ["kafka", "timescale"])
def test_every_stateful_container_has_a_health_check(name: str) -> None:
    assert re.search(r"healthcheck:\n(?: +#.*\n)? +test: \[CMD, ", section(name))


@pytest.mark.parametrize("name", ["init", "worker", "sink", "feed"])
def test_every_vigil_container_has_a_read_only_file_system(name: str) -> None:
    assert "read_only: true" in section(name)


def test_the_image_is_not_root_and_asks_the_worker_for_its_health() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER [1-9]\d*:", text, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK (?:.*\\\n)*.*:9464/healthz", text, re.MULTILINE)


def test_every_published_port_is_on_loopback() -> None:
    ports = re.findall(r"^ +ports: \[(.*)\]", COMPOSE, re.MULTILINE)
    assert len(ports) == 5
    assert all(port.startswith('"127.0.0.1:') for port in ports)


def test_every_image_is_pinned_to_a_version() -> None:
    images = re.findall(r"^ +image: (\S+)", COMPOSE, re.MULTILINE)
    images += re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == 7
    assert all(re.search(r":v?\d+\.\d+\.\d+", image) for image in images)


def test_compose_names_the_kafka_version_that_runs_natively() -> None:
    pom = (ROOT / "deploy" / "kafka" / "pom.xml").read_text()
    native = set(re.findall(r"<artifactId>kafka\S*</artifactId>\s*<version>([\d.]+)<", pom))
    assert native == set(re.findall(r"image: apache/kafka:([\d.]+)", COMPOSE))


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    shown = subprocess.run(
        ["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in shown.splitlines()} == targets
    assert all("(CI: " in line for line in shown.splitlines())


def test_direct_dependencies_carry_the_constraints_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = chain(*project["optional-dependencies"].values())
    direct = [text for text in chain(project["dependencies"], extras) if text[:6] != "vigil["]
    pins = set()
    for line in (ROOT / "requirements" / "constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            assert re.fullmatch(r"[\w.-]+==[\w.!+]+", line)
            pins.add(line.lower().replace("_", "-"))
    wanted = {re.sub(r"\[.*\]", "", text).lower().replace("_", "-") for text in direct}
    assert wanted <= pins


@pytest.mark.parametrize("path", ["deploy/services", "deploy/entrypoint", ".ci/run"])
def test_scripts_are_executable(path: str) -> None:
    assert (ROOT / path).stat().st_mode & stat.S_IXUSR
