"""What a ward's devices are like, counted when patients are stored."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from service.engine import Engine
from service.spread import Spread
from streams.partition import partition_of
from streams.records import Chunk, DeviceStatus
from tests.service.engine_kit import PARTITIONS, START_US, S, Timed, engine, log_of, patient

WHERE = partition_of("p", PARTITIONS)


def stored(*histories: Sequence[Timed]) -> Engine:
    """An engine that heard this and whose patients were stored."""
    machine = engine()
    machine.feed(log_of(histories, tail_us=0))
    machine.snapshots(WHERE)
    return machine


def count(spread: Spread) -> int:
    return spread.buckets()[-1][1]


def test_a_device_that_sends_is_counted_once_a_snapshot() -> None:
    machine = stored(patient("p", 60, off=False))
    spreads = machine.spreads
    assert [count(s) for s in (spreads.lag_s, spreads.offset_s, spreads.drift_ppm)] == [1, 1, 1]
    assert 0 < spreads.lag_s.total < 30
    assert spreads.offset_s.total == spreads.drift_ppm.total == 0
    machine.snapshots(WHERE)
    assert count(spreads.lag_s) == 1, "nothing changed, nothing is stored"


def test_a_device_that_is_off_has_no_lag() -> None:
    assert count(stored(patient("p", 60)).spreads.lag_s) == 0


def test_what_a_clock_is_put_right_by_is_counted() -> None:
    rows = patient("p", 60, off=False)
    slow = [
        (at_us, replace(row, start_us=row.start_us - 40 * S))
        for at_us, row in rows
        if isinstance(row, Chunk)
    ]
    told = DeviceStatus("p", slow[0][1].device_id, "", "worn", None, "", 40 * S, START_US)
    spreads = stored([(START_US, told), *slow]).spreads
    assert spreads.offset_s.total == 40.0
    assert dict(spreads.offset_s.buckets())["30.0"] == 0


def test_time_without_samples_is_counted_for_each_signal_and_nothing_else_is() -> None:
    whole = stored(patient("p", 60, off=False))
    assert whole.counters["gap_us"] == 0
    held = stored(patient("p", 60, off=False, spans_s=((0.0, 20.0), (32.0, 60.0))))
    signals = 3  # ECG, breathing, SpO2
    assert abs(held.counters["gap_us"] - signals * 12 * S) < signals * S
