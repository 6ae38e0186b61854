"""Recordings and clinical events as one history in append order, ready to become a log.

Not here: reading files (`streams.io.files`), routing and ticks (`streams.history`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

from streams.history import HistorySpec, Timed, active_partitions
from streams.io.files.recording import Recording, append_us, chunks
from streams.records import AlertCommand, ClinicalEvent, DeviceStatus

KnownEvent = tuple[int, ClinicalEvent]  # append time, event
Known = tuple[int, ClinicalEvent | AlertCommand]
CHUNK_S = 2.0  # what a gateway would send; results do not depend on it
TAIL_US = 10_000_000  # ticks after the last record; devices are switched off at their end


def history(
    recordings: Sequence[Recording], events: Sequence[Known], chunk_s: float = CHUNK_S
) -> Iterator[Timed]:
    """Merge recordings and events by append time.

    Parameters
    ----------
    recordings : sequence of Recording
        Each is followed by a `DeviceStatus` "off" at its end: a recording that is over is not a
        lost signal.
    events : sequence of (append_us, ClinicalEvent or AlertCommand)
        Appended when they were known or asked, or when they reached the log if that was later.
    chunk_s : float
        Length of the chunks, s.

    Yields
    ------
    (append_us, Chunk or Record)
        By append time; equal times keep recordings before events, in the order given.
    """
    streams: list[Iterator[Timed]] = [_played(recording, chunk_s) for recording in recordings]
    streams.append(iter(sorted(events, key=lambda known: known[0])))
    return heapq.merge(*streams, key=lambda timed: timed[0])


def _played(recording: Recording, chunk_s: float) -> Iterator[Timed]:
    last_us = 0
    for chunk in chunks(recording, chunk_s):
        last_us = max(last_us, append_us(chunk))
        yield last_us, chunk
    if last_us:
        yield (
            last_us,
            DeviceStatus(
                recording.patient_id, recording.device_id, "", "off", None, "", 0, last_us
            ),
        )


def spec_for(patient_ids: Iterable[str], partitions: int) -> HistorySpec:
    """How these patients' history becomes a log: ticks only where a patient is."""
    return HistorySpec(
        partitions=partitions,
        tail_us=TAIL_US,
        active=tuple(active_partitions(patient_ids, partitions)),
    )


def patients_of(recordings: Sequence[Recording], events: Sequence[Known]) -> tuple[str, ...]:
    """Every patient of a history, sorted."""
    named = {recording.patient_id for recording in recordings}
    return tuple(sorted(named | {event.patient_id for _, event in events}))
