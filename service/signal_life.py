"""When a patient's signals were last heard. Not here: what follows from silence (`patient`)."""

from __future__ import annotations

from typing import Final

import msgspec


class SignalLife(msgspec.Struct, array_like=True):
    """When a signal was last heard, over all devices; for silence."""

    device_id: str
    append_us: int
    event_us: int
    interval_us: int  # its sampling period: it cannot be expected more often
    silent: bool


NOBODY: Final = SignalLife("", 0, 0, 0, False)
