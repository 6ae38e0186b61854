"""WFDB records (PhysioNet): a `.hea` header and the data files it names.

Reading is the `wfdb` package's; what it does not say clearly (a file missing or cut short) is
checked first. Its header grammar has no "/", so a header cannot name files elsewhere. A record
`Xn` beside `X` is MIMIC's way of storing the monitor's numbers and is read with `X`. Annotations
are not signals and are left alone.
"""

from __future__ import annotations

import datetime as dt
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from streams.errors import SourceError
from streams.io.files.names import canonical_names, in_default_unit
from streams.io.files.recording import Floats, Recording, Request, Signal, check_some, fault

_BYTES_PER_SAMPLE = {
    "8": 1.0, "16": 2.0, "24": 3.0, "32": 4.0, "61": 2.0, "80": 1.0, "160": 2.0,
    "212": 1.5, "310": 4 / 3, "311": 4 / 3,
}  # fmt: skip
_BROKEN = (ValueError, OSError, KeyError, IndexError, TypeError, AttributeError, OverflowError)
_MAX_FS_HZ = 10_000.0  # as on the log, `streams.codec`


class _Channel(NamedTuple):
    label: str
    fs_hz: float
    unit: str
    samples: Floats
    gain: float
    baseline: float


def claims(path: Path) -> bool:
    """Whether the path is the header of a record of its own (not a segment, not numbers)."""
    if path.suffix.lower() != ".hea" or not path.is_file():
        return False
    return not (_is_numbers(path) or path.stem in _segments_of_neighbours(path))


def read(request: Request) -> Iterator[Recording]:
    """Read one record.

    Parameters
    ----------
    request : Request
        `path` is the `.hea`. A header with date and time (taken as UTC, for WFDB has no zone)
        fixes the start; otherwise it is `base_us`.

    Yields
    ------
    Recording
        Every channel at its own rate; "ecg" is lead II where there is one.

    Raises
    ------
    SourceError
        Naming file, place and rule.
    """
    path = request.path
    header = _checked_header(path)
    start_us = _start_us(header, request.base_us)
    channels = _channels(path, header)
    numbers = path.with_name(f"{path.stem}n.hea")
    if numbers.is_file():
        channels += _channels(numbers, _checked_header(numbers))
    names = canonical_names([one.label for one in channels], [one.fs_hz for one in channels])
    signals = [
        _signal(path, name, channel, start_us)
        for name, channel in zip(names, channels, strict=True)
        if request.wants(name)
    ]
    check_some(path, signals, names)
    yield Recording(request.record_id, "wfdb", path.name, tuple(signals))


def _signal(path: Path, name: str, channel: _Channel, start_us: int) -> Signal:
    step = 1 / channel.gain if channel.gain > 0 else 0.0
    zero = -channel.baseline * step
    return in_default_unit(
        path, Signal(name, channel.fs_hz, channel.unit, start_us, channel.samples, step, zero)
    )


def _wfdb() -> Any:
    """The package, imported late: it brings pandas, which warns on import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wfdb  # here: half a second that other formats need not pay

    return wfdb


def _checked_header(path: Path) -> Any:
    """Parsed header whose files are all there, beside it, and long enough."""
    try:
        header = _wfdb().rdheader(str(path.with_suffix("")))
    except _BROKEN as error:
        raise fault(path, "header", f"must follow WFDB's header format ({error})") from error
    if not header.fs or not 0 < header.fs <= _MAX_FS_HZ:
        raise fault(path, "header", f"rate must be over 0 and up to {_MAX_FS_HZ:.0f} Hz")
    if not header.n_sig:
        raise fault(path, "header", "must name at least one signal")
    for name in getattr(header, "seg_name", None) or ():
        if name != "~":
            segment = path.with_name(f"{name}.hea")
            if not segment.is_file():
                raise fault(path, f"segment {name}", f"{segment.name} must lie beside it")
            if getattr(header, "seg_len", [1])[header.seg_name.index(name)]:
                _checked_header(segment)
    if getattr(header, "file_name", None):
        _check_data(path, header)
    return header


def _check_data(path: Path, header: Any) -> None:
    """Every data file exists and holds as many samples as the header says."""
    for name in dict.fromkeys(header.file_name):
        data = path.with_name(name)
        rows = [index for index, other in enumerate(header.file_name) if other == name]
        width = _BYTES_PER_SAMPLE.get(header.fmt[rows[0]])
        if name == "~" or width is None or header.sig_len is None:
            continue  # no samples, or a length only the decoder can tell
        if not data.is_file():
            raise fault(path, f"file {name}", "must lie beside the header")
        frame = sum(header.samps_per_frame[row] for row in rows)
        skip = header.byte_offset[rows[0]] or 0
        need = skip + math.floor(frame * header.sig_len * width)
        have = data.stat().st_size
        if have < need:
            rule = f"must be {need} bytes for {header.sig_len} samples per signal, not {have}"
            raise fault(data, "end of file", rule)


def _channels(path: Path, header: Any) -> list[_Channel]:
    """Every channel in physical units at its own rate, NaN where WFDB marks a gap."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            several = hasattr(header, "seg_name")
            # WFDB joins segments only frame by frame, so their channels share one rate.
            record = _wfdb().rdrecord(str(path.with_suffix("")), smooth_frames=several)
    except SourceError:
        raise
    except _BROKEN as error:
        raise fault(path, "signals", f"must be readable as WFDB ({error})") from error
    if several:
        columns, per_frame = list(record.p_signal.T), [1] * record.n_sig
    else:
        columns, per_frame = record.e_p_signal, record.samps_per_frame
    gains = getattr(record, "adc_gain", None) or [0.0] * len(columns)
    baselines = getattr(record, "baseline", None) or [0] * len(columns)
    return [
        _Channel(
            str(record.sig_name[index]),
            float(record.fs) * per_frame[index],
            str(record.units[index] or ""),
            np.ascontiguousarray(column, dtype=np.float64),
            float(gains[index]),
            float(baselines[index]),
        )
        for index, column in enumerate(columns)
    ]


def _start_us(header: Any, base_us: int) -> int:
    """Start of the record in µs UTC."""
    if header.base_date is None or header.base_time is None:
        return base_us
    start = dt.datetime.combine(header.base_date, header.base_time, tzinfo=dt.UTC)
    return (start - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(microseconds=1)


def _is_numbers(path: Path) -> bool:
    return path.stem.endswith("n") and path.with_name(f"{path.stem[:-1]}.hea").is_file()


def _segments_of_neighbours(path: Path) -> set[str]:
    """Names that multi-segment headers of the same folder claim."""
    segments: set[str] = set()
    for header in path.parent.glob("*.hea"):
        lines = header.read_text(encoding="ascii", errors="replace").splitlines()
        lines = [line for line in lines if line.strip() and not line.startswith("#")]
        if lines and "/" in lines[0].split()[0]:
            segments.update(line.split()[0] for line in lines[1:] if line.split())
    return segments
