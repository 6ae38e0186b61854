"""A patient who does not exist, watched like every other: if its alert stays out, nobody is safe.

Every minute the canary sends a minute of pulse rate and says that its electrode hangs loose, or is
on again. So a window must be scored and an alert must move: signals, features, scores, state and
alerts are all proved from outside. Pure; `service.watch` hosts it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from streams.records import CANARY, Chunk, DeviceStatus

SIGNAL: Final = "hr"
ELECTRODE: Final = "ecg"
DEVICE: Final = "canary"
FS_HZ: Final = 1.0
_S_US: Final = 1_000_000


class Canary:
    """What to send next, and how long nothing has come back.

    Parameters
    ----------
    every_us : int
        Between songs.
    started_us : int
        When the watch began: until the first answer the age counts from here.
    """

    def __init__(self, every_us: int, started_us: int) -> None:
        self._every_us = every_us
        self._sung_us = 0
        self._sent_us = 0  # device time up to which pulse rate was sent
        self._loose = False
        self._alert_us = self._score_us = started_us
        self.round_trip_s: float | None = None  # of the last alert

    def due(self, now_us: int) -> list[Chunk | DeviceStatus]:
        """What the canary sends now; nothing between its minutes."""
        if now_us - self._sung_us < self._every_us:
            return []
        self._sung_us = now_us
        self._loose = not self._loose
        until_us = now_us // _S_US * _S_US
        begin_us = max(self._sent_us, until_us - self._every_us // _S_US * _S_US)
        said = "lead_off" if self._loose else "worn"
        status = DeviceStatus(CANARY, DEVICE, ELECTRODE, said, None, "", 0, now_us)
        self._sent_us = until_us
        count = (until_us - begin_us) // _S_US
        return [*([_pulse(begin_us, count)] if count else []), status]

    def farewell(self, now_us: int) -> list[Chunk | DeviceStatus]:
        """Take the canary off on purpose: a watch that ends is no silence."""
        return [DeviceStatus(CANARY, DEVICE, "", "off", None, "", 0, now_us)]

    def heard_alert(self, append_us: int, now_us: int) -> None:
        """An alert of the canary moved, caused by a record of `append_us`."""
        if append_us >= self._sung_us > 0:
            self.round_trip_s = (now_us - self._sung_us) / 1e6
        self._alert_us = max(self._alert_us, append_us)

    def heard_score(self, append_us: int) -> None:
        """A window of the canary was scored."""
        self._score_us = max(self._score_us, append_us)

    def age_s(self, now_us: int) -> float:
        """Seconds since both an alert and a score of the canary were last caused."""
        return max(0.0, (now_us - min(self._alert_us, self._score_us)) / 1e6)


def _pulse(begin_us: int, count: int) -> Chunk:
    """So many seconds of a pulse rate of about 60 /min; the sample counter is the clock's."""
    first = begin_us // _S_US
    value = 60 + (first + np.arange(count)) % 3
    data = (value * 100).astype("<i2").tobytes()
    fields = (first, first, begin_us, FS_HZ, "/min", 0.01, 0.0, 0, data)
    return Chunk(CANARY, DEVICE, SIGNAL, *fields)
