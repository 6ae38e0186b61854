"""Segments hold what came, as int16; their values are the same one by one and as rows."""

from __future__ import annotations

import numpy as np
import pytest

from streams.records import MISSING_SAMPLE
from streams.segments import SEGMENT_US, Segment, rows_of

GAINS = ((0.001, 0.0), (-0.5, 0.0), (0.25, -3.5), (1e-40, 0.0), (0.1, 1e-9))


def segment(data: np.ndarray, gain: tuple[float, float]) -> Segment:
    return Segment("p", "d", "ecg", 0, SEGMENT_US, 25.0, "mV", 0.0, data, gain)


def raw(seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).integers(-32768, 32768, 250).astype(np.int16)
    found[:3] = 0, -1, MISSING_SAMPLE
    return found


@pytest.mark.parametrize("gains", [GAINS[:1], GAINS])
def test_rows_have_the_bits_of_the_samples_of_each(gains: tuple[tuple[float, float], ...]) -> None:
    segments = [segment(raw(n), gains[n % len(gains)]) for n in range(12)]
    for row, one in zip(rows_of(segments), segments, strict=True):
        assert row.tobytes() == one.samples.tobytes()
        assert np.isnan(row[2])
        assert row[0] != 0 or not np.signbit(row[0])


def test_segments_that_are_values_already_stay_them_beside_others() -> None:
    values = np.array([0.5, np.nan, -0.0] * 50, np.float32)
    rows = rows_of([segment(values, (0.0, 0.0)), segment(raw(1)[:150], GAINS[0])])
    assert rows[0].tobytes() == values.tobytes()
    assert rows[1].tobytes() == segment(raw(1)[:150], GAINS[0]).samples.tobytes()
