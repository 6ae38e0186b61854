"""Logging of every process, set up once: one line per message on stderr, nothing of a patient.

Not here: what is logged. Messages name topics, partitions, offsets, counts and reasons, never
keys, values or passwords; an exception is logged by its type and place because its text may
hold data.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable

OURS = ("streams", "features", "models", "alerts", "service")
CLIENTS = ("aiokafka", "kafka")
SELDOM_S = 60.0  # a client library repeats itself several times a second while a broker is away


class OneLine(logging.Formatter):
    """Time in UTC, level, logger and message on one line; exceptions as their place."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        self.converter = time.gmtime
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line; line breaks in a message become spaces."""
        record.exc_text = record.stack_info = None
        error = record.exc_info[1] if record.exc_info else None
        record.exc_info = None
        said = " ".join(super().format(record).split())
        return f"{said}: {place_of(error)}" if error is not None else said


class Seldom(logging.Filter):
    """Passes everything of ours, and a message of a library once per `SELDOM_S`."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock_s = clock_s
        self._last_s: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to say it; templates are few, so the memory of them stays small."""
        if record.name.partition(".")[0] in OURS:
            return True
        template = (record.name, str(record.msg)[:80])
        now_s = self._clock_s()
        if now_s - self._last_s.get(template, -SELDOM_S) < SELDOM_S:
            return False
        if len(self._last_s) > 1000:
            self._last_s.clear()
        self._last_s[template] = now_s
        return True


def configure() -> None:
    """Set the root logger up: our warnings, the libraries' errors, the Kafka clients silent.

    The clients are silent because a command that cannot reach a broker says so itself, in one
    line; a process that runs for long lets them speak with `hear_clients`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    handler.addFilter(Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.ERROR)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in CLIENTS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def hear_clients() -> None:
    """Let the Kafka clients report errors: for processes that outlive a broker."""
    for name in CLIENTS:
        logging.getLogger(name).setLevel(logging.ERROR)


def place_of(error: BaseException) -> str:
    """Type of an exception and where it was raised, without its text.

    Examples
    --------
    >>> place_of(ValueError("bed 7"))
    'ValueError'
    """
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(
        f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno}" for frame in reversed(frames)
    )
    name = type(error).__name__
    return f"{name} at {places}" if places else name
