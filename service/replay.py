"""Replay history through the live engine: sources and events in, files and digests out.

The embedded runner and the Kafka runner see the same log and must leave the same bytes.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from features.catalog import catalog_hash
from service.artifacts import described_models
from service.build import build_engine, load_policy
from service.config import Config
from service.embedded import numbered, run
from service.history import Known, KnownEvent, history, patients_of, spec_for
from service.importers.fact import EventError
from service.importers.reading import read_events
from service.progress import SILENT, Watcher
from service.results import Collector, Results
from streams.errors import SourceError
from streams.history import LogEntry
from streams.io.files.recording import DEFAULT_BASE_US, Recording
from streams.io.files.registry import open_source


class Inputs(NamedTuple):
    """What is replayed, and what of it could not be read."""

    recordings: tuple[Recording, ...]
    events: tuple[KnownEvent, ...]
    faults: tuple[str, ...]  # one line per file or row that was refused, with its place
    commands: tuple[Known, ...] = ()  # what people asked meanwhile


def load(
    sources: Sequence[Path],
    events: Path | None,
    base_us: int = DEFAULT_BASE_US,
    watcher: Watcher = SILENT,
) -> Inputs:
    """Read every source; a broken member of a set is reported and its neighbours go in.

    Raises
    ------
    SourceError
        If nothing could be read at all, or the events are of no known format.
    """
    faults: list[str] = []
    recordings: list[Recording] = []
    watcher.stage("reading recordings", None)
    for source in sources:
        for recording in open_source(source, base_us, on_error=lambda e: faults.append(str(e))):
            recordings.append(recording)
            watcher.step(1)
    if not recordings:
        detail = f": {faults[0]}" if faults else ""
        raise SourceError(f"no recording could be read from {_names(sources)}{detail}")
    starts = {r.patient_id: _start_us(r) for r in reversed(recordings)}
    found: list[KnownEvent] = []
    for row in read_events(events, starts) if events else ():
        if isinstance(row, EventError):
            faults.append(f"{row.file}: line {row.line}: {row.column or 'row'}: {row.rule}")
        else:
            found.append((row.known_time_us, row))
    return Inputs(tuple(recordings), tuple(found), tuple(faults))


def entries(inputs: Inputs, partitions: int) -> Iterator[LogEntry]:
    """The log of these inputs: the same for every runner."""
    told = (*inputs.events, *inputs.commands)
    spec = spec_for(patients_of(inputs.recordings, told), partitions)
    return spec.build(history(inputs.recordings, told))


class Replayed(NamedTuple):
    """A finished replay."""

    results: Results
    run: dict[str, Any]  # run.json without the digests


def replay_embedded(inputs: Inputs, config: Config, watcher: Watcher = SILENT) -> Replayed:
    """Run the engine in this process over the inputs' log."""
    began_s, cpu_s = time.perf_counter(), time.process_time()
    engine = build_engine(config)
    collector = Collector()
    log = _watched(entries(inputs, config.kafka.partitions), inputs, watcher)
    for outputs in run(engine, numbered(log)):
        collector.take(outputs.messages)
    results = collector.results()
    minutes = patient_minutes(inputs.recordings)
    spent_s = time.process_time() - cpu_s
    described = describe(inputs, config, "embedded")
    described["counters"] = dict(sorted(engine.counters.items()))
    described["cost"] = {
        "wall_s": round(time.perf_counter() - began_s, 3),
        "cpu_s": round(spent_s, 3),
        "patient_minutes": round(minutes, 2),
        "patient_minutes_per_cpu_s": round(minutes / max(spent_s, 1e-9), 1),
    }
    return Replayed(results, described)


def describe(inputs: Inputs, config: Config, runner: str) -> dict[str, Any]:
    """What `run.json` says of a run: inputs, versions, policy, catalogue."""
    policy = load_policy(config.policy)
    return {
        "vigil": version("vigil"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "runner": runner,
        "catalog": catalog_hash(),
        "policy": msgspec.to_builtins(policy.ref),
        "models": described_models(config),
        "timing": config.timing_spec._asdict(),
        "patients": len(patients_of(inputs.recordings, inputs.events)),
        "recordings": [
            {"patient_id": r.patient_id, "source": Path(r.source).name, "start_us": _start_us(r)}
            for r in inputs.recordings
        ],
        "clinical_events": len(inputs.events),
        "refused_inputs": list(inputs.faults),
    }


def patient_minutes(recordings: Iterable[Recording]) -> float:
    """Recorded time: for each recording that of its longest signal, in minutes."""
    return sum(
        max((len(s.samples) / s.fs_hz for s in r.signals), default=0.0) / 60 for r in recordings
    )


def _watched(log: Iterable[LogEntry], inputs: Inputs, watcher: Watcher) -> Iterator[LogEntry]:
    """Pass the log on and tell how many seconds of it are behind."""
    starts = [_start_us(r) for r in inputs.recordings]
    ends = [
        s.start_us + len(s.samples) / s.fs_hz * 1e6 for r in inputs.recordings for s in r.signals
    ]
    watcher.stage("replaying", round((max(ends) - min(starts)) / 1e6))
    done_us = min(starts)
    for entry in log:
        if entry.append_us - done_us >= 1_000_000:
            watcher.step((entry.append_us - done_us) // 1_000_000)
            done_us = entry.append_us
        yield entry


def _start_us(recording: Recording) -> int:
    return min(signal.start_us for signal in recording.signals)


def _names(sources: Sequence[Path]) -> str:
    return ", ".join(str(source) for source in sources)
