"""When the samples of a signal were taken: from the device's sample counter to event time.

Internal indexes count the device's own samples; an epoch says when they were taken, until the
device restarts, its clock is set (a new index for the same counter) or its drift is seen anew (a
new rate, no jump).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

EPOCH_TOLERANCE_US = 100_000  # phone time stamps jitter by tens of ms; a restart is seconds
MAX_EPOCHS = 4
_GRID_EPS: Final = 1e-6  # samples; absorbs float noise when a sample lies exactly on a border


class Epoch(msgspec.Struct, array_like=True):
    """From internal index `index` on, sample n was taken at `start_us + (n - index) / fs`."""

    index: int
    start_us: int
    shift: int  # internal index = the device's counter + shift
    ppm: int = 0  # so much longer than 1 / fs a sample takes: the device's clock drifts

    def since_us(self, index: int, fs_hz: float) -> float:
        """Time from the epoch's start to an index, µs (fractions kept)."""
        since_us = (index - self.index) * 1e6 / fs_hz
        return since_us + since_us * self.ppm / 1e6 if self.ppm else since_us

    def steps(self, since_us: float, fs_hz: float) -> float:
        """Samples in so much time."""
        steps = since_us * fs_hz / 1e6
        return steps / (1 + self.ppm / 1e6) if self.ppm else steps


Epochs = list[Epoch]


def epoch_at(epochs: Epochs, index: int) -> Epoch:
    """The epoch an index lies in."""
    for epoch in reversed(epochs):
        if index >= epoch.index:
            return epoch
    return epochs[0]


def index_at(epochs: Epochs, time_us: int, fs_hz: float, top: int) -> int:
    """Internal index of the first sample at or after `time_us`."""
    if len(epochs) == 1 and not epochs[0].ppm:  # as below, with nothing to look for
        only = epochs[0]
        return only.index + math.ceil((time_us - only.start_us) * fs_hz / 1e6 - _GRID_EPS)
    index = following = top
    for epoch in reversed(epochs):
        index = epoch.index + math.ceil(epoch.steps(time_us - epoch.start_us, fs_hz) - _GRID_EPS)
        if index >= epoch.index:
            return index if epoch is epochs[-1] else min(index, following)
        following = epoch.index
    return index


def indexes_at(epochs: Epochs, times_us: Iterable[int], fs_hz: float, top: int) -> list[int]:
    """The same of several times."""
    if len(epochs) == 1 and not epochs[0].ppm:
        index, start_us = epochs[0].index, epochs[0].start_us
        return [
            index + math.ceil((time_us - start_us) * fs_hz / 1e6 - _GRID_EPS)
            for time_us in times_us
        ]
    return [index_at(epochs, time_us, fs_hz, top) for time_us in times_us]


def known_in(epochs: Sequence[Epoch], counter: int, start_us: int, fs_hz: float) -> Epoch | None:
    """The newest epoch in which the device's sample `counter` was taken at about that time."""
    for epoch in reversed(epochs):
        expected_us = epoch.start_us + epoch.since_us(counter + epoch.shift, fs_hz)
        if abs(start_us - expected_us) <= EPOCH_TOLERANCE_US:
            return epoch
    return None


def begin(epochs: Epochs, counter: int, start_us: int, fs_hz: float, ppm: int) -> int:
    """Begin an epoch at the device's sample `counter`; returns its internal index."""
    if not epochs:
        epochs.append(Epoch(0, start_us, -counter, ppm))
        return 0
    last = epochs[-1]
    index = last.index + round(last.steps(start_us - last.start_us, fs_hz))
    epochs.append(Epoch(index, start_us, index - counter, ppm))
    epochs.sort(key=lambda epoch: epoch.index)
    del epochs[:-MAX_EPOCHS]
    return index


def turn(epochs: Epochs, from_us: int, fs_hz: float, ppm: int) -> None:
    """Let samples from an event time on take longer by `ppm`; time goes on without a jump."""
    if not epochs:
        return
    last = epochs[-1]
    steps = math.ceil(last.steps(from_us - last.start_us, fs_hz))
    index = last.index + max(1, steps)
    start_us = round(last.start_us + last.since_us(index, fs_hz))
    epochs.append(Epoch(index, start_us, last.shift, ppm))
    del epochs[:-MAX_EPOCHS]


def turned(epochs: Epochs, epoch: Epoch) -> bool:
    """Whether an epoch only has another rate: what lies before it belongs to an earlier one."""
    return any(
        other.shift == epoch.shift and other.ppm != epoch.ppm and other.index < epoch.index
        for other in epochs
    )
