"""A real broker for tests: topics of their own, workers of their own, both gone afterwards."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTITIONS = 8

StartWorker = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="session")
def kafka_bootstrap() -> str:
    """Address of the broker (`VIGIL_KAFKA`), or skip saying how to get one."""
    address = os.environ.get("VIGIL_KAFKA", "")
    if not address:
        pytest.skip("no broker: VIGIL_KAFKA is unset (make services-up starts one)")
    return address


@pytest.fixture
def kafka_prefix(kafka_bootstrap: str) -> Iterator[str]:
    """A topic prefix whose topics exist, with 8 partitions and no limit on age."""
    from streams.io.kafka_admin import create_topics, delete_topics

    prefix = f"test-{uuid.uuid4().hex[:12]}"
    create_topics(kafka_bootstrap, prefix, PARTITIONS, recorded_time=True)
    yield prefix
    delete_topics(kafka_bootstrap, prefix)


@pytest.fixture
def start_toy_worker(kafka_bootstrap: str, tmp_path: Path) -> Iterator[StartWorker]:
    """Start `toy_worker.py` as a process: `start(prefix, instance, *options)`."""
    started: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def start(
        prefix: str, instance: str, *options: str, bootstrap: str = kafka_bootstrap
    ) -> subprocess.Popen[bytes]:
        script = ROOT / "tests" / "streams" / "io" / "toy_worker.py"
        place = ("--datadir", str(tmp_path))
        log = (tmp_path / f"{instance}-{len(started)}.log").open("wb")
        worker = subprocess.Popen(
            [sys.executable, str(script), bootstrap, prefix, instance, *place, *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
        started.append((worker, log))
        return worker

    yield start
    for worker, log in started:
        if worker.poll() is None:
            worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        log.close()


@pytest.fixture(params=["faust", "direct"])
def start_worker(request: pytest.FixtureRequest, start_toy_worker: StartWorker) -> StartWorker:
    """Start a toy worker whose records are carried by Faust, or by aiokafka alone."""

    def start(prefix: str, instance: str, *options: str, **more: str) -> subprocess.Popen[bytes]:
        return start_toy_worker(prefix, instance, "--runner", request.param, *options, **more)

    return start


@pytest.fixture
def toy_processor() -> Any:
    """The engine of `toy_worker.py`, in this process: what an undisturbed pass gives."""
    path = ROOT / "tests" / "streams" / "io" / "toy_worker.py"
    spec = importlib.util.spec_from_file_location("toy_worker", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ToyProcessor()
