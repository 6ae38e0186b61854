"""Real targets of a test's own: an HTTP server, an Alertmanager."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.emitters.alertmanager_kit import BINARY, Alertmanager, own_alertmanager
from tests.service.emitters.emitter_kit import Listener


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A real HTTP server, gone afterwards."""
    server = Listener().up()
    yield server
    server.down()


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Alertmanager]:
    """A real one, or skip saying which package has it."""
    if shutil.which(BINARY) is None:
        pytest.skip(f"no Alertmanager: {BINARY} is absent (Debian package {BINARY})")
    folder = tmp_path / "alertmanager"
    folder.mkdir()
    server = own_alertmanager(folder)
    try:
        yield server.up()
    finally:
        server.down()
