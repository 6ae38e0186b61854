"""A listener per test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.emitters.emitter_kit import Listener


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A real HTTP server, gone afterwards."""
    server = Listener().up()
    yield server
    server.down()
