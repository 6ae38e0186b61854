"""The table `access_log`: who looked at whom. Rows are added before anything is shown.

Not here: the chain of hashes, which the database makes itself (`0007_access_log.sql`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from streams.errors import StoreError
from streams.io.timescale import Connection, Line

_INSERT = """
    INSERT INTO access_log (actor, action, patient_id, object, client, detail)
    VALUES (%(actor)s, %(action)s, %(patient)s, %(object)s, %(client)s, %(detail)s::jsonb)
"""
_MAY = "SELECT has_any_column_privilege('access_log', 'INSERT')"


class Access(NamedTuple):
    """One look at data: by whom, doing what, from where."""

    actor: str
    action: str  # such as "events.list"
    object: str  # the table that was read
    client: str


class AccessLog:
    """Adds rows; nothing here reads them."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def note(self, access: Access, patients: Sequence[str], detail: Mapping[str, object]) -> None:
        """Write down that somebody is about to read.

        Parameters
        ----------
        access : Access
        patients : sequence of str
            Whose data; a row each. None at all: everybody's, one row with an empty name.
        detail : mapping
            What was asked for, as JSON can hold it.

        Raises
        ------
        StoreError
            The login may not add to the log: then it is not to read either.
        """
        if not self._line.rows("look for the right to note who reads", _MAY)[0][0]:
            raise StoreError(
                "this login may read but not note that it does: GRANT vigil_audit TO it"
            )
        shown = msgspec.json.encode(dict(detail)).decode()
        rows = [
            {**access._asdict(), "patient": patient, "detail": shown}
            for patient in patients or ("",)
        ]

        def work(connection: Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_INSERT, rows)

        self._line.run("note who reads", work)
