"""The wrist series of a Garmin watch as T1D-UOM exports it: heart rate, sleep, stress.

    sleep_ts,step_count,heart_rate,current_activity_type_intensity,stress_level_value,...

One row every five minutes; times are DD/MM/YYYY HH:MM. The series runs on without a break through
the change of clocks of autumn 2023, as UTC does and a local clock does not, so it is read as UTC.
A heart rate of 0 and a negative stress level say that there is none. Its step_count is left alone:
it jumps between the day's counts of several activities; the activity table
(`streams.io.files.t1d_tables`) has steps. The number at the end of the file's name is the person.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TextIO

import numpy as np

from streams.io.files.recording import Floats, Recording, Request, Signal, check_some, fault
from streams.io.files.t1d_names import column_names, person_of

PERIOD_S: Final = 300
MAX_ROWS: Final = 2_000_000  # 19 years
_COLUMNS: Final = {  # column -> signal, unit, lowest value that says something
    "heart_rate": ("hr", "1/min", 1.0),
    "sleep_level": ("asleep", "1", 0.0),
    "stress_level_value": ("stress", "1", 0.0),
}
_TIME: Final = "sleep_ts"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def claims(path: Path) -> bool:
    """Whether a file has the header of such a series."""
    return {_TIME, "heart_rate"} <= set(column_names(path))


def read(request: Request) -> Iterator[Recording]:
    """Read one series.

    Parameters
    ----------
    request : Request
        `path` is the file.

    Yields
    ------
    Recording
        "hr", "asleep" (0 or 1), and "stress" where it is asked for, one sample in 300 s.

    Raises
    ------
    SourceError
        Naming file, place and rule.
    """
    path = request.path
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            times_us, columns = _rows(path, handle)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise fault(path, "text", f"must be a CSV in UTF-8 ({error})") from error
    index = _grid(path, times_us)
    signals = []
    for column, values in columns.items():
        name, unit, least = _COLUMNS[column]
        if request.wants(name):
            samples = np.full(int(index[-1]) + 1, np.nan)
            samples[index] = np.where(values >= least, values, np.nan)
            signals.append(Signal(name, 1 / PERIOD_S, unit, int(times_us[0]), samples))
    check_some(path, signals, [name for name, _, _ in _COLUMNS.values()])
    yield Recording(person_of(request), f"garmin:{request.record_id}", path.name, tuple(signals))


def _rows(path: Path, handle: TextIO) -> tuple[np.ndarray, dict[str, Floats]]:
    """Times and the columns known, NaN where a cell is empty."""
    rows = csv.DictReader(handle)
    known = [name for name in _COLUMNS if name in (rows.fieldnames or ())]
    times: list[int] = []
    values: dict[str, list[float]] = {name: [] for name in known}
    for number, row in enumerate(rows, start=2):
        if number > MAX_ROWS:
            raise fault(path, f"line {number}", f"at most {MAX_ROWS} rows")
        times.append(_us(path, number, row.get(_TIME) or ""))
        for name in known:
            values[name].append(_number(path, number, name, row.get(name) or ""))
    if not times:
        raise fault(path, "rows", "must have one")
    return np.array(times, np.int64), {name: np.array(one) for name, one in values.items()}


def _us(path: Path, line: int, text: str) -> int:
    try:
        moment = datetime.strptime(text.strip(), "%d/%m/%Y %H:%M").replace(tzinfo=UTC)
    except ValueError:
        raise fault(path, f"line {line}, column {_TIME}", "must be DD/MM/YYYY HH:MM") from None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _number(path: Path, line: int, column: str, text: str) -> float:
    if not text.strip():
        return np.nan
    try:
        return float(text)
    except ValueError:
        raise fault(path, f"line {line}, column {column}", "must be a number") from None


def _grid(path: Path, times_us: np.ndarray) -> np.ndarray:
    """Place of every row on the 5-minute grid of the first."""
    since_us = times_us - times_us[0]
    period_us = PERIOD_S * 1_000_000
    off = (np.diff(since_us, prepend=-1) <= 0) | (since_us % period_us != 0)
    if off.any():
        place = int(np.argmax(off)) + 2
        raise fault(path, f"line {place}", "times must rise on one grid of 5 minutes")
    return np.asarray(since_us // period_us)
