"""Numbered SQL files to a schema: applied once, in order, forward only.

Not here: connections (`streams.io.timescale`), what the tables are for (`docs/event-store.md`).
A released file is never edited, because databases have it: its checksum is kept beside its
number, and a database that had another text under the same number is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streams.errors import StoreError
from streams.io import store_rows
from streams.io.upkeep import Keep, hourly_sql, policy_sql, retention_sql

if TYPE_CHECKING:
    from streams.io.timescale import Connection

SCHEMA_VERSION: Final = 9
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class Migration(NamedTuple):
    """One numbered file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, whatever its line ends are."""
        return hashlib.sha256(self.sql.replace("\r\n", "\n").encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """Every migration of this build, by number from 1 without a gap.

    Raises
    ------
    StoreError
        The installation is incomplete: a number is missing or is there twice.
    """
    folder = resources.files("streams.io").joinpath("migrations")
    found = sorted(
        Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if (match := _NAME.fullmatch(entry.name))
    )
    if [one.version for one in found] != list(range(1, SCHEMA_VERSION + 1)):
        numbers = ", ".join(str(one.version) for one in found)
        raise _final(f"migrations {numbers} are installed, 1 to {SCHEMA_VERSION} are needed")
    return tuple(found)


def migrate(
    connection: Connection,
    extension: bool = True,
    keep: Keep | None = None,
    steps: Sequence[Migration] | None = None,
) -> str:
    """Bring the schema to this build's version; running it again changes nothing.

    Parameters
    ----------
    connection : psycopg.Connection
        In autocommit mode, of a role that may create tables.
    extension : bool
        Create the timescaledb extension first where this server and role can.
    keep : Keep or None
        How long rows are kept from now on; None: as before.
    steps : sequence of Migration, or None
        Instead of this build's own.

    Returns
    -------
    str
        The edition: "timescale-apache", "timescale-community" or "postgresql".

    Raises
    ------
    StoreError
        The database has a newer schema than this build, or had another text of a migration.

    Notes
    -----
    All new steps are one transaction under a lock: two at once apply each step once, and one
    that fails leaves the schema as it was. Roles and rights (`roles.sql`) are brought up to date
    every time.
    """
    wanted = migrations() if steps is None else tuple(steps)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('vigil_schema'))")
        connection.execute("SET LOCAL client_min_messages = warning")
        if extension and value(connection, store_rows.EXTENSION_SQL):
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        applied = _applied(connection, wanted)
        for step in wanted:
            if step.version not in applied:
                connection.execute(step.sql.encode())
                _record(connection, step)
        edition = str(value(connection, store_rows.EDITION_SQL))
        if steps is None:
            for line in _settings(edition, keep):
                connection.execute(line.encode())
            connection.execute(_text("roles.sql").encode())
        return edition


def _settings(edition: str, keep: Keep | None) -> tuple[str, ...]:
    """What depends on the edition and the configuration, not on the version."""
    if keep is None:
        return hourly_sql(edition)
    return (*hourly_sql(edition), *retention_sql(keep), *policy_sql(edition, keep))


def _text(name: str) -> str:
    return resources.files("streams.io").joinpath(name).read_text(encoding="utf-8")


def _applied(connection: Connection, wanted: Sequence[Migration]) -> set[int]:
    """Numbers of what the database has had; refuses a history that is not this build's."""
    if not value(connection, "SELECT to_regclass('schema_version')::text"):
        return set()
    _complete_table(connection)
    rows = connection.execute("SELECT version, checksum FROM schema_version").fetchall()
    known = {step.version: step for step in wanted}
    newest = max((version for version, _ in rows), default=0)
    if newest > len(known):
        raise _final(
            f"the database has schema version {newest}, this build knows {len(known)}: "
            "use the newer build"
        )
    for version, checksum in rows:
        if checksum is None:  # written by version 0.1.0, which had one schema and no checksums
            _record(connection, known[version])
        elif checksum != known[version].checksum:
            raise _final(
                f"migration {version:04d}_{known[version].name}.sql is not the one this database "
                "had: a released migration is never edited; restore it and add a new one"
            )
    return {version for version, _ in rows}


def _complete_table(connection: Connection) -> None:
    """Columns that the table of version 0.1.0 did not have."""
    connection.execute("ALTER TABLE schema_version ADD COLUMN IF NOT EXISTS name text")
    connection.execute("ALTER TABLE schema_version ADD COLUMN IF NOT EXISTS checksum text")


def _record(connection: Connection, step: Migration) -> None:
    _complete_table(connection)
    connection.execute(
        "INSERT INTO schema_version (version, name, checksum) VALUES (%s, %s, %s) "
        "ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum",
        (step.version, step.name, step.checksum),
    )


def value(connection: Connection, query: str) -> Any:
    """First column of the first row, or None."""
    row = connection.execute(query).fetchone()
    return None if row is None else row[0]


def _final(message: str) -> StoreError:
    error = StoreError(message)
    error.retriable = False
    return error
