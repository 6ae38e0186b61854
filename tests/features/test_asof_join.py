"""The join over whole histories equals a walk over all rows, and the store that runs live."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import AsOf, facts_at
from features.asof_join import Rows, as_of_join, dead_since, latest
from features.facts import CANCELLED, N_CONCEPTS, TRACK
from features.track import LEAST_ROWS, NEVER
from streams.records import ClinicalEvent

S = 1_000_000
H = 3600 * S
T0 = 1_700_000_000 * S


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


# -- one row at a time, in words ----------------------------------------------------------------


def row_in_force(rows: Rows, group: int, t_us: int, known_us: int) -> int:
    """Try every row, the last that counts wins."""
    best = -1
    for i in range(len(rows.group)):
        stands = rows.known_us[i] <= known_us < rows.dead_us[i] and rows.value[i] == rows.value[i]
        if rows.group[i] == group and rows.time_us[i] <= t_us and stands:
            best = i
    return best


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    """Up to 30 rows of three groups on a coarse grid, so that everything ties."""
    count = draw(st.integers(0, 30))
    small = st.integers(0, 6)
    group = np.sort(ints(*(draw(st.integers(0, 2)) for _ in range(count))))
    time_us = ints(*(draw(small) for _ in range(count)))
    order = np.lexsort((time_us, group))
    known = ints(*(draw(small) for _ in range(count)))
    dead = ints(*(draw(st.sampled_from([2, 4, NEVER])) for _ in range(count)))
    value = np.array([draw(st.sampled_from([1.0, CANCELLED])) for _ in range(count)], np.float64)
    return Rows(group[order], time_us[order], known, dead, value)


_QUESTIONS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-2, 8), st.integers(-1, 8)), max_size=20
)


@given(tables(), _QUESTIONS)
@settings(max_examples=300, deadline=None)
def test_the_join_finds_the_row_that_a_walk_finds(
    rows: Rows, questions: list[tuple[int, int, int]]
) -> None:
    group, t_us, known_us = (ints(*(q[i] for q in questions)) for i in range(3))
    expected = [row_in_force(rows, *question) for question in questions]
    assert latest(rows, group, t_us, known_us).tolist() == expected


@given(tables(), _QUESTIONS)
@settings(deadline=None)
def test_times_too_wide_for_one_key_change_nothing(
    rows: Rows, questions: list[tuple[int, int, int]]
) -> None:
    """A group number of 2**40 leaves 23 bits for the time: ranks take its place."""
    group, t_us, known_us = (ints(*(q[i] for q in questions)) for i in range(3))
    wide = rows._replace(group=rows.group << 40, time_us=rows.time_us * 4 * 10**14)
    found = latest(wide, group << 40, t_us * 4 * 10**14, known_us)
    np.testing.assert_array_equal(found, latest(rows, group, t_us, known_us))


def test_rows_out_of_order_are_refused() -> None:
    rows = Rows(ints(0, 0), ints(5, 4), ints(0, 0), ints(NEVER, NEVER), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="order"):
        latest(rows, ints(0), ints(9), ints(9))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=25, unique=True))
def test_a_row_stands_until_the_first_higher_version_is_known(keys: list[tuple[int, int]]) -> None:
    event, version = (ints(*(key[i] for key in keys)) for i in range(2))
    known = ints(*((7 * i) % 11 for i in range(len(keys))))
    higher = [
        [known[j] for j in range(len(keys)) if event[j] == event[i] and version[j] > version[i]]
        for i in range(len(keys))
    ]
    expected = [min(later, default=NEVER) for later in higher]
    assert dead_since(event, version, known).tolist() == expected


# -- the store that runs live --------------------------------------------------------------------

_CODES = (
    ("sbp", "mmHg", ""),
    ("lactate", "mmol/L", ""),
    ("o2_flow", "L/min", ""),
    ("oxygen", "", ""),
    ("medication", "", "Paracetamol 1 g"),
    ("medication", "", "Metoprolol"),
    ("norepinephrine", "ug/kg/min", ""),
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[ClinicalEvent, int]]:
    """Corrections, cancellations, moves to other concepts, stops, ties; at most LEAST_ROWS."""
    append, log = T0, []
    for _ in range(draw(st.integers(0, LEAST_ROWS))):
        code, unit, text = draw(st.sampled_from(_CODES))
        append += draw(st.integers(0, 3)) * H
        value = draw(st.integers(0, 1))
        item = ClinicalEvent(
            draw(st.sampled_from("abcdefgh")),
            draw(st.integers(1, 3)),
            draw(st.sampled_from(["final", "final", "corrected", "cancelled"])),
            "p1",
            code,
            float(value),
            unit,
            text,
            append - draw(st.integers(-1, 8)) * H,
            append - draw(st.integers(-4, 4)) * H,
            "ehr",
        )
        log.append((item, append))
    return log


_TIMES = st.lists(st.tuples(st.integers(-20, 120), st.integers(-20, 120)), min_size=1, max_size=12)


@given(histories(), histories(), _TIMES)
@settings(max_examples=200, deadline=None)
def test_many_patients_at_once_equal_the_join_of_each(
    one: list[tuple[ClinicalEvent, int]],
    other: list[tuple[ClinicalEvent, int]],
    times: list[tuple[int, int]],
) -> None:
    logs = [one, other, []]
    stores = [AsOf() for _ in logs]
    for store, log in zip(stores, logs, strict=True):
        for item, append in log:
            store.insert(item, append)
    of = [i % 3 for i in range(len(times))]
    t_us = ints(*(T0 + t * H // 2 for t, _ in times))
    known_us = ints(*(T0 + k * H // 2 for _, k in times))
    live = facts_at([stores[i] for i in of], t_us, known_us)
    for row, i in enumerate(of):
        events, append_us = [e for e, _ in logs[i]], [a for _, a in logs[i]]
        joined = as_of_join(events, append_us, t_us[row : row + 1], known_us[row : row + 1])
        np.testing.assert_array_equal(live.value[row], joined.value[0])
        np.testing.assert_array_equal(live.time_us[row], joined.time_us[0])


@given(histories(), _TIMES)
@settings(deadline=None)
def test_a_row_does_not_depend_on_its_neighbours(
    log: list[tuple[ClinicalEvent, int]], times: list[tuple[int, int]]
) -> None:
    store = AsOf()
    for item, append in log:
        store.insert(item, append)
    t_us = ints(*(T0 + t * H // 2 for t, _ in times))
    known_us = ints(*(T0 + k * H // 2 for _, k in times))
    together = facts_at([store] * len(times), t_us, known_us)
    for row in range(len(times)):
        alone = facts_at([store], t_us[row : row + 1], known_us[row : row + 1])
        assert alone.value[0].tobytes() == together.value[row].tobytes()
        assert alone.time_us[0].tobytes() == together.time_us[row].tobytes()


def test_a_drug_is_on_its_own_track_and_on_that_of_its_effect() -> None:
    dose = ClinicalEvent("e", 1, "final", "p", "medication", None, "", "PARACETAMOL", T0, T0, "ehr")
    stop = msgspec.structs.replace(
        dose, event_id="f", value=0.0, event_time_us=T0 + H, known_time_us=T0 + H
    )
    store = AsOf()
    store.insert(dose, T0)
    number = TRACK["effect:antipyretic"]
    assert number >= N_CONCEPTS
    assert facts_at([store], ints(T0), ints(T0)).value[0, number] == 1.0
    store.insert(stop, T0 + H)
    found = facts_at([store] * 2, ints(T0 + H, T0 + H - 1), ints(T0 + H, T0 + H))
    assert found.value[:, number].tolist() == [0.0, 1.0]
    assert found.value[:, TRACK["medication"]].tolist() == [0.0, 1.0]


def test_a_cancelled_dose_leaves_every_track() -> None:
    dose = ClinicalEvent("e", 1, "final", "p", "medication", None, "", "Morphine", T0, T0, "ehr")
    gone = msgspec.structs.replace(dose, version=2, status="cancelled", text="")
    store = AsOf()
    store.insert(dose, T0)
    store.insert(gone, T0 + H)
    found = facts_at([store] * 2, ints(T0, T0), ints(T0, T0 + H))
    number = TRACK["effect:opioid"]
    assert found.value[0, number] == 1.0
    assert np.isnan(found.value[1, number])
    assert np.isnan(found.value[1, TRACK["medication"]])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_a_store_that_let_rows_go_answers_about_now_as_the_whole_history_does(seed: int) -> None:
    """Months of charting, every few minutes to every few hours, with restarts on the way."""
    draw = np.random.default_rng(seed)
    pace_us = int(draw.choice([60, 600, 7200])) * S
    log: list[tuple[ClinicalEvent, int]] = []
    store, append = AsOf(), T0
    asked: list[tuple[int, int]] = []
    live = []
    for i in range(400):
        append += int(draw.exponential(pace_us)) + 1
        again = i > 3 and draw.random() < 0.1
        name = f"e{draw.integers(i - 3, i) if again else i}"
        status = str(draw.choice(["corrected", "cancelled"])) if again else "final"
        code, unit, text = _CODES[int(draw.integers(0, len(_CODES)))]
        at_us = append - int(draw.exponential(60 * S))
        item = ClinicalEvent(
            name, int(draw.integers(2, 9)) if again else 1, status, "p1", code,
            float(draw.integers(0, 2)), unit, text, at_us, append, "ehr",
        )  # fmt: skip
        store.insert(item, append)
        log.append((item, append))
        if draw.random() < 0.05:
            store = AsOf.from_state(
                msgspec.msgpack.decode(msgspec.msgpack.encode(store.to_state()))
            )
        asked.append((append - int(draw.integers(0, 30)) * S, append))
        live.append(facts_at([store], *(ints(number) for number in asked[-1])))
    joined = as_of_join(
        [item for item, _ in log],
        [append_us for _, append_us in log],
        ints(*(t for t, _ in asked)),
        ints(*(k for _, k in asked)),
    )
    for row, found in enumerate(live):
        np.testing.assert_array_equal(found.value[0], joined.value[row])
        np.testing.assert_array_equal(found.time_us[0], joined.time_us[row])
