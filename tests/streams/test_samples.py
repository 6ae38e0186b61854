"""Raw samples: whatever the room, the scale and the order, what is read is what was written."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.records import MISSING_SAMPLE
from streams.samples import Samples, values_of
from streams.sources import Source, Sources, from_differences

GAINS = ((0.5, 0.0), (0.001, -3.0))
MOST = 400


class Plain:
    """The same with a dictionary."""

    def __init__(self) -> None:
        self.there: dict[int, np.float32] = {}

    def write(self, start: int, values: np.ndarray) -> tuple[int, bool]:
        old = clash = 0
        for index, value in enumerate(values, start):
            kept = self.there.setdefault(index, value)
            if kept is not value:
                old += 1
                clash |= not (kept == value or (np.isnan(kept) and np.isnan(value)))
        return old, bool(clash)

    def forget(self, below: int) -> None:
        self.there = {index: value for index, value in self.there.items() if index >= below}


WRITES = st.lists(
    st.tuples(st.integers(-10, 60), st.integers(1, 40), st.sampled_from(GAINS), st.integers(0, 9)),
    min_size=1,
    max_size=25,
)


@given(WRITES, st.randoms(use_true_random=False))
def test_what_is_read_is_what_came_first(writes: list, chance: object) -> None:
    samples, plain, low = Samples(), Plain(), 0
    for step, (ahead, size, gain, seed) in enumerate(writes):
        low += chance.choice((0, 0, 25))  # type: ignore[attr-defined]
        start = max(low, low + ahead)
        if max(start + size, samples.top) - low > MOST:
            continue
        raw = np.random.default_rng(seed).integers(-4, 4, size).astype(np.int16)
        raw[raw == 3] = MISSING_SAMPLE
        samples.forget(low)
        plain.forget(samples.base)
        assert samples.write(start, raw, gain) == plain.write(start, values_of(raw, gain)), step
        lo, hi = samples.base, samples.top
        have = [index in plain.there for index in range(lo, hi)]
        assert samples.have(lo, hi).tolist() == have
        raw, gain = samples.read(lo, hi)
        read = values_of(raw, gain) if gain[0] else raw
        wanted = np.array([plain.there.get(i, np.float32(np.nan)) for i in range(lo, hi)])
        assert read.tobytes() == wanted.astype(np.float32).tobytes() or np.array_equal(
            read, wanted, equal_nan=True
        )


def test_samples_of_one_scale_cost_two_bytes_and_a_gap_one_more() -> None:
    samples = Samples()
    for start in range(0, 3000, 250):
        samples.write(start, np.arange(250, dtype=np.int16), GAINS[0])
    assert samples.whole
    assert samples._have is None
    assert len(samples._data) == 2 * 3000, "no room beside them"
    samples.write(3100, np.arange(100, dtype=np.int16), GAINS[0])
    assert samples._have is not None
    assert len(samples._have) == 3200
    samples.forget(3150)
    assert samples._have is None, "the gap is behind us"
    assert len(samples._data) == 2 * 50


def test_bytes_of_a_stretch_that_are_not_whole_are_refused() -> None:
    samples = Samples()
    samples.write(0, np.arange(50, dtype=np.int16), GAINS[0])
    kept = samples.stretch(0, 50)
    for odd in (
        msgspec.structs.replace(kept, data=kept.data[:-1]),
        msgspec.structs.replace(kept, have=kept.have[:-1]),
    ):
        with pytest.raises(ValueError, match=r"whole|multiple"):
            Samples().put(0, odd)


def test_a_stretch_put_back_is_the_same() -> None:
    for gains in (GAINS[:1], GAINS):
        samples = Samples()
        samples.begin(100)
        for k, gain in enumerate(gains):
            samples.write(110 + 60 * k, np.arange(50, dtype=np.int16), gain)
        again = Samples()
        again.put(105, samples.stretch(105, samples.top))
        assert (again.base, again.top, again.whole) == (105, samples.top, samples.whole)
        whole = samples.whole
        assert again.checksum(105, whole=whole) == samples.checksum(105, whole=whole)


@given(st.lists(st.tuples(*[st.integers(0, 2**40)] * 5), max_size=9))
def test_sources_travel_as_differences(rows: list[tuple[int, ...]]) -> None:
    sources = Sources()
    for row in rows:
        sources.add(Source(*row))
    assert list(from_differences(sources.since(-1))) == [Source(*row) for row in rows]


def test_sources_that_are_not_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="not whole"):
        from_differences([1, 2, 3])
