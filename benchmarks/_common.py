"""What the benchmarks share: where the recordings are, and what machine this is."""

from __future__ import annotations

import os
import platform
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def data_folder(name: str) -> Path:
    """Folder of one unpacked archive of the recordings; exits saying so when it is absent."""
    source = Path(os.environ.get("VIGIL_DATA", ROOT.parent / "shared" / "data"))
    packed = source / f"{name}.tar.xz"
    target = ROOT / ".vigil" / "cache" / name
    if not packed.is_file() and not target.is_dir():
        sys.exit(f"no recordings: {packed} is absent (set VIGIL_DATA)")
    if not (target / ".complete").exists():
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(packed) as tar:
            tar.extractall(target, filter="data")
        (target / ".complete").touch()
    inner = target / name
    return inner if inner.is_dir() else target


def heading(title: str) -> str:
    """Title with the machine and the versions that matter."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("vigil", "numpy", "scipy"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"{title}\n{machine}; {versions}"
