"""Shared fixtures: where the recordings are, and real services when the suite started them."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.fixtures_database", "tests.fixtures_kafka", "tests.fixtures_services"]

settings.register_profile("vigil", deadline=None)  # shared machines stall; time is benchmarked
settings.load_profile("vigil")

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".vigil" / "cache"


@pytest.fixture(scope="session")
def vigil_data() -> Path:
    """Folder of recordings (`VIGIL_DATA`, default ../shared/data), or skip saying so."""
    folder = Path(os.environ.get("VIGIL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings: {folder} is absent (set VIGIL_DATA)")
    return folder


@pytest.fixture(scope="session")
def archive(vigil_data: Path) -> Callable[[str], Path]:
    """Unpack one archive of the recordings once and return its folder."""

    def unpack(name: str) -> Path:
        target = CACHE / name
        packed = vigil_data / f"{name}.tar.xz"
        if not packed.is_file():
            pytest.skip(f"no recordings: {packed.name} is absent from VIGIL_DATA")
        if not (target / ".complete").exists():
            target.mkdir(parents=True, exist_ok=True)
            with tarfile.open(packed) as tar:
                tar.extractall(target, filter="data")
            (target / ".complete").touch()
        inner = target / name
        return inner if inner.is_dir() else target

    return unpack
