"""Event time of a device's chunks: its own time, the gateway's offset, and what the log shows.

Not here: the model of the clock (`streams.device_clock`), where samples go (`streams.buffers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.buffers import SignalBuffer
from streams.clock import Waits
from streams.device_clock import JITTER_US, JUMP_US, NEVER_US, DeviceClock
from streams.records import Chunk

Told = Sequence[tuple[int, Chunk]]  # chunks of one record, by their place in it


class Timekeeper:
    """The clock of one device; `signals` are the device's own, to know what its counters say."""

    __slots__ = ("_signals", "_waits", "clock", "offset_us")

    def __init__(self, waits: Waits, signals: Mapping[str, SignalBuffer]) -> None:
        self.offset_us = 0  # what the gateway adds to the device's time
        self.clock = DeviceClock()  # and what the log shows beyond that
        self._waits = waits
        self._signals = signals

    def set_offset(self, offset_us: int, from_us: int) -> bool:
        """Take the gateway's word for the clock; another one than before begins anew with it.

        Returns
        -------
        bool
            Whether a correction was in force that it replaces.
        """
        if offset_us == self.offset_us:
            return False
        corrected = self.clock.jump_us != 0
        self.offset_us, self.clock = offset_us, DeviceClock()
        for buffer in self._signals.values():
            if buffer.ppm:
                buffer.set_rate(0, from_us)
        return corrected

    def times(self, chunks: Told, append_us: int) -> list[int]:
        """Event time of each chunk's first sample; what they tell of the clock is taken in."""
        clock, offset_us = self.clock, self.offset_us
        starts = [chunk.start_us + offset_us for _, chunk in chunks]
        ends: list[int] = []
        for start, (_, chunk) in zip(starts, chunks, strict=True):
            count, fs_hz = len(chunk.data) // 2, chunk.fs_hz
            if fs_hz >= 1.0:  # as `told_us`, of which this is the usual part
                ends.append(start + round((count - 1) * (1e6 / fs_hz)))
            else:
                ends.append(clock.told_us(start, (count, fs_hz), append_us))
        last_us = max(ends)
        delay_us = append_us - last_us - clock.shift_us(last_us)
        most_us, usual_us = delay_us + last_us - min(ends), clock.usual_us()
        if not (
            self._keeps_time(delay_us, chunks)
            and (usual_us == NEVER_US or usual_us - JUMP_US <= delay_us)
            and most_us <= usual_us + JUMP_US
        ):
            return self._odd_times(chunks, starts, ends, append_us)
        self._note(delay_us, last_us, append_us)
        if not (clock.ppm or clock.slew_us):  # then the shift is the same for all
            return [start + clock.jump_us for start in starts] if clock.jump_us else starts
        return [start + clock.shift_us(start) for start in starts]

    def _keeps_time(self, delay_us: int, chunks: Told) -> bool:
        """Whether a delay may be that of a right clock; a number of every few minutes has time."""
        if delay_us <= self._waits.lag_us:
            return delay_us >= -self._waits.future_us
        return delay_us <= 3e6 / max(chunk.fs_hz for _, chunk in chunks)

    def _note(self, delay_us: int, last_us: int, append_us: int) -> None:
        clock = self.clock
        if clock.note(delay_us, last_us, append_us):
            from_us = last_us + clock.shift_us(last_us)
            for buffer in self._signals.values():
                buffer.set_rate(clock.ppm, from_us)

    def _odd_times(
        self,
        chunks: Told,
        starts: Sequence[int],
        ends: Sequence[int],
        append_us: int,
    ) -> list[int]:
        """The same for a record whose delay is not what it should be."""
        clock = self.clock
        times: list[int] = []
        new: list[int] = []  # those sent since the clock last jumped
        for (_, chunk), start, end in zip(chunks, starts, ends, strict=True):
            late_us = append_us - end - clock.shift_us(end)
            if self._is_old(chunk, start, late_us):
                times.append(start + clock.old_shift_us(start))
            else:
                new.append(len(times))
                times.append(start + clock.shift_us(start))
        if new:
            last_us = max(ends[i] for i in new)
            delay_us = append_us - last_us - clock.shift_us(last_us)
            if self._keeps_time(delay_us, chunks):
                self._note(delay_us, last_us, append_us)
            elif not clock.known:
                offset_us = clock.prove(delay_us, last_us, append_us)
                for i in new:
                    times[i] += offset_us
        else:
            clock.back(append_us)
        return times

    def _is_old(self, chunk: Chunk, start: int, late_us: int) -> bool:
        """Whether a chunk was sent before the clock jumped; if it shows a jump, that is noted.

        The counter goes on, time does not, and the delay differs by the same: the clock was set.
        """
        clock, buffer = self.clock, self._signals.get(chunk.signal)
        if buffer is None:
            return False
        first = chunk.first_sample
        off_us = buffer.strays_us(first, start + clock.shift_us(start))
        if off_us is None or abs(off_us) < JUMP_US:
            return False
        if clock.before_us != clock.jump_us and not buffer.strays_us(
            first, start + clock.old_shift_us(start)
        ):
            return True
        usual_us = clock.usual_us()
        if (
            usual_us != NEVER_US
            and abs(late_us - usual_us + off_us) <= JITTER_US
            and buffer.continues(first, len(chunk.data) // 2)
        ):
            clock.jump(-off_us)
        else:
            clock.restarted()
        return False
