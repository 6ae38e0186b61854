"""What rests on the past rests on the patient's own past, in order, and survives a snapshot."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from features.align import FeatureBatch
from features.catalog import CATALOG, INDEX
from features.concepts import CONCEPTS
from features.concepts import INDEX as CONCEPT
from features.extract import extract
from features.feature import VALUED, FeatureReason
from features.follow import Care, follow
from features.layout import SEGMENT_NUMBERS, shape_of
from features.memory import Memory
from features.primitives import Primitives
from features.signals import MOTION, SignalKind
from streams.windows import Window, windows_ending

S = 1_000_000
START_US = 1_700_006_400 * S  # midnight UTC
NUMBERS = SEGMENT_NUMBERS[SignalKind.MOTION]


def care(alerted: bool = False, sbp: float = np.nan, age_s: int = 0, now_us: int = 0) -> Care:
    facts = np.full(len(CONCEPTS), np.nan)
    facts_us = np.zeros(len(CONCEPTS), np.int64)
    facts[CONCEPT["sbp"]], facts_us[CONCEPT["sbp"]] = sbp, now_us - age_s * S
    return Care(alerted, facts, facts_us)


def segment(signal: str, start_us: int, values: Any = (), **numbers: float) -> Primitives:
    n = len(values)
    stats = np.full(shape_of(signal).n_stats, numbers.get("all", np.nan), np.float32)
    for name, value in numbers.items():
        if name != "all":
            stats[NUMBERS.index(name)] = value
    times_us = start_us + np.arange(n) * (10 * S // max(n, 1))
    return Primitives(
        "d", signal, start_us, start_us + 10 * S, 1.0, 0.9, FeatureReason.OK, times_us,
        np.asarray(values, np.float64), np.zeros(n, np.int16), True, True, stats=stats,
    )  # fmt: skip


def ten_seconds(memory: Memory, start_us: int, bpm: float, spo2: float, still: bool) -> None:
    """A device that sends its own heart rate, saturation, temperature and movement."""
    moving = {"n": 320, "coverage": 1.0, "enmo_mg": 1.0 if still else 400.0}
    moving |= {"mad_mg": 2.0 if still else 300.0, "still": float(still), "steps": 0.0}
    memory.rings.insert(segment("hr", start_us, [bpm] * 10))
    memory.rings.insert(segment("spo2", start_us, all=spo2))
    memory.rings.insert(segment("temp", start_us, all=36.8))
    memory.rings.insert(segment(MOTION, start_us, **moving))


def live(memory: Memory, minutes: float, at_us: int = START_US, **changes: Any) -> FeatureBatch:
    """Let a patient live, a window a minute; returns the last batch."""
    bpm, spo2 = changes.pop("bpm", 70.0), changes.pop("spo2", 97.0)
    batch = None
    for k in range(round(minutes * 6)):
        start_us = at_us + k * 10 * S
        ten_seconds(memory, start_us, bpm, spo2, changes.get("still", True))
        end_us = start_us + 10 * S
        if end_us % (60 * S):
            continue
        rows = [(memory, w) for w in windows_ending("p", end_us, end_us)]
        batch = extract(rows)
        follow(rows, batch, [changes.get("care", care())] * len(rows))
        memory.rings.prune(end_us - 300 * S)
    assert batch is not None
    return batch


def value(batch: FeatureBatch, name: str, window: str = "60s") -> tuple[float, FeatureReason]:
    row = [w.name for w in batch.windows].index(window)
    return float(batch.value[row, INDEX[name]]), FeatureReason(int(batch.reason[row, INDEX[name]]))


def test_a_value_that_lasts_becomes_the_patients_usual() -> None:
    memory = Memory()
    early = abs(value(live(memory, 2, bpm=95.0), "hr_mean_z")[0])
    late = live(memory, 90, START_US + 120 * S, bpm=95.0)
    assert abs(value(late, "hr_mean_z")[0]) < early
    assert value(late, "hr_mean_baseline_bpm")[0] == pytest.approx(95, abs=12)


def test_nothing_is_learnt_while_an_alert_is_open() -> None:
    free, alerted = Memory(), Memory()
    for memory in (free, alerted):
        live(memory, 20)
    later_us = START_US + 1200 * S
    freed = live(free, 40, later_us, bpm=120.0)
    kept = live(alerted, 40, later_us, bpm=120.0, care=care(alerted=True))
    assert value(kept, "hr_mean_baseline_bpm")[0] < value(freed, "hr_mean_baseline_bpm")[0] - 1


def test_shock_index_uses_the_pressure_known_then() -> None:
    known = care(sbp=140.0, age_s=600, now_us=START_US + 60 * S)
    batch = live(Memory(), 1, bpm=70.0, care=known)
    assert value(batch, "shock_index")[0] == pytest.approx(0.5)
    assert value(live(Memory(), 1), "shock_index")[1] == FeatureReason.NO_SIGNAL


def test_an_hour_of_saturation_is_made_of_twelve_rows() -> None:
    memory = Memory()
    live(memory, 30, spo2=97.0)
    batch = live(memory, 30, START_US + 1800 * S, spo2=89.0)
    assert value(batch, "spo2_mean_pct", "3600s")[0] == pytest.approx(93, abs=0.05)
    assert value(batch, "spo2_t90_s", "3600s")[0] == pytest.approx(1800, abs=5)
    assert value(batch, "spo2_min_pct", "3600s")[0] == 89
    assert value(batch, "acc_nonwear", "3600s")[1] in VALUED


def test_an_hour_that_has_not_been_yet_is_too_short() -> None:
    batch = live(Memory(), 10)
    assert value(batch, "spo2_odi3_per_h", "3600s")[1] == FeatureReason.TOO_SHORT
    assert value(batch, "temp_slope_c_per_h", "3600s")[1] == FeatureReason.TOO_SHORT


def test_a_day_row_comes_every_hour_and_says_what_is_missing() -> None:
    batch = live(Memory(), 60)
    assert [w.name for w in batch.windows] == ["60s", "300s", "3600s", "86400s"]
    assert value(batch, "ecg_night_hr_bpm", "86400s")[1] == FeatureReason.NO_SIGNAL


def test_every_column_has_a_value_exactly_when_its_reason_says_so() -> None:
    batch = live(Memory(), 60)
    told = np.isin(batch.reason, VALUED)
    assert (np.isfinite(batch.value) == told).all()
    for row, window in enumerate(batch.windows):
        for j, feature in enumerate(CATALOG):
            other = batch.reason[row, j] == FeatureReason.OTHER_WINDOW
            assert other == (window.name not in feature.windows), feature.name


def test_patients_do_not_touch_each_other() -> None:
    def world(together: bool) -> list[bytes]:
        people = [Memory(), Memory(), Memory()]
        said = []
        for k in range(36):
            start_us, end_us = START_US + k * 10 * S, START_US + (k + 1) * 10 * S
            for i, memory in enumerate(people):
                ten_seconds(memory, start_us, 60.0 + 9 * i, 95.0 + i, still=i != 1)
            windows = windows_ending("p", end_us, end_us)
            groups = [people] if together else [[memory] for memory in people]
            for group in groups:
                rows = [(memory, w) for memory in group for w in windows]
                batch = extract(rows)
                follow(rows, batch, [care()] * len(rows))
                said += [batch.value[r].tobytes() for r in range(len(rows))]
        return said + [msgspec.msgpack.encode(memory.to_state()) for memory in people]

    assert world(together=True) == world(together=False)


def test_a_snapshot_in_the_middle_changes_nothing() -> None:
    straight, restored = Memory(), Memory()
    for memory in (straight, restored):
        live(memory, 7)
    packed = msgspec.msgpack.encode(restored.to_state())
    restored = Memory.from_state(msgspec.msgpack.decode(packed))
    later_us = START_US + 420 * S
    one, other = (live(memory, 6, later_us, bpm=88.0) for memory in (straight, restored))
    assert one.value.tobytes() == other.value.tobytes()
    assert straight.to_state() == restored.to_state()


def test_time_without_data_is_no_data() -> None:
    memory = Memory()
    live(memory, 30)
    batch = live(memory, 5, START_US + 7200 * S)
    assert value(batch, "spo2_mean_pct", "3600s")[1] == FeatureReason.GAP


def test_windows_of_other_lengths_are_left_alone() -> None:
    window = Window("p", "300s", START_US, START_US + 300 * S, 0)
    rows = [(Memory(), window)]
    batch = extract(rows)
    follow(rows, batch, [care()])
    assert not np.isfinite(batch.value).any()
