"""What one patient costs: memory of the engine, size of a stored state, time to store and load it.

A simulated ward after eight minutes, every ring full: ECG 250 Hz, pulse wave 125 Hz, three axes at
32 Hz, SpO2 and temperature at 1 Hz, in chunks of `--chunk-s`. `--many N` then holds N patients in
this process, restored from those states, and plays them two minutes more. `--bidmc` measures
recordings instead: three ECG leads, pulse wave and breathing wave at 125 Hz, four numbers.

    python -m benchmarks.bench_state [--patients 24] [--chunk-s 2] [--many 10000] [--bidmc]
"""

from __future__ import annotations

import argparse
import gc
import itertools
import resource
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks._common import data_folder, heading
from service.build import build_engine
from service.config import Config
from service.embedded import numbered, run
from service.engine import Engine
from service.history import spec_for
from service.patient import Patient
from service.replay import entries, load
from service.roster import CONTEXT_US
from service.simulate import Ward
from service.snapshot import pack, unpack
from streams.io.files.recording import DEFAULT_BASE_US
from streams.partition import partition_of
from streams.records import ANYONE, LogRecord, Record, SignalBundle, Tick

SECONDS = 480
EXTRA_S = 120
MEMORY_KB, AIM_MEMORY_KB = 150, 80
STORED_KB, AIM_STORED_KB = 16, 6


def main() -> int:
    """Print the figures; 1 when a patient of the ward costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--chunk-s", type=int, default=2)
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("--bidmc", action="store_true")
    options = parser.parse_args()
    print(heading("memory and stored state per patient"))
    if options.bidmc:
        print("BIDMC recordings, seven minutes")
        measured(recorded())
        return 0
    print(f"{options.patients} simulated patients, {SECONDS} s, chunks of {options.chunk_s} s")
    log = list(simulated(options.patients, options.chunk_s, SECONDS + EXTRA_S))
    ends = [r.append_us for r in log if isinstance(r.record, SignalBundle)]
    end_us = max(ends) - EXTRA_S * 1_000_000
    early = [record for record in log if record.append_us <= end_us]
    engine, memory_kb, stored_kb = measured(early)
    if options.many:
        memory_kb = crowd(engine, early, log[len(early) :], options.many)
    good = memory_kb <= MEMORY_KB and stored_kb <= STORED_KB
    print(
        f"goal: {MEMORY_KB} kB (aim {AIM_MEMORY_KB}) and {STORED_KB} kB (aim {AIM_STORED_KB}): "
        f"{'met' if good else 'MISSED'}"
    )
    return 0 if good else 1


def simulated(patients: int, chunk_s: int, seconds: float) -> Iterator[LogRecord]:
    """A ward's log without its breathing waves; every patient has the same sensors."""
    rows = [
        (append_us, without_breathing(record))
        for append_us, record in Ward(patients, duration_s=seconds, chunk_s=chunk_s)
    ]
    names = {
        r.chunks[0].patient_id if isinstance(r, SignalBundle) else r.patient_id
        for _, r in rows
        if not isinstance(r, Tick)
    }
    spec = spec_for(sorted(names), Config().kafka.partitions)
    return numbered(spec.build(iter(rows)))


def without_breathing(record: Record) -> Record:
    """The record less the chunks of a signal that the reference patient does not wear."""
    if not isinstance(record, SignalBundle):
        return record
    return SignalBundle(tuple(chunk for chunk in record.chunks if chunk.signal != "resp"))


def recorded() -> list[LogRecord]:
    """BIDMC up to a moment at which every device is still on."""
    log = numbered(entries(load([data_folder("bidmc")], None), Config().kafka.partitions))
    until_us = DEFAULT_BASE_US + 420_000_000
    return list(itertools.takewhile(lambda record: record.append_us <= until_us, log))


def measured(log: Sequence[LogRecord]) -> tuple[Engine, float, float]:
    """Figures of one engine that was fed a log; with memory and stored state in kB."""
    play(build_engine(Config()), log[: len(log) // 4])
    gc.collect()
    tracemalloc.start()
    engine = build_engine(Config())
    empty = tracemalloc.get_traced_memory()[0]  # policy, scorers and the model's weights
    play(engine, log)
    gc.collect()
    held_kb = (tracemalloc.get_traced_memory()[0] - empty) / engine.patients() / 1e3
    tracemalloc.stop()
    print(f"an engine without patients  {empty / 1e3:7.1f} kB")
    patients = everybody(engine)
    states = [pack(patient, {}) for patient in patients]
    sizes = [len(state) / 1e3 for state in states]
    policy, timing = engine._policy, engine._timing
    print(f"memory per patient          {held_kb:7.1f} kB")
    print(f"stored state, median        {statistics.median(sizes):7.1f} kB")
    print(f"stored state, largest       {max(sizes):7.1f} kB")
    store_us = cpu_us(lambda: [pack(p, {}) for p in patients]) / len(patients)
    load_us = cpu_us(lambda: [unpack(s, timing, CONTEXT_US, policy) for s in states]) / len(states)
    print(f"store one, CPU              {store_us:7.0f} us")
    print(f"load one, CPU               {load_us:7.0f} us")
    return engine, held_kb, statistics.median(sizes)


def play(engine: Engine, log: Sequence[LogRecord]) -> None:
    """Feed a log; nothing of what it says is kept."""
    for said in run(engine, log, batch=512):
        del said


def everybody(engine: Engine) -> list[Patient]:
    """Its patients."""
    own = engine._patients.values()
    return [patient for some in own for name, patient in some.items() if name != ANYONE]


def crowd(engine: Engine, early: Sequence[LogRecord], later: Sequence[LogRecord], n: int) -> float:
    """Resident memory per patient of n copies of an engine's patients, two minutes on; kB."""
    states = {
        (number, name): pack(patient, {})
        for number, some in engine._patients.items()
        for name, patient in some.items()
        if name != ANYONE
    }
    each = -(-n // len(states))
    before_kb = resident_kb()
    began_s = time.process_time()
    many, copies = build_engine(Config()), dict[str, list[str]]()
    for (number, name), state in states.items():
        for copy in itertools.islice(names_like(name, number), each):
            patient, _ = unpack(state, many._timing, CONTEXT_US, many._policy)
            patient.patient_id = copy
            for device in patient.devices.values():
                device.patient_id = copy
            many._patients.setdefault(number, {})[copy] = patient
            copies.setdefault(name, []).append(copy)
    for record in early[-len(early) // 4 :]:
        many.refill([multiplied(record, copies)])
    for number in {number for number, _ in states}:
        many.complete(number)
    loaded_s = time.process_time() - began_s
    loaded_kb = (resident_kb() - before_kb) / many.patients()
    print(
        f"{many.patients()} patients restored    {loaded_kb:7.1f} kB each, {loaded_s:.1f} s of CPU"
    )
    for record in later:
        many.feed([multiplied(record, copies)])
    gc.collect()
    held_kb = (resident_kb() - before_kb) / many.patients()
    print(f"... two minutes later       {held_kb:7.1f} kB each, resident")
    return held_kb


def names_like(name: str, partition: int) -> Iterator[str]:
    """Other names of the same partition."""
    partitions = Config().kafka.partitions
    made = (f"{name}-{k}" for k in itertools.count())
    return (copy for copy in made if partition_of(copy, partitions) == partition)


def multiplied(record: LogRecord, copies: Mapping[str, Sequence[str]]) -> LogRecord:
    """A bundle with the chunks of every copy of its patients; another record as it is."""
    if not isinstance(record.record, SignalBundle):
        return record if isinstance(record.record, Tick) else record._replace(record=None)
    chunks = tuple(
        msgspec.structs.replace(chunk, patient_id=copy)
        for chunk in record.record.chunks
        for copy in copies[chunk.patient_id]
    )
    return record._replace(record=SignalBundle(chunks))


def resident_kb() -> float:
    """Memory of this process, kB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e3


def cpu_us(work: Callable[[], object]) -> float:
    """CPU time of something done to each of the patients, of three goes the least, for all."""
    goes = []
    for _ in range(3):
        began_s = time.process_time()
        work()
        goes.append(time.process_time() - began_s)
    return min(goes) * 1e6


if __name__ == "__main__":
    sys.exit(main())
