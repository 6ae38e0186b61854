"""Segments packed a block at a time are the bytes that packing one by one gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features.analyse import analyse, analyse_kept
from features.analysis.motion import analyse_motion, analyse_motion_kept
from features.axes import Triple
from features.feature import FeatureReason
from features.kept import Kept, heights_of, kept_of
from features.layout import shape_of
from features.memory import Memory
from features.primitives import Primitives
from features.signals import AXES, MOTION
from features.usual_beats import ECTOPIC
from streams.segments import Segment

Floats = NDArray[np.float64]
Cut = Callable[..., list[Segment]]
Wave = Callable[..., Floats]
FS = 125.0


def single(p: Primitives) -> Kept:
    """One segment by itself."""
    return kept_of(p, shape_of(p.signal).shape, ECTOPIC)


@pytest.fixture
def segments(ecg_wave: Wave, ppg_wave: Wave, cut: Cut) -> list[Segment]:
    """Of several kinds, with gaps, a lead of its own, and one of nothing."""
    at = np.arange(0.4, 59.5, 0.83)
    ecg, ppg = ecg_wave(7500, FS, at), ppg_wave(7500, FS, at)
    ecg[1200:1204], ecg[2500:4100] = np.nan, np.nan
    rng = np.random.default_rng(2)
    parts = [
        cut(ecg, FS, "ecg", 2.0),
        cut(0.3 * ecg, FS, "ecg_v1", 2.0),
        cut(ppg, FS, "ppg", 2.0),
        cut(np.sin(np.arange(7500) / FS), FS, "resp", 2.0),
        cut(rng.normal(97, 1, 60), 1.0, "spo2", 0.0),
        cut(np.full(60, 36.6), 1.0, "temp", 0.0),
        cut(np.full(60, np.nan), 1.0, "hr", 0.0),
    ]
    return [segment for part in parts for segment in part]


def test_a_block_at_once_gives_the_bytes_of_each_alone(segments: list[Segment]) -> None:
    at_once = analyse_kept(segments)
    for p, kept in zip(analyse(segments), at_once, strict=True):
        own = single(p)
        if p.signal.startswith("ecg"):
            assert kept.heights is not None
            assert own.heights is not None
            assert np.array_equal(kept.heights, own.heights, equal_nan=True)
        assert kept._replace(heights=None) == own._replace(heights=None)
        assert kept.stats.tobytes() == own.stats.tobytes()


def test_movement_at_once_gives_the_bytes_of_each_alone(cut: Cut) -> None:
    rng = np.random.default_rng(3)
    axes = [cut(rng.normal(0.5, 0.1, 1920), 32.0, axis, 0.0) for axis in AXES]
    axes[1][2] = axes[1][2]._replace(data=axes[1][2].data[:-1])  # unlike its siblings
    triples = [Triple(*three) for three in zip(*axes, strict=True)]
    made = zip(analyse_motion(triples), analyse_motion_kept(triples), strict=True)
    for p, kept in made:
        assert (p.signal, kept.signal) == (MOTION, MOTION)
        assert kept._replace(heights=None) == single(p)._replace(heights=None)


def test_memory_keeps_the_same_of_both(segments: list[Segment]) -> None:
    one, other = Memory(), Memory()
    for p, kept in zip(analyse(segments), analyse_kept(segments), strict=True):
        one.keep(p)
        other.keep_bytes(kept)
    assert one.to_state() == other.to_state()


def test_what_is_refused_keeps_all_but_its_quality(segments: list[Segment]) -> None:
    kept = analyse_kept(segments[:1])[0]
    memory = Memory()
    memory.rings.keep(kept.refused(FeatureReason.NO_QRS))
    (p,) = memory.rings.primitives()
    whole = analyse(segments[:1])[0]
    assert (p.quality, p.reason) == (0.0, FeatureReason.NO_QRS)
    assert p.coverage == np.float32(whole.coverage)
    assert p.times_us.tolist() == whole.times_us.tolist()
    assert p.stats.tobytes() == whole.stats.tobytes()


def test_heights_are_those_of_sorted_beats() -> None:
    rng = np.random.default_rng(4)
    row = np.sort(rng.integers(0, 40, 300))
    heights = rng.normal(1.0, 0.7, 300)
    heights[rng.random(300) < 0.05] = np.nan
    ectopic = rng.random(300)
    for k, found in enumerate(heights_of(row, heights, ectopic, 41)):
        own = np.sort(heights[(row == k) & (heights > 0)])
        sinus = np.sort(heights[(row == k) & (heights > 0) & (ectopic <= 0.5)])
        assert (found.n, found.n_sinus) == (own.size, sinus.size)
        if own.size:
            assert found.high == own[int(0.9 * (own.size - 1))]
        if sinus.size:
            assert found.middle == sinus[sinus.size // 2]
