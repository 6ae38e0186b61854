"""T1D-UOM is read as it is known at each time, and its traps stay shut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.datasets.t1d_uom import (
    MINUTE_US,
    Person,
    Stream,
    decisions,
    held,
    people,
    without_contradictions,
)
from streams.errors import SourceError

DAY_US = 1440 * MINUTE_US


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def one(tmp_path: Path) -> Person:
    write(tmp_path, "Glucose Data/UoMGlucose1.csv", "bg_ts,value\n02/03/2024 00:05,6.1\n")
    write(
        tmp_path,
        "Sleep Data/UoMsleep1.csv",
        "sleep_ts,step_count,heart_rate,current_activity_type_intensity,stress_level_value,"
        "sleep_level,resting_heart_rate\n"
        "02/03/2024 00:00,0,0,0,-1,0,0\n02/03/2024 00:05,9,70,1,20,1,50\n",
    )
    write(
        tmp_path,
        "Activity Data/UoMActivity1.csv",
        "activity_ts,activity_type,step_count,met,motion_intensity_mean\n"
        "02/03/2024 00:00,WALKING,100,3,4\n02/03/2024 00:00,RUNNING,50,6,7\n",
    )
    write(
        tmp_path,
        "Nutrition Data/UoMNutrition1.csv",
        "\ufeffmeal_ts,meal_type,meal_tag,carbs_g,prot_g,fat_g,fibre_g\n"
        "02/03/2024 08:00,Lunch,x,30,,2,1\n03/03/2024,Lunch,no time of day,99,1,1,1\n",
    )
    return next(people(tmp_path))


def day_and_month(time_us: int) -> str:
    return str(np.datetime64(time_us, "us").astype("datetime64[m]"))


def test_dates_are_day_then_month_and_marks_in_headers_do_no_harm(one: Person) -> None:
    assert day_and_month(int(one.streams["glucose"].time_us[0])) == "2024-03-02T00:05"
    assert one.streams["carbs"].value.tolist() == [30]


def test_a_wrist_epoch_is_known_at_its_end(one: Person) -> None:
    assert day_and_month(int(one.streams["heart_rate"].time_us[0])) == "2024-03-02T00:10"
    assert day_and_month(int(one.streams["steps"].time_us[0])) == "2024-03-02T00:15"


def test_zero_heart_rate_and_negative_stress_are_none(one: Person) -> None:
    assert one.streams["heart_rate"].value.tolist() == [70]
    assert one.streams["stress"].value.tolist() == [20]


def test_steps_of_one_quarter_hour_add_up(one: Person) -> None:
    assert one.streams["steps"].value.tolist() == [150]


def test_a_meal_without_a_time_of_day_is_left_out_and_a_missing_modality_is_absent(
    one: Person,
) -> None:
    assert len(one.streams["carbs"].time_us) == 1
    assert "protein" not in one.streams
    assert "bolus" not in one.streams


def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "Glucose Data/UoMGlucose1.csv", "bg_ts,value\n13/13/2024 00:05,6.1\n")
    with pytest.raises(SourceError, match="is no time"):
        list(people(tmp_path))


def test_a_folder_without_glucose_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="Glucose Data"):
        list(people(tmp_path))


def glucose(*values: float, every_min: int = 5) -> Stream:
    time = np.arange(len(values), dtype=np.int64) * every_min * MINUTE_US
    return Stream(time, np.array(values))


def test_a_low_within_the_horizon_is_foretold_and_a_low_now_is_not_asked_about() -> None:
    # min  0  5  10  15  20  25  30  35
    stream = glucose(6, 5, 4.5, 3.8, 3.7, 4.2, 5, 6)
    got = decisions(stream, 15)
    assert (got.time_us // MINUTE_US).tolist() == [0, 5, 10]
    assert got.low.tolist() == [True, True, True]
    longer = decisions(glucose(6, 5, 4.5, 3.8, 3.7, 4.2, 5, 6, 6, 6), 15)
    assert (longer.time_us // MINUTE_US).tolist() == [0, 5, 10, 25]
    assert not longer.low[-1]


def test_a_future_that_nobody_measured_is_not_judged() -> None:
    stream = Stream(np.array([0, 5, 60, 65], np.int64) * MINUTE_US, np.full(4, 7.0))
    assert len(decisions(stream, 30).low) == 0


def test_decisions_do_not_depend_on_what_follows_their_horizon() -> None:
    random = np.random.default_rng(1)
    values = 5 + np.cumsum(random.normal(0, 0.4, 300))
    stream = glucose(*values)
    whole = decisions(stream, 30)
    cut = decisions(Stream(stream.time_us[:200], stream.value[:200]), 30)
    early = whole.time_us + 30 * MINUTE_US < stream.time_us[199]
    assert whole.time_us[early].tolist() == cut.time_us[: early.sum()].tolist()
    assert whole.low[early].tolist() == cut.low[: early.sum()].tolist()


def test_two_series_in_one_file_are_left_out_for_the_day() -> None:
    time = np.arange(0, 2 * DAY_US, 5 * MINUTE_US)
    first = Stream(time, np.full(len(time), 7.0))
    other = time[:100] + MINUTE_US
    mixed = np.concatenate([time, other])
    order = np.argsort(mixed)
    value = np.concatenate([first.value, np.full(100, 13.0)])
    got = without_contradictions(Stream(mixed[order], value[order]))
    assert got.time_us.min() == DAY_US
    assert len(without_contradictions(first).time_us) == len(time)


def test_a_value_is_held_until_it_is_too_old() -> None:
    stream = glucose(6, 7)
    value, age = held(stream, np.array([4, 5, 24, 26]) * MINUTE_US, 20 * MINUTE_US)
    assert value[:3].tolist() == [6, 7, 7]
    assert np.isnan(value[3])
    assert age[2] == 19
    assert np.isnan(held(None, np.array([0]), MINUTE_US)[0][0])


@pytest.mark.data
def test_the_recordings_hold_who_they_should(archive: Callable[[str], Path]) -> None:
    found = {p.name: p for p in people(archive("t1d_uom"))}
    assert len(found) == 11
    assert "bolus" not in found["2303"].streams
    assert "heart_rate" not in found["2403"].streams
    low = np.concatenate([decisions(p.streams["glucose"], 30).low for p in found.values()])
    assert low.mean() == pytest.approx(0.0203, abs=5e-4)
