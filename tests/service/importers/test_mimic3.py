"""MIMIC-III folders as facts: a small one of our own, and the demo where it is there."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest

from features import concepts
from service.importers.mimic3_items import rules
from service.importers.mimic3_people import BASE_US
from streams.records import Reason
from tests.service.importers.kit import read

HOUR_US = 3_600_000_000
CHART = (
    "row_id,subject_id,hadm_id,icustay_id,itemid,charttime,storetime,value,valuenum,valueuom,error"
)
TABLES = {
    "d_items": "row_id,itemid,label\n1,211,Heart Rate\n2,128,Code Status\n"
    "3,30018,.9% Normal Saline",
    "d_labitems": "row_id,itemid,label,fluid,loinc_code\n"
    "1,50971,Potassium,Blood,2823-3\n2,51097,Potassium urine,Urine,2828-2\n"
    "3,51196,D-Dimer,Blood,48065-7",
    "patients": "row_id,subject_id,gender,dob\n1,7,F,2100-01-01 00:00:00\n"
    "2,8,M,1850-01-01 00:00:00",
    "admissions": "row_id,subject_id,hadm_id,admittime,dischtime,admission_type,discharge_location,"
    "diagnosis\n"
    "1,7,70,2150-03-04 10:00:00,2150-03-09 10:00:00,EMERGENCY,HOME,SEPSIS\n"
    "2,8,80,2150-03-04 10:00:00,2150-03-05 10:00:00,ELECTIVE,HOME,",
    "diagnoses_icd": "row_id,subject_id,hadm_id,seq_num,icd9_code\n1,7,70,1,0389",
    "chartevents": f"{CHART}\n"
    "1,7,70,1,211,2150-03-04 12:00:00,2150-03-04 12:20:00,90,90,BPM,\n"
    "2,7,70,1,211,2150-03-04 13:00:00,2150-03-04 12:40:00,91,91,BPM,0\n"
    "3,7,70,1,128,2150-03-04 13:00:00,,Full Code,,,\n"
    "4,7,70,1,223761,2150-03-04 13:00:00,,98.6,98.6,?F,\n"
    "5,7,70,1,190,2150-03-04 13:00:00,,.4,.4,torr,\n"
    "6,7,70,1,827,2150-03-04 13:00:00,,3.1,3.1,mEq/L,\n"
    "7,7,70,1,432,2150-03-04 13:00:00,,Arouse to Voice,,,\n"
    "8,7,70,1,432,2150-03-04 13:00:00,,Sedated,,,\n"
    "9,7,70,1,211,2150-03-04 14:00:00,2150-03-04 14:00:00,92,92,BPM,1\n"
    "10,7,70,1,211,2150-03-04 15:00:00,,,,,\n"
    "11,9,70,1,211,2150-03-04 15:00:00,,90,90,BPM,\n"
    "12,7,70,1,211,2150-03-04 16:00:00\n"
    "13,7,70,1,226531,2150-03-04 16:00:00,,200,200,,",
    "labevents": "row_id,subject_id,hadm_id,itemid,charttime,value,valuenum,valueuom,flag\n"
    "1,7,70,50971,2150-03-04 12:00:00,4.1,4.1,mEq/L,\n"
    "2,7,70,51097,2150-03-04 12:00:00,40,40,mEq/L,\n"
    "3,7,70,51196,2150-03-04 12:00:00,600,600,ng/mL,",
    "inputevents_mv": "row_id,subject_id,hadm_id,itemid,starttime,endtime,storetime,amount,"
    "amountuom,rate,rateuom,statusdescription\n"
    "1,7,70,221906,2150-03-04 12:00:00,2150-03-04 13:00:00,2150-03-04 12:05:00,1,mg,0.1,"
    "mcg/kg/min,Stopped\n"
    "2,7,70,221906,2150-03-04 12:00:00,2150-03-04 13:00:00,2150-03-04 12:05:00,1,mg,0.1,"
    "mcg/kg/min,Rewritten\n"
    "3,7,70,223258,2150-03-04 12:00:00,2150-03-04 12:01:00,2150-03-04 12:05:00,6,units,,,"
    "FinishedRunning",
    "inputevents_cv": "row_id,subject_id,hadm_id,charttime,itemid,amount,amountuom,rate,rateuom,"
    "storetime,stopped\n"
    "1,7,70,2150-03-04 12:00:00,30120,,,0.1,mcgkgmin,2150-03-04 12:20:00,\n"
    "2,7,70,2150-03-04 12:30:00,30120,,,,mcgkgmin,2150-03-04 12:40:00,Stopped\n"
    "3,7,70,2150-03-04 12:30:00,30018,100,ml,,,2150-03-04 12:40:00,",
    "prescriptions": "row_id,subject_id,hadm_id,startdate,enddate,drug\n"
    "1,7,70,2150-03-04 00:00:00,2150-03-06 00:00:00,Metoprolol",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TABLES.items():
        (tmp_path / f"{name}.csv").write_text(text + "\n", encoding="utf-8")
    return tmp_path


def test_every_item_of_the_table_is_of_a_concept_that_exists() -> None:
    for item_id, item in rules().items.items():
        concept = concepts.CONCEPTS[concepts.INDEX[item.concept]]
        for unit in (item.blank, *item.units.values()):
            if unit and concept.modality != "med":
                assert concepts.conversion(item.concept, unit) is not None, item_id
        assert set(item.words.values()) <= set(concept.words), item_id


def test_rows_become_events_in_the_concepts_unit_known_when_stored(folder: Path) -> None:
    events, errors, job = read(folder)
    by_id = {e.event_id.removeprefix("mimic3:"): e for e in events}
    first = by_id["chartevents:1"]
    assert (first.patient_id, first.code, first.value) == ("mimic3_7", "hr", 90.0)
    assert first.known_time_us - first.event_time_us == HOUR_US // 3
    early = by_id["chartevents:2"]  # charted ahead of its time
    assert early.known_time_us == early.event_time_us
    assert by_id["chartevents:4"].value == 37.0
    assert by_id["chartevents:5"].value == 40.0
    assert (by_id["chartevents:6"].value, by_id["chartevents:6"].unit) == (3.1, "mg/dL")
    assert by_id["chartevents:7"].text == "voice"
    assert by_id["chartevents:13"].value == pytest.approx(90.718, abs=1e-3)
    lab = by_id["labevents:1"]
    assert (lab.code, lab.known_time_us - lab.event_time_us) == ("k", HOUR_US)
    assert by_id["prescriptions:1"].text == "Metoprolol"
    assert job.skipped["chartevents: called an error by the chart"] == 1
    assert job.skipped["chartevents: consciousness Sedated: no place on the scale"] == 1
    assert job.skipped["chartevents: item 128 Code Status"] == 1
    assert job.skipped["labevents: item 51097 Potassium urine"] == 1
    reasons = Counter(error.reason for error in errors)
    assert reasons == {Reason.BAD_UNIT: 1, Reason.BAD_TIME: 1, Reason.BAD_FIELD: 1}


def test_a_rate_ends_with_a_zero_when_it_was_stopped(folder: Path) -> None:
    events, _, _ = read(folder)
    rates = [(e.event_id, e.value) for e in events if e.code == "norepinephrine"]
    assert rates == [
        ("mimic3:inputevents_cv:1", 0.1),
        ("mimic3:inputevents_cv:2", 0.0),
        ("mimic3:inputevents_mv:1", 0.1),
        ("mimic3:inputevents_mv:1:end", 0.0),
    ]
    assert [(e.code, e.value) for e in events if e.code == "insulin_bolus"] == [
        ("insulin_bolus", 6.0)
    ]
    assert [e.text for e in events if e.code == "medication"] == [".9% Normal Saline", "Metoprolol"]


def test_a_patients_times_move_by_whole_weeks_to_the_base(folder: Path) -> None:
    events, _, _ = read(folder)
    admitted = [e.event_time_us for e in events if e.text.startswith("admitted")]
    week_us = 7 * 24 * HOUR_US
    assert all(BASE_US <= at < BASE_US + week_us for at in admitted)
    left = [e.event_time_us for e in events if e.text.startswith("discharged")]
    assert left[0] - admitted[0] == 5 * 24 * HOUR_US


def test_ages_over_89_are_90_and_say_so(folder: Path) -> None:
    events, _, _ = read(folder)
    ages = {e.patient_id: (e.value, e.text) for e in events if e.code == "age_years"}
    assert ages["mimic3_8"] == (90.0, ">89")
    assert ages["mimic3_7"][0] == pytest.approx(50.17, abs=0.01)


def test_packed_tables_in_capitals_are_the_same_events(folder: Path, tmp_path: Path) -> None:
    plain, _, _ = read(folder)
    packed = tmp_path / "packed"
    packed.mkdir()
    for name, text in TABLES.items():
        with gzip.open(packed / f"{name.upper()}.csv.gz", "wt", encoding="utf-8") as out:
            out.write(text + "\n")
    again, _, _ = read(packed)
    assert again == plain


@pytest.mark.data
@pytest.mark.slow
def test_the_demo_converts_at_least_95_percent_of_the_rows_of_its_mapped_items(
    archive: object,
) -> None:
    folder = archive("mimic3_demo")  # type: ignore[operator]
    inner = folder / "mimic3_demo" if (folder / "mimic3_demo").is_dir() else folder
    events, errors, job = read(inner)
    made = Counter(e.source for e in events)
    measured = made["mimic3:chartevents"] + made["mimic3:labevents"]
    mapped = ("chartevents: ", "labevents: ")
    left = sum(
        n for kind, n in job.skipped.items() if kind.startswith(mapped) and "item" not in kind
    )
    assert measured / (measured + left + len(errors)) >= 0.95
    assert len({e.event_id for e in events}) == len(events)
