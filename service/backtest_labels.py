"""What happened to whom: labels in the form of MEDS (subject_id, prediction_time, boolean_value).

A row that is true is an event at its time; rows that are false say that a subject was followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from service.backtest_measure import Judged
from service.backtest_run import Outcome
from streams.errors import SourceError

COLUMNS: Final = ("subject_id", "prediction_time", "boolean_value")


class Labels(NamedTuple):
    """Times of events by patient, µs UTC, rising; a patient without one has an empty tuple."""

    events_us: dict[str, tuple[int, ...]]

    def of(self, patient: str) -> tuple[int, ...]:
        """Event times of a patient; none for one who is not in the labels."""
        return self.events_us.get(patient, ())


def read_labels(path: Path) -> Labels:
    """Read labels from Parquet or CSV.

    Parameters
    ----------
    path : Path
        With the columns of MEDS' LabelSchema; a time is a timestamp (UTC where it does not say)
        or µs since 1970.

    Raises
    ------
    SourceError
        If it cannot be read, lacks a column, or a row has no subject, time or truth.
    """
    try:
        table = pq.read_table(path) if path.suffix == ".parquet" else pa_csv.read_csv(path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path}: cannot be read as labels") from error
    missing = set(COLUMNS) - set(table.column_names)
    if missing:
        raise SourceError(f"{path}: no labels: column {', '.join(sorted(missing))} is absent")
    return labels_of(table, str(path))


def labels_of(table: pa.Table, place: str = "labels") -> Labels:
    """Labels of an Arrow table with MEDS' columns.

    Raises
    ------
    SourceError
        If a row has no subject, time or truth, or a column is of the wrong type.
    """
    try:
        subjects = table.column("subject_id").cast(pa.string()).to_pylist()
        times = _micros(table.column("prediction_time"))
        truths = table.column("boolean_value").cast(pa.bool_()).to_pylist()
    except pa.ArrowException as error:
        raise SourceError(f"{place}: a column is of the wrong type ({error})") from error
    found: dict[str, list[int]] = {}
    for row, (subject, time_us, true) in enumerate(zip(subjects, times, truths, strict=True)):
        if subject is None or time_us is None or true is None:
            raise SourceError(f"{place} row {row + 1}: subject, time and truth are needed")
        own = found.setdefault(subject, [])
        if true:
            own.append(time_us)
    return Labels({subject: tuple(sorted(set(own))) for subject, own in found.items()})


def write_raises(outcome: Outcome, judged: Judged, path: Path) -> None:
    """Write every raise that rang, in the form of labels: true where an event followed."""
    rung = [episode for episode in outcome.episodes if episode.rings and not episode.technical]
    names = [outcome.stays[episode.patient].patient for episode in rung]
    columns = {
        "subject_id": subjects(names),
        "prediction_time": pa.array([e.at_us for e in rung], pa.timestamp("us")),
        "boolean_value": pa.array(judged.true, pa.bool_()),
        "code": pa.array([e.code for e in rung], pa.string()),
        "lead_s": pa.array(judged.lead_s, pa.float64()),
    }
    pq.write_table(pa.table(columns), path)


def subjects(names: Sequence[str]) -> pa.Array:
    """`subject_id`: numbers where every id is one, as MEDS has it, and text otherwise."""
    numeric = all(name.isdigit() and len(name) < 19 for name in names)
    return pa.array([int(n) for n in names], pa.int64()) if numeric else pa.array(names)


def _micros(column: pa.ChunkedArray) -> list[int | None]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"))
    found: list[int | None] = column.cast(pa.int64()).to_pylist()
    return found
