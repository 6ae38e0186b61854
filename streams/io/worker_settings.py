"""What one worker is told: how it joins its group, takes records, stores state and stops."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from streams.errors import ConfigError
from streams.records import Tick
from streams.topics import DEFAULT_PREFIX


def _as_it_is(tick: Tick) -> Tick:
    return tick


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How one worker joins its group. Two workers of a group differ in `instance`."""

    bootstrap: str
    prefix: str = DEFAULT_PREFIX
    group: str = "vigil"
    instance: str = field(default_factory=socket.gethostname)  # the same after a restart
    ticks: Literal["wall", "recorded"] = "wall"
    tick_s: float = 5.0
    checkpoint_s: float = 5.0
    snapshot_s: float = 60.0  # every patient's state is stored this often
    take_records: int = 256
    take_within_s: float = 0.1
    buffer_bytes: int = 64 * 1024 * 1024  # of records read ahead
    record_bytes: int = 128 * 1024  # what one record is expected to weigh
    datadir: str = "."  # where Faust may put files of its own
    leave_on_stop: bool = True  # SIGTERM: others take over at once, not when the session is over
    sign: Callable[[Tick], Tick] = _as_it_is  # see `streams.signing`

    def __post_init__(self) -> None:
        if self.ticks not in ("wall", "recorded"):
            raise ConfigError(f"ticks: {self.ticks!r}, must be 'wall' or 'recorded'")
        if min(self.tick_s, self.checkpoint_s, self.snapshot_s, self.take_within_s) <= 0:
            raise ConfigError("tick_s, checkpoint_s, snapshot_s and take_within_s: must be above 0")
        if not self.group or not self.instance:
            raise ConfigError("group and instance: must not be empty")

    @property
    def share(self) -> float:
        """Of the patients, how many are stored at one checkpoint."""
        return min(1.0, self.checkpoint_s / self.snapshot_s)

    @property
    def buffered_records(self) -> int:
        """Faust's buffers count records; ours are limited by weight."""
        return max(16, self.buffer_bytes // self.record_bytes)
