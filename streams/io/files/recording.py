"""A recording in memory, and the chunks it becomes on the log.

Not here: how a format is read (one module each) or found (`streams.io.files.registry`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.errors import ConfigError, SourceError
from streams.leads import FURTHER_LEADS
from streams.records import MISSING_SAMPLE, Chunk

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DEFAULT_BASE_US = 1_577_836_800_000_000
"""2020-01-01T00:00:00Z: where a recording begins whose source has no absolute time."""

DEFAULT_SIGNALS = frozenset(
    {"ecg", "ppg", "resp", "spo2", "hr", "pulse", "resp_rate", "temp"}
    | {"acc_x", "acc_y", "acc_z", "eda", "rr_interval", *FURTHER_LEADS}
    | {"glucose", "step_rate", "asleep"}
)
"""What the engine uses; importers leave everything else in the file."""

MAX_DIGITAL = 32767  # int16 without MISSING_SAMPLE, so the range is symmetric
RANGE_STEPS = 65000  # steps over max-min when the source has no integer grid of its own


class Signal(NamedTuple):
    """One evenly sampled signal; sample `i` was taken at `start_us + i * 1e6 / fs_hz`.

    `samples` is (n_samples,) float64 in `unit`, NaN where nothing was recorded. `step` and `zero`
    are the source's own grid (value = digital * step + zero); step 0 says it has none.
    """

    name: str
    fs_hz: float
    unit: str
    start_us: int
    samples: Floats
    step: float = 0.0
    zero: float = 0.0


class Recording(NamedTuple):
    """What one device recorded of one patient; `source` is the file name, for messages."""

    patient_id: str
    device_id: str
    source: str
    signals: tuple[Signal, ...]


class Request(NamedTuple):
    """What an importer is asked to read.

    `record_id` names the patient where the source does not, `base_us` is the start where the
    source has no absolute time, `signals` the names to read (None: everything).
    """

    path: Path
    record_id: str
    base_us: int = DEFAULT_BASE_US
    signals: frozenset[str] | None = DEFAULT_SIGNALS

    def wants(self, name: str) -> bool:
        """Whether a signal of this name is asked for."""
        return self.signals is None or name in self.signals


def fault(path: Path, place: str, rule: str) -> SourceError:
    """Error for a file that breaks its format, always as file, place and rule."""
    return SourceError(f"{path}, {place}: {rule}")


def check_some(path: Path, signals: Sequence[object], offered: Sequence[str]) -> None:
    """Refuse a recording of which nothing is left to play.

    Raises
    ------
    SourceError
        If `signals` is empty; names what the file offers.
    """
    if not signals:
        names = ", ".join(offered) or "nothing"
        raise fault(path, "signals", f"none of the signals asked for; the file has {names}")


class Digital(NamedTuple):
    """A signal as int16: value = data * scale + offset, `MISSING_SAMPLE` for NaN."""

    scale: float
    offset: float
    data: NDArray[np.int16]


def quantise(signal: Signal) -> Digital:
    """Turn samples into int16 once for the whole signal.

    Parameters
    ----------
    signal : Signal
        NaN and infinite samples become `MISSING_SAMPLE`.

    Returns
    -------
    Digital
        On the source's own grid, bit for bit, where that fits into 16 bits; integers as they are
        (scale 1); otherwise (max - min) / 65000 per step, so at most half of that is lost.

    Examples
    --------
    >>> quantise(Signal("hr", 1.0, "1/min", 0, np.array([94.0, np.nan, 95.0]))).data.tolist()
    [94, -32768, 95]
    """
    values = signal.samples
    known = np.isfinite(values)
    data = np.full(len(values), MISSING_SAMPLE, np.int16)
    if not known.any():
        return Digital(1.0, 0.0, data)
    finite = values[known]
    low, high = float(finite.min()), float(finite.max())
    scale, offset = _grid(signal, finite, low, high)
    data[known] = np.rint((finite - offset) / scale).astype(np.int16)
    return Digital(scale, offset, data)


def _grid(signal: Signal, finite: Floats, low: float, high: float) -> tuple[float, float]:
    """Scale and offset: the source's grid, integers, or the range, in this order."""
    if signal.step > 0:
        reach = max(abs(low - signal.zero), abs(high - signal.zero)) / signal.step
        if round(reach) <= MAX_DIGITAL:
            return signal.step, signal.zero
    if max(abs(low), abs(high)) <= MAX_DIGITAL and bool(np.all(finite == np.rint(finite))):
        return 1.0, 0.0
    if high == low:
        return 1.0, low
    return (high - low) / RANGE_STEPS, low + (high - low) / 2


def append_us(chunk: Chunk) -> int:
    """When a gateway could have sent the chunk: the end of its last sample, rounded up.

    Returns
    -------
    int
        µs UTC, the recorded append time of ingested history.

    Examples
    --------
    >>> append_us(Chunk("p", "d", "ecg", 0, 0, 1_000_000, 128.0, "mV", 1.0, 0.0, 0, bytes(2)))
    1007813
    """
    return chunk.start_us + math.ceil(len(chunk.data) // 2 * 1e6 / chunk.fs_hz)


def chunks(recording: Recording, chunk_s: float) -> Iterator[Chunk]:
    """Play a recording as a gateway would.

    Parameters
    ----------
    recording : Recording
        Its signal names are distinct.
    chunk_s : float
        Length of a chunk in seconds; at least one sample each, so a slow signal has longer ones.

    Yields
    ------
    Chunk
        In the order of `append_us`, then signal name. A stretch without any sample gives no
        chunk, but its samples count in `first_sample`. `seq` counts the chunks of the recording.

    Raises
    ------
    ConfigError
        If `chunk_s` is not positive and finite.
    """
    if not 0 < chunk_s < math.inf:
        raise ConfigError(f"chunk_s must be a positive number of seconds, not {chunk_s}")
    signals = sorted(recording.signals, key=lambda signal: signal.name)
    digital = [quantise(signal) for signal in signals]
    for seq, (which, first, last) in enumerate(_plan(signals, digital, chunk_s)):
        signal, part = signals[which], digital[which]
        yield Chunk(
            patient_id=recording.patient_id,
            device_id=recording.device_id,
            signal=signal.name,
            seq=seq,
            first_sample=first,
            start_us=signal.start_us + round(first * 1e6 / signal.fs_hz),
            fs_hz=signal.fs_hz,
            unit=signal.unit,
            scale=part.scale,
            offset=part.offset,
            codec=0,
            data=part.data[first:last].astype("<i2").tobytes(),
        )


def _plan(
    signals: list[Signal], digital: list[Digital], chunk_s: float
) -> Iterator[tuple[int, int, int]]:
    """Every chunk as (signal, first sample, end sample), in order of its append time."""
    which: list[Ints] = []
    first: list[Ints] = []
    last: list[Ints] = []
    ready: list[Ints] = []
    for index, (signal, part) in enumerate(zip(signals, digital, strict=True)):
        n_samples = len(part.data)
        size = max(1, round(chunk_s * signal.fs_hz))
        begin = np.arange(0, n_samples, size)
        if not len(begin):
            continue
        known = np.add.reduceat(part.data != MISSING_SAMPLE, begin, dtype=np.int64) > 0
        begin = begin[known]
        end = np.minimum(begin + size, n_samples)
        start_us = signal.start_us + np.rint(begin * 1e6 / signal.fs_hz).astype(np.int64)
        first.append(begin)
        last.append(end)
        ready.append(start_us + np.ceil((end - begin) * 1e6 / signal.fs_hz).astype(np.int64))
        which.append(np.full(len(begin), index))
    if which:
        whose = np.concatenate(which)
        order = np.lexsort((whose, np.concatenate(ready)))
        columns = (whose, np.concatenate(first), np.concatenate(last))
        yield from zip(*(column[order].tolist() for column in columns), strict=True)
