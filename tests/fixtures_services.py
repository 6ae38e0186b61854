"""The `vigil` command as a person has it, and services of a test's own that may be broken."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from service.config import Config, load, to_toml
from streams.io.store import Store

ROOT = Path(__file__).resolve().parent.parent
STOP_S = 10.0


@dataclass
class Started:
    """A long-running command and what it says."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Signal it and wait; its exit code and how long it took, s."""
        began_s = time.monotonic()
        self.process.send_signal(how)
        return self.process.wait(STOP_S), time.monotonic() - began_s

    def said(self) -> str:
        """Everything on stdout and stderr so far."""
        return self.out.read_text("utf-8") + self.err.read_text("utf-8")


def _hear_ctrl_c() -> None:
    """As from a terminal: a suite put in the background has its children ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Vigil:
    """Runs `python -m service` in a folder of its own, with a vigil.toml of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list[Started] = field(default_factory=list)

    def configure(self, **sections: Any) -> Config:
        """Write vigil.toml with these keys and sections; the configuration."""
        (self.folder / "vigil.toml").write_text(to_toml(sections) + "\n", "utf-8")
        return load(self.folder / "vigil.toml", {})

    def run(self, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def json(self, *arguments: str, code: int = 0, timeout_s: float = 60.0) -> Any:
        """Run one command with --json; its document."""
        done = self.run(*arguments, "--json", timeout_s=timeout_s)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> Started:
        """Start a command that runs until it is stopped."""
        name = f"{len(self.started)}-{arguments[0]}"
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "service", *arguments],
                cwd=self.folder,
                env=self._environment(),
                stdout=stdout,
                stderr=stderr,
                stdin=subprocess.DEVNULL,
                preexec_fn=_hear_ctrl_c,
            )
        self.started.append(Started(process, out, err))
        return self.started[-1]

    def close(self) -> None:
        """Kill what still runs."""
        for started in self.started:
            if started.process.poll() is None:
                started.process.kill()
            started.process.wait(STOP_S)

    def _environment(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("VIGIL_")}
        path = os.pathsep.join(filter(None, (str(ROOT), own.get("PYTHONPATH", ""))))
        return own | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path} | self.environment


def wait_until(true: Callable[[], object], timeout_s: float, what: str) -> None:
    """Poll until it is true.

    Raises
    ------
    AssertionError
        Naming what did not happen in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture
def vigil(tmp_path: Path) -> Iterator[Vigil]:
    """The `vigil` command, in a folder of its own; what it started is ended afterwards."""
    folder = tmp_path / "vigil"
    folder.mkdir()
    command = Vigil(folder)
    yield command
    command.close()


@dataclass
class OwnService:
    """A broker or a database that only this test uses: `act("down")`, `act("up")`."""

    address: str
    name: str
    environment: dict[str, str]

    def act(self, action: str) -> None:
        """Call `deploy/services` for it and wait."""
        command = [sys.executable, str(ROOT / "deploy" / "services"), action, self.name]
        subprocess.run(command, env=self.environment, check=True, timeout=120, capture_output=True)


@pytest.fixture
def services_state() -> Iterator[str]:
    """A folder that a server's own user may enter, which pytest's folders are not."""
    with tempfile.TemporaryDirectory(prefix="vigil-services-") as folder:
        Path(folder).chmod(0o755)
        yield folder


@pytest.fixture
def private_broker(kafka_bootstrap: str, services_state: str) -> Iterator[OwnService]:
    """A Kafka broker that may be stopped: no other test uses it."""
    port, controller = free_ports(2)
    environment = os.environ | {
        "VIGIL_KAFKA_PORT": str(port),
        "VIGIL_KAFKA_CONTROLLER_PORT": str(controller),
        "VIGIL_SERVICES_STATE": services_state,
        "VIGIL_SERVICES_MODE": "native",
    }
    service = OwnService(f"127.0.0.1:{port}", "kafka", environment)
    service.act("up")
    yield service
    service.act("down")


@pytest.fixture
def private_database(database_server: str, services_state: str) -> Iterator[OwnService]:
    """A database that may be stopped: no other test uses it."""
    (port,) = free_ports(1)
    environment = os.environ | {
        "VIGIL_PG_PORT": str(port),
        "VIGIL_PG_ENGINE": "plain",
        "VIGIL_SERVICES_STATE": services_state,
        "VIGIL_SERVICES_MODE": "native",
    }
    service = OwnService(f"postgresql://vigil@127.0.0.1:{port}/vigil", "timescale", environment)
    service.act("up")
    yield service
    service.act("down")


CANARY_PATIENT = "canary-patient-7331"
CANARY_PASSWORD = "canary-password-9944"


@dataclass
class LiveWard:
    """One patient on a real log and a real database, watched by real processes."""

    vigil: Vigil
    config: Config
    worker: Started
    sink: Started
    spoken: list[subprocess.CompletedProcess[str]]  # every other command that ran

    def page(self, path: str) -> tuple[int, str]:
        """What the worker serves."""
        found = re.search(r"http://[\d.:]+", self.worker.said())
        assert found is not None
        return fetch(found[0] + path)


def fetch(url: str) -> tuple[int, str]:
    """Status and text of a page on this machine."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture(scope="session")
def live_ward(
    kafka_bootstrap: str, database_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveWard]:
    """Import, feed, worker and sink, until the first alert is in the database.

    One set of processes for every test that only looks; about 20 s.
    """
    from streams.io.kafka_admin import delete_topics
    from tests.service import live_kit

    name = f"vigil_live_{uuid.uuid4().hex[:12]}"
    prefix = name.replace("_", "-")
    with psycopg.connect(database_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    parts = urlsplit(database_server)
    place = f"vigil:{CANARY_PASSWORD}@{parts.netloc.rpartition('@')[2]}"
    vigil = Vigil(tmp_path_factory.mktemp("live"))
    config = vigil.configure(
        policy=str(live_kit.impatient_policy(vigil.folder)),
        kafka={"bootstrap": kafka_bootstrap, "prefix": prefix, "partitions": 4, "group": prefix},
        database={"dsn": urlunsplit(parts._replace(netloc=place, path=f"/{name}"))},
        worker={"http_port": 0, "checkpoint_s": 1.0},
        timing=live_kit.TIMING,
    )
    try:
        yield _watched(vigil, config)
    finally:
        vigil.close()
        delete_topics(kafka_bootstrap, prefix)
        with psycopg.connect(database_server, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _watched(vigil: Vigil, config: Config) -> LiveWard:
    from tests.service import live_kit

    csv = live_kit.sick_events(vigil.folder, CANARY_PATIENT)
    with csv.open("a", encoding="utf-8") as file:
        file.write(f"{CANARY_PATIENT},2020-01-01T00:00Z,2020-01-01T00:00Z,sbp,1,bushel,,ehr\n")
    spoken = [
        vigil.run(*command)
        for command in (
            ("init",),
            ("doctor",),
            ("config", "show"),
            ("events", "import", str(csv)),
            ("events", "feed", "--once"),
        )
    ]
    assert [done.returncode for done in spoken] == [0, 0, 0, 1, 0], spoken
    worker, sink = vigil.start("run"), vigil.start("sink")
    live_kit.send_garbage(config, CANARY_PATIENT)
    live_kit.send_signals(config, CANARY_PATIENT, history_s=90, live_s=4)

    def stored() -> bool:
        with Store(config.database_dsn()) as store:
            return store.counts()["alerts"] > 0

    wait_until(stored, 60, "the first alert in the database")
    return LiveWard(vigil, config, worker, sink, spoken)
