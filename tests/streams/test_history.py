"""History as a log: order, bundles, ticks, partitions."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import ConfigError, SourceError
from streams.history import MAX_GAP_TICKS, HistorySpec, LogEntry, active_partitions, with_ticks
from streams.partition import partition_of
from streams.records import Chunk, ClinicalEvent, Record, SignalBundle, Tick

S = 1_000_000


def chunk(patient_id: str, seq: int, size: int = 4) -> Chunk:
    return Chunk(patient_id, "d", "ecg", seq, seq, seq, 250.0, "mV", 1.0, 0.0, 0, bytes(size))


def event(patient_id: str) -> ClinicalEvent:
    return ClinicalEvent("e", 1, "final", patient_id, "hr", 1.0, "/min", "", 0, 0, "lab")


def shape(log: Iterable[LogEntry]) -> list[tuple[int, str]]:
    """(append_us, what) with a bundle as its chunks' numbers."""
    return [
        (
            entry.append_us,
            "+".join(str(c.seq) for c in entry.record.chunks)
            if isinstance(entry.record, SignalBundle)
            else type(entry.record).__name__,
        )
        for entry in log
    ]


ONE = HistorySpec(partitions=1, bundle_us=10, tick_us=0)


def test_chunks_of_one_period_share_a_record_with_the_last_one_s_time() -> None:
    rows = [(11, chunk("p", 0)), (13, chunk("q", 1)), (19, chunk("p", 2)), (20, chunk("p", 3))]
    assert shape(ONE.build(rows)) == [(19, "0+1+2"), (20, "3")]


def test_an_event_does_not_overtake_the_chunks_before_it() -> None:
    rows = [(11, chunk("p", 0)), (12, event("p")), (13, chunk("p", 1))]
    assert shape(ONE.build(rows)) == [(11, "0"), (12, "ClinicalEvent"), (13, "1")]


def test_a_tick_follows_records_of_its_time_and_precedes_later_ones() -> None:
    spec = HistorySpec(partitions=1, bundle_us=100, tick_us=5, tail_us=3)
    rows = [(4, chunk("p", 0)), (5, chunk("p", 1)), (6, chunk("p", 2)), (12, chunk("p", 3))]
    assert shape(spec.build(rows)) == [
        (5, "0+1"),
        (5, "Tick"),
        (6, "2"),
        (10, "Tick"),
        (12, "3"),
        (15, "Tick"),
    ]


def test_a_bundle_is_taken_apart_by_partition() -> None:
    patients = [f"p{number}" for number in range(20)]
    whole = SignalBundle(tuple(chunk(name, seq) for seq, name in enumerate(patients)))
    log = list(HistorySpec(8, 10, tick_us=0).build([(1, whole)]))
    for entry in log:
        assert isinstance(entry.record, SignalBundle)
        assert {partition_of(c.patient_id, 8) for c in entry.record.chunks} == {entry.partition}
    assert sum(len(entry.record.chunks) for entry in log) == 20  # type: ignore[union-attr]


def test_ticks_go_to_active_partitions_only() -> None:
    active = active_partitions(["p1", "p2"], 8)
    spec = HistorySpec(8, 10, tick_us=5, tail_us=0, active=active)
    log = spec.build([(1, chunk("p1", 0)), (2, chunk("p2", 1)), (11, chunk("p1", 2))])
    ticked = [entry.partition for entry in log if isinstance(entry.record, Tick)]
    assert ticked == [*active, *active]


def test_a_bundle_never_outgrows_what_a_topic_takes() -> None:
    rows = [(number, chunk("p", number, 600_000)) for number in range(4)]
    sizes = [
        sum(len(c.data) for c in entry.record.chunks)  # type: ignore[union-attr]
        for entry in ONE.build(rows)
    ]
    assert sizes == [600_000] * 4


def test_history_out_of_order_is_refused_with_both_times() -> None:
    with pytest.raises(SourceError, match="append time 4 follows 5"):
        list(ONE.build([(5, chunk("p", 0)), (4, chunk("p", 1))]))


def test_an_absurd_gap_does_not_become_a_billion_ticks() -> None:
    rows = [(0, event("p")), (330 * 365 * 86_400 * S, event("p"))]
    ticks = [at_us for at_us, record in with_ticks(rows, 5 * S, 0) if isinstance(record, Tick)]
    assert len(ticks) <= MAX_GAP_TICKS + 2
    assert rows[1][0] - 5 * S <= ticks[-2] < rows[1][0]


@pytest.mark.parametrize(
    "wrong",
    [{"partitions": 0}, {"bundle_us": -1}, {"tick_us": -1}, {"partitions": 4, "active": [4]}],
)
def test_a_spec_that_cannot_work_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        HistorySpec(**wrong)  # type: ignore[arg-type]


STEPS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 5), st.booleans()), min_size=1, max_size=60
)


def history(steps: list[tuple[int, int, bool]]) -> list[tuple[int, Record | Chunk]]:
    at_us = 0
    rows: list[tuple[int, Record | Chunk]] = []
    for seq, (step_us, patient, is_chunk) in enumerate(steps):
        at_us += step_us
        name = f"p{patient}"
        rows.append((at_us, chunk(name, seq) if is_chunk else event(name)))
    return rows


@given(STEPS, st.integers(0, 25), st.integers(0, 12))
def test_each_patient_s_records_stay_in_order_and_none_is_lost(
    steps: list[tuple[int, int, bool]], bundle_us: int, tick_us: int
) -> None:
    rows = history(steps)
    log = list(HistorySpec(3, bundle_us, tick_us, 7).build(rows))
    for name in {row.patient_id for _, row in rows}:  # type: ignore[union-attr]
        before = [row for _, row in rows if row.patient_id == name]  # type: ignore[union-attr]
        after: list[Record | Chunk] = []
        for entry in log:
            if isinstance(entry.record, SignalBundle):
                after += [c for c in entry.record.chunks if c.patient_id == name]
            elif getattr(entry.record, "patient_id", None) == name:
                after.append(entry.record)
        assert after == before


@given(STEPS, st.integers(0, 25), st.integers(0, 12))
def test_append_time_never_goes_back_within_a_partition(
    steps: list[tuple[int, int, bool]], bundle_us: int, tick_us: int
) -> None:
    log = list(HistorySpec(3, bundle_us, tick_us, 7).build(history(steps)))
    for partition in range(3):
        times = [entry.append_us for entry in log if entry.partition == partition]
        assert times == sorted(times)


@given(STEPS)
def test_other_patients_do_not_change_a_partition_s_records(
    steps: list[tuple[int, int, bool]],
) -> None:
    rows = history(steps)
    mine = [row for row in rows if partition_of(row[1].patient_id, 3) == 1]  # type: ignore[union-attr]
    spec = HistorySpec(3, 10, tick_us=0)
    assert [entry for entry in spec.build(rows) if entry.partition == 1] == list(spec.build(mine))
