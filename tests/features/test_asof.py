"""Two-clock as-of: what was in force at t, as known at k."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import AsOf
from features.asof_join import as_of_join
from features.concepts import CONCEPTS, INDEX
from features.facts import FUTURE_TOLERANCE_US, TRACKS, refusal
from features.track import LEAST_ROWS, LOOKBACK_US, MOST_ROWS
from streams.errors import SnapshotMismatch
from streams.records import ClinicalEvent, Reason

S = 1_000_000
H = 3600 * S
T0 = 1_700_000_000 * S
SBP, LACTATE = INDEX["sbp"], INDEX["lactate"]
SBP_AGE_US = round(CONCEPTS[SBP].max_age_s * 1e6)


def event(
    name: str = "e1",
    value: float | None = 100.0,
    at: int = T0,
    known: int | None = None,
    **changes: object,
) -> ClinicalEvent:
    base = ClinicalEvent(
        name, 1, "final", "p1", "sbp", value, "mmHg", "", at, at if known is None else known, "ehr"
    )
    return msgspec.structs.replace(base, **changes)


def store(*events: ClinicalEvent, append_us: int = T0) -> AsOf:
    result = AsOf()
    for item in events:
        assert result.insert(item, append_us) is None
    return result


def sbp(asof: AsOf, t_us: int, known_us: int | None = None) -> tuple[float | None, int]:
    values, times_us = asof.at(t_us, t_us if known_us is None else known_us)
    value = values[SBP]
    return (None if np.isnan(value) else float(value)), int(times_us[SBP])


def test_an_empty_store_has_nothing() -> None:
    values, times_us = AsOf().at(T0, T0)
    assert np.isnan(values).all()
    assert not times_us.any()
    assert values.shape == times_us.shape == (len(CONCEPTS),)


def test_a_row_counts_at_exactly_its_event_time_and_not_before() -> None:
    asof = store(event(at=T0, known=T0 - S), append_us=T0 - S)
    assert sbp(asof, T0, T0) == (100.0, T0)
    assert sbp(asof, T0 - 1, T0) == (None, 0)


def test_a_row_counts_at_exactly_its_known_time_and_not_before() -> None:
    asof = store(event(at=T0, known=T0 + H), append_us=T0)
    assert sbp(asof, T0 + H, T0 + H) == (100.0, T0)
    assert sbp(asof, T0 + H, T0 + H - 1) == (None, 0)


def test_the_append_time_delays_a_row_that_claims_to_be_known_earlier() -> None:
    asof = store(event(at=T0, known=T0 + S), append_us=T0 + H)
    assert sbp(asof, T0 + H, T0 + H - 1) == (None, 0)
    assert sbp(asof, T0 + H, T0 + H) == (100.0, T0)


def test_a_late_result_does_not_change_what_was_decided_before() -> None:
    """collected 0 ---- decision 1 h ---- result known 2 h."""
    asof = store(event("old", 110.0, T0 - H), event("late", 80.0, T0, T0 + 2 * H))
    assert sbp(asof, T0 + H, T0 + H) == (110.0, T0 - H)
    assert sbp(asof, T0 + H, T0 + 2 * H) == (80.0, T0)


def test_the_latest_event_time_wins_whatever_the_arrival_order() -> None:
    first, second = event("a", 100.0, T0), event("b", 90.0, T0 + S)
    for order in ((first, second), (second, first)):
        assert sbp(store(*order, append_us=T0 + S), T0 + H) == (90.0, T0 + S)


def test_of_equal_event_times_the_later_log_position_wins() -> None:
    first, second = event("z", 100.0), event("a", 90.0)
    assert sbp(store(first, second), T0) == (90.0, T0)
    assert sbp(store(second, first), T0) == (100.0, T0)


def test_a_tie_is_decided_among_the_rows_known() -> None:
    asof = AsOf()
    asof.insert(event("a", 100.0), T0)
    asof.insert(event("b", 90.0), T0 + H)
    assert sbp(asof, T0 + H, T0 + H - 1) == (100.0, T0)


def test_a_correction_counts_from_when_it_is_known() -> None:
    fixed = event(value=85.0, known=T0 + H, version=2, status="corrected")
    asof = store(event(value=185.0), fixed)
    assert sbp(asof, T0 + H, T0 + H - 1) == (185.0, T0)
    assert sbp(asof, T0 + H, T0 + H) == (85.0, T0)


def test_a_correction_may_move_the_event_in_time() -> None:
    moved = event(at=T0 - H, known=T0 + S, version=2, status="corrected")
    asof = store(event("before", 120.0, T0 - 2 * H), event(), moved)
    assert sbp(asof, T0 + S) == (100.0, T0 - H)


def test_a_correction_may_move_the_event_to_another_concept() -> None:
    moved = event(value=60.0, version=2, status="corrected", code="dbp")
    asof = store(event(value=60.0), moved)
    values, _ = asof.at(T0, T0)
    assert np.isnan(values[SBP])
    assert values[INDEX["dbp"]] == 60.0


def test_the_higher_version_wins_even_when_it_arrives_first() -> None:
    asof = store(event(value=85.0, version=2, status="corrected"), event(value=185.0))
    assert sbp(asof, T0) == (85.0, T0)


def test_a_cancelled_event_gives_way_to_the_one_before_once_known() -> None:
    gone = event(value=None, known=T0 + H, version=2, status="cancelled")
    asof = store(event("before", 120.0, T0 - H), event(), gone)
    assert sbp(asof, T0 + H, T0 + H - 1) == (100.0, T0)
    assert sbp(asof, T0 + H, T0 + H) == (120.0, T0 - H)


def test_a_cancellation_may_be_taken_back() -> None:
    asof = store(
        event(), event(version=2, status="cancelled"), event(version=3, status="corrected")
    )
    assert sbp(asof, T0) == (100.0, T0)


def test_a_row_is_valid_up_to_exactly_its_maximum_age() -> None:
    asof = store(event())
    assert sbp(asof, T0 + SBP_AGE_US) == (100.0, T0)
    assert sbp(asof, T0 + SBP_AGE_US + 1) == (None, 0)


def test_a_repeated_version_changes_nothing_even_with_other_content() -> None:
    asof = store(event(value=100.0))
    before = asof.to_state()
    assert asof.insert(event(value=50.0), T0 + S) is None
    assert asof.to_state() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": "nonsense"}, Reason.UNKNOWN_CONCEPT),
        ({"code": "nonsense", "status": "cancelled"}, Reason.UNKNOWN_CONCEPT),
        ({"unit": "furlong"}, Reason.BAD_UNIT),
        ({"value": 900.0}, Reason.IMPLAUSIBLE),
        ({"value": None}, Reason.BAD_FIELD),
        ({"status": "preliminary"}, Reason.BAD_FIELD),
        ({"known_time_us": 0}, Reason.NO_KNOWN_TIME),
        ({"event_time_us": T0 + FUTURE_TOLERANCE_US + 1}, Reason.FUTURE),
    ],
)
def test_a_refused_event_leaves_the_store_unchanged(
    changes: dict[str, object], reason: Reason
) -> None:
    asof = store(event("good", 120.0))
    before = asof.to_state()
    assert refusal(event("bad", **changes), T0) is reason
    assert asof.insert(event("bad", **changes), T0) is reason
    assert asof.to_state() == before


def test_an_event_that_may_enter_has_no_refusal() -> None:
    assert refusal(event(), T0) is None
    assert refusal(event(value=None, status="cancelled"), T0) is None


def test_the_unit_of_every_row_is_its_own() -> None:
    asof = store(event("a", 120.0, T0), event("b", 16.0, T0 + S, unit="kPa"), append_us=T0 + S)
    assert sbp(asof, T0 + S)[0] == pytest.approx(120.01, abs=0.01)


def test_memory_is_bounded_and_the_newest_rows_stay() -> None:
    asof = AsOf()
    for i in range(500):
        at = T0 + i * 60 * S
        asof.insert(event(f"e{i}", 60.0 + i % 100, at), at)
    kept = asof.track(SBP)
    assert kept is not None
    assert LEAST_ROWS <= len(kept.times) <= MOST_ROWS
    now = T0 + 499 * 60 * S
    for back in range(15):
        expected = (60.0 + (499 - back) % 100, now - back * 60 * S)
        assert sbp(asof, now - back * 60 * S, now) == expected


def test_a_dense_concept_is_thinned_and_never_missing_within_the_lookback() -> None:
    asof = AsOf()
    for i in range(3000):
        asof.insert(event(f"e{i}", 100.0, T0 + i * S), T0 + i * S)
    now = T0 + 2999 * S
    for t_us in range(now - LOOKBACK_US + 120 * S, now + 1, S):
        value, time_us = sbp(asof, t_us, now)
        assert value == 100.0
        assert 0 <= t_us - time_us <= 120 * S


def test_eviction_never_brings_a_replaced_row_back() -> None:
    """The correction moved the event back in time, so it is the first row to go."""
    moved = event("e", 185.0, T0 - H, T0, version=2, status="corrected")
    asof = store(event("e", 185.0), moved)
    for i in range(40):
        at = T0 + (i + 1) * H
        asof.insert(event(f"x{i}", 120.0, at), at)
        assert sbp(asof, T0, at) in ((185.0, T0 - H), (None, 0))
    assert sbp(asof, T0, T0 + 40 * H) == (None, 0)


# -- properties -------------------------------------------------------------------------------

_CODES = st.sampled_from([("sbp", "mmHg"), ("lactate", "mmol/L"), ("dbp", "mmHg")])


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[ClinicalEvent, int]]:
    """At most LEAST_ROWS events on a coarse grid of times, so that ties are common."""
    count = draw(st.integers(0, LEAST_ROWS))
    append, log = T0, []
    for _ in range(count):
        code, unit = draw(_CODES)
        append += draw(st.integers(0, 3)) * H
        item = ClinicalEvent(
            draw(st.sampled_from("abcdef")),
            draw(st.integers(1, 3)),
            draw(st.sampled_from(["final", "corrected", "cancelled"])),
            "p1",
            code,
            float(draw(st.integers(10, 45))),
            unit,
            "",
            append - draw(st.integers(-1, 8)) * H,
            append - draw(st.integers(-4, 4)) * H,
            "ehr",
        )
        log.append((item, append))
    return log


_OFFSETS = st.integers(-10 * 2, 60 * 2)  # half hours from T0: on and between the grid's points


def _both(
    log: list[tuple[ClinicalEvent, int]], t_us: int, known_us: int
) -> tuple[np.ndarray, np.ndarray]:
    asof = AsOf()
    for item, append in log:
        asof.insert(item, append)
    return asof.at(t_us, known_us)


@given(histories(), _OFFSETS, _OFFSETS)
@settings(max_examples=400, deadline=None)
def test_the_store_equals_the_offline_join(
    log: list[tuple[ClinicalEvent, int]], t: int, known: int
) -> None:
    t_us, known_us = T0 + t * H // 2, T0 + known * H // 2
    values, times_us = _both(log, t_us, known_us)
    offline, offline_us = as_of_join(
        [e for e, _ in log], [a for _, a in log], np.array([t_us]), np.array([known_us])
    )
    np.testing.assert_array_equal(values, offline[0, : len(CONCEPTS)])
    np.testing.assert_array_equal(times_us, offline_us[0, : len(CONCEPTS)])


@given(histories(), histories(), _OFFSETS, _OFFSETS)
@settings(deadline=None)
def test_what_is_known_later_never_matters(
    log: list[tuple[ClinicalEvent, int]],
    other: list[tuple[ClinicalEvent, int]],
    t: int,
    known: int,
) -> None:
    t_us, known_us = T0 + t * H // 2, T0 + known * H // 2
    kept = [(e, a) for e, a in log if max(e.known_time_us, a) <= known_us][: LEAST_ROWS // 2]
    later = [
        (msgspec.structs.replace(e, known_time_us=max(e.known_time_us, known_us + 1)), a)
        for e, a in other
    ][: LEAST_ROWS // 2]
    taken = {(e.event_id, e.version) for e, _ in kept}
    later = [(e, a) for e, a in later if (e.event_id, e.version) not in taken]
    alone, with_later = _both(kept, t_us, known_us), _both(later + kept, t_us, known_us)
    np.testing.assert_array_equal(alone[0], with_later[0])
    np.testing.assert_array_equal(alone[1], with_later[1])


@given(histories(), _OFFSETS)
@settings(deadline=None)
def test_what_is_true_later_is_never_returned(log: list[tuple[ClinicalEvent, int]], t: int) -> None:
    t_us = T0 + t * H // 2
    _, times_us = _both(log, t_us, T0 + 1000 * H)
    assert (times_us <= t_us).all()


@given(histories(), st.integers(0, LEAST_ROWS), _OFFSETS, _OFFSETS)
@settings(deadline=None)
def test_a_restored_store_goes_on_as_the_original(
    log: list[tuple[ClinicalEvent, int]], cut: int, t: int, known: int
) -> None:
    asof = AsOf()
    for i, (item, append) in enumerate(log):
        if i == cut:
            asof = AsOf.from_state(msgspec.msgpack.decode(msgspec.msgpack.encode(asof.to_state())))
        asof.insert(item, append)
    t_us, known_us = T0 + t * H // 2, T0 + known * H // 2
    np.testing.assert_array_equal(asof.at(t_us, known_us), _both(log, t_us, known_us))
    untouched = AsOf()
    for item, append in log:
        untouched.insert(item, append)
    assert asof.to_state() == untouched.to_state()


@given(histories(), _OFFSETS)
@settings(deadline=None)
def test_delivering_the_log_twice_changes_nothing(
    log: list[tuple[ClinicalEvent, int]], t: int
) -> None:
    t_us = T0 + t * H // 2
    np.testing.assert_array_equal(_both(log, t_us, t_us), _both(log + log, t_us, t_us))


def test_a_state_of_another_version_is_refused() -> None:
    state = store(event()).to_state()
    with pytest.raises(SnapshotMismatch, match="version"):
        AsOf.from_state({**state, "version": 0})


def test_a_state_with_an_unknown_concept_is_refused() -> None:
    state = store(event()).to_state()
    state["tracks"]["nonsense"] = state["tracks"].pop("sbp")
    with pytest.raises(SnapshotMismatch, match="nonsense"):
        AsOf.from_state(state)


def test_the_offline_join_of_nothing_is_missing_everywhere() -> None:
    values, times_us = as_of_join([], [], np.array([T0, T0]), np.array([T0, T0]))
    assert values.shape == (2, len(TRACKS))
    assert np.isnan(values).all()
    assert not times_us.any()
