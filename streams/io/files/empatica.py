"""Empatica E4 session folders as the E4 manager exports them.

Every CSV: line 1 the start in epoch seconds UTC, line 2 the rate in Hz, then samples. BVP.csv is
the PPG (64 Hz), ACC.csv three columns in 1/64 g (32 Hz), EDA.csv in µS and TEMP.csv in °C (4 Hz),
HR.csv an average per second. IBI.csv has one header line, then the time of each beat and the
interval before it, in seconds; it is laid on the grid of `streams.beat_grid`. tags.csv holds
button presses, not a signal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streams.beat_grid import GRID_HZ, STEP_MS, on_grid
from streams.errors import SourceError
from streams.io.files.recording import Recording, Request, Signal, check_some, fault

_MAX_FS_HZ = 10_000.0  # as on the log, `streams.codec`
_LONGEST_S = 14 * 86_400.0  # of a session
_MAX_EPOCH_S = 4_102_444_800.0  # 2100-01-01


class _File(NamedTuple):
    names: tuple[str, ...]
    unit: str
    step: float  # value of one count as the file writes it


_FILES = {
    "BVP.csv": _File(("ppg",), "1", 0.01),
    "ACC.csv": _File(("acc_x", "acc_y", "acc_z"), "g", 1 / 64),
    "EDA.csv": _File(("eda",), "uS", 0.0),
    "TEMP.csv": _File(("temp",), "Cel", 0.01),
    "HR.csv": _File(("hr",), "1/min", 0.01),
}

_INTERVALS = "IBI.csv"


def claims(path: Path) -> bool:
    """Whether the path is a folder with the files of an E4 session (two of them are enough)."""
    return path.is_dir() and sum((path / name).is_file() for name in _FILES) >= 2


def read(request: Request) -> Iterator[Recording]:
    """Read one session.

    Parameters
    ----------
    request : Request
        `path` is the folder. Start times come from the files.

    Yields
    ------
    Recording
        "ppg", "acc_x", "acc_y", "acc_z" in g, "eda", "temp", "hr", "rr_interval" as far as
        there are files.

    Raises
    ------
    SourceError
        Naming file, place and rule.
    """
    signals: list[Signal] = []
    offered: list[str] = []
    for name, spec in _FILES.items():
        path = request.path / name
        if path.is_file():
            offered += spec.names
            if any(request.wants(signal) for signal in spec.names):
                signals += [one for one in _signals(path, spec) if request.wants(one.name)]
    path = request.path / _INTERVALS
    if path.is_file():
        offered.append("rr_interval")
        if request.wants("rr_interval"):
            signals += _intervals(path)
    check_some(request.path, signals, offered)
    yield Recording(request.record_id, "e4", request.path.name, tuple(signals))


def _signals(path: Path, spec: _File) -> list[Signal]:
    """All columns of one file; none if it has only its two header lines."""
    width = len(spec.names)
    try:
        with path.open(encoding="ascii") as lines:
            start_s = _header(path, 1, lines.readline(), width)
            fs_hz = _header(path, 2, lines.readline(), width)
            body = lines.read().splitlines()
        table = np.loadtxt(body, delimiter=",", ndmin=2) if body else np.empty((0, width))
    except SourceError:
        raise
    except (UnicodeDecodeError, OSError) as error:
        raise fault(path, "text", f"not an E4 CSV file ({error})") from error
    except ValueError as error:
        raise fault(path, "samples from line 3", f"must be numbers ({error})") from error
    if not 0 < start_s < _MAX_EPOCH_S:
        raise fault(path, "line 1", "must be the start in epoch seconds UTC")
    if not 0 < fs_hz <= _MAX_FS_HZ:
        raise fault(path, "line 2", f"must be a rate over 0 and up to {_MAX_FS_HZ:.0f} Hz")
    if table.size == 0:
        return []
    if table.shape[1] != width:
        raise fault(path, "line 3", f"must have {width} columns, not {table.shape[1]}")
    factor = spec.step if spec.unit == "g" else 1.0
    start_us = round(start_s * 1e6)
    return [
        Signal(name, fs_hz, spec.unit, start_us, column * factor, spec.step)
        for name, column in zip(spec.names, np.ascontiguousarray(table.T), strict=True)
    ]


def _intervals(path: Path) -> list[Signal]:
    """The beat-to-beat intervals; none if the band found no beat."""
    try:
        with path.open(encoding="ascii") as lines:
            start_s = float(lines.readline().split(",")[0])
            body = lines.read().splitlines()
        table = np.loadtxt(body, delimiter=",", ndmin=2) if body else np.empty((0, 2))
    except (UnicodeDecodeError, OSError) as error:
        raise fault(path, "text", f"not an E4 CSV file ({error})") from error
    except ValueError as error:
        raise fault(path, "samples from line 2", f"must be numbers ({error})") from error
    if not 0 < start_s < _MAX_EPOCH_S:
        raise fault(path, "line 1", "must begin with the start in epoch seconds UTC")
    if table.size and (table.shape[1] != 2 or not np.abs(table).max() < _LONGEST_S):
        raise fault(path, "line 2", "must have a time and an interval in seconds")
    times_us = round(start_s * 1e6) + np.round(table[:, 0] * 1e6).astype(np.int64)
    start_us, samples = on_grid(times_us, table[:, 1] * 1000.0)
    return (
        [Signal("rr_interval", GRID_HZ, "ms", start_us, samples, STEP_MS)] if len(samples) else []
    )


def _header(path: Path, number: int, line: str, width: int) -> float:
    """The one value that a header line repeats in every column."""
    try:
        values = {float(cell) for cell in line.split(",")}
    except ValueError:
        values = set()
    if len(values) != 1 or len(line.split(",")) != width or not math.isfinite(min(values)):
        raise fault(path, f"line {number}", f"must be one number, written {width} times")
    return values.pop()
