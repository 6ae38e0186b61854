"""Process records: what was started, by which clone, and how it is stopped.

A process is addressed by its recorded pid together with its start time, so a pid that the
system has given to another program is never signalled. Nothing is ever stopped by name.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vigil_services.common import CACHE, STATE, ServiceError, wait_until


@dataclass(frozen=True)
class Record:
    """One started service.

    Attributes
    ----------
    service, mode
        ``kafka`` or ``timescale``; ``native`` or ``docker``.
    port
        The port on loopback.
    pid, start_ticks
        The process and its start (field 22 of ``/proc/PID/stat``); 0 under Docker.
    owner
        State folder of the clone that started it.
    log
        Where its output goes; empty under Docker.
    """

    service: str
    mode: str
    port: int
    pid: int
    start_ticks: int
    owner: str
    log: str

    @property
    def mine(self) -> bool:
        """Whether this clone started it."""
        return self.owner == str(STATE)


def _own_file(service: str) -> Path:
    return STATE / f"{service}.json"


def _shared_file(service: str, port: int) -> Path:
    return CACHE / "run" / f"{service}-{port}.json"


def _read(path: Path) -> Record | None:
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def own_record(service: str) -> Record | None:
    """What this clone recorded for a service, or None."""
    return _read(_own_file(service))


def record_at(service: str, port: int) -> Record | None:
    """What any clone of this machine recorded for a service on a port, or None."""
    return _read(_shared_file(service, port))


def remember(record: Record) -> None:
    """Write a record for this clone and for the others of this machine."""
    for path in (_own_file(record.service), _shared_file(record.service, record.port)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(record), indent=2) + "\n")


def forget(record: Record) -> None:
    """Remove a record in both places."""
    _own_file(record.service).unlink(missing_ok=True)
    shared = _shared_file(record.service, record.port)
    if (found := _read(shared)) is not None and found.owner == record.owner:
        shared.unlink(missing_ok=True)


def start_ticks(pid: int) -> int | None:
    """Start time of a live process in clock ticks since boot; None when gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def alive(record: Record) -> bool:
    """Whether the recorded native process still runs; under Docker the caller probes."""
    return record.mode == "docker" or start_ticks(record.pid) == record.start_ticks


def launch(service: str, port: int, command: Sequence[str], log: Path) -> Record:
    """Start a native service in its own session with output in ``log`` and record it."""
    if not Path("/proc/self/stat").exists():
        raise ServiceError("native services need Linux; elsewhere start a Docker engine")
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), write, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:  # not Popen: the process is meant to outlive this script
        call = list(command)
        pid = os.posix_spawnp(call[0], call, os.environ, file_actions=files, setsid=True)
    except OSError as error:
        raise ServiceError(f"{service} cannot start: {error}") from error
    ticks = start_ticks(pid)
    if ticks is None:
        raise ServiceError(f"{service} ended at once; log: {log}")
    record = Record(service, "native", port, pid, ticks, str(STATE), str(log))
    remember(record)
    return record


def stop(record: Record, gentle: signal.Signals, seconds: float = 30.0) -> bool:
    """Stop a recorded native process.

    Returns
    -------
    bool
        True when it ended on the gentle signal, False when it had to be killed.
    """
    if not alive(record):
        return True
    os.kill(record.pid, gentle)
    gone = wait_until(lambda: not alive(record), seconds)
    if not gone:
        os.kill(record.pid, signal.SIGKILL)
        wait_until(lambda: not alive(record), 10.0)
    return gone
