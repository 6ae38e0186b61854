"""`vigil demo`: the simulated ward through the real engine, paced by the clock, shown live.

What is alerted depends on the seed and on how much simulated time is played, never on the speed
or the terminal. Not here: the people (`service.simulate`) and how they are drawn (`service.board`).
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.live import Live

from alerts.alert import AlertEvent, Phase
from alerts.envelope import cloud_event_json
from service.board import Board
from service.build import build_engine
from service.config import Config
from service.embedded import numbered
from service.results import Collector
from service.sim_physiology import profile
from service.simulate import Ward
from streams.errors import ConfigError
from streams.history import HistorySpec, active_partitions
from streams.processor import Outputs
from streams.records import LogRecord

HEAD_START_S = 90.0  # played at once, so that the board has values when it appears
_FRAME_S = 0.25
_SLICE_US = 15_000_000  # of simulated time per feed: keeps the board and Ctrl-C alive
_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class DemoSpec:
    """What is played: a head start of the ward, then `duration_s` of wall clock at `speed`.

    Raises
    ------
    ConfigError
        Naming the argument and its rule.
    """

    patients: int = 12
    seed: int = 7
    speed: float = 30.0
    duration_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("speed", "duration_s"):
            value = getattr(self, name)
            if not 0 < value <= 1e6:
                raise ConfigError(f"{name} must be above 0 and at most 1000000, not {value}")

    @property
    def ward_s(self) -> float:
        """Simulated seconds that are played."""
        return HEAD_START_S + self.duration_s * self.speed

    def build(self) -> Ward:
        """The ward that is played."""
        return Ward(patients=self.patients, seed=self.seed, duration_s=self.ward_s)


class Shown(NamedTuple):
    """Where a demo goes: what to do with each alert event, and after each frame."""

    alert: Callable[[AlertEvent], None]
    frame: Callable[[], None]


class Clock(NamedTuple):
    """The wall clock, passed in so that tests need not wait."""

    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


WALL = Clock()


def run_demo(spec: DemoSpec, console: Console, as_json: bool, clock: Clock = WALL) -> int:
    """Play the ward until its time is over or Ctrl-C; returns the exit code 0.

    Parameters
    ----------
    spec : DemoSpec
        What is played. A machine too slow for the speed plays all of it, later.
    console : Console
        A terminal gets the live board, anything else lines.
    as_json : bool
        Alert events as CloudEvents, one JSON document per line; the summary goes to stderr.
    clock : Clock
        The wall clock.
    """
    ward = spec.build()
    names = [profile(ward.seed, number).patient_id for number in range(1, ward.patients + 1)]
    board = Board(ward.start_us, names)
    told = Collector()
    raised: Counter[str] = Counter()
    began_s = clock.now_s()
    with _interruptible(), _shown(board, console, as_json) as shown:
        try:
            for outputs, now_us in _played(ward, names, spec.speed, clock):
                told.take(message for message in outputs.messages if message.topic == "alerts")
                for event in board.take(outputs):
                    raised[event.kind.value] += event.phase is Phase.RAISED
                    shown.alert(event)
                board.advance(now_us)
                shown.frame()
        except KeyboardInterrupt:
            pass
    summary = {
        "patients": len(names),
        "simulated_s": round((board.now_us - ward.start_us) / 1e6),
        "wall_s": round(clock.now_s() - began_s, 1),
        "windows": board.counts["features"],
        "scores": board.counts["scores"],
        "alert_events": board.counts["alerts"],
        "alerts_raised": dict(sorted(raised.items())),
        "alerts_sha256": told.results().digests["alerts_sha256"],
    }
    _close(summary, board, console, as_json)
    return 0


def _played(
    ward: Ward, names: list[str], speed: float, clock: Clock
) -> Iterator[tuple[Outputs, int]]:
    """Feed the engine what is due by the wall clock; yields what came out and the ward's time."""
    config = Config()
    engine = build_engine(config)
    partitions = config.kafka.partitions
    log = HistorySpec(
        partitions=partitions, tail_us=0, active=active_partitions(names, partitions)
    ).build(ward)
    yield Outputs(()), ward.start_us
    began_s = clock.now_s()
    head_us = ward.start_us + round(HEAD_START_S * 1e6)

    def due_us() -> int:
        return head_us + round((clock.now_s() - began_s) * speed * 1e6)

    batch: list[LogRecord] = []
    until_us = ward.start_us + _SLICE_US
    for record in numbered(log):
        while record.append_us > until_us:
            yield engine.feed(batch), until_us
            batch = []
            if until_us >= due_us():
                clock.sleep(_FRAME_S)
            until_us = max(until_us + 1, min(due_us(), until_us + _SLICE_US))
        batch.append(record)
    end_us = ward.start_us + round(ward.duration_s * 1e6)
    yield engine.feed(batch), max(end_us, ward.start_us)


@contextmanager
def _shown(board: Board, console: Console, as_json: bool) -> Iterator[Shown]:
    """The way a demo is told: JSON lines, a live board, or lines of text."""
    if as_json:
        yield Shown(lambda event: _write(console, cloud_event_json(event).decode()), lambda: None)
        return
    if not console.is_terminal or console.is_dumb_terminal:
        yield _lines(board, console)
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def frame() -> None:
            live.update(board.render(console.width, console.height), refresh=True)

        yield Shown(lambda event: None, frame)


def _lines(board: Board, console: Console) -> Shown:
    minute = [-1]

    def frame() -> None:
        now = board.now_us // _MINUTE_US
        if now != minute[0]:
            minute[0] = now
            _write(console, board.status())

    return Shown(lambda event: _write(console, board.line(event)), frame)


def _write(console: Console, line: str) -> None:
    """A line as it is: no markup, no wrapping, out at once."""
    console.file.write(line + "\n")
    console.file.flush()


def _close(summary: dict[str, Any], board: Board, console: Console, as_json: bool) -> None:
    """The last word: the board as it stood, and the summary."""
    if as_json:
        sys.stderr.write(msgspec.json.encode(summary).decode() + "\n")
        return
    if console.is_terminal and not console.is_dumb_terminal:
        console.print(board.render(console.width, console.height))
    raised = summary["alerts_raised"]
    words = ", ".join(f"{count} {kind}" for kind, count in raised.items()) or "none"
    _write(
        console,
        f"{summary['patients']} patients, {summary['simulated_s']} s of the ward in "
        f"{summary['wall_s']} s; {summary['windows']} windows, {summary['scores']} scores; "
        f"alerts raised: {words}; alerts_sha256 {summary['alerts_sha256']}",
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends a demo as Ctrl-C does, so that the terminal is put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
