"""Cohorts of the data sets: hours in order, onset where it is, groups and rules as charted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.weights import files_of
from service.__main__ import run
from service.datasets.cinc2019 import LABS, STATIC, VITALS
from service.evaluate_readers import cohort_of
from streams.errors import ConfigError
from tests.models.contract import model_kit as kit

COLUMNS = [*VITALS, "EtCO2", *LABS, *STATIC, "Unit1", "Unit2", "ICULOS", "SepsisLabel"]


def write_2019(path: Path, patients: int = 24) -> Path:
    """Stays of 20 h; every fourth septic from hour 12 on."""
    lengths = np.full(patients, 20)
    rows = 20 * patients
    values = np.full((len(COLUMNS), rows), np.nan, np.float32)
    hour = np.tile(np.arange(20), patients)
    patient = np.repeat(np.arange(patients), 20)
    table = dict(zip(COLUMNS, values, strict=True))
    table["HR"][:] = 80 + hour
    table["HR"][hour % 2 == 1] = np.nan
    table["Age"][:] = 30 + patient
    table["Gender"][:] = patient % 2
    table["Unit1"][:] = patient % 3 == 0
    table["Unit2"][:] = patient % 3 == 1
    table["ICULOS"][:] = hour + 1
    table["SepsisLabel"][:] = (patient % 4 == 0) & (hour >= 12)
    ids = np.array([f"p{i:06d}" for i in range(patients)])
    np.savez(path, values=values, lengths=lengths, ids=ids, columns=np.array(COLUMNS))
    return path


def test_onset_is_six_hours_after_the_first_label(tmp_path: Path) -> None:
    cohort = cohort_of(f"cinc2019:{write_2019(tmp_path / 'setA.npz')}")
    assert cohort.event_patient.tolist() == [0, 4, 8, 12, 16, 20]
    assert set(cohort.event_h.tolist()) == {18.0}
    assert cohort.utility
    assert cohort.groups["sex"][:2] == ("female", "male")
    assert cohort.groups["unit"][:3] == ("medical", "surgical", "unknown")
    assert cohort.groups["age"][0] == "under 45"


def test_news2_holds_a_vital_sign_for_two_hours(tmp_path: Path) -> None:
    cohort = cohort_of(f"cinc2019:{write_2019(tmp_path / 'setA.npz')}")
    rule = cohort.rules["NEWS2 (lower bound)"]
    assert rule[:20].tolist() == [0.0] * 11 + [0.0] + [1.0] * 8  # above 90 /min from hour 12 on


def test_a_stay_of_2012_is_asked_about_at_its_last_hour(tmp_path: Path) -> None:
    (tmp_path / "set-a").mkdir()
    head = "Time,Parameter,Value\n00:00,RecordID,7\n00:00,Age,70\n00:00,ICUType,3\n"
    (tmp_path / "set-a" / "7.txt").write_text(head + "01:10,HR,80\n01:50,HR,90\n02:00,FiO2,0.4\n")
    outcome = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n7,1,1,1,1,1\n"
    (tmp_path / "Outcomes-a.txt").write_text(outcome)
    cohort = cohort_of(f"cinc2012:{tmp_path}")
    assert cohort.judged.nonzero()[0].tolist() == [47]
    assert cohort.label[47]
    vitals, labs = cohort.inputs["vitals"], cohort.inputs["labs"]
    hr = vitals.value[:, vitals.names.index("hr")]
    assert hr[1] == 90
    assert np.isnan(hr[[0, 2, 47]]).all()
    assert labs.value[2, labs.names.index("fio2")] == pytest.approx(40)
    assert cohort.groups["unit"] == ("medical",)
    assert cohort.events is None


@pytest.mark.parametrize("text", ["cinc2019", "mimic:x", "setA.npz"])
def test_data_that_is_not_named_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cinc2019:PATH"):
        cohort_of(text)


def test_data_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent"):
        cohort_of(f"cinc2019:{tmp_path / 'no.npz'}")
    with pytest.raises(ConfigError, match="no set-a"):
        cohort_of(f"cinc2012:{tmp_path}")


def test_the_command_writes_a_page_and_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_2019(tmp_path / "setA.npz")
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    for name, content in files_of(kit.build("linear")).items():
        (artifact / name).write_bytes(content)
    out = tmp_path / "report"
    given = ["evaluate", str(artifact), "--data", f"cinc2019:{data}", "--out", str(out)]
    assert run([*given, "--replicates", "20"]) == 0
    document = json.loads((out / "report.json").read_text())
    assert document["n_patients"] == 24
    assert document["n_events"] == 6
    assert document["audit"]["future_mutation"]["passed"]
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    assert "auroc" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["default"], 2, "give --data"),
        (["nobody", "--data", "cinc2019:x"], 3, "nobody: no such folder"),
    ],
)
def test_what_is_missing_is_said(
    given: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", *given, "--out", str(tmp_path / "out")]) == code
    assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.data
def test_set_a_has_its_stays_and_onsets(archive: Callable[[str], Path]) -> None:
    cohort = cohort_of(f"cinc2019:{archive('cinc2019_setA')}")
    assert len(cohort.patients) == 20_336
    assert len(cohort.event_patient) == 1_790
