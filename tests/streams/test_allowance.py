"""What one patient may send: bounded for ever, generous at once, by append time alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.allowance import MOST_AT_ONCE, MOST_PER_S, Allowance

S = 1_000_000
GAPS = st.lists(st.tuples(st.integers(0, 60 * S), st.integers(1, 5_000_000)), max_size=40)


def test_hours_of_a_usual_patient_come_at_once() -> None:
    allowance = Allowance()
    assert all(allowance.take(500 * 600, 7 * S) for _ in range(6 * 6)), (
        "six hours, ten minutes each"
    )


def test_a_flood_is_held_to_the_rate() -> None:
    allowance, taken = Allowance(), 0
    for second in range(3600):
        for _ in range(10):
            taken += 50_000 * allowance.take(50_000, second * S)
    assert taken <= MOST_AT_ONCE + 3600 * MOST_PER_S
    assert taken > 3500 * MOST_PER_S


@given(rows=GAPS)
def test_it_never_lets_more_through_than_burst_and_rate(rows: list[tuple[int, int]]) -> None:
    allowance, now_us, taken = Allowance(), 0, 0
    for gap_us, samples in rows:
        now_us += gap_us
        taken += samples * allowance.take(samples, now_us)
        assert taken <= MOST_AT_ONCE + now_us * MOST_PER_S // S


def test_a_clock_that_goes_back_gives_nothing_back() -> None:
    allowance = Allowance()
    assert allowance.take(MOST_AT_ONCE, 100 * S)
    assert not allowance.take(1, 50 * S)
    assert allowance.take(1, 101 * S)
