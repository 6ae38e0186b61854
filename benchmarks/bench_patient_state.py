"""What one patient costs: memory of the engine and size of a stored state, on BIDMC records.

Three waveforms at 125 Hz and four numbers at 1 Hz, after seven minutes: every ring is full.
"""

from __future__ import annotations

import statistics
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import takewhile

import msgspec

from benchmarks._common import data_folder, heading
from service.build import build_engine
from service.config import Config
from service.embedded import numbered, run
from service.replay import entries, load
from service.snapshot import PatientState
from streams.io.files.recording import DEFAULT_BASE_US
from streams.records import LogRecord

UNTIL_US = DEFAULT_BASE_US + 420_000_000


def main() -> int:
    """Print the figures."""
    print(heading("memory and stored state per patient, BIDMC"))
    config = Config()
    inputs = load([data_folder("bidmc")], None)
    log = list(before(numbered(entries(inputs, config.kafka.partitions))))
    for _ in run(build_engine(config), log[: len(log) // 4], batch=512):
        pass  # what is compiled, planned and cached once is no patient's memory
    tracemalloc.start()
    engine = build_engine(config)
    for _ in run(engine, log, batch=512):
        pass
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    stored = [row[2] for p in range(config.kafka.partitions) for row in engine.snapshots(p)]
    raw = [raw_bytes(state) for state in stored]
    print(f"patients                 {engine.patients()}")
    print(f"memory per patient       {held / engine.patients() / 1e3:.0f} kB")
    print(f"stored state, median     {statistics.median(map(len, stored)) / 1e3:.0f} kB")
    print(f"  of which raw samples   {statistics.median(raw) / 1e3:.0f} kB")
    return 0


def before(log: Iterator[LogRecord]) -> Iterator[LogRecord]:
    """The log up to a moment at which every device is still on."""
    return takewhile(lambda record: record.append_us <= UNTIL_US, log)


def raw_bytes(state: bytes) -> int:
    """Bytes of raw samples in a stored state."""
    kept = msgspec.msgpack.decode(state, type=PatientState)
    return sum(len(b.data) + len(b.have) for d in kept.devices for b in d.signals.values())


if __name__ == "__main__":
    sys.exit(main())
