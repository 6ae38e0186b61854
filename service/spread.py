"""How devices' clocks and watermarks are spread over the ward: histograms, and nobody's name.

A patient is looked at when its state is stored, each `worker.snapshot_s`. Times are the log's own,
so nothing here reads a clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from streams.device import Device

LAG_S: Final = (1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 600.0, 3_600.0)
OFFSET_S: Final = (0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3_600.0, 86_400.0)
DRIFT_PPM: Final = (0.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)


class Spread:
    """How many values were at most so large.

    Parameters
    ----------
    bounds : sequence of float
        Rising; what is beyond the last is counted too.

    Examples
    --------
    >>> lags = Spread((1.0, 5.0))
    >>> for value in (0.5, 5.0, 9.0):
    ...     lags.add(value)
    >>> lags.buckets(), lags.total
    ([('1.0', 1), ('5.0', 2), ('+Inf', 3)], 14.5)
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.total = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        """Count one more."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, int]]:
        """Bound and how many were at most that, as Prometheus counts them."""
        rising, found = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            rising += count
            found.append((bound, rising))
        return found


class Spreads:
    """What a ward's devices are like, those from which data is to be expected."""

    def __init__(self) -> None:
        self.lag_s = Spread(LAG_S)  # of a device's watermark behind the log
        self.offset_s = Spread(OFFSET_S)  # that its clock is put right by
        self.drift_ppm = Spread(DRIFT_PPM)

    def look(self, devices: Iterable[Device], clock_us: int) -> None:
        """Take in the devices of one patient, whose log is at `clock_us`."""
        for device in devices:
            if not (device.max_event_us and device.active(clock_us)):
                continue
            self.lag_s.add(max(0.0, (clock_us - device.watermark_us()) / 1e6))
            clock = device.time.clock
            self.offset_s.add(abs(device.time.offset_us + clock.jump_us) / 1e6)
            self.drift_ppm.add(abs(clock.ppm))
