"""Glucose and activity tables of T1D-UOM as recordings: a sensor's readings, steps a minute.

    bg_ts,value                                                   UoMGlucose*.csv, local time
    activity_type,...,step_count,...,duration_s,...,start_time_s  UoMActivity*.csv, epoch seconds

Readings come every 5 to 15 minutes at any minute, so they stand on a grid of minutes with nothing
between them. Steps of an epoch stand in its last minute, as a rate: before its end nobody knew
them. Glucose times are local ones of people in the United Kingdom; of the hour that comes twice in
autumn both are read as the first, and of two readings in one minute the first in the file holds.
Rows that one file holds twice count once. The number at the end of a file's name is the person.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from streams.io.files.recording import Recording, Request, Signal, check_some, fault
from streams.io.files.t1d_names import column_names, person_of

MINUTE_US: Final = 60_000_000
MAX_MINUTES: Final = 20 * 366 * 24 * 60  # of one file, first to last
LONDON: Final = ZoneInfo("Europe/London")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNMONITORED: Final = "UNMONITORED"

Row = dict[str, str]
Minutes = dict[int, float]  # minute since 1970 -> value


class _Bad(Exception):  # noqa: N818 - ends the reading of a file
    def __init__(self, column: str, rule: str) -> None:
        super().__init__(rule)
        self.column, self.rule = column, rule


class _Table(NamedTuple):
    """One kind of table: how it is told, and what it becomes."""

    columns: tuple[str, ...]
    device: str
    signal: str
    unit: str
    values: Callable[[Iterator[tuple[int, Row]], Path], Minutes]


def claims(path: Path) -> bool:
    """Whether a file has the header of one of the tables."""
    return _kind(column_names(path)) is not None


def read(request: Request) -> Iterator[Recording]:
    """Read one table.

    Parameters
    ----------
    request : Request
        `path` is the file.

    Yields
    ------
    Recording
        "glucose" in mmol/L or "step_rate" in 1/min, one sample a minute, NaN between readings.

    Raises
    ------
    SourceError
        Naming file, place and rule.
    """
    path = request.path
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = csv.DictReader(handle)
            table = _kind([name.strip() for name in rows.fieldnames or ()])
            if table is None:
                raise fault(path, "line 1", "no table of this data set")
            values = table.values(enumerate(rows, start=2), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise fault(path, "text", f"must be a CSV in UTF-8 ({error})") from error
    if not values:
        raise fault(path, "rows", "must have one")
    signals = [_signal(path, table, values)] if request.wants(table.signal) else []
    check_some(path, signals, [table.signal])
    device = f"{table.device}:{request.record_id}"
    yield Recording(person_of(request), device, path.name, tuple(signals))


def _signal(path: Path, table: _Table, values: Minutes) -> Signal:
    """Values on the grid of minutes."""
    first = min(values)
    count = max(values) - first + 1
    if count > MAX_MINUTES:
        raise fault(path, "times", f"must lie within {MAX_MINUTES} minutes")
    samples = np.full(count, np.nan)
    samples[np.array(list(values)) - first] = list(values.values())
    return Signal(table.signal, 1 / 60, table.unit, first * MINUTE_US, samples)


def _readings(rows: Iterator[tuple[int, Row]], path: Path) -> Minutes:
    """Glucose by minute; a reading without a value is none."""
    values: Minutes = {}
    for line, row in rows:
        with _placed(path, line):
            text = (row["value"] or "").strip()
            if text:
                values.setdefault(_local_minute(row["bg_ts"]), _number(text, "value"))
    return values


def _steps(rows: Iterator[tuple[int, Row]], path: Path) -> Minutes:
    """Steps a minute over the epoch that ends with each minute, all kinds of activity together."""
    epochs: dict[tuple[float, float], dict[tuple[str | None, ...], float]] = {}
    for line, row in rows:
        with _placed(path, line):
            if (row["activity_type"] or "").strip().upper() == _UNMONITORED:
                continue
            start_s, length_s, count = (
                _number(row[name], name) for name in ("start_time_s", "duration_s", "step_count")
            )
            if not 60 <= length_s <= 86_400 or not 0 <= start_s < 2**32:
                raise _Bad("duration_s", "must be a minute to a day of a time since 1970")
            epochs.setdefault((start_s, length_s), {})[tuple(row.values())] = count
    values: Minutes = {}
    for (start_s, length_s), parts in epochs.items():
        last = int(start_s + length_s - 1) // 60
        values[last] = values.get(last, 0.0) + sum(parts.values()) / (length_s / 60)
    return values


@contextmanager
def _placed(path: Path, line: int) -> Iterator[None]:
    """Say of which file and line a bad cell is."""
    try:
        yield
    except _Bad as bad:
        raise fault(path, f"line {line}, column {bad.column}", bad.rule) from None


def _local_minute(text: str | None) -> int:
    try:
        moment = datetime.strptime((text or "").strip(), "%d/%m/%Y %H:%M").replace(tzinfo=LONDON)
    except ValueError:
        raise _Bad("bg_ts", "must be DD/MM/YYYY HH:MM") from None
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(minutes=1)


def _number(text: str | None, column: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise _Bad(column, "must be a number")
    return value


def _kind(names: list[str]) -> _Table | None:
    return next((table for table in _TABLES if set(table.columns) <= set(names)), None)


_TABLES: Final = (
    _Table(("bg_ts", "value"), "cgm", "glucose", "mmol/L", _readings),
    _Table(
        ("activity_type", "step_count", "start_time_s", "duration_s"),
        "activity",
        "step_rate",
        "1/min",
        _steps,
    ),
)
