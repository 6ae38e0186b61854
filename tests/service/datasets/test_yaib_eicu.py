"""YAIB's cohorts are read whole, and a stay is in one fold in all tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.evaluation.ranking import auroc
from service.datasets.yaib_eicu import TASKS, Task, folds_of, read
from streams.errors import SourceError


def write(folder: Path, task: str, hours: list[int], outcome: dict[str, list[object]]) -> None:
    place = folder / task / "eicu_demo"
    place.mkdir(parents=True)
    time = pa.array([h * 3600 for h in hours], pa.duration("s"))
    stay = pa.array([5] * len(hours), pa.int32())
    hr = pa.array([70.0 + h for h in hours])
    pq.write_table(pa.table({"stay_id": stay, "time": time, "hr": hr}), place / "dyn.parquet")
    pq.write_table(pa.table(outcome), place / "outc.parquet")
    static = {"stay_id": [5], "age": [60.0], "sex": ["Male"], "height": [170.0], "weight": [None]}
    pq.write_table(pa.table(static), place / "sta.parquet")


def test_rows_are_in_time_order_and_a_label_per_stay_is_at_its_last_hour(tmp_path: Path) -> None:
    write(tmp_path, "mortality24", [2, 0, 1], {"stay_id": [5], "label": [1]})
    rows = read(tmp_path, "mortality24")
    assert rows.hour.tolist() == [0, 1, 2]
    assert rows.value[:, 0].tolist() == [70, 71, 72]
    assert np.isnan(rows.label[:2]).all()
    assert rows.label[2] == 1
    assert rows.static[0, :3].tolist() == [60, 1, 170]
    assert np.isnan(rows.static[0, 3])


def test_hourly_labels_meet_their_hour(tmp_path: Path) -> None:
    time = pa.array([3600, 0], pa.duration("s"))
    outcome = {"stay_id": [5, 5], "time": time, "label": [True, False]}
    write(tmp_path, "sepsis", [0, 1], outcome)
    assert read(tmp_path, "sepsis").label.tolist() == [0, 1]


def test_an_hour_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "mortality24", [1, 1], {"stay_id": [5], "label": [1]})
    with pytest.raises(SourceError, match="twice"):
        read(tmp_path, "mortality24")


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        read(tmp_path, "aki")


@pytest.mark.data
@pytest.mark.parametrize(
    ("task", "rows", "share"), [("mortality24", 34175, 0.0512), ("sepsis", 42524, 0.019)]
)
def test_the_cohorts_are_the_published_ones(
    archive: Callable[[str], Path], task: Task, rows: int, share: float
) -> None:
    found = read(archive("yaib_eicu_demo") / "yaib_demo" / "demo_data", task)
    assert len(found.stay) == rows
    assert np.nanmean(found.label) == pytest.approx(share, abs=2e-4)


@pytest.mark.data
def test_a_stay_has_one_fold_over_all_tasks(archive: Callable[[str], Path]) -> None:
    tasks = [read(archive("yaib_eicu_demo") / "yaib_demo" / "demo_data", t) for t in TASKS]
    fold = folds_of(tasks, 5)
    assert set(fold) == set(np.concatenate([t.stay for t in tasks]).tolist())
    assert np.ptp(np.bincount(list(fold.values()))) <= 1


@pytest.mark.data
def test_the_trap_that_records_end_at_their_label_is_there(
    archive: Callable[[str], Path],
) -> None:
    rows = read(archive("yaib_eicu_demo") / "yaib_demo" / "demo_data", "sepsis")
    length = np.bincount(np.unique(rows.stay, return_inverse=True)[1])
    whole = np.repeat(length, length)
    assert auroc(rows.label > 0, -(whole - rows.hour).astype(float)) > 0.8
