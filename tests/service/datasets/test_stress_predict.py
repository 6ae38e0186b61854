"""Windows of Stress-Predict hold the seconds they should, and one label or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.datasets.stress_predict import REST, session, windows
from streams.errors import SourceError

HEAD = "Participant,HR,respr,Time(sec),Label\n"


def write(folder: Path, labels: list[int], who: int = 3, gap_at: int | None = None) -> Path:
    session(folder, who).mkdir(parents=True)
    lines = [
        f"{who},70,12,{1000 + i + (5 if gap_at is not None and i >= gap_at else 0)},{label}\n"
        for i, label in enumerate(labels)
    ]
    (folder / "hr_rsp_label.csv").write_text(HEAD + "".join(lines))
    return folder


def test_a_window_is_stress_or_rest_or_neither(tmp_path: Path) -> None:
    got = windows(write(tmp_path, [0] * 70 + [1] * 70), 60, 10)
    assert got.start_s.tolist() == list(range(1000, 1080, 10))
    assert got.stress.tolist() == [False] * 7 + [True]
    assert got.pure.tolist() == [True, True, False, False, False, False, False, True]
    assert got.task.tolist() == [REST] * 7 + [0]


def test_a_window_with_an_unlabelled_second_is_none(tmp_path: Path) -> None:
    got = windows(write(tmp_path, [0] * 130, gap_at=65), 60, 10)
    assert 1010 not in got.start_s.tolist()
    assert (got.stress_share == 0).all()


def test_somebody_without_a_session_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, [0] * 80)
    (tmp_path / "Raw_data" / "S03").rmdir()
    with pytest.raises(SourceError, match="nobody"):
        windows(tmp_path)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "hr_rsp_label.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="columns are a, b"):
        windows(tmp_path)


@pytest.mark.data
def test_the_trap_that_time_tells_the_task_is_there(archive: Callable[[str], Path]) -> None:
    got = windows(archive("stress_predict_e4"))
    assert len(np.unique(got.person)) == 23
    first = {who: got.start_s[got.person == who].min() for who in np.unique(got.person)}
    since = got.start_s - np.array([first[who] for who in got.person])
    tasks = [np.median(since[got.task == k]) for k in range(3)]
    assert tasks == sorted(tasks)
