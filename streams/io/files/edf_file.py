"""EDF and EDF+C files; reading is the `edfio` package's.

Annotations are not signals and are left alone. EDF+D (with interruptions) is refused rather than
read as if it had none.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from streams.errors import SourceError
from streams.io.files.names import canonical_names, in_default_unit
from streams.io.files.recording import Recording, Request, Signal, check_some, fault

_MAGIC = b"0       "  # the version field every EDF file begins with
_BROKEN = (ValueError, OSError, KeyError, IndexError, TypeError, AttributeError, OverflowError)
_MAX_FS_HZ = 10_000.0  # as on the log, `streams.codec`


def claims(path: Path) -> bool:
    """Whether the path is an EDF file, by its ending."""
    return path.suffix.lower() in {".edf", ".edf+"} and path.is_file()


def read(request: Request) -> Iterator[Recording]:
    """Read one file.

    Parameters
    ----------
    request : Request
        Start date and time (taken as UTC, for EDF has no zone) come from the file; an anonymised
        date gives `base_us`. The patient is the header's patient code, else `record_id`.

    Yields
    ------
    Recording
        Every signal at its own rate.

    Raises
    ------
    SourceError
        Naming file, place and rule.
    """
    path = request.path
    edf = _opened(path)
    start_us = _start_us(edf, request.base_us)
    labels = [str(signal.label) for signal in edf.signals]
    rates = [float(signal.sampling_frequency) for signal in edf.signals]
    names = canonical_names(labels, rates)
    signals = []
    for name, fs_hz, one in zip(names, rates, edf.signals, strict=True):
        if request.wants(name):
            if not 0 < fs_hz <= _MAX_FS_HZ:
                raise fault(path, f"signal {one.label}", f"rate must be over 0, not {fs_hz}")
            signals.append(_signal(path, name, one, start_us))
    check_some(path, signals, names)
    patient_id = _patient_code(edf) or request.record_id
    yield Recording(patient_id, f"edf:{request.record_id}", path.name, tuple(signals))


def _opened(path: Path) -> Any:
    """The file through edfio, after the checks edfio does not make clear."""
    import edfio  # here: other formats need not have it loaded

    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise fault(path, "byte 0", "must be version '0' of the EDF header")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a short file is only a warning to edfio
            edf = edfio.read_edf(path)
    except SourceError:
        raise
    except (*_BROKEN, UserWarning) as error:
        raise fault(path, "header", f"must be a whole EDF file ({error})") from error
    size, records = path.stat().st_size, edf.num_data_records
    record_bytes = 2 * sum(signal.samples_per_data_record for signal in edf._signals)
    need = edf.bytes_in_header_record + records * record_bytes
    if size < need:
        rule = f"must be {need} bytes for {records} data records, not {size}"
        raise fault(path, "end of file", rule)
    if str(edf.reserved).startswith("EDF+D"):
        raise fault(path, "header", "EDF+D (with interruptions) is not read, only EDF and EDF+C")
    return edf


def _signal(path: Path, name: str, signal: Any, start_us: int) -> Signal:
    try:
        samples = np.asarray(signal.data, dtype=np.float64)
        (low, high), (first, last) = signal.physical_range, signal.digital_range
    except _BROKEN as error:
        raise fault(path, f"signal {signal.label}", f"must be readable ({error})") from error
    step = (high - low) / (last - first)
    zero = low - first * step
    fs_hz, unit = float(signal.sampling_frequency), str(signal.physical_dimension)
    return in_default_unit(path, Signal(name, fs_hz, unit, start_us, samples, max(step, 0.0), zero))


def _start_us(edf: Any, base_us: int) -> int:
    """Start of the file in µs UTC."""
    try:
        start = dt.datetime.combine(edf.startdate, edf.starttime, tzinfo=dt.UTC)
    except ValueError:  # the date is "X": anonymised
        return base_us
    return (start - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(microseconds=1)


def _patient_code(edf: Any) -> str:
    """Patient code of EDF+, empty where the file has none."""
    try:
        code = str(edf.patient.code)
    except ValueError:  # plain EDF with free text
        return ""
    return "" if code.upper() == "X" else code
