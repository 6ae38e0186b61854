"""One device: the same segments whatever the chunks, and every refusal by its name."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.clock import TimingSpec
from streams.device import MAX_SIGNALS, Arrival, Device
from streams.errors import ConfigError
from streams.records import Chunk, Reason
from streams.segments import Segment

START_US = 1_577_836_803_200_000  # not on the segment grid
FS_HZ = 125.0
CONTEXT_US = {f"s{i}": 0 for i in range(MAX_SIGNALS + 1)} | {"ecg": 1_000_000}
WAVE = np.random.default_rng(0).integers(-3000, 3000, round(65 * FS_HZ)).astype("<i2")


def part(first: int, stop: int, signal: str = "ecg", shift_us: int = 0) -> Chunk:
    """Samples `[first, stop)` of the wave."""
    at_us = START_US + shift_us + round(first * 1e6 / FS_HZ)
    data = WAVE[first:stop].tobytes()
    return Chunk("p", "d", signal, 0, first, at_us, FS_HZ, "mV", 0.01, 0.0, 0, data)


def end_us(chunk: Chunk) -> int:
    return chunk.start_us + round(len(chunk.data) // 2 * 1e6 / chunk.fs_hz)


def device() -> Device:
    return Device("p", "d", TimingSpec(), CONTEXT_US)


def played(chunks: Sequence[Chunk], machine: Device | None = None) -> list[Segment]:
    """Segments of these chunks, one record each, and of switching the device off."""
    machine = machine or device()
    segments: list[Segment] = []
    clock_us = 0
    for place, chunk in enumerate(chunks):
        clock_us = max(clock_us, end_us(chunk))
        segments += machine.ingest([(0, chunk)], Arrival(place, clock_us), clock_us).segments
    machine.off = True
    return segments + (machine.advance(clock_us) or [])


def same(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    return [s[:8] for s in left] == [s[:8] for s in right] and all(
        np.array_equal(a.samples, b.samples, equal_nan=True)
        for a, b in zip(left, right, strict=True)
    )


def cut_at(places: Sequence[int]) -> list[Chunk]:
    edges = [0, *sorted(set(places)), len(WAVE)]
    return [part(a, b) for a, b in itertools.pairwise(edges)]


WHOLE = played([part(0, len(WAVE))])


def test_a_minute_gives_its_segments_on_the_event_time_grid() -> None:
    assert [s.start_us % 10_000_000 for s in WHOLE] == [0] * 7
    assert [s.start_us for s in WHOLE] == sorted(s.start_us for s in WHOLE)
    assert np.isnan(WHOLE[0].samples).any(), "before the first sample there is a gap"


@given(st.lists(st.integers(1, len(WAVE) - 1), max_size=40))
def test_any_chunks_give_the_segments_of_the_whole(places: list[int]) -> None:
    assert same(played(cut_at(places)), WHOLE)


@given(st.randoms(use_true_random=False))
def test_order_within_the_lateness_and_copies_change_nothing(chance: object) -> None:
    chunks = cut_at(range(125, len(WAVE), 125))
    keyed = [(i + chance.uniform(0, 8), c) for i, c in enumerate(chunks)]  # type: ignore[attr-defined]
    mixed = [c for _, c in sorted(keyed, key=lambda row: row[0])]
    assert same(played([c for c in mixed for _ in (0, 1)]), WHOLE)


def test_a_restored_device_goes_on_as_the_original() -> None:
    chunks = cut_at(range(300, len(WAVE), 300))
    machine, segments, clock_us = device(), [], 0
    for place, chunk in enumerate(chunks):
        clock_us = end_us(chunk)
        segments += machine.ingest([(0, chunk)], Arrival(place, clock_us), clock_us).segments
        machine = Device.from_state("p", machine.state(clock_us), TimingSpec(), CONTEXT_US)
        for earlier, brought in enumerate(chunks[: place + 1]):
            machine.refill(earlier, {0: brought})
        machine.complete()
    machine.off = True
    assert same(segments + (machine.advance(clock_us) or []), WHOLE)


def test_the_first_copy_wins_and_another_one_is_a_conflict() -> None:
    machine, chunk = device(), part(0, 500)
    other = Chunk(*[*msg(chunk)[:-1], bytes(1000)])
    machine.ingest([(0, chunk)], Arrival(0, end_us(chunk)), end_us(chunk))
    done = machine.ingest([(0, other)], Arrival(1, end_us(chunk)), end_us(chunk))
    assert done.faults == [(0, Reason.CONFLICT)]
    rest = played([part(500, len(WAVE))], machine)
    assert same(rest, WHOLE)


def msg(chunk: Chunk) -> list[object]:
    return [getattr(chunk, name) for name in chunk.__struct_fields__]


def test_a_future_clock_that_nothing_explains_is_refused_and_moves_nothing() -> None:
    machine, chunk = device(), part(0, 500)
    machine.ingest([(0, chunk)], Arrival(0, end_us(chunk)), end_us(chunk))
    ahead = part(500, 1000, shift_us=3 * 86_400_000_000)
    ahead = Chunk(*[*msg(ahead)[:4], 0, *msg(ahead)[5:]])  # its counter began anew
    due_us = end_us(part(500, 1000))
    done = machine.ingest([(0, ahead)], Arrival(1, due_us), due_us)
    assert done.faults == [(0, Reason.FUTURE)]
    assert machine.max_event_us == end_us(chunk)


def test_data_for_a_closed_segment_is_too_late() -> None:
    machine = device()
    late, rest = part(0, 500), part(500, len(WAVE))
    arrival = Arrival(0, end_us(rest))
    machine.ingest([(0, rest)], arrival, end_us(rest))
    done = machine.ingest([(0, late)], arrival, end_us(rest))
    assert done.faults == [(0, Reason.TOO_LATE)]


def test_another_rate_and_too_many_signals_are_refused() -> None:
    machine, chunk = device(), part(0, 500)
    clock_us = end_us(chunk)
    arrival = Arrival(0, clock_us)
    machine.ingest([(0, chunk)], arrival, clock_us)
    faster = Chunk(*[*msg(chunk)[:6], 250.0, *msg(chunk)[7:]])
    assert machine.ingest([(0, faster)], arrival, clock_us).faults == [(0, Reason.RATE_CHANGED)]
    many = [(i, part(0, 500, f"s{i}")) for i in range(MAX_SIGNALS)]
    done = machine.ingest(many, arrival, clock_us)
    assert done.faults == [(MAX_SIGNALS - 1, Reason.TOO_MANY)]


def test_a_jump_of_three_days_makes_no_empty_segments() -> None:
    machine = device()
    first, after = part(0, 2500), part(2500, 5000, shift_us=3 * 86_400_000_000)
    segments = played([first, after], machine)
    assert len(segments) <= 6
    assert all(np.isfinite(s.samples).any() for s in segments)


@pytest.mark.parametrize("wrong", [{"lateness_s": 0.5}, {"future_s": -1}, {"hold_s": 90.0}])
def test_waiting_rules_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="timing"):
        TimingSpec(**wrong).checked()
