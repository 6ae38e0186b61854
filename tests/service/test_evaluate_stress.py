"""A wristband's minutes as a cohort: what a window is told, and when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.datasets.e4_people import (
    People,
    above_usual,
    histories,
    load,
    personal,
    random_lengths,
)
from service.evaluate_stress import of_stress


def people(x: list[list[float]], person: list[int]) -> People:
    count = len(person)
    start = np.arange(count) * 10.0
    names = [f"f{i}" for i in range(len(x[0]))]
    task = np.full(count, -1)
    return People(names, np.array(person), start, np.zeros(count), task, np.array(x))


def test_a_persons_usual_is_the_median_of_what_they_had_before() -> None:
    w = people([[1.0], [2.0], [9.0], [5.0]], [1, 1, 1, 2])
    assert above_usual(w)[:, 0].tolist() == [0.0, 0.0, 2.0, 0.0]


def test_a_feature_never_seen_is_missing_and_one_that_was_is_carried_on() -> None:
    w = people([[np.nan, np.nan], [3.0, np.nan], [np.nan, np.nan]], [1, 1, 1])
    assert np.isnan(above_usual(w)[:, 1]).all()
    assert above_usual(w)[:, 0].tolist()[1:] == [0.0, 0.0]
    assert [len(past) for _, past in histories(w)] == [1, 2, 3]


def test_what_comes_later_changes_nothing_before() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=(80, 4))
    w = people(x.tolist(), [1] * 40 + [2] * 40)
    other = w._replace(x=np.where(np.arange(80)[:, None] % 40 >= 20, 100.0, x))
    early = np.flatnonzero(np.arange(80) % 40 < 20)
    assert np.array_equal(above_usual(w)[early], above_usual(other)[early])
    ago = personal(w)[:, 36:]  # the views before take a spread from all rows
    assert np.array_equal(ago[early], personal(other)[early, 36:])
    assert ago.shape == (80, 16)


def test_what_rises_has_its_highest_now_and_its_lowest_long_ago_however_long_the_session() -> None:
    rising = np.arange(90.0)
    ago = personal(people(np.c_[rising, -rising].tolist(), [1] * 90))[:, 18:]
    assert ago[0].tolist() == [0.5] * 8  # one window has no order
    for k in (1, 10, 29, 89):
        # five minutes: highest of both, lowest of both; ten minutes likewise
        assert ago[k].tolist() == [0.0, 1.0, 1.0, 0.0] * 2


def test_a_high_of_before_is_as_long_ago_as_it_is_and_missing_windows_are_neither() -> None:
    x = np.r_[np.nan, np.nan, 5.0, 1.0, np.full(56, 3.0)]
    ago = personal(people(x[:, None].tolist(), [1] * 60))[:, 9:]
    assert ago[32].tolist()[:2] == [28 / 29, 1.0]  # of windows 3 to 32, the first of equals
    assert ago[59].tolist()[2:] == [57 / 59, 56 / 59]
    assert np.isnan(ago[1]).all()


def test_a_history_that_begins_later_is_told_as_if_nothing_had_been_before() -> None:
    random = np.random.default_rng(5)
    w = people(random.normal(size=(60, 3)).tolist(), [1] * 40 + [2] * 20)
    so_far = np.array([len(past) for _, past in histories(w)])
    np.testing.assert_array_equal(personal(w, so_far), personal(w))
    other = w._replace(x=np.where(np.arange(60)[:, None] < 30, 9.0, w.x))
    ago = slice(27, None)  # the views before take a spread from all rows
    last = np.full(60, 10)
    np.testing.assert_array_equal(personal(w, last)[39, ago], personal(other, last)[39, ago])
    assert not np.array_equal(personal(w)[39, ago], personal(other)[39, ago])


def test_histories_begin_anywhere_in_what_there_is_and_the_same_for_a_seed() -> None:
    w = people([[0.0]] * 300, [1] * 200 + [2] * 100)
    lengths = random_lengths(w, 3)
    so_far = np.array([len(past) for _, past in histories(w)])
    assert np.all((lengths >= 1) & (lengths <= so_far))
    assert (lengths == so_far).mean() == pytest.approx(0.6, abs=0.08)
    assert (lengths / so_far)[lengths < so_far].mean() == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(lengths, random_lengths(w, 3))
    assert not np.array_equal(lengths, random_lengths(w, 4))


@pytest.fixture(scope="module")
def two(archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people of the set: nobody without a session is read."""
    whole, folder = archive("stress_predict_e4"), tmp_path_factory.mktemp("two")
    (folder / "Raw_data").mkdir()
    (folder / "hr_rsp_label.csv").symlink_to(whole / "hr_rsp_label.csv")
    for name in ("S03", "S04"):
        (folder / "Raw_data" / name).symlink_to(whole / "Raw_data" / name)
    return folder


@pytest.mark.data
def test_minutes_of_real_people_are_rows_by_sensor_and_mixed_ones_are_not_judged(
    two: Path,
) -> None:
    cohort = of_stress(two)
    assert cohort.patients == ("S03", "S04")
    assert {name: len(x.names) for name, x in cohort.inputs.items()} == {
        "pulse": 36,
        "skin": 20,
        "motion": 12,
    }
    named = [name for inputs in cohort.inputs.values() for name in inputs.names]
    assert len(set(named)) == len(named)
    assert "hr" in named
    assert "temp" not in named, "of the skin, not of the body"
    assert {"x", "e4_x"}.isdisjoint(named), "how the wrist lies tells the desk"
    people = load(two)
    assert cohort.judged.tolist() == ((people.stress_share % 1) == 0).tolist()
    assert cohort.label[people.stress_share < 1].sum() == 0
    assert (np.diff(cohort.time_h)[: cohort.lengths[0] - 1] * 3600 >= 10 - 1e-6).all()
    rate = cohort.inputs["pulse"].value[:, cohort.inputs["pulse"].names.index("hr")]
    assert 50 < np.nanmedian(rate) < 120
