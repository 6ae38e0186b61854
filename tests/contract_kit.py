"""The logs that the laws of the engine are tried on: simulated patients, and recordings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from service.embedded import numbered
from service.history import history, patients_of, spec_for
from service.results import Results
from streams.history import Timed
from streams.io.files.recording import Recording
from streams.io.files.registry import open_source
from streams.records import (
    ANYONE,
    LogRecord,
)
from tests.service.engine_kit import (
    PARTITIONS,
    command,
    corrected,
    event,
    log_of,
    patient,
    run,
    status,
    wristband,
)


def ward(seconds: float = 300.0) -> list[list[Timed]]:
    """Five: one deteriorates, one loses contact, one is well, one wears a wristband, one is late.

    The late one is lost as well. Silences and an outage of the whole ward come and go meanwhile.
    """
    sick = patient("sick", seconds, rate_bpm=135, breaths=28, spo2=90.0)
    sick += [
        event("sick", "sbp", 88, "mmHg", 20, 40),
        event("sick", "temp", 39.4, "Cel", 30, 120),  # known at the very second of a decision
        event("sick", "temp", 36.6, "Cel", 200, 282),
    ]
    sick += [corrected(sick[-3], 125.0, 141.5), corrected(sick[-3], 86.0, 158, version=3)]
    lost = patient("lost", seconds, rate_bpm=60, spans_s=((3.3, 140.0), (230.0, seconds)))
    lost += [event("lost", "oxygen", 1.0, "", 10, 15), status("lost", "worn", 1.0)]
    late = patient("late", seconds, rate_bpm=75, spans_s=((155.0, 170.0), (285.0, seconds)))
    well, wrist = patient("well", seconds, rate_bpm=80), wristband("wrist", seconds)
    return [sick, lost, well, wrist, late, COMMANDS]


COMMANDS: list[Timed] = [
    command(ANYONE, "silence", "condition=lead_off:*", 90, lasting_s=200),
    command(ANYONE, "lost", "device_fleet_outage", 100),
    command("sick", "silence", "condition=single_parameter", 120, lasting_s=60),
    command(ANYONE, "silence", "condition=no_data:*", 150, lasting_s=140, command_id="quiet"),
    command(ANYONE, "maintenance", "subject=lost", 190, lasting_s=25),
    command("well", "silence", "kind=technical", 200, lasting_s=60),
    command(ANYONE, "unsilence", "quiet", 265),
    command(ANYONE, "regained", "device_fleet_outage", 270),
    command(ANYONE, "lost", "device_fleet_outage", 280),
]
"""What people and services say to the ward of `ward`."""


def bytes_of(results: Results) -> tuple[object, ...]:
    """What must be equal: every digest, and no dead letter more or less."""
    return results.digests, results.dead


class Case:
    """A log and what it says when it is fed at once."""

    def __init__(self, log: list[LogRecord]) -> None:
        self.log = log
        self.results = run(log)
        self.said = bytes_of(self.results)


@lru_cache(maxsize=1)
def synthetic() -> Case:
    return Case(log_of(ward()))


def trimmed(recording: Recording, seconds: float) -> Recording:
    return recording._replace(
        signals=tuple(
            signal._replace(samples=signal.samples[: round(seconds * signal.fs_hz)])
            for signal in recording.signals
        )
    )


@lru_cache(maxsize=1)
def excerpts(folder: Path) -> list[Recording]:
    """Three minutes of three real recordings."""
    names = ("bidmc_01", "bidmc_08", "bidmc_32")
    files = [folder / f"{name}_Signals.npz" for name in names]
    return [trimmed(recording, 180.0) for file in files for recording in open_source(file)]


def log_of_recordings(recordings: Sequence[Recording], chunk_s: float = 2.0) -> list[LogRecord]:
    facts = [
        event(r.patient_id, "sbp", 85, "mmHg", 10, 20) for r in recordings if "08" in r.patient_id
    ]
    facts = [(us, fact) for us, fact in facts]
    spec = spec_for(patients_of(recordings, facts), PARTITIONS)
    return list(numbered(spec.build(history(recordings, facts, chunk_s))))


@lru_cache(maxsize=1)
def real_case(folder: Path) -> Case:
    return Case(log_of_recordings(excerpts(folder)))
