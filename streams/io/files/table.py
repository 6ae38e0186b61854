"""The table layout that CSV and Parquet share, turned into recordings.

    time_us | ecg [mV] | spo2 | ... | patient_id | device_id

`time_us` is int µs UTC; instead of it there may be `time`, ISO 8601 with zone. One column per
signal; a heading may carry a unit, otherwise it is the usual one of the signal. Signals of
different rates share a table by leaving cells empty: the rate is inferred per column from the
rows that have a value, and missing rows become NaN. `patient_id` and `device_id` are optional.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streams.io.files.names import DEFAULT_UNITS, canonical_names, in_default_unit
from streams.io.files.recording import (
    Floats,
    Ints,
    Recording,
    Request,
    Signal,
    fault,
)

TIME_COLUMNS = ("time_us", "time")
_OTHER = (*TIME_COLUMNS, "patient_id", "device_id")
_HEADING = re.compile(r"^\s*(?P<label>.*?)\s*(?:\[(?P<unit>[^\]]*\]?)\])?\s*$")
_JITTER = 0.3  # share of a sample interval that a time stamp may be off the regular grid
_SNAP = 0.25  # a whole rate (or period) is meant if the last sample then moves by less than this
_MAX_SAMPLES = 100_000_000  # 4.6 days at 250 Hz: beyond it, a time stamp is wrong
_MAX_FS_HZ = 10_000.0  # as on the log, `streams.codec`


class Heading(NamedTuple):
    """One column of the file: its heading, the name Vigil gives it, its unit ("" for none)."""

    column: str
    name: str
    unit: str


def headings(columns: list[str]) -> list[Heading]:
    """Signal columns of a table.

    Examples
    --------
    >>> headings(["time_us", "ecg [uV]", "spo2", "patient_id"])[0]
    Heading(column='ecg [uV]', name='ecg', unit='uV')
    """
    parts = [(column, _HEADING.match(column)) for column in columns if column not in _OTHER]
    labels = [match["label"] if match else column for column, match in parts]
    units = [(match["unit"] if match else "") or "" for _, match in parts]
    names = canonical_names(labels, [np.inf] * len(labels))
    return [
        Heading(column, name, unit)
        for (column, _), name, unit in zip(parts, names, units, strict=True)
    ]


def has_layout(columns: list[str]) -> bool:
    """Whether these headings are of a recording: a time column and something beside it."""
    return any(name in columns for name in TIME_COLUMNS) and bool(headings(columns))


def looks_recorded(columns: list[str]) -> bool:
    """Whether a table found in a folder is surely a recording: it has a signal known by name."""
    known = (heading.name in DEFAULT_UNITS for heading in headings(columns))
    return has_layout(columns) and any(known)


def check_layout(path: Path, columns: list[str]) -> None:
    """Refuse headings that are not of a recording, or not clear.

    Raises
    ------
    SourceError
        No time column, no signal column, or a heading twice.
    """
    if len(set(columns)) != len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise fault(path, "header", f"column '{twice}' must not come twice")
    if not has_layout(columns):
        rule = (
            "needs a column time_us (int µs UTC) or time (ISO 8601 with zone), and signals "
            "(an Empatica E4 export is read as its folder)"
        )
        raise fault(path, "header", rule)


def recordings(table: Any, wanted: list[Heading], request: Request) -> Iterator[Recording]:
    """Recordings of a table, one per patient and device, in order of first appearance.

    Parameters
    ----------
    table : pyarrow.Table
        Columns as in the file.
    wanted : list of Heading
        Signal columns to read.
    request : Request
        `record_id` is the patient and the device of a table that names none.

    Yields
    ------
    Recording
        Start time and rate inferred per signal.

    Raises
    ------
    SourceError
        Naming file, place and rule.
    """
    path = request.path
    times = _times_us(path, table)
    values = {heading.name: _values(path, table, heading) for heading in wanted}
    patients, devices = (_ids(path, table, name) for name in ("patient_id", "device_id"))
    found = False
    for patient_id, device_id, rows in _groups(patients, devices, len(times)):
        signals = [
            signal
            for heading in wanted
            if (signal := _signal(path, heading, rows, times, values[heading.name]))
        ]
        if signals:
            found = True
            patient = patient_id or request.record_id
            device = device_id or f"table:{request.record_id}"
            yield Recording(patient, device, path.name, tuple(signals))
    if not found:
        raise fault(path, "rows", "must hold a value of a signal asked for")


def _times_us(path: Path, table: Any) -> Ints:
    """Time of every row in µs UTC."""
    name = next(one for one in TIME_COLUMNS if one in table.column_names)
    column = table[name]
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py() + 1
        raise fault(path, f"column {name}, row {row}", "must not be empty")
    if name == "time_us":
        if not pa.types.is_integer(column.type):
            raise fault(path, "column time_us", f"must be whole µs, not {column.type}")
    else:
        if pa.types.is_timestamp(column.type) and column.type.tz is None:
            raise fault(path, "column time", "must have a time zone, as 2024-05-01T08:00:00Z")
        try:
            column = column.cast(pa.timestamp("us", tz="UTC"), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            rule = f"must be ISO 8601 with a time zone ({error})"
            raise fault(path, "column time", rule) from error
    times: Ints = column.cast(pa.int64()).to_numpy()
    return times


def _values(path: Path, table: Any, heading: Heading) -> Floats:
    """One column as float64, NaN where a cell is empty."""
    column = table[heading.column]
    try:
        values: Floats = column.cast(pa.float64(), safe=False).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise fault(path, f"column {heading.column}", f"must be numbers ({error})") from error
    return values


def _ids(path: Path, table: Any, name: str) -> list[str]:
    """Ids of every row, or nothing if the table has no such column."""
    if name not in table.column_names:
        return []
    column = table[name].cast(pa.string())
    ids: list[str] = column.to_pylist()
    if not all(ids):
        row = next(index for index, one in enumerate(ids) if not one) + 1
        raise fault(path, f"column {name}, row {row}", "must not be empty")
    return ids


def _groups(
    patients: list[str], devices: list[str], n_rows: int
) -> Iterator[tuple[str, str, NDArray[np.intp]]]:
    """Rows of every patient and device."""
    if not patients and not devices:
        yield "", "", np.arange(n_rows)
        return
    groups: dict[tuple[str, str], list[int]] = {}
    empty = [""] * n_rows
    for row, key in enumerate(zip(patients or empty, devices or empty, strict=True)):
        groups.setdefault(key, []).append(row)
    for (patient_id, device_id), rows in groups.items():
        yield patient_id, device_id, np.array(rows)


def _signal(
    path: Path, heading: Heading, rows: NDArray[np.intp], times: Ints, values: Floats
) -> Signal | None:
    """One column of one patient on its own grid; None if it has no value there."""
    rows = rows[np.isfinite(values[rows])]
    if not len(rows):
        return None
    index, fs_hz = _grid(path, heading.column, rows, times[rows])
    samples = np.full(int(index[-1]) + 1, np.nan)
    samples[index] = values[rows]
    start_us = int(times[rows[0]])
    return in_default_unit(path, Signal(heading.name, fs_hz, heading.unit, start_us, samples))


def _grid(path: Path, column: str, rows: NDArray[np.intp], times: Ints) -> tuple[Ints, float]:
    """Position of every time stamp on a regular grid, and the rate of the grid."""
    if len(times) < 2:
        raise fault(path, f"column {column}", "needs two values, for its rate is inferred")
    steps_us = np.diff(times)
    if steps_us.min() <= 0:
        row = int(rows[int(np.argmax(steps_us <= 0)) + 1]) + 1
        raise fault(path, f"row {row}", "time must rise from row to row")
    usual_us = float(np.quantile(steps_us, 0.25, method="lower"))  # many steps may be gaps
    single = steps_us < 1.5 * usual_us
    step_us = float(steps_us[single].mean())
    since_us = (times - times[0]).astype(np.float64)
    fs_hz = _snapped(1e6 / step_us, since_us[-1])
    place = since_us * (fs_hz / 1e6)
    index = np.rint(place)
    if fs_hz > _MAX_FS_HZ or index[-1] >= _MAX_SAMPLES:
        rule = f"{index[-1] + 1:.0f} samples at {fs_hz:g} Hz are more than can be meant"
        raise fault(path, f"column {column}", rule)
    off = np.abs(place - index) > _JITTER
    off[1:] |= np.diff(index) < 1
    if off.any():
        row = int(rows[int(np.argmax(off))]) + 1
        rule = f"time must be regular; it is off the {fs_hz:g} Hz of the column"
        raise fault(path, f"column {column}, row {row}", rule)
    return index.astype(np.int64), fs_hz


def _snapped(fs_hz: float, span_us: float) -> float:
    """The whole rate or whole period that time stamps rounded to µs or ms stand for."""
    whole = float(round(fs_hz)) if fs_hz >= 1 else 1 / round(1 / fs_hz)
    moved = abs(span_us / 1e6 * (whole - fs_hz))  # samples, at the end of the recording
    return whole if moved < _SNAP else fs_hz
