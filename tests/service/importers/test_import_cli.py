"""`vigil events import`, `quarantine` and `export` as a person has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.__main__ import run
from service.cli.common import EXIT_DATA, EXIT_REFUSED, EXIT_USAGE

pytestmark = pytest.mark.database

NOW = "2024-05-01T08:00:00Z"


@pytest.fixture(autouse=True)
def configured(database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_DATABASE", database_dsn)
    monkeypatch.chdir(tmp_path)


def observations(path: Path, *codes: str) -> Path:
    lines = [
        json.dumps(
            {
                "resourceType": "Observation",
                "id": f"o{number}",
                "status": "final",
                "code": {"coding": [{"system": "http://lab.example", "code": code}]},
                "subject": {"reference": "Patient/p1"},
                "effectiveDateTime": NOW,
                "issued": NOW,
                "valueQuantity": {"value": 4.1, "unit": "mmol/L"},
            }
        )
        for number, code in enumerate(codes)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def said(capsys: pytest.CaptureFixture[str]) -> object:
    return json.loads(capsys.readouterr().out)


def test_an_unknown_code_waits_is_mapped_and_released(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = observations(tmp_path / "x.ndjson", "KAL", "KAL", "XYZ")
    assert run(["events", "import", str(file), "--json"]) == EXIT_REFUSED
    report = said(capsys)
    assert isinstance(report, dict)
    assert (report["inserted"], report["waiting"]) == (0, 3)
    assert run(["events", "quarantine", "list", "--json"]) == 0
    groups = said(capsys)
    assert isinstance(groups, list)
    assert {(g["coding"], g["rows"]) for g in groups} == {
        ("http://lab.example|KAL", 2),
        ("http://lab.example|XYZ", 1),
    }
    mapped = ["events", "quarantine", "map", "http://lab.example|KAL", "--concept", "potassium"]
    assert run([*mapped, "--who", "ward clerk"]) == 0
    assert run(["events", "quarantine", "release", "--who", "ward clerk"]) == EXIT_REFUSED
    told = capsys.readouterr().out
    assert "2 of 3 facts released, 2 new events, 1 wait on" in told
    assert run(["events", "import", str(file), "--json"]) == EXIT_REFUSED
    again = said(capsys)
    assert isinstance(again, dict)
    assert (again["present"], again["waiting"]) == (2, 0)
    assert run(["events", "quarantine", "list", "--rows", "--json"]) == 0
    rows = said(capsys)
    assert isinstance(rows, list)
    assert [row["coding"] for row in rows] == ["http://lab.example|XYZ"]


def test_stored_events_go_out_as_meds_and_come_back_as_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.csv"
    file.write_text(
        "patient_id,event_time,known_time,code,value,unit,text,source\n"
        f"p1,{NOW},{NOW},lactate,2.1,mmol/L,,lab\np2,{NOW},{NOW},note,,,pale,nurse\n",
        encoding="utf-8",
    )
    assert run(["events", "import", str(file)]) == 0
    assert run(["events", "export", str(tmp_path / "out.parquet")]) == 0
    capsys.readouterr()
    assert run(["events", "import", str(tmp_path / "out.parquet"), "--json"]) == 0
    report = said(capsys)
    assert isinstance(report, dict)
    assert (report["facts"], report["inserted"], report["present"]) == (2, 0, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["absent.csv"], EXIT_DATA, "no such file"),
        (["{file}", "--format", "dicom"], EXIT_USAGE, "no such format"),
        (["{file}", "--zone", "Atlantis"], EXIT_USAGE, "no time zone"),
        (["{file}", "{file}", "--checkpoint", "at"], EXIT_USAGE, "one at a time"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    file = observations(tmp_path / "x.ndjson", "KAL")
    given = [one.format(file=file) for one in arguments]
    assert run(["events", "import", *given]) == code
    assert words in capsys.readouterr().err


def test_a_mapping_that_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["events", "quarantine", "map", "lab|KAL", "--concept", "k", "--unit", "mg/dL"]
    assert run(wrong) == EXIT_USAGE
    assert "does not convert" in capsys.readouterr().err
