"""Counts, previous values, windows of facts: equal to a walk over events; whole or absent."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import AsOf
from features.asof_join import track_rows
from features.fact_windows import LAST, WINDOWS_H, FactWindows, windows_at, windows_join
from features.facts import TRACK
from features.track import LEAST_ROWS
from streams.records import ClinicalEvent

S = 1_000_000
H = 3600 * S
T0 = 1_700_000_000 * S
ASKED = [TRACK[code] for code in ("sbp", "medication", "effect:insulin", "lactate", "dbp")]
Log = list[tuple[ClinicalEvent, int]]


def fact(
    name: str, value: float, at: int, known: tuple[int, int] | None = None, **changes: str
) -> ClinicalEvent:
    """A pressure; `known` is (known_time_us, version)."""
    known_us, version = (at, 1) if known is None else known
    fields = {"status": "final", "code": "sbp", "unit": "mmHg", "text": "", **changes}
    return ClinicalEvent(
        name, version, fields["status"], "p", fields["code"], value, fields["unit"],
        fields["text"], at, known_us, "ehr",
    )  # fmt: skip


def live(log: Log, t_us: list[int], known_us: list[int]) -> FactWindows:
    store = AsOf()
    for event, append_us in log:
        store.insert(event, append_us)
    return windows_at([store] * len(t_us), np.array(t_us), np.array(known_us), ASKED)


def offline(log: Log, t_us: list[int], known_us: list[int]) -> FactWindows:
    rows = track_rows([event for event, _ in log], [append_us for _, append_us in log])
    return windows_join(rows, np.array(t_us), np.array(known_us), ASKED)


def standing(log: Log, track: str, t_us: int, known_us: int) -> list[tuple[int, float]]:
    """(event time, value) of what stands, in order, by a walk over everything."""
    first: dict[tuple[str, int], tuple[int, ClinicalEvent, int]] = {}
    for place, (event, append_us) in enumerate(log):
        first.setdefault((event.event_id, event.version), (place, event, append_us))
    visible = [
        (place, event)
        for place, event, append_us in first.values()
        if max(event.known_time_us, append_us) <= known_us
    ]
    newest = {}
    for _, event in visible:
        newest[event.event_id] = max(newest.get(event.event_id, 0), event.version)
    rows = []
    for place, event in visible:
        if event.version < newest[event.event_id] or event.status == "cancelled":
            continue
        drug = event.code == "medication"
        on = {event.code} | ({"effect:insulin"} if drug and "Insulin" in event.text else set())
        if track in on and event.event_time_us <= t_us:
            assert event.value is not None
            rows.append(
                (event.event_time_us, place, float(event.value > 0) if drug else event.value)
            )
    return [(at, value) for at, _, value in sorted(rows)]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    append, log = T0, []
    for _ in range(draw(st.integers(0, LEAST_ROWS))):
        append += draw(st.integers(0, 2)) * H
        drug = draw(st.booleans())
        changes = (
            {"code": "medication", "unit": "", "text": draw(st.sampled_from(["Insulin", "Other"]))}
            if drug
            else {"code": draw(st.sampled_from(["sbp", "dbp"]))}
        )
        event = fact(
            draw(st.sampled_from("abcdefghij")),
            float(draw(st.integers(0, 2))) if drug else draw(st.integers(400, 1800)) / 10,
            append - draw(st.integers(-1, 6)) * H,
            (append - draw(st.integers(-3, 3)) * H, draw(st.integers(1, 3))),
            status=draw(st.sampled_from(["final", "final", "corrected", "cancelled"])),
            **changes,
        )
        log.append((event, append))
    return log


_QUESTIONS = st.lists(st.tuples(st.integers(-8, 60), st.integers(-8, 60)), min_size=1, max_size=6)


@given(logs(), _QUESTIONS)
@settings(max_examples=150, deadline=None)
def test_live_and_offline_equal_a_walk_over_all_events(
    log: Log, questions: list[tuple[int, int]]
) -> None:
    t_us = [T0 + t * H // 2 for t, _ in questions]
    known_us = [T0 + k * H // 2 for _, k in questions]
    found, joined = live(log, t_us, known_us), offline(log, t_us, known_us)
    for one, other in zip(found, joined, strict=True):
        np.testing.assert_array_equal(one, other)
    names = {number: code for code, number in TRACK.items()}
    for row, (t, k) in enumerate(zip(t_us, known_us, strict=True)):
        for column, number in enumerate(ASKED):
            rows = standing(log, names[number], t, k)
            last = rows[-1] if rows else (0, math.nan)
            before = rows[-2] if len(rows) > 1 else (0, math.nan)
            np.testing.assert_equal(found.last[row, column], last[1])
            assert found.last_us[row, column] == last[0]
            np.testing.assert_equal(found.previous[row, column], before[1])
            assert found.previous_us[row, column] == before[0]
            given_ = [r for r in rows if r[1] > 0 or number < TRACK["medication"]]
            assert found.so_far[row, column] == len(given_)
            few = [*given_[: -LAST - 1 : -1], *[(0, math.nan)] * LAST][:LAST]
            np.testing.assert_equal(found.recent[row, column].tolist(), [v for _, v in few])
            assert found.recent_us[row, column].tolist() == [at for at, _ in few]
            for w, hours in enumerate(WINDOWS_H):
                inside = [value for at, value in given_ if t - hours * H < at]
                assert found.n[row, column, w] == len(inside)
                if inside:
                    assert abs(found.mean[row, column, w] - sum(inside) / len(inside)) < 1e-9
                    assert found.low[row, column, w] == min(inside)
                    assert found.high[row, column, w] == max(inside)
                else:
                    assert np.isnan(found.mean[row, column, w])


@given(logs(), _QUESTIONS)
@settings(deadline=None, max_examples=50)
def test_a_question_does_not_depend_on_its_neighbours(
    log: Log, questions: list[tuple[int, int]]
) -> None:
    t_us = [T0 + t * H // 2 for t, _ in questions]
    known_us = [T0 + k * H // 2 for _, k in questions]
    together = live(log, t_us, known_us)
    for row in range(len(questions)):
        alone = live(log, t_us[row : row + 1], known_us[row : row + 1])
        for one, other in zip(alone, together, strict=True):
            assert one[0].tobytes() == other[row].tobytes()


def test_windows_are_open_at_the_far_end_and_closed_at_the_near_one() -> None:
    log = [(fact("a", 100.0, T0), T0), (fact("b", 120.0, T0 + H), T0 + H)]
    found = live(log, [T0 + H, T0 + H - 1], [T0 + 9 * H] * 2)
    assert found.n[:, 0, 0].tolist() == [1.0, 1.0]
    assert found.mean[:, 0, 0].tolist() == [120.0, 100.0]
    assert found.change[0, 0] == 20.0


def test_doses_of_hours_count_what_was_given_and_not_a_stop() -> None:
    times = (0, 1, 3, 5)
    log = [
        (
            fact(f"d{h}", float(h != 3), T0 + h * H, code="medication", unit="", text="Insulin"),
            T0 + h * H,
        )
        for h in times
    ]
    found = live(log, [T0 + 5 * H], [T0 + 5 * H])
    insulin = ASKED.index(TRACK["effect:insulin"])
    assert found.n[0, insulin].tolist() == [1.0, 1.0, 3.0, 3.0]
    assert found.so_far[0, insulin] == 3
    assert found.last_us[0, insulin] == T0 + 5 * H
    assert found.recent_us[0, insulin].tolist() == [T0 + 5 * H, T0 + H, T0, 0, 0]


def test_a_window_that_lost_rows_is_missing_and_not_made_of_the_rest() -> None:
    """One value a minute: the store keeps some forty, so a whole day is not there."""
    log = [(fact(f"e{i}", 100.0 + i % 7, T0 + i * 60 * S), T0 + i * 60 * S) for i in range(600)]
    now = T0 + 599 * 60 * S
    found = live(log, [now], [now])
    assert np.isnan(found.n[0, 0, 1:]).all()
    assert np.isnan(found.mean[0, 0, 1:]).all()
    assert found.so_far[0, 0] == 600
    assert found.last[0, 0] == 100.0 + 599 % 7
    kept = found.recent_us[0, 0][found.recent_us[0, 0] > 0]
    assert kept.tolist() == [now - i * 60 * S for i in range(len(kept))], "none is left out between"


def test_an_hourly_chart_keeps_its_day_whole() -> None:
    log = [(fact(f"e{i}", 100.0 + i % 7, T0 + i * H), T0 + i * H) for i in range(300)]
    now = T0 + 299 * H
    found = live(log, [now], [now])
    assert found.n[0, 0].tolist() == [1.0, 4.0, 6.0, 24.0]


def test_no_rows_and_no_questions_are_fine() -> None:
    nobody = windows_at([], np.array([], np.int64), np.array([], np.int64), ASKED)
    assert nobody.n.shape == (0, len(ASKED), len(WINDOWS_H))
    empty = windows_at([AsOf()], np.array([T0]), np.array([T0]), ASKED)
    assert np.isnan(empty.last).all()
    assert (empty.n == 0).all()
