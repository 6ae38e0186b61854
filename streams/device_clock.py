"""A device's clock set against append time: jumps, a wrong offset, drift. One model a device.

Only records of the log decide, in their order. A clock that is right is never touched: below the
limits here event time is device time. Method and limits: docs/adr/0080.

Not here: where a sample belongs (`streams.buffers` counts the device's own samples).
"""

from __future__ import annotations

from typing import Final

import msgspec

from streams.drift import MAX_PPM, drift_of

JUMP_US: Final = 30_000_000  # smaller ones are taken as the device tells them
JITTER_US: Final = 10_000_000  # by so much the delay on the way may vary between two records
SETTLE_US: Final = 120_000_000  # a wrong offset must hold so long before it is believed
SETTLE_RECORDS: Final = 4
BLOCK_US: Final = 300_000_000  # of each the smallest delay counts: it has waited for nothing
MOST_LOWS: Final = 24  # blocks remembered: two hours without a pause
SLOW_US: Final = 1_000_000  # between samples: beyond it a sample speaks for what is to come
PULL_US: Final = 3_600_000_000  # what drift has moved already is undone in this time
NEVER_US: Final = 1 << 62


class Run(msgspec.Struct, array_like=True):
    """Records, one after the other, whose delay is wrong by about the same."""

    append_us: int  # of the first
    reach_us: int  # latest device time in it
    low_us: int  # smallest and largest delay
    high_us: int
    records: int


class DeviceClock(msgspec.Struct, array_like=True):
    """The model, and all that it remembers: event time = device time + `shift_us`.

    Device time has the gateway's own offset in it. Delays are append time minus event time of a
    record's last sample.
    """

    jump_us: int = 0  # what jumps and a wrong offset have added
    before_us: int = 0  # `jump_us` before the last of them: what was sent then may still come
    known: bool = False  # it kept to append time since it was last started
    run: Run | None = None
    block: int = 0  # number of the present block of append time
    low_us: int = NEVER_US  # smallest delay in it, drift not taken out
    last_us: int = NEVER_US  # ... in the one before
    lows: list[int] = []  # block, smallest delay in ms; for each block
    ppm: int = 0  # so much event time runs faster than the device
    slew_us: int = 0  # what that has moved by device time `since_us`
    since_us: int = 0
    aim_us: int = NEVER_US  # delay that the drift correction holds; none yet

    def shift_us(self, device_us: int) -> int:
        """What leads from device time to event time."""
        return self.jump_us + (self._slew_us(device_us) if self.ppm or self.slew_us else 0)

    def old_shift_us(self, device_us: int) -> int:
        """The same before the last jump."""
        return self.shift_us(device_us) - self.jump_us + self.before_us

    def told_us(self, start_us: int, sampled: tuple[int, float], append_us: int) -> int:
        """Device time of the last of (count, rate in Hz) samples, for their delay.

        A number that comes every few minutes may be sent at once or when its minutes are over:
        neither is a delay.
        """
        count, fs_hz = sampled
        period_us = 1e6 / fs_hz
        end_us = start_us + round((count - 1) * period_us)
        if period_us <= SLOW_US:
            return end_us
        late_us = append_us - end_us - self.shift_us(end_us)
        return end_us + max(0, min(late_us, round(period_us) - SLOW_US))

    def usual_us(self) -> int:
        """The delay that a record has when nothing holds it up; `NEVER_US` if not known."""
        low_us = min(self.low_us, self.last_us)
        return low_us - self.slew_us if low_us < NEVER_US else NEVER_US

    def jump(self, by_us: int) -> None:
        """Event time goes on as it was while the clock was set by -`by_us`."""
        self.before_us, self.jump_us = self.jump_us, self.jump_us + by_us
        self.run = None

    def restarted(self) -> None:
        """Its time does not go on where it was: whatever it says is to be proved again."""
        self.known, self.run = False, None

    def note(self, delay_us: int, reach_us: int, append_us: int) -> bool:
        """Take in the delay of a record that came as it should; whether the rate changed."""
        self.known, self.run = True, None
        changed, slew_us = False, self._slew_us(reach_us) if self.ppm else self.slew_us
        block = append_us // BLOCK_US
        if block > self.block:
            if self.low_us < NEVER_US:
                changed = self._finish(reach_us)
                self.last_us = self.low_us
            self.block, self.low_us = block, NEVER_US
        self.low_us = min(self.low_us, delay_us + slew_us)
        return changed

    def back(self, append_us: int) -> None:
        """Take in a record all of which fits the time before the last jump.

        That the clock was set back is believed when nothing else came for a while: one channel
        with a clock of its own would be a jump with every record.
        """
        run = self.run
        if run is None:
            self.run = Run(append_us, 0, 0, 0, 1)
            return
        run.records += 1
        if append_us - run.append_us >= SETTLE_US and run.records >= SETTLE_RECORDS:
            self.jump(self.before_us - self.jump_us)

    def prove(self, delay_us: int, reach_us: int, append_us: int) -> int:
        """Take in a record whose delay is wrong; the offset by now proved, 0 for none.

        A clock that is wrong keeps pace with append time; what was kept back comes faster.
        """
        run = self.run
        if run is not None and run.reach_us - JITTER_US < reach_us <= run.reach_us:
            return 0  # out of order, or again
        low_us = high_us = delay_us
        if run is not None:
            low_us, high_us = min(run.low_us, delay_us), max(run.high_us, delay_us)
        if run is None or reach_us < run.reach_us or high_us - low_us > JITTER_US:
            self.run = Run(append_us, reach_us, delay_us, delay_us, 1)
            return 0
        run.reach_us, run.low_us, run.high_us = reach_us, low_us, high_us
        run.records += 1
        if append_us - run.append_us < SETTLE_US or run.records < SETTLE_RECORDS:
            return 0
        self.jump(low_us)
        self.jump_us += self._slew_us(reach_us)
        self._forget()
        return low_us

    def _slew_us(self, device_us: int) -> int:
        return self.slew_us + (device_us - self.since_us) * self.ppm // 1_000_000

    def _forget(self) -> None:
        """Delays until now were those of another offset."""
        self.low_us = self.last_us = self.aim_us = NEVER_US
        self.lows, self.ppm, self.slew_us = [], 0, 0

    def _finish(self, reach_us: int) -> bool:
        """A block is over: follow the drift that its delay and those before show."""
        self.lows = [*self.lows, self.block, self.low_us // 1000][-2 * MOST_LOWS :]
        found = drift_of(self.lows)
        if found is None or (self.aim_us == NEVER_US and not found.certain):
            return False
        slew_us = self._slew_us(reach_us)
        if self.aim_us == NEVER_US:
            self.aim_us = found.now_us
        off_us = found.now_us - slew_us - self.aim_us
        ppm = max(-MAX_PPM, min(MAX_PPM, round(found.ppm + 1e6 * off_us / PULL_US)))
        if ppm == self.ppm:
            return False
        self.slew_us, self.since_us, self.ppm = slew_us, reach_us, ppm
        return True
