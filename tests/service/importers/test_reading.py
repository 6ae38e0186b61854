"""Events of any format beside a replay's recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.config import Config
from service.importers.reading import read_events
from service.replay import load, replay_embedded
from streams.errors import SourceError
from streams.records import ClinicalEvent

SERIES = "sleep_ts,step_count,heart_rate,stress_level_value,sleep_level,resting_heart_rate\n"


def dataset(root: Path) -> Path:
    """Two people with glucose and insulin; one of them with a wrist series of half an hour."""
    for who in ("2302", "2303"):
        for folder, name, text in (
            ("Glucose Data", f"UoMGlucose{who}.csv", "bg_ts,value\n09/10/2023 01:05,2.9\n"),
            (
                "Insulin Data/Bolus Data",
                f"UoMBolus{who}.csv",
                "bolus_ts,bolus_dose\n09/10/2023 01:00,3\n",
            ),
        ):
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / name).write_text(text, encoding="utf-8")
    series = root / "Sleep Data" / "UoMsleep2302.csv"
    series.parent.mkdir()
    rows = [f"09/10/2023 00:{5 * n:02},0,{80 + n},20,0,0" for n in range(6)]
    series.write_text(SERIES + "\n".join(rows) + "\n", encoding="utf-8")
    return series


def test_irregular_events_and_a_continuous_series_are_one_replay(tmp_path: Path) -> None:
    series = dataset(tmp_path)
    inputs = load([series], tmp_path)
    assert inputs.faults == ()
    assert {event.patient_id for _, event in inputs.events} == {"t1d_2302"}
    assert sorted(event.code for _, event in inputs.events) == ["cgm_glucose", "insulin_bolus"]
    done = replay_embedded(inputs, Config())
    assert done.run["clinical_events"] == 2
    assert done.run["patients"] == 1
    assert len(done.results.features) > 0
    assert not done.results.dead


def test_a_file_of_no_known_format_says_what_a_csv_of_events_needs(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(SourceError, match="columns missing"):
        list(read_events(file, {}))


def test_our_own_csv_is_taken_whole(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text(
        "patient_id,event_time,known_time,code,value,unit,text,source\n"
        "p1,+1,+2,hr,60,/min,,ehr\np2,1714550400000000,1714550400000000,hr,61,/min,,ehr\n",
        encoding="utf-8",
    )
    events = list(read_events(file, {"p1": 1_714_550_400_000_000}))
    assert [e.patient_id for e in events if isinstance(e, ClinicalEvent)] == ["p1", "p2"]
