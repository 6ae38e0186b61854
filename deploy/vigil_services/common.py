"""What both services share: folders, one-line failures, logged commands, packages, waiting.

Standard library only: this runs before the project's own environment exists.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The clone this script belongs to."""

STATE = Path(os.environ.get("VIGIL_SERVICES_STATE") or ROOT / "deploy" / ".services").resolve()
"""Data, logs and process records of this clone; git-ignored."""

CACHE = Path(
    os.environ.get("VIGIL_SERVICES_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vigil-services"
).resolve()
"""What was installed once and serves every clone on the machine."""

HOST = "127.0.0.1"


class ServiceError(Exception):
    """A step did not work; the message is the one line the user sees."""


def say(text: str) -> None:
    """Write one line of progress to stderr; stdout carries only the connection settings."""
    sys.stderr.write(f"services: {text}\n")
    sys.stderr.flush()


def run_logged(command: Sequence[str | Path], log: Path, what: str) -> None:
    """Run a command with its output appended to ``log``.

    Raises
    ------
    ServiceError
        When the command cannot start or ends with another status than 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        try:
            done = subprocess.run(
                list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
            )
        except OSError as error:
            raise ServiceError(f"{what}: {error}") from error
    if done.returncode != 0:
        raise ServiceError(f"{what} ended with status {done.returncode}; log: {log}")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock that every clone on this machine sees, so an install happens once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def need_programs(programs: dict[str, str], log: Path) -> None:
    """Install the Debian packages of the programs that are missing.

    Parameters
    ----------
    programs
        Program name to the package that brings it.
    log
        Where the package manager's output goes.

    Raises
    ------
    ServiceError
        When a program is missing and it cannot be installed from here.
    """
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = {name: pkg for name, pkg in programs.items() if not shutil.which(name, path=path)}
    if not missing:
        return
    packages = sorted(set(missing.values()))
    wanted = f"{', '.join(sorted(missing))} missing"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ServiceError(f"{wanted}; install first: sudo apt-get install {' '.join(packages)}")
    say(f"{wanted}: apt-get install {' '.join(packages)}")
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
    quiet += ["-o", "DPkg::Lock::Timeout=300"]
    with locked("apt"):
        run_logged([*quiet, "update"], log, "apt-get update")
        run_logged(
            [*quiet, "install", "--no-install-recommends", *packages], log, "apt-get install"
        )


def wait_until(ready: Callable[[], bool], seconds: float) -> bool:
    """Ask ``ready`` every 0.1 s; true as soon as it answers yes, false after ``seconds``."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
