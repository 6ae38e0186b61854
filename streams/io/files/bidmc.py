"""The BIDMC folder format: waveforms as npz, the monitor's numbers as CSV.

`bidmc_NN_Signals.npz` holds fs (Hz), channels (names in row order) and signals (channels ×
samples, float32); leads differ between records. `bidmc_NN_Numerics.csv` beside it holds HR,
PULSE, RESP and SpO2 once per second; it may be absent. Breath annotations are not signals.
"""

from __future__ import annotations

import csv
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from streams.errors import SourceError
from streams.io.files.names import canonical_names, default_unit
from streams.io.files.recording import Floats, Recording, Request, Signal, check_some, fault

_SUFFIX = "_Signals.npz"
_ARRAYS = ("channels", "fs", "signals")
_TIME = "Time [s]"
_NUMERICS_FS_HZ = 1.0
_MAX_FS_HZ = 10_000.0  # as on the log, `streams.codec`
_BROKEN = (
    *(ValueError, TypeError, KeyError, OSError, EOFError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


def claims(path: Path) -> bool:
    """Whether the path is the signal file of a record."""
    return path.name.endswith(_SUFFIX) and path.is_file()


def record_id(path: Path) -> str:
    """Record name: the file name without its ending.

    Examples
    --------
    >>> record_id(Path("bidmc_01_Signals.npz"))
    'bidmc_01'
    """
    return path.name.removesuffix(_SUFFIX)


def read(request: Request) -> Iterator[Recording]:
    """Read one record.

    Parameters
    ----------
    request : Request
        `path` is the `*_Signals.npz`; the recording starts at `base_us`, for it has no date.

    Yields
    ------
    Recording
        Waveforms ("ecg" is lead II), then numerics ("hr", "pulse", "resp_rate", "spo2").

    Raises
    ------
    SourceError
        Naming file, place and rule.
    """
    path = request.path
    waves, offered = _waves(request)
    numerics = path.with_name(f"{record_id(path)}_Numerics.csv")
    signals = waves + (_numerics(numerics, request) if numerics.is_file() else [])
    check_some(path, signals, offered)
    yield Recording(request.record_id, "bidmc", path.name, tuple(signals))


def _waves(request: Request) -> tuple[list[Signal], list[str]]:
    """Wanted rows of the npz, and the names of all."""
    path = request.path
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [name for name in _ARRAYS if name not in archive.files]
            if missing:
                raise fault(path, "arrays", f"{', '.join(missing)} missing of {_ARRAYS}")
            labels = [str(label) for label in np.atleast_1d(archive["channels"])]
            fs = np.asarray(archive["fs"])
            rows = archive["signals"]
    except SourceError:
        raise
    except _BROKEN as error:
        raise fault(path, "archive", f"not a whole npz file ({error})") from error
    if fs.size != 1 or fs.dtype.kind not in "fiu" or not 0 < float(fs.item()) <= _MAX_FS_HZ:
        raise fault(path, "fs", f"must be one rate over 0 and up to {_MAX_FS_HZ:.0f} Hz")
    if rows.ndim != 2 or rows.shape[0] != len(labels) or rows.dtype.kind not in "fiu":
        raise fault(path, "signals", f"must be numbers, {len(labels)} channels × samples")
    fs_hz = float(fs.item())
    names = canonical_names(labels, [fs_hz] * len(labels))
    signals = [
        Signal(name, fs_hz, default_unit(name), request.base_us, row.astype(np.float64))
        for name, row in zip(names, rows, strict=True)
        if request.wants(name)
    ]
    return signals, names


def _numerics(path: Path, request: Request) -> list[Signal]:
    """Columns of the monitor's numbers; "NaN" and nothing are missing."""
    try:
        with path.open(encoding="ascii", newline="") as lines:
            rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise fault(path, "text", f"not a CSV file ({error})") from error
    if not rows or rows[0][:1] != [_TIME] or len(rows[0]) < 2:
        raise fault(path, "line 1", f"must be '{_TIME}, ' and the names of the numbers")
    table = np.empty((len(rows) - 1, len(rows[0])))
    for index, row in enumerate(rows[1:]):
        table[index] = _row(path, index + 2, row, len(rows[0]))
    off = np.flatnonzero(np.diff(table[:, 0]) != 1)
    if off.size or not np.isfinite(table[:1, 0]).all():
        line = int(off[0]) + 3 if off.size else 2
        raise fault(path, f"line {line}", f"'{_TIME}' must go up by 1 from line to line")
    labels = rows[0][1:]
    names = canonical_names(labels, [_NUMERICS_FS_HZ] * len(labels))
    start_us = request.base_us + (round(table[0, 0] * 1e6) if len(table) else 0)
    return [
        Signal(name, _NUMERICS_FS_HZ, default_unit(name), start_us, column)
        for name, column in zip(names, np.ascontiguousarray(table.T[1:]), strict=True)
        if request.wants(name)
    ]


def _row(path: Path, line: int, row: list[str], n_columns: int) -> Floats:
    """One line of the numerics as numbers; lines count from 1, the header."""
    if len(row) != n_columns:
        raise fault(path, f"line {line}", f"must have {n_columns} columns, not {len(row)}")
    try:
        return np.array([float(cell or math.nan) for cell in row])
    except ValueError as error:
        raise fault(path, f"line {line}", f"must be numbers ({error})") from error
