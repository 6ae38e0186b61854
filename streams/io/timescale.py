"""The database line: connect, retry, COPY, queries. The only module that imports psycopg.

Not here: which rows and SQL there are (`streams.io.store_rows`, `migrations/`) and what they are
for (`streams.io.store`). Errors never carry the password, a patient id or a row: only where,
what was tried, and the SQLSTATE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg import conninfo, errors, pq
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader

from streams.errors import ConfigError, StoreError
from streams.io.store_rows import Table

PG_EPOCH_US = 946_684_800_000_000  # PostgreSQL counts µs from 2000-01-01 UTC
FETCH_ROWS = 2_000

Row = tuple[Any, ...]
Values = Sequence[object] | Mapping[str, object]
Connection = psycopg.Connection[Row]
_Result = TypeVar("_Result")

# A dead peer is noticed in about 20 s instead of the kernel's hours.
_CONNECTION_DEFAULTS = {
    "connect_timeout": "5",
    "application_name": "vigil",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "20000",
    # Someone else's open transaction may hold a new chunk: try again rather than hang.
    "options": "-c lock_timeout=30s",
}
# SQLSTATE classes worth another try: connection, rollback (deadlock, serialisation), resources,
# shutdown, lock not available.
# Another writer of the same key at the same moment (23505): the next try finds its row.
_RETRIABLE_STATES = ("08", "40", "53", "57P", "55P03", "23505")
_HOPELESS_LOGINS = ("authentication failed", "does not exist", "pg_hba.conf", "no password")
_MISSING_SCHEMA = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)
_BAD_ROW_STATES = ("22", "23", "54")  # data, integrity, program limit (key too long, too deep)
_NOT_POSTGRES_VALUES = (OverflowError, UnicodeEncodeError)


class RefusedRows(StoreError):  # noqa: N818 - what happened, as the other error names say
    """The database refuses at least one row of the batch; the batch was not written."""

    retriable = False


class RetrySpec(NamedTuple):
    """How often an operation is tried and how long it waits in between."""

    attempts: int = 6
    first_s: float = 0.1
    most_s: float = 2.0

    def delays_s(self) -> tuple[float, ...]:
        """Pauses between attempts, doubling.

        Examples
        --------
        >>> RetrySpec(attempts=4, first_s=0.5, most_s=1.0).delays_s()
        (0.5, 1.0, 1.0)
        """
        return tuple(
            min(self.most_s, self.first_s * 2.0**n) for n in range(max(0, self.attempts - 1))
        )


class Micros(int):
    """An int of µs since 1970 that is sent as a timestamptz."""


class _MicrosDumper(Dumper):
    format = pq.Format.BINARY
    oid = psycopg.adapters.types["timestamptz"].oid

    def dump(self, obj: int) -> Buffer:
        return (obj - PG_EPOCH_US).to_bytes(8, "big", signed=True)


class _MicrosLoader(Loader):
    format = pq.Format.BINARY

    def load(self, data: Buffer) -> int:
        return int.from_bytes(data, "big", signed=True) + PG_EPOCH_US


class _Json(bytes):
    """JSON text as received; sent as jsonb without being parsed here."""


class _JsonDumper(Dumper):
    format = pq.Format.BINARY
    oid = psycopg.adapters.types["jsonb"].oid

    def dump(self, obj: bytes) -> Buffer:
        return b"\x01" + obj  # version 1 of jsonb's wire form


class Line:
    """One dedicated, reconnecting connection to the database.

    Invariant: a method that returned has committed. One that raised a retriable StoreError may
    or may not have (the line can die during COMMIT), so everything sent must be idempotent.
    """

    def __init__(self, dsn: str, retry: RetrySpec, sleep: Callable[[float], None]) -> None:
        try:
            given = {k: str(v) for k, v in conninfo.conninfo_to_dict(dsn).items() if v}
        except psycopg.Error:
            # libpq quotes the text, password and all: say only that it cannot be read.
            raise ConfigError(
                "the database address cannot be read; expected "
                "postgresql://USER@HOST:PORT/DATABASE or 'host=... port=... dbname=...'"
            ) from None
        self._given: dict[str, str] = {**_CONNECTION_DEFAULTS, **given}
        self._retry = retry
        self._sleep = sleep
        self._connection: Connection | None = None
        self._staged: set[str] = set()
        self._channels: set[str] = set()
        self._held: set[str] = set()

    def second(self) -> Line:
        """Give a line of its own to the same database, not yet open."""
        return Line(conninfo.make_conninfo(**self._given), self._retry, self._sleep)

    def close(self) -> None:
        """Hang up; the next call dials again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._staged.clear()
        self._channels.clear()
        self._held.clear()

    def where(self) -> str:
        """Server, port and database, for messages: never user secrets."""
        given = self._given
        host = given.get("host", given.get("hostaddr", "local socket"))
        return f"{host}:{given.get('port', '5432')}/{given.get('dbname', '')}"

    def run(self, doing: str, work: Callable[[Connection], _Result]) -> _Result:
        """Do `work`, again after trouble that passes: the one retry of the database.

        Raises
        ------
        RefusedRows
            A value breaks a rule of the schema.
        StoreError
            `retriable` when the trouble may pass but outlasted the retries.
        """
        pauses_s = iter(self._retry.delays_s())
        while True:
            try:
                return work(self._live())
            except (psycopg.Error, *_NOT_POSTGRES_VALUES) as fault:
                error = self._explain(fault, doing)
            pause_s = next(pauses_s, None)
            if not error.retriable or pause_s is None:
                raise error from None
            self._sleep(pause_s)

    def rows(self, doing: str, query: str, values: Values = ()) -> list[Row]:
        """All rows of a query; times come as int µs."""

        def work(connection: Connection) -> list[Row]:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(query, values or None).fetchall()

        return self.run(doing, work)

    def stream(self, doing: str, query: str, values: Values) -> Iterator[Row]:
        """Rows of a query through a server-side cursor: bounded memory, one snapshot.

        Not retried once rows have flowed: a lost line raises a retriable StoreError. Use a
        line of its own (`second`): it stays inside a transaction until the last row.
        """
        connection = self.run(doing, lambda live: live)
        try:
            with connection.transaction(), connection.cursor("vigil", binary=True) as cursor:
                cursor.itersize = FETCH_ROWS
                cursor.execute(query, values)
                yield from cursor
        except psycopg.Error as fault:
            raise self._explain(fault, doing) from None

    def write(self, table: Table, rows: Sequence[Sequence[object]], query: str = "") -> int:
        """COPY `rows` to the stage and insert what is new, in one transaction; how many were."""
        insert = query or table.insert_sql()

        def work(connection: Connection) -> int:
            return connection.execute(insert).rowcount

        return self.staged(f"write {table.name}", table, rows, work) if rows else 0

    def with_stage(
        self, doing: str, table: Table, rows: Sequence[Sequence[object]], query: str
    ) -> list[Row]:
        """COPY `rows` to the stage and run `query` on it, in one transaction; its rows."""

        def work(connection: Connection) -> list[Row]:
            return connection.execute(query).fetchall()

        return self.staged(doing, table, rows, work) if rows else []

    def staged(
        self,
        doing: str,
        table: Table,
        rows: Sequence[Sequence[object]],
        work: Callable[[Connection], _Result],
    ) -> _Result:
        """COPY `rows` to the stage and do `work` on it, in one transaction."""

        def whole(connection: Connection) -> _Result:
            self._stage(connection, table)
            with connection.transaction():
                _copy(connection, table, rows)
                make_room = table.partitions_sql()
                if make_room:
                    connection.execute(make_room)
                return work(connection)

        return self.run(doing, whole)

    def hold(self, name: str) -> bool:
        """Whether this line holds the lock `name`, which only one line can; it ends with the line.

        Asked before every piece of work that only one process may do: a line that was lost and
        dialled again has to get the lock anew.
        """

        def work(connection: Connection) -> bool:
            if name not in self._held:
                query = "SELECT pg_try_advisory_lock(hashtext('vigil'), hashtext(%s))"
                row = connection.execute(query, (name,)).fetchone()
                if row is not None and row[0]:
                    self._held.add(name)
            return name in self._held

        return self.run(f"lock {name}", work)

    def heard(self, channel: str, timeout_s: float) -> bool:
        """Wait for a NOTIFY on `channel`; False after `timeout_s`.

        True at once when the line is new: what was said before the LISTEN is never heard.
        """

        def work(connection: Connection) -> bool:
            if channel not in self._channels:
                connection.execute(f"LISTEN {channel}")
                self._channels.add(channel)
                return True
            return any(True for _ in connection.notifies(timeout=timeout_s, stop_after=1))

        return self.run("wait for news", work)

    def _stage(self, connection: Connection, table: Table) -> None:
        """Create the stage outside the transaction, so that a rollback keeps it."""
        if table.name not in self._staged:
            connection.execute(table.stage_sql())
            self._staged.add(table.name)

    def _live(self) -> Connection:
        """Give an open connection, a new one if the old one is lost."""
        if self._connection is not None and not self._connection.closed:
            return self._connection
        self.close()
        connection = psycopg.connect(conninfo.make_conninfo(**self._given), autocommit=True)
        connection.adapters.register_dumper(Micros, _MicrosDumper)
        connection.adapters.register_dumper(_Json, _JsonDumper)
        connection.adapters.register_loader("timestamptz", _MicrosLoader)
        self._connection = connection
        return connection

    def _explain(self, fault: Exception, doing: str) -> StoreError:
        """Turn a fault into Vigil's error, without the row, the DETAIL or the password."""
        what = f"database {self.where()}: cannot {doing}"
        state = getattr(fault, "sqlstate", None) or ""
        name = type(fault).__name__
        if isinstance(fault, _MISSING_SCHEMA):
            return _final(f"{what}: a table or function is missing ({state}); run `vigil init`")
        refused = isinstance(fault, (errors.DataError, *_NOT_POSTGRES_VALUES))
        if refused or (
            state.startswith(_BAD_ROW_STATES) and not state.startswith(_RETRIABLE_STATES)
        ):
            return RefusedRows(f"{what}: a value breaks a rule ({name} {state})")
        if state and not state.startswith(_RETRIABLE_STATES):
            return _final(f"{what}: {name} {state}")
        if state:
            return StoreError(f"{what}: {name} {state}")
        text = " ".join(str(fault).split())
        password = self._given.get("password")
        if password:
            text = text.replace(password, "***")
        if any(sign in text for sign in _HOPELESS_LOGINS):
            return _final(f"{what}: {text}")
        return StoreError(f"{what}: {text}")


def _copy(connection: Connection, table: Table, rows: Sequence[Sequence[object]]) -> None:
    with connection.cursor() as cursor, cursor.copy(table.copy_sql()) as copy:
        copy.set_types(table.types)
        for row in rows:
            copy.write_row(row)


def _final(message: str) -> StoreError:
    error = StoreError(message)
    error.retriable = False
    return error
