"""How long to wait for data: lateness, silence, and clocks that lie. Durations in seconds.

Not here: reading any clock. Append time comes with the records and the Ticks.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.errors import ConfigError


class Waits(NamedTuple):
    """`TimingSpec` in µs.

    `slab_us` is the lateness; `capacity_us` is the raw history a buffer must be able to hold:
    segment, contexts, lateness, two slabs.
    """

    slab_us: int
    future_us: int
    hold_us: int
    idle_us: int
    silence_us: int
    lag_us: int
    backfill_us: int
    capacity_us: int
    revise_us: int


class TimingSpec(NamedTuple):
    """The waiting rules of the engine; every field is documented in `vigil.toml`."""

    lateness_s: float = 10.0  # out-of-order data this old still counts
    future_s: float = 30.0  # a device clock may be this far ahead of append time
    hold_s: float = 20.0  # a quiet device holds its patient's windows back this long
    idle_s: float = 60.0  # after this a quiet device's open segment is closed as it is
    silence_s: float = 60.0  # a signal missing this long raises a technical alert
    lag_s: float = 180.0  # a device this far behind append time holds nobody back
    backfill_s: float = 600.0  # windows decided later than this page nobody
    wait_s: float = 30.0  # data may come this late without moving the decision time
    revise_s: float = 30.0  # a fact that comes this late after a decision scores it again; 0: none

    def checked(self) -> TimingSpec:
        """Raise `ConfigError` on a value that cannot work; returns self."""
        for name, value in self._asdict().items():
            if not 0 <= value <= 86_400:
                raise ConfigError(f"timing.{name} = {value}: must be 0 to 86400 seconds")
        if self.lateness_s < 1:
            raise ConfigError(f"timing.lateness_s = {self.lateness_s}: must be at least 1")
        if self.revise_s > 60:
            raise ConfigError(f"timing.revise_s = {self.revise_s}: must be at most 60 seconds")
        if not self.hold_s <= self.idle_s:
            raise ConfigError("timing.hold_s must not exceed timing.idle_s")
        return self

    def us(self, seconds: float) -> int:
        """Seconds as whole microseconds."""
        return round(seconds * 1e6)

    @property
    def slab_us(self) -> int:
        """Longest stretch of one device stored before its segments are cut."""
        return self.us(self.lateness_s)

    @property
    def waits(self) -> Waits:
        """The same in whole µs, for what is asked per chunk."""
        return Waits(
            self.slab_us,
            self.us(self.future_s),
            self.us(self.hold_s),
            self.us(self.idle_s),
            self.us(self.silence_s),
            self.us(self.lag_s),
            self.us(self.backfill_s),
            30_000_000 + 4 * self.slab_us,
            self.us(self.revise_s),
        )
