"""The report holds every patient and every reason, escapes all text, and is the same each time."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from alerts.alert import Phase, Priority
from service.outputs import DeadLetter
from service.replay import Replayed
from service.report import write_report
from tests.service.views_kit import START_US, alert, inputs, news2, replayed, row

HOSTILE = "<script>alert(1)</script>"
VOID = {"meta", "br", "rect", "path", "line"}


class Page(HTMLParser):
    """Checks that tags nest, and keeps the text and the tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture
def done() -> Replayed:
    minutes = range(60, 540, 10)
    return replayed(
        [row("calm", t, 70.0) for t in minutes]
        + [row("ill", t, None if 200 <= t < 300 else 120.0) for t in minutes],
        [news2("calm", t, 1, 4) for t in minutes] + [news2("ill", t, t // 60, 12) for t in minutes],
        [
            alert("ill", 300, "Medium: Deterioration. NEWS2 5", ("first reason",), Priority.MEDIUM),
            alert("ill", 420, why=("second reason",), phase=Phase.ESCALATED),
            alert("calm", 200, "Low: No data", ("lead off",), Priority.LOW),
        ],
        [DeadLetter("bad_rate", "", 0, 1, 0, ""), DeadLetter("bad_rate", "", 0, 2, 0, "")],
    )


def written(done: Replayed, out: Path, *faults: str) -> tuple[str, dict[str, object]]:
    write_report(done, inputs(*faults), out)
    return (out / "report.html").read_text("utf-8"), json.loads((out / "report.json").read_bytes())


def test_the_page_nests_and_every_inner_link_has_its_place(done: Replayed, tmp_path: Path) -> None:
    page = Page(written(done, tmp_path)[0])
    assert page.open == []
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_every_patient_and_every_reason_of_every_event_is_on_the_page(
    done: Replayed, tmp_path: Path
) -> None:
    text = Page(written(done, tmp_path)[0]).text
    for expected in ("calm", "ill", "first reason", "second reason", "lead off", "▲▲▲ High"):
        assert expected in text


def test_the_page_says_that_it_is_not_a_medical_device(done: Replayed, tmp_path: Path) -> None:
    assert "not a medical device" in Page(written(done, tmp_path)[0]).text


def test_the_page_loads_nothing_and_runs_nothing(done: Replayed, tmp_path: Path) -> None:
    html = written(done, tmp_path)[0]
    assert "script" not in Page(html).tags
    assert not re.search(r"https?://|url\(|@import", html)


def test_hostile_text_is_escaped_wherever_it_comes_from(tmp_path: Path) -> None:
    quoted = f'{HOSTILE}" onmouseover="x'
    done = replayed(
        [row(quoted, 60, 70.0)],
        [news2(quoted, 60, 1, 4)],
        [alert(quoted, 60, HOSTILE, (HOSTILE,))],
        [DeadLetter(HOSTILE, "", 0, 1, 0, "")],
    )
    html = written(done, tmp_path, HOSTILE)[0]
    page = Page(html)
    assert "script" not in page.tags
    assert "<script" not in html
    assert '" onmouseover' not in html
    assert HOSTILE in page.text


def test_the_same_replay_gives_the_same_bytes(done: Replayed, tmp_path: Path) -> None:
    write_report(done, inputs(), tmp_path / "a")
    write_report(done, inputs(), tmp_path / "b")
    for name in ("report.html", "report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_patients_stand_worst_first(done: Replayed, tmp_path: Path) -> None:
    patients = written(done, tmp_path)[1]["patients"]
    assert [patient["patient_id"] for patient in patients] == ["ill", "calm"]
    assert patients[0]["news2"]["lower"] == 8
    assert patients[0]["start_us"] == START_US


def test_alerts_stand_by_the_highest_priority_they_reached_equipment_last(
    done: Replayed, tmp_path: Path
) -> None:
    alerts = written(done, tmp_path)[1]["alerts"]
    assert [(a["patient_id"], a["priority"]) for a in alerts] == [("ill", "high"), ("calm", "low")]
    assert alerts[0]["offset_s"] == 300.0
    assert [step["why"] for step in alerts[0]["steps"]] == [["first reason"], ["second reason"]]


def test_features_say_how_often_and_why_they_are_missing(done: Replayed, tmp_path: Path) -> None:
    features = {f["name"]: f for f in written(done, tmp_path)[1]["features"]}
    rate = features["ecg_hr_bpm"]
    assert (rate["windows"], rate["with_value"], rate["missing"]) == (96, 86, {"gap": 10})
    assert (rate["q1"], rate["median"], rate["q3"]) == (70.0, 70.0, 120.0)


def test_burden_counts_raises_per_patient_hour(done: Replayed, tmp_path: Path) -> None:
    burden = written(done, tmp_path)[1]["burden"]
    hours = 2 * 530 / 3600
    assert burden["raised"] == {"physiological": 1, "technical": 1}
    assert burden["per_patient_hour"]["physiological"] == pytest.approx(1 / hours, rel=1e-3)


def test_refusals_are_listed_with_their_reasons(done: Replayed, tmp_path: Path) -> None:
    html, document = written(done, tmp_path, "x.edf: header: is cut short")
    assert document["dead_letters"] == {"bad_rate": 2}
    assert document["refused_inputs"] == ["x.edf: header: is cut short"]
    assert "x.edf: header: is cut short" in Page(html).text


def test_a_gap_is_drawn_as_a_gap(done: Replayed, tmp_path: Path) -> None:
    html = written(done, tmp_path)[0]
    lines = re.findall(r'class="plot hr".*?class="line" d="([^"]+)"', html, re.DOTALL)
    assert [line.count("M") for line in lines] == [2, 1]  # ill has a hole, calm has none


def test_a_replay_without_any_data_still_gives_a_report(tmp_path: Path) -> None:
    html, document = written(replayed([], [], []), tmp_path)
    assert Page(html).open == []
    assert document["patients"] == []
    assert document["burden"]["per_patient_hour"]["physiological"] is None


def test_a_patient_known_only_from_an_alert_is_in_the_report(tmp_path: Path) -> None:
    html, document = written(replayed([], [], [alert("p", 60)]), tmp_path)
    assert document["patients"][0]["patient_id"] == "p"
    assert "NEWS2 reached 7" in Page(html).text
