"""PostgreSQL with TimescaleDB: a local installation that has it, or a small Debian 13 chroot.

The chroot's mounts live in a private mount namespace of the server process, so they vanish
with it and no folder of this machine is ever reachable through a forgotten bind mount.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from vigil_services.common import (
    CACHE,
    HOST,
    STATE,
    ServiceError,
    locked,
    need_programs,
    run_logged,
    say,
    wait_until,
)
from vigil_services.processes import start_ticks

NAME = "timescale"
PORT = int(os.environ.get("VIGIL_PG_PORT") or 25432)
STOP_SIGNAL = signal.SIGINT  # PostgreSQL's fast shutdown
CHROOT = CACHE / "trixie-postgresql-17"
CHROOT_BIN = Path("/usr/lib/postgresql/17/bin")
HOME = STATE / NAME
LOG = STATE / "log" / "timescale.log"
INSTALL_LOG = STATE / "log" / "timescale-install.log"
MOUNT = "/srv/vigil"
ENTER = """
set -e
mount --rbind /proc "$1/proc"
mount --rbind /dev "$1/dev"
mkdir -p "$1$3"
mount --bind "$2" "$1$3"
root=$1
shift 3
exec chroot --userspec=postgres:postgres "$root" "$@"
"""


@dataclass(frozen=True)
class Engine:
    """One PostgreSQL installation.

    Attributes
    ----------
    bin
        Folder of its programs, as seen inside ``chroot``.
    chroot
        Root folder it lives in, or None for this machine's own.
    timescale
        Whether TimescaleDB can be loaded.
    """

    bin: Path
    chroot: Path | None
    timescale: bool

    @property
    def data(self) -> Path:
        """Its data folder on this machine; one per kind, as their formats differ."""
        version = "".join(c for c in str(self.bin.parent.name) if c.isdigit())
        return HOME / f"data-{version}{'' if self.timescale else '-plain'}"

    def command(self, program: str, *arguments: str) -> list[str]:
        """How a program of this installation is run as a user that is not root."""
        call = [str(self.bin / program), *arguments]
        if self.chroot is not None:
            enter = ["unshare", "--mount", "--", "sh", "-c", ENTER, "enter"]
            return [*enter, str(self.chroot), str(self.data), MOUNT, *call]
        if os.geteuid() == 0:
            user = _server_user()
            return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *call]
        return call

    @property
    def data_seen(self) -> str:
        """The data folder as the server sees it."""
        return MOUNT if self.chroot is not None else str(self.data)


def _server_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def setting() -> str:
    """The line that tells Vigil where the database is."""
    return f"VIGIL_DATABASE=postgresql://vigil@{HOST}:{PORT}/vigil"


def healthy(port: int = PORT) -> bool:
    """Whether PostgreSQL answers a start-up message with an authentication message."""
    body = struct.pack(">i", 196608) + b"user\0vigil\0database\0postgres\0\0"
    try:
        with socket.create_connection((HOST, port), timeout=2) as link:
            link.settimeout(2)
            link.sendall(struct.pack(">i", len(body) + 4) + body)
            first = link.recv(1)
            if first == b"R":  # say goodbye and read to the end, else the server logs a reset
                link.sendall(b"X\0\0\0\4")
                while link.recv(4096):
                    pass
            return first == b"R"
    except OSError:
        return False


def _local() -> list[Engine]:
    """Installations of this machine itself, those with TimescaleDB and the newest first."""
    folders = list(Path("/usr/lib/postgresql").glob("*/bin"))
    if (found := shutil.which("postgres")) is not None:
        folders.append(Path(found).resolve().parent)
    engines = {
        Engine(folder, None, (folder.parent / "lib" / "timescaledb.so").exists())
        for folder in folders
        if (folder / "postgres").exists()
    }
    return sorted(engines, key=lambda e: (e.timescale, str(e.bin)), reverse=True)


def _chroot_engine() -> Engine:
    """The Debian 13 chroot, made on first use (about a minute, 700 MB, root only)."""
    if os.geteuid() != 0:
        raise ServiceError("the TimescaleDB chroot needs root")
    engine = Engine(CHROOT_BIN, CHROOT, True)
    if CHROOT.is_dir():
        return engine
    need_programs({"debootstrap": "debootstrap"}, INSTALL_LOG)
    with locked(NAME):
        if not CHROOT.is_dir():
            say("installing TimescaleDB in a Debian 13 chroot (about 1 min, once per machine)")
            part = CHROOT.with_name(CHROOT.name + ".part")
            if part.exists():
                shutil.rmtree(part)
            packages = "--include=postgresql-17-timescaledb,ca-certificates"
            make = ["debootstrap", "--variant=minbase", packages, "trixie", str(part)]
            run_logged(make, INSTALL_LOG, "debootstrap of Debian 13")
            part.rename(CHROOT)
    return engine


def install() -> None:
    """Make sure there is an engine to run.

    Raises
    ------
    ServiceError
        When neither TimescaleDB nor a plain PostgreSQL is to be had.
    """
    engine()


def engine() -> Engine:
    """Pick the installation: ``VIGIL_PG_ENGINE`` is ``auto``, ``chroot`` or ``plain``."""
    wish = os.environ.get("VIGIL_PG_ENGINE") or "auto"
    local = _local()
    if wish == "plain":
        if not local:
            raise ServiceError("no PostgreSQL on this machine (apt-get install postgresql)")
        return Engine(local[0].bin, None, False)
    if wish == "auto" and local and local[0].timescale:
        return local[0]
    try:
        return _chroot_engine()
    except ServiceError as reason:
        if wish == "chroot" or not local:
            raise
        say(f"{reason}; using plain PostgreSQL from {local[0].bin}, WITHOUT TimescaleDB")
        return local[0]


def _configuration(chosen: Engine) -> str:
    lines = [
        f"port = {PORT}",
        f"listen_addresses = '{HOST}'",
        "unix_socket_directories = ''",
        "max_connections = 100",
        "shared_buffers = 128MB",
        "max_worker_processes = 32",
        "log_timezone = 'UTC'",
        "timezone = 'UTC'",
    ]
    if chosen.timescale:
        lines += [
            "shared_preload_libraries = 'timescaledb'",
            "timescaledb.telemetry_level = off",
        ]
    return "".join(f"{line}\n" for line in lines)


def _owner(chosen: Engine) -> tuple[int, int] | None:
    """User and group id that must own the data folder, or None when it is ours already."""
    if os.geteuid() != 0:
        return None
    if chosen.chroot is None:
        entry = pwd.getpwnam(_server_user())
        return entry.pw_uid, entry.pw_gid
    for line in (chosen.chroot / "etc" / "passwd").read_text().splitlines():
        if line.startswith("postgres:"):
            return int(line.split(":")[2]), int(line.split(":")[3])
    raise ServiceError(f"no user postgres in {chosen.chroot}")


def _attached(shared_memory_id: str) -> bool:
    """Whether any process still uses a System V shared memory segment."""
    rows = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return any(row.split()[1] == shared_memory_id and row.split()[6] != "0" for row in rows)


def _clear_stale_lock(folder: Path) -> None:
    """Remove the lock of a server that was killed and that nobody has reaped yet.

    PostgreSQL takes a zombie for a live server and would refuse to start. The lock goes only
    when its process has ended and no process is attached to its memory, which is
    PostgreSQL's own test.
    """
    lock = folder / "postmaster.pid"
    if not lock.exists():
        return
    lines = lock.read_text().splitlines()
    if start_ticks(int(lines[0])) is not None:
        return
    memory = lines[6].split()[1] if len(lines) > 6 and lines[6].strip() else ""
    if wait_until(lambda: not _attached(memory), 15.0):
        lock.unlink(missing_ok=True)


def prepare() -> list[str]:
    """Create the data folder once, write the configuration, and give the start command."""
    chosen = engine()
    owner = _owner(chosen)
    chosen.data.mkdir(parents=True, exist_ok=True)
    chosen.data.chmod(0o700)
    if owner is not None:
        os.chown(chosen.data, *owner)
    if not (chosen.data / "PG_VERSION").exists():
        options = ["-U", "vigil", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        make = chosen.command("initdb", "-D", chosen.data_seen, *options)
        run_logged(make, INSTALL_LOG, "initdb")
    _clear_stale_lock(chosen.data)
    config = chosen.data / "postgresql.auto.conf"
    config.write_text(_configuration(chosen))
    if owner is not None:
        os.chown(config, *owner)
    return chosen.command("postgres", "-D", chosen.data_seen)


def _sql(chosen: Engine, database: str, text: str) -> str:
    psql = [str(chosen.bin / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
    psql += ["-h", HOST, "-p", str(PORT), "-U", "vigil", "-d", database, "-c", text]
    enter = ["chroot", str(chosen.chroot)] if chosen.chroot is not None else []
    done = subprocess.run([*enter, *psql], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServiceError(f"database set-up: {done.stderr.strip().splitlines()[-1:]}; log: {LOG}")
    return done.stdout.strip()


def after_start() -> str:
    """Create database and extension where missing; names what runs."""
    chosen = engine()
    if not _sql(chosen, "postgres", "SELECT 1 FROM pg_database WHERE datname = 'vigil'"):
        _sql(chosen, "postgres", "CREATE DATABASE vigil")
    version = _sql(chosen, "vigil", "SHOW server_version").split()[0]
    if not chosen.timescale:
        return f"PostgreSQL {version} (plain, no TimescaleDB)"
    _sql(
        chosen,
        "vigil",
        "SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS timescaledb",
    )
    asked = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
    return f"PostgreSQL {version} with TimescaleDB {_sql(chosen, 'vigil', asked)}"


def data() -> Path:
    """Folder of what the server stores."""
    return HOME
