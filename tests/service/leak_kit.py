"""One wearable number, any facts, and a scorer that tells everything it was shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from features.align import AlignedBatch
from features.facts import N_CONCEPTS, TRACKS
from models.score import Score
from service.build import load_policy
from service.engine import Engine
from service.judging import Judges
from streams.clock import TimingSpec
from streams.history import Timed
from streams.processor import Output
from streams.records import ClinicalEvent, LogRecord
from tests.service.engine_kit import PARTITIONS, START_US, S, chunks_of, log_of, status

SECONDS: Final = 180.0
PLAIN: Final = ClinicalEvent("e", 1, "final", "p", "sbp", 100.0, "mmHg", "", 0, 0, "ehr")


class Probe:
    """Says every clinical value it sees, and when that was true, as its shares."""

    name = "probe"
    model = "probe/1"

    def score(self, batch: AlignedBatch) -> list[Score]:
        """One `Score` per row; the value is how many facts there are."""
        value = np.hstack([batch.concept_value, batch.effect_value])
        time_us = np.hstack([batch.concept_time_us, batch.effect_time_us])
        return [self._row(batch, i, value[i], time_us[i]) for i in range(len(value))]

    def _row(self, batch: AlignedBatch, i: int, value: np.ndarray, time_us: np.ndarray) -> Score:
        window = batch.features.windows[i]
        there = [j for j in range(len(value)) if not math.isnan(value[j])]
        shown = {TRACKS[j]: float(value[j]) for j in there}
        shown |= {f"{TRACKS[j]} at": float(time_us[j] - START_US) for j in there}
        return Score(
            patient_id=window.patient_id,
            scorer=self.name,
            model=self.model,
            start_us=window.start_us,
            end_us=window.end_us,
            known_us=window.known_us,
            revision=window.revision,
            value=float(len(there)),
            lower=None,
            upper=None,
            std=None,
            calibrated=False,
            horizon_s=0.0,
            share=shown,
            present={},
            completeness=len(there) / N_CONCEPTS,
            news2=None,
            evidence=(),
        )


def fact(
    name: str, value: float | None, at_s: float, known_s: float, **changes: object
) -> ClinicalEvent:
    """A pressure, true and known at seconds after the start; `changes` replace fields."""
    times = {
        "event_time_us": START_US + round(at_s * S),
        "known_time_us": START_US + round(known_s * S),
    }
    return msgspec.structs.replace(PLAIN, event_id=name, value=value, **{**times, **changes})


def appended(event: ClinicalEvent, at_s: float | None = None) -> Timed:
    """An event with its append time: the moment it was known, unless told."""
    return event.known_time_us if at_s is None else START_US + round(at_s * S), event


def history(facts: Sequence[Timed], spo2: float = 97.0) -> list[LogRecord]:
    """A log of one patient with a saturation every second, and these facts."""
    rows: list[Timed] = list(chunks_of("p", "spo2", np.full(round(SECONDS), spo2), 1.0, 2))
    rows += [*facts, status("p", "off", SECONDS)]
    return log_of([sorted(rows, key=lambda row: row[0])])


def probed() -> Engine:
    """An engine whose only scorer is the probe."""
    return Engine(load_policy(""), Judges((Probe(),)), TimingSpec(), PARTITIONS)


def said(log: Sequence[LogRecord], batch: int = 1 << 30) -> list[Output]:
    """Every message of a log, fed in batches of this size."""
    machine = probed()
    parts = [log[i : i + batch] for i in range(0, len(log), batch)]
    return [message for part in parts for message in machine.feed(part).messages]


def scores(messages: Sequence[Output]) -> list[Score]:
    """The probe's scores among messages."""
    return [
        msgspec.json.decode(message.value, type=Score)
        for message in messages
        if message.topic == "scores"
    ]
