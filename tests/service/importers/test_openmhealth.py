"""Open mHealth and IEEE 1752.1 data points as facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.errors import SourceError
from streams.records import Reason
from tests.service.importers.kit import read

NOON_US = 1_714_564_800_000_000
HOUR_US = 3_600_000_000


def point(name: str, body: dict[str, Any], **header: Any) -> dict[str, Any]:
    base = {
        "id": f"id-{name}",
        "creation_date_time": "2024-05-01T13:00:00Z",
        "schema_id": {"namespace": "omh", "name": name, "version": "2.0"},
        "user_id": "p1",
    }
    frame = {"effective_time_frame": {"date_time": "2024-05-01T12:00:00Z"}}
    kept = {k: v for k, v in {**base, **header}.items() if v is not None}
    return {"header": kept, "body": {**frame, **body}}


POINTS = [
    point("heart-rate", {"heart_rate": {"value": 61, "unit": "beats/min"}}),
    point(
        "blood-pressure",
        {
            "systolic_blood_pressure": {"value": 120, "unit": "mmHg"},
            "diastolic_blood_pressure": {"value": 70, "unit": "mmHg"},
        },
    ),
    point("body-temperature", {"body_temperature": {"value": 98.6, "unit": "F"}}),
    point("oxygen-saturation", {"oxygen_saturation": {"value": 97, "unit": "%"}}),
    point(
        "blood-glucose",
        {
            "blood_glucose": {"value": 5.5, "unit": "mmol/L"},
            "specimen_source": "interstitial fluid",
        },
    ),
    point(
        "step-count",
        {
            "step_count": 100,
            "effective_time_frame": {
                "time_interval": {
                    "start_date_time": "2024-05-01T11:00:00Z",
                    "duration": {"value": 1, "unit": "h"},
                }
            },
        },
    ),
    point(
        "sleep-duration",
        {
            "sleep_duration": {"value": 450, "unit": "min"},
            "effective_time_frame": {
                "time_interval": {
                    "start_date_time": "2024-05-01T04:00:00Z",
                    "end_date_time": "2024-05-01T12:00:00Z",
                }
            },
        },
    ),
]
EXPECTED = {
    "hr": 61.0,
    "sbp": 120.0,
    "dbp": 70.0,
    "temp": 37.0,
    "spo2": 97.0,
    "cgm_glucose": 99.0858,
    "steps": 100.0,
    "sleep_duration": 7.5,
}


@pytest.mark.parametrize("form", ["array", "lines", "one"])
def test_points_are_events_known_when_created(tmp_path: Path, form: str) -> None:
    file = tmp_path / "points.json"
    if form == "array":
        text = json.dumps(POINTS)
    elif form == "lines":
        text = "\n".join(map(json.dumps, POINTS))
    else:
        text = json.dumps(POINTS[0], indent=2)
    file.write_text(text, encoding="utf-8")
    events, errors, job = read(file)
    assert errors == []
    expected = EXPECTED if form != "one" else {"hr": 61.0}
    assert {e.code: e.value for e in events} == pytest.approx(expected)
    assert {e.event_time_us for e in events} == {NOON_US}
    assert {e.known_time_us for e in events} == {NOON_US + HOUR_US}
    assert job.rows == (1 if form == "one" else len(POINTS))


def lines(path: Path, *points: Any) -> Path:
    path.write_text("\n".join(json.dumps(one) for one in points), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (point("heart-rate", {"heart_rate": 61}, creation_date_time=None), Reason.NO_KNOWN_TIME),
        (point("heart-rate", {"heart_rate": 61}, user_id=None), Reason.BAD_FIELD),
        (point("heart-rate", {"heart_rate": 61}, id=None), Reason.BAD_FIELD),
        (
            point("heart-rate", {"effective_time_frame": {"date_time": "2024-05-01T12:00:00"}}),
            Reason.BAD_TIME,
        ),
        (point("heart-rate", {"heart_rate": {"unit": "beats/min"}}), Reason.UNDECODABLE),
        (point("heart-rate", {"heart_rate": {"value": "x"}}), Reason.UNDECODABLE),
        ({"header": {"schema_id": 3}, "body": 1}, Reason.UNDECODABLE),
        ({"header": None}, Reason.UNDECODABLE),
    ],
)
def test_a_broken_point_is_refused_and_the_rest_goes_in(
    tmp_path: Path, broken: dict[str, Any], reason: Reason
) -> None:
    events, (error,), _ = read(lines(tmp_path / "x", POINTS[0], broken, POINTS[3]))
    assert [e.code for e in events] == ["hr", "spo2"]
    assert (error.line, error.reason) == (2, reason)


def test_other_schemas_and_statistics_are_counted(tmp_path: Path) -> None:
    highest = point(
        "heart-rate",
        {"heart_rate": {"value": 61, "unit": "beats/min"}, "descriptive_statistic": "maximum"},
    )
    events, errors, job = read(lines(tmp_path / "x", POINTS[0], highest, point("mood", {})))
    assert (len(events), errors) == (1, [])
    assert job.skipped == {"heart-rate: maximum": 1, "schema mood": 1}


def test_half_a_document_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(POINTS)[:-20], encoding="utf-8")
    with pytest.raises(SourceError, match="not an array"):
        read(file)
