"""T1D-UOM as facts and as a recording: a small one of our own, and the data set where it is."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from streams.errors import SourceError
from streams.io.files.registry import open_source
from streams.records import Reason
from tests.service.importers.kit import read

BOM = "\ufeff"
FILES = {
    "Glucose Data/UoMGlucose2302.csv": "bg_ts,value\n04/09/2023 00:03,4\n04/09/2023 00:03,4.1\n"
    "13/09/2023 00:18,\n",
    "Insulin Data/Bolus Data/UoMBolus2302.csv": f"{BOM}bolus_ts,bolus_dose\n01/10/2023 11:00,3\n"
    "01/10/2023 12:00,\n",
    "Insulin Data/Basal Data/UoMBasal2302.csv": f"{BOM}basal_ts,basal_dose,insulin_kind\n"
    "04/09/2023 08:42,9,L\n04/09/2023 09:00,0.5,R\n04/09/2023 09:00,0.5,X\n",
    "Nutrition Data/UoMNutrition2302.csv": f"{BOM}meal_ts,meal_type,meal_tag,carbs_g,prot_g,fat_g,"
    "fibre_g\n01/10/2023 10:30,Breakfast,Kwark,13,20,0,\n01/10/2023,Lunch,,5,,,\n",
    "Activity Data/UoMActivity2302.csv": "activity_ts,activity_type,active_Kcal,step_count,"
    "distance_m,duration_s,active_time_s,start_time_s,start_time_offset_s\n"
    "01/10/2023 02:00,WALKING,3,120,90,900,900,1696118400,7200\n",
    "Sleep Data/UoM2302sleeptime.csv": "calendar_date,duration_in_sec,start_date_ts,"
    "start_time_offset_s,deep_sleep_s,light_sleep_s,rem_sleep_s,awake_s,sleep_levels_map_deep,"
    "sleep_levels_map_light,sleep_levels_map_awake,sleep_levels_map_rem,validation\n"
    "02/10/2023,34140,01/10/2023 21:15,7200,3600,7200,3600,60,"
    '"[{""startTimeInSeconds"":1696198560,""endTimeInSeconds"":1696200060}]","","","",FINAL\n',
    "Sleep Data/UoMsleep2302.csv": "sleep_ts,step_count,heart_rate,"
    "current_activity_type_intensity,stress_level_value,sleep_level,resting_heart_rate\n"
    "09/10/2023 00:00,0,86,0,22,0,0\n09/10/2023 00:05,7,0,104,-1,1,55\n"
    "09/10/2023 00:15,9,90,104,17,0,0\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace("\n", "\r\n"), encoding="utf-8")
    return tmp_path


def us(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc,arg-type]


def test_every_table_becomes_events_of_one_person(folder: Path) -> None:
    events, errors, job = read(folder)
    assert {e.patient_id for e in events} == {"t1d_2302"}
    assert Counter(e.code for e in events) == {
        "steps": 1,
        "cgm_glucose": 2,
        "insulin_basal": 1,
        "insulin_basal_rate": 1,
        "insulin_bolus": 1,
        "carbs": 1,
        "protein_intake": 1,
        "fat_intake": 1,
        "sleep_duration": 1,
        "sleep_stage": 1,
        "resting_hr": 1,
    }
    reasons = Counter((e.column, e.reason) for e in errors)
    assert reasons == {
        ("value", Reason.BAD_FIELD): 1,
        ("insulin_kind", Reason.BAD_FIELD): 1,
        ("meal_ts", Reason.BAD_TIME): 1,
    }
    assert job.skipped["wrist series: a recording, see vigil ingest"] == 3
    assert len({e.event_id for e in events}) == len(events)


def test_days_come_first_and_local_times_are_those_of_london(folder: Path) -> None:
    events, _, _ = read(folder)
    glucose = [e for e in events if e.code == "cgm_glucose"]
    assert {e.event_time_us for e in glucose} == {us(2023, 9, 3, 23, 3)}  # summer time
    assert glucose[0].value == pytest.approx(4 * 18.0156)
    (meal,) = (e for e in events if e.code == "carbs")
    assert (meal.value, meal.text) == (13.0, "Breakfast: Kwark")


def test_an_interval_and_a_night_are_known_at_their_end(folder: Path) -> None:
    events, _, _ = read(folder)
    by_code = {e.code: e for e in events}
    assert by_code["steps"].event_time_us == us(2023, 10, 1, 0, 15)
    night = us(2023, 10, 1, 21, 15) + 34_140 * 1_000_000
    assert by_code["sleep_duration"].event_time_us == night
    assert by_code["sleep_duration"].value == 4.0
    stage = by_code["sleep_stage"]
    assert (stage.text, stage.value) == ("deep", 3.0)
    assert (stage.event_time_us, stage.known_time_us) == (1_696_198_560_000_000, night)


def test_one_table_is_read_alone_and_must_name_its_person(folder: Path, tmp_path: Path) -> None:
    one = folder / "Glucose Data" / "UoMGlucose2302.csv"
    assert {e.code for e in read(one)[0]} == {"cgm_glucose"}
    nameless = tmp_path / "export.csv"
    nameless.write_bytes(one.read_bytes())
    with pytest.raises(SourceError, match="--patient"):
        read(nameless)
    assert {e.patient_id for e in read(nameless, patient_id="p9")[0]} == {"p9"}


def test_the_wrist_series_is_a_recording_of_the_same_person(folder: Path) -> None:
    (recording,) = open_source(folder / "Sleep Data" / "UoMsleep2302.csv", signals=None)
    assert recording.patient_id == "t1d_2302"
    signals = {one.name: one for one in recording.signals}
    assert set(signals) == {"hr", "stress", "asleep"}
    assert signals["hr"].fs_hz == pytest.approx(1 / 300)
    assert signals["hr"].start_us == us(2023, 10, 9)
    np.testing.assert_array_equal(signals["hr"].samples, [86, np.nan, np.nan, 90])
    np.testing.assert_array_equal(signals["asleep"].samples, [0, 1, np.nan, 0])
    np.testing.assert_array_equal(signals["stress"].samples, [22, np.nan, np.nan, 17])
    found = list(open_source(folder / "Sleep Data"))  # what the engine takes of the folder
    assert [[one.name for one in r.signals] for r in found] == [["hr", "asleep"]]


def test_glucose_is_a_recording_too_a_reading_a_minute_or_none(folder: Path) -> None:
    path = folder / "Glucose Data" / "UoMGlucose2302.csv"
    path.write_text(
        "bg_ts,value\n04/09/2023 00:03,4\n04/09/2023 00:03,9\n04/09/2023 00:05,\n"
        "04/09/2023 00:06,4.5\n",
        encoding="utf-8",
    )
    (recording,) = open_source(path)
    (signal,) = recording.signals
    assert (recording.patient_id, recording.device_id) == ("t1d_2302", "cgm:UoMGlucose2302")
    assert (signal.name, signal.unit, signal.fs_hz) == ("glucose", "mmol/L", 1 / 60)
    assert signal.start_us == us(2023, 9, 3, 23, 3)  # summer time
    np.testing.assert_array_equal(signal.samples, [4, np.nan, np.nan, 4.5])


def test_readings_of_the_hour_that_comes_twice_do_not_move_those_around_it(tmp_path: Path) -> None:
    path = tmp_path / "UoMGlucose1.csv"
    rows = ("00:59,1", "01:30,2", "01:30,3", "02:00,4")
    path.write_text("bg_ts,value\n" + "".join(f"29/10/2023 {row}\n" for row in rows))
    ((signal,),) = (r.signals for r in open_source(path))
    minutes = np.flatnonzero(np.isfinite(signal.samples)).tolist()
    assert signal.start_us == us(2023, 10, 28, 23, 59)
    assert minutes == [0, 31, 121]
    assert signal.samples[minutes].tolist() == [1, 2, 4]


def test_steps_are_a_rate_in_the_last_minute_of_their_epoch(tmp_path: Path) -> None:
    """All kinds of activity together; a row that the file holds twice counts once."""
    path = tmp_path / "UoMActivity7.csv"
    at_s = 1_696_118_400
    rows = (
        f"WALKING,150,900,{at_s}",
        f"SEDENTARY,0,900,{at_s}",
        f"RUNNING,300,900,{at_s}",
        f"RUNNING,300,900,{at_s}",
        f"UNMONITORED,0,900,{at_s + 900}",
        f"WALKING,30,900,{at_s + 1800}",
    )
    head = "activity_type,step_count,duration_s,start_time_s\n"
    path.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
    ((signal,),) = (r.signals for r in open_source(path))
    assert (signal.name, signal.unit) == ("step_rate", "1/min")
    assert signal.start_us == (at_s + 840) * 1_000_000
    assert signal.samples[[0, 30]].tolist() == [30.0, 2.0]
    assert np.isnan(signal.samples[1:30]).all()


@pytest.mark.parametrize(
    ("name", "old", "new", "place"),
    [
        ("Glucose Data/UoMGlucose2302.csv", "00:03,4\n", "00:03,high\n", "line 2, column value"),
        ("Glucose Data/UoMGlucose2302.csv", "04/09/2023 00:03,4\n", "04/09/2023,4\n", "bg_ts"),
        ("Glucose Data/UoMGlucose2302.csv", "04/09/2023", "04/09/1023", "within"),
        ("Activity Data/UoMActivity2302.csv", ",900,900,", ",0,900,", "duration_s"),
        ("Activity Data/UoMActivity2302.csv", ",120,", ",many,", "step_count"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(
    tmp_path: Path, name: str, old: str, new: str, place: str
) -> None:
    path = tmp_path / Path(name).name
    text = FILES[name].replace(old, new, 1)
    assert text != FILES[name]
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=place):
        list(open_source(path))


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("09/10/2023 00:05", "2023-10-09 00:05", "line 3"),
        ("09/10/2023 00:05", "09/10/2023 00:06", "line 3"),
        ("09/10/2023 00:05", "09/10/2023 00:00", "line 3"),
        (",86,", ",fast,", "heart_rate"),
    ],
)
def test_a_broken_series_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, place: str
) -> None:
    path = tmp_path / "UoMsleep1.csv"
    path.write_text(FILES["Sleep Data/UoMsleep2302.csv"].replace(old, new), encoding="utf-8")
    with pytest.raises(SourceError, match=place):
        list(open_source(path, signals=None))


@pytest.mark.data
@pytest.mark.slow
def test_the_data_set_loads_completely(archive: object) -> None:
    folder = archive("t1d_uom")  # type: ignore[operator]
    events, errors, job = read(folder)
    assert len(errors) <= 5
    assert len({e.event_id for e in events}) == len(events)
    made = Counter(e.code for e in events)
    assert made["cgm_glucose"] == 238_432
    assert (made["insulin_bolus"], made["insulin_basal"]) == (2_877, 331)
    assert job.rows > 600_000
    found: dict[str, list[tuple[str, np.ndarray]]] = {}
    for recording in open_source(folder):
        for signal in recording.signals:
            found.setdefault(signal.name, []).append((recording.patient_id, signal.samples))
    people = {name: len({who for who, _ in streams}) for name, streams in found.items()}
    assert people == {"hr": 10, "asleep": 10, "glucose": 11, "step_rate": 11}
    assert sum(np.isfinite(samples).sum() for _, samples in found["hr"]) > 190_000
    # Every reading is in the stream that is an event, but for those of one minute.
    minutes = {(e.patient_id, e.event_time_us) for e in events if e.code == "cgm_glucose"}
    assert sum(np.isfinite(samples).sum() for _, samples in found["glucose"]) == len(minutes)
