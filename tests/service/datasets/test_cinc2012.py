"""CinC 2012 is read without its codes for "not known", and outcomes stay out of the inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks._icu_windows import stay_features
from service.datasets.cinc2012 import STATIC, VARIABLES, Stays, read, until
from streams.errors import SourceError

HEAD = "Time,Parameter,Value\n00:00,RecordID,7\n"
OUTCOMES = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set-a").mkdir()
    (tmp_path / "set-a" / "7.txt").write_text(
        HEAD + "00:00,Age,70\n00:00,Gender,1\n00:00,Height,-1\n00:00,ICUType,2\n00:00,Weight,0\n"
        "00:00,HR,80\n10:00,HR,-1\n10:00,HR,90\n10:00,HR,95\n47:30,pH,735\n47:30,pH,7.3\n"
    )
    (tmp_path / "set-a" / "8.txt").write_text(HEAD + "00:00,Age,50\n")
    (tmp_path / "Outcomes-a.txt").write_text(OUTCOMES + "7,10,5,9,12,1\n8,3,1,4,-1,0\n")
    return tmp_path


def events(stays: Stays, name: str) -> list[float]:
    return stays.value[stays.variable == VARIABLES.index(name)].tolist()


def test_negative_numbers_and_a_weight_of_zero_are_not_known(folder: Path) -> None:
    stays = read(folder)
    static = dict(zip(STATIC, stays.static[0], strict=True))
    assert static["Age"] == 70
    assert np.isnan(static["Height"])
    assert np.isnan(static["Weight"])
    assert events(stays, "HR") == [80, 90, 95]


def test_what_no_body_shows_is_left_out_and_not_repaired(folder: Path) -> None:
    assert events(read(folder), "pH") == [7.3]


def test_the_outcome_is_death_in_hospital_and_a_stay_without_events_counts(folder: Path) -> None:
    stays = read(folder)
    assert stays.ids == ("7", "8")
    assert stays.died.tolist() == [True, False]


def test_no_feature_is_an_outcome(folder: Path) -> None:
    names, _ = stay_features(read(folder))
    assert not [n for n in names if "SAPS" in n or "SOFA" in n or "stay" in n.lower()]
    assert not [n for n in names if "urviv" in n or "death" in n.lower() or "RecordID" in n]


def test_features_see_nothing_after_their_hour(folder: Path) -> None:
    stays = read(folder)
    later = stays.minute > 24 * 60
    changed = stays._replace(value=np.where(later, stays.value + 0.1, stays.value))
    for given in (changed, until(stays, 24 * 60)):
        a, b = stay_features(stays, 24)[1], stay_features(given, 24)[1]
        assert np.array_equal(a, b, equal_nan=True)


def test_features_by_hand(folder: Path) -> None:
    names, values = stay_features(read(folder))
    row = dict(zip(names, values[0], strict=True))
    assert row["HR_last"] == 95
    assert row["HR_first"] == 80
    assert row["HR_mean_48h"] == pytest.approx(265 / 3)
    assert row["HR_count_24h"] == 0
    assert row["HR_median"] == 90
    assert row["HR_age"] == pytest.approx(38)
    assert row["HR_slope"] == pytest.approx(1.25)
    assert row["Lactate_ever"] == 0
    assert np.isnan(dict(zip(names, values[1], strict=True))["HR_last"])


def test_a_stay_without_an_outcome_is_refused(folder: Path) -> None:
    (folder / "Outcomes-a.txt").write_text(OUTCOMES + "7,10,5,9,12,1\n")
    with pytest.raises(SourceError, match="no outcome of 8"):
        read(folder)


def test_another_file_is_refused(folder: Path) -> None:
    (folder / "set-a" / "8.txt").write_text("time;value\n")
    with pytest.raises(SourceError, match="no stay of the Challenge 2012"):
        read(folder)


@pytest.mark.data
@pytest.mark.slow
def test_set_a_holds_the_stays_and_deaths_it_should(archive: Callable[[str], Path]) -> None:
    stays = read(archive("cinc2012_seta") / "cinc2012_icu")
    assert len(stays.ids) == 4000
    assert stays.died.sum() == 554
    assert (stays.minute <= 48 * 60).all()
