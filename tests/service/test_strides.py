"""Windows of one patient computed together say what they say one by one, to the byte."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from features.signal_ring import MOST_SEGMENTS
from service import settle
from service.engine import Engine
from service.ops import SegmentOp, WindowOp
from service.patient import Patient
from service.strides import stride
from streams.history import Timed
from streams.processor import Output
from streams.records import Chunk, LogRecord
from tests.service.engine_kit import (
    PARTITIONS,
    S,
    command,
    corrected,
    engine,
    event,
    log_of,
    patient,
    status,
    wristband,
)

MINUTES = 14
BACK_S = 60.0 * MINUTES + 700.0  # when what was kept back comes: it pages nobody
Lengths = list[int]


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> Lengths:
    """Notes how many windows went together."""
    found: Lengths = []

    def noted(patient: Patient, first: WindowOp, most: int | None) -> int:
        joined = stride(patient, first, most)
        found.append(1 + sum(isinstance(op, WindowOp) for op in list(patient.ops)[:joined]))
        return joined

    monkeypatch.setattr(settle, "stride", noted)
    return found


def kept_back(
    rows: list[Timed], lasting_s: float, seed: int = 0, chance: float = 0.0
) -> list[Timed]:
    """The same rows, sent as fast as may be from `BACK_S` on; some lost, doubled, out of order."""
    rng = random.Random(seed)
    first_us = min(at_us for at_us, _ in rows)
    span_us = max(at_us for at_us, _ in rows) - first_us
    sent = []
    for at_us, row in rows:
        for _ in range(rng.choice((0, 2)) if rng.random() < chance else 1):
            late_us = round(rng.random() * 20 * S) if rng.random() < chance else 0
            after_us = round((at_us - first_us) / span_us * lasting_s * S)
            sent.append((first_us + round(BACK_S * S) + after_us + late_us, row))
    return sorted(sent, key=lambda one: one[0])


def told(log: list[LogRecord], size: int) -> tuple[list[Output], list[bytes]]:
    """All messages, and the states at the end."""
    own = engine()
    said: list[Output] = []
    for start in range(0, len(log), size):
        said += own.feed(log[start : start + size]).messages
    return said, states(own)


def states(own: Engine) -> list[bytes]:
    return [state for p in range(PARTITIONS) for _, _, state in own.snapshots(p)]


def one_by_one(
    log: list[LogRecord], size: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Output], list[bytes]]:
    monkeypatch.setattr(settle, "stride", lambda *_: 0)
    return told(log, size)


def everything(seconds: float, seed: int, chance: float) -> list[list[Timed]]:
    """Two patients who were away, one with two devices; facts and commands before and among it."""
    wide = patient("wide", seconds, rate_bpm=120, breaths=25, spo2=91.0, off=False)
    second = [
        (at_us, msgspec.structs.replace(row, device_id="other"))
        for at_us, row in patient("wide", seconds, rate_bpm=90, chunk_s=7.0, off=False)
        if isinstance(row, Chunk) and row.signal == "ecg"
    ]
    band = [row for row in wristband("band", seconds) if isinstance(row[1], Chunk)]
    known = event("wide", "crp", 80.0, "mg/L", 60.0, BACK_S - 400.0)
    later = event("wide", "lactate", 3.0, "mmol/L", 200.0, BACK_S + 9.0)
    among = [
        corrected(known, 90.0, BACK_S + 4.0),
        later,
        status("band", "lead_off", BACK_S + 6.0, "ppg"),
        command("wide", "acknowledge", "no-such-alert", BACK_S + 7.0),
    ]
    return [
        kept_back(wide, 20.0, seed, chance),
        kept_back(second, 25.0, seed + 1, chance),
        kept_back(band, 15.0, seed + 2, chance),
        [known, *among],
    ]


def test_hours_that_come_at_once_go_together(
    lengths: Lengths, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for row in wristband("band", 60.0 * MINUTES) if isinstance(row[1], Chunk)]
    log = log_of([kept_back(rows, 2.0)])
    together = told(log, len(log))
    assert max(lengths) == 30, "five minutes, then accelerometers are calibrated anew"
    assert np.mean(lengths) > 10
    assert together == one_by_one(log, len(log), monkeypatch)


@pytest.mark.parametrize(("seed", "size"), [(1, 1 << 30), (2, 1 << 30), (3, 5), (4, 40)])
def test_what_else_is_heard_among_them_changes_nothing(
    lengths: Lengths, monkeypatch: pytest.MonkeyPatch, seed: int, size: int
) -> None:
    log = log_of(everything(60.0 * MINUTES, seed, 0.1))
    together = told(log, size)
    assert max(lengths) > 4
    assert together == one_by_one(log, size, monkeypatch)


def test_windows_that_may_page_go_one_by_one(lengths: Lengths) -> None:
    log = log_of([patient("live", 300.0)])
    told(log, len(log))
    assert set(lengths) == {1}


def test_a_segment_that_a_window_could_see_ends_the_stride() -> None:
    own, first = queued()
    assert stride(own, first, None) > 0
    late = next(op for op in own.ops if isinstance(op, SegmentOp))
    end_us = first.windows[0].end_us
    seen = late.segment._replace(start_us=end_us - 10 * S, end_us=end_us)
    own.ops.appendleft(late._replace(segment=seen))
    assert stride(own, first, None) == 0


def test_a_fact_that_becomes_known_meanwhile_ends_the_stride() -> None:
    own, first = queued()
    own.recent.news_us = first.windows[0].known_us
    assert stride(own, first, None) > 0
    own.recent.news_us += 1
    assert stride(own, first, None) == 0


def test_no_more_windows_go_together_than_may() -> None:
    own, first = queued()
    for most in (1, 2, 7):
        joined = list(own.ops)[: stride(own, first, most)]
        assert sum(isinstance(op, WindowOp) for op in joined) == most - 1
        assert not joined or isinstance(joined[-1], WindowOp)


def test_full_rings_have_no_room_for_what_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    own, first = queued()
    longest = stride(own, first, None)
    monkeypatch.setattr("features.rings.Rings.fullest", lambda _: MOST_SEGMENTS - 4)
    assert 0 < stride(own, first, None) < longest
    monkeypatch.setattr("features.rings.Rings.fullest", lambda _: MOST_SEGMENTS)
    assert stride(own, first, None) == 0


def queued() -> tuple[Patient, WindowOp]:
    """A patient with minutes to compute, and the first window after a multiple of five minutes."""
    rows = [row for row in patient("p", 700.0, off=False) if isinstance(row[1], Chunk)]
    own = engine()
    own._take(log_of([kept_back(rows, 1.0)]))
    (found,) = (p for of in own._patients.values() for n, p in of.items() if n == "p")
    while True:
        op = found.ops.popleft()
        if isinstance(op, WindowOp) and op.windows[0].end_us % (300 * S) == 10 * S:
            return found, op
