"""Backtests: the live policy gives the replay's bytes; figures on cases counted by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alerts.policy import default_policy_text, parse_policy
from service.backtest import (
    Candidate,
    History,
    backtest,
    digest,
    events,
    outcome,
    stored_history,
)
from service.backtest_exact import Until
from service.backtest_fit import misfits
from service.backtest_labels import Labels, labels_of, read_labels, write_raises
from service.backtest_measure import judge, measure
from service.backtest_page import page
from service.backtest_policy import parsed, shifted, thresholds
from service.backtest_run import OPEN_END, Episode, Outcome, Stay
from service.backtest_scores import from_arrow, read_scores, score_files
from service.backtest_tap import tapped
from service.build import load_policy
from service.config import Config
from service.replay import Inputs, load, replay_embedded
from service.results import score_table, write
from streams.errors import SourceError
from tests.fixtures_services import Vigil
from tests.service import live_kit
from tests.service.test_backtest_light import Ward, policy

ROOT = Path(__file__).resolve().parents[2]
H = 3_600_000_000
DAY = 24 * H


def ward(folder: Path) -> Inputs:
    """Three patients from CSV; one deteriorates, one falls silent and comes back."""
    paths = [live_kit.recording(folder, f"p{n}", seconds) for n, seconds in ((1, 900), (2, 600))]
    gap = folder / "gap.csv"
    lines = paths[0].read_text("utf-8").replace('"p1"', '"p3"').splitlines()
    gap.write_text("\n".join([lines[0], *lines[1:200], *lines[500:]]) + "\n", "utf-8")
    rows = live_kit.recorded_events(folder, "p1")
    return load([*paths, gap], rows)


def test_the_live_policy_on_a_recording_gives_the_replay_s_bytes(tmp_path: Path) -> None:
    inputs, config = ward(tmp_path), Config()
    live = replay_embedded(inputs, config)
    assert {str(event.kind) for event in live.results.alerts} == {"physiological", "technical"}
    calls = tapped(inputs, config)
    stays = tuple(Stay(name, 0, 1) for name in sorted(calls))
    of = load_policy("")
    history = History(stays, None, Until(None), calls, of.digest)
    found = events(history, of)
    assert found == live.results.alerts
    assert digest(found) == live.results.digests["alerts_sha256"]


def test_the_live_policy_on_stored_scores_gives_the_replay_s_bytes(tmp_path: Path) -> None:
    paths = [live_kit.recording(tmp_path, f"p{n}", 900) for n in (1, 2)]
    inputs = load(paths, live_kit.recorded_events(tmp_path, "p1"))
    live = replay_embedded(inputs, Config())
    assert len(live.results.alerts) > 4
    assert {str(event.kind) for event in live.results.alerts} == {"physiological"}
    write(live.results, tmp_path / "out", live.run)
    (file,) = score_files(tmp_path / "out")
    table = read_scores([file])
    last_us = max(event.recorded_us for event in live.results.alerts)
    until = Until(max(last_us, int(table.known_us.max())), 600_000_000)
    found = events(stored_history(table, until), load_policy(""))
    assert digest(found) == live.results.digests["alerts_sha256"]


def test_stored_scores_come_back_as_the_engine_made_them(tmp_path: Path) -> None:
    inputs = load([live_kit.recording(tmp_path, "p1", 300)], None)
    scores = replay_embedded(inputs, Config()).results.scores
    table = from_arrow(score_table(scores))
    assert [table.score(row) for row in range(table.size)] == scores


def test_what_only_some_scorers_say_comes_back_too(tmp_path: Path) -> None:
    inputs = load([live_kit.recording(tmp_path, "p1", 300)], None)
    score = replay_embedded(inputs, Config()).results.scores[0]
    said = {"cold": False, "outcomes": ("event",), "abstains": False, "disagreement": 0.25}
    said |= {"contradicts": True, "backfill": True}
    scores = [msgspec.structs.replace(score, **said), msgspec.structs.replace(score, outcomes=())]
    optional = {f.name for f in msgspec.structs.fields(score) if f.default is msgspec.UNSET}
    assert optional == set(said), "a new field of scores needs a column"
    table = from_arrow(score_table(scores))
    assert [table.score(row) for row in range(table.size)] == scores


def test_a_policy_recorded_with_other_ticks_is_played_right_too(tmp_path: Path) -> None:
    """The engine ran under a policy that never has anything open; ticks must be there."""
    inputs = ward(tmp_path)
    quiet = tmp_path / "quiet.toml"
    text = default_policy_text().replace("hi = 5, lo = 4", "hi = 19, lo = 18")
    text = text.replace("hi = 7, lo = 5", "hi = 20, lo = 19").replace("severe = 9", "severe = 20")
    quiet.write_text(text.replace("hi = 3, lo = 2", "hi = 30, lo = 29"), "utf-8")
    calls = tapped(inputs, Config(policy=str(quiet)))
    stays = tuple(Stay(name, 0, 1) for name in sorted(calls))
    found = events(History(stays, None, Until(None), calls, ""), load_policy(""))
    assert found == replay_embedded(inputs, Config()).results.alerts


def case(*spans: tuple[int, float, float], days: float = 10.0, patients: int = 2) -> Outcome:
    """Episodes as (patient, from hour, to hour); a negative end is open."""
    stays = tuple(Stay(f"p{p}", 0, round(days * DAY)) for p in range(patients))
    found = [
        Episode(p, "c", False, 2, round(a * H), OPEN_END if b < 0 else round(b * H), True, True)
        for p, a, b in spans
    ]
    return Outcome(stays, tuple(found), True)


def test_a_case_counted_by_hand() -> None:
    #   p0: raise 10 h, event 15 h; raise 20 h (after it, neither); raise 100 h: false
    #   p1: event 50 h, alert on since 1 h but no new raise: covered, not caught; raise 1 h: false
    found = case((0, 10, 12), (0, 20, 21), (0, 100, -1), (1, 1, 60))
    labels = Labels({"p0": (15 * H,), "p1": (50 * H,)})
    f = measure(found, labels.of, 12 * H, resamples=0)
    assert (f.patients, f.patient_days, f.events, f.raises) == (2, 20.0, 2, 4)
    assert f.alerts_per_day.value == 4 / 20
    assert f.false_per_day.value == 2 / 20
    assert f.sensitivity.value == 0.5
    assert f.covered.value == 1.0
    assert f.ppv.value == pytest.approx(1 / 3)
    assert f.lead_h.value == 5.0
    assert f.time_in_alert.value == pytest.approx((2 + 1 + 140 + 59) / 480)
    judged = judge(found, labels.of, 12 * H)
    assert judged.true == [True, None, False, False]


def test_two_alerts_at_once_are_one_time_in_alert_and_unringing_raises_call_nobody() -> None:
    found = case((0, 0, 24), (0, 12, 36), patients=1)
    f = measure(found, lambda patient: (), H, resamples=0)
    assert f.time_in_alert.value == pytest.approx(36 / 240)
    quiet = found._replace(episodes=tuple(e._replace(rings=False) for e in found.episodes))
    assert measure(quiet, lambda patient: (), H, resamples=0).raises == 0


def test_an_event_nobody_watched_is_left_out() -> None:
    labels = Labels({"p0": (-5 * H, 5 * H, 1000 * H)})
    assert measure(case(), labels.of, 12 * H, resamples=0).events == 1


def test_without_events_there_is_no_sensitivity_and_no_crash() -> None:
    f = measure(case(), lambda patient: (), H, resamples=50)
    assert math.isnan(f.sensitivity.value)
    assert math.isnan(f.ppv.value)
    assert f.alerts_per_day.value == 0


def test_the_top_tenth_is_that_of_patients() -> None:
    spans = [(0, h, h + 0.1) for h in range(11)] + [(p, 1, 2) for p in range(1, 10)]
    f = measure(case(*spans, patients=10), lambda patient: (), H, resamples=0)
    assert f.top_share.value == pytest.approx(11 / 20)


def test_an_interval_holds_its_figure_and_the_same_seed_gives_the_same_one() -> None:
    rng = np.random.default_rng(3)
    spans = [(p, float(h), float(h) + 1) for p in range(60) for h in rng.integers(0, 200, p % 5)]
    one, two = (measure(case(*spans, patients=60), lambda p: (), H) for _ in range(2))
    assert one == two or math.isnan(one.ppv.value)
    assert one.alerts_per_day.low < one.alerts_per_day.value < one.alerts_per_day.high


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_labels_are_read_in_meds_form(tmp_path: Path, kind: str) -> None:
    table = pa.table(
        {
            "subject_id": pa.array([7, 7, 8], pa.int64()),
            "prediction_time": pa.array([1_000_000, 3_000_000, 5], pa.timestamp("us")),
            "boolean_value": [True, False, False],
        }
    )
    path = tmp_path / f"labels.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        import pyarrow.csv

        pyarrow.csv.write_csv(table, path)
    found = read_labels(path)
    assert found.events_us == {"7": (1_000_000,), "8": ()}
    assert found.of("nobody") == ()


def test_labels_that_are_none_say_so(tmp_path: Path) -> None:
    labels = {"subject_id": ["a"], "prediction_time": [1]}
    pq.write_table(pa.table(labels), tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="column boolean_value is absent"):
        read_labels(tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="cannot be read"):
        read_labels(tmp_path / "absent.parquet")
    bad = {"subject_id": ["a"], "prediction_time": [None], "boolean_value": [True]}
    with pytest.raises(SourceError, match="row 1"):
        labels_of(pa.table({**bad, "prediction_time": pa.array([None], pa.int64())}))


def test_raises_are_written_in_the_form_of_labels(tmp_path: Path) -> None:
    found = case((0, 10, 12), (1, 1, 2))
    judged = judge(found, Labels({"p0": (15 * H,)}).of, 12 * H)
    write_raises(found, judged, tmp_path / "raises.parquet")
    rows = pq.read_table(tmp_path / "raises.parquet").to_pylist()
    assert [(row["subject_id"], row["boolean_value"], row["lead_s"]) for row in rows] == [
        ("p0", True, 5 * 3600.0),
        ("p1", False, None),
    ]
    assert read_labels(tmp_path / "raises.parquet").of("p0") == (10 * H,)


def test_a_moved_threshold_moves_every_level_and_the_bypass() -> None:
    moved = parsed(shifted(default_policy_text(), "deterioration", 4.0)).conditions
    assert list(moved) == ["deterioration"]
    spec = moved["deterioration"]
    assert [(level.hi, level.lo) for level in spec.levels] == [(4.0, 3.0), (6.0, 4.0)]
    assert spec.severe == 8.0
    same = parsed(shifted(default_policy_text(), "deterioration", 5.0)).conditions
    assert same["deterioration"] == parse_policy(default_policy_text()).conditions["deterioration"]


def test_many_values_are_looked_at_in_quantiles_and_the_policy_s_own_is_among_them() -> None:
    values = np.random.default_rng(1).uniform(0, 1, 10_000)
    found = thresholds(values, 0.123)
    assert 10 < len(found) < 20
    assert 0.123 in found


def candidate(name: str, **knobs: Any) -> Candidate:
    from tests.service.test_backtest_light import HEAD

    of = policy(**knobs)
    lines = "".join(f"{key} = {value}\n" for key, value in {"for_s": 60, **knobs}.items())
    return Candidate(name, HEAD + lines, of)


def test_two_policies_side_by_side_with_frontiers_and_a_safe_page() -> None:
    table = Ward(5, patients=12, scores=60).table()
    history = stored_history(table, Until(None))
    labels = Labels({f"p{p}": (int(table.end_us.max()) - p * H // 30,) for p in range(12)})
    pair = [candidate("<img onerror=1>"), candidate("b", for_s=120)]
    report = backtest(history, pair, labels, H)
    assert [each.why_exact for each in report.tested] == ["", ""]
    assert all(len(each.frontier) > 5 for each in report.tested)
    assert report.agreement is not None
    assert sum(report.agreement.values()) == report.tested[0].figures.events
    text = page(report)
    assert "<img" not in text
    assert "&lt;img" in text
    assert "<script" not in text
    exact = backtest(history, pair, labels, H, exact=True)
    assert [e.figures for e in exact.tested] == [e.figures for e in report.tested]
    assert not backtest(history, pair[:1], None, H).labelled
    assert "burden only" in page(backtest(history, pair[:1], None, H))


def test_an_unlabelled_score_without_its_window_is_enough(tmp_path: Path) -> None:
    rows = {"patient_id": ["a"] * 3, "end_us": [DAY, DAY + H, DAY + 2 * H], "value": [1.0, 9, 9]}
    path = tmp_path / "s.parquet"
    pq.write_table(pa.table(rows), path)
    assert score_files(path) == [path]
    table = read_scores([path])
    assert table.score(1).value == 9.0
    assert table.score(1).scorer == "score"
    text = default_policy_text().replace("news2.lower", "score.value")
    of = parse_policy(text.replace("max_gap_s = 120", "max_gap_s = 7200"))
    found, why = outcome(stored_history(table, Until(None)), of)
    assert (len(found.episodes), why) == (1, "")


def test_scores_too_far_apart_for_a_policy_are_told(vigil: Vigil, tmp_path: Path) -> None:
    rows = {"patient_id": ["a"] * 9, "end_us": [DAY + n * H for n in range(9)], "value": [9.0] * 9}
    path = tmp_path / "s.parquet"
    pq.write_table(pa.table({**rows, "scorer": ["news2"] * 9, "lower": [9.0] * 9}), path)
    told = vigil.run("policy", "backtest", str(path))
    assert told.returncode == 0
    assert "deterioration: scores of news2 are 60 min apart and max_gap_s is 120 s" in told.stderr
    assert "single_parameter: no scores of limits here" in told.stderr
    written = (vigil.folder / "vigil-backtest" / "backtest.html").read_text("utf-8")
    assert "scores of news2 are 60 min apart" in written
    hourly = parsed((ROOT / "benchmarks" / "hourly_news2.toml").read_text("utf-8"))
    assert misfits(read_scores([path]), hourly) == ()


def test_a_file_that_holds_no_scores_is_no_source_of_them(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    assert score_files(tmp_path / "x.parquet") == []
    assert score_files(tmp_path) == []
    with pytest.raises(SourceError, match="column end_us, patient_id, value is absent"):
        read_scores([tmp_path / "x.parquet"])


@pytest.mark.slow
def test_the_command_compares_policies_on_a_replay_and_on_its_recordings(
    vigil: Vigil, tmp_path: Path
) -> None:
    source = live_kit.recording(tmp_path, "p1", 900)
    rows = live_kit.recorded_events(tmp_path, "p1")
    assert vigil.run("replay", str(source), "--events", str(rows), "--out", "out").returncode == 0
    naive = vigil.folder / "naive.toml"
    naive.write_text(default_policy_text().replace("for_s = 120", "for_s = 0"), "utf-8")
    own = vigil.folder / "own.toml"
    own.write_text(default_policy_text(), "utf-8")
    policies = ("--policy", str(naive), "--policy", str(own))
    labels = vigil.folder / "labels.csv"
    labels.write_text(
        "subject_id,prediction_time,boolean_value\np1,2020-01-01T00:12:00Z,true\n", "utf-8"
    )
    stored = vigil.json("policy", "backtest", "out", *policies, "--labels", str(labels))
    assert [each["name"] for each in stored["policies"]] == ["naive", "own"]
    folder = vigil.folder / "vigil-backtest"
    assert {path.name for path in folder.iterdir()} == {
        "backtest.html",
        "backtest.json",
        "raises-naive.parquet",
        "raises-own.parquet",
    }
    assert json.loads((folder / "backtest.json").read_text("utf-8"))["labelled"]
    recorded = vigil.json(
        *("policy", "backtest", str(source), "--events", str(rows), *policies),
        *("--labels", str(labels), "--out", "two"),
    )
    for one, two in zip(stored["policies"], recorded["policies"], strict=True):
        assert one["figures"]["raises"] == two["figures"]["raises"] > 0
        assert one["figures"]["sensitivity"][0] == two["figures"]["sensitivity"][0] == 1.0
    assert vigil.run("policy", "backtest", "out", str(source)).returncode == 2
    assert "PPV" in vigil.run("policy", "backtest", "out", "--labels", str(labels)).stdout


@pytest.mark.data
@pytest.mark.slow
def test_the_fast_way_is_the_machine_on_real_stays(vigil_data: Path, archive: Any) -> None:
    """Sixty ICU stays of CinC 2019, hourly NEWS2."""
    from benchmarks.bench_backtest import HERE, Stays, scores

    data = Stays(archive("cinc2019_setA") / "cinc2019_sepsis")
    table = scores(data)
    part = table.of_patients(set(table.patients[:60]))
    assert part.score(500) == table.score(500)
    history = stored_history(part, Until(None))
    of = parsed((HERE / "hourly_news2.toml").read_text("utf-8"))
    fast, why = outcome(history, of)
    slow, _ = outcome(history, of, exact=True)
    assert why == ""
    assert len(fast.episodes) > 20

    def key(episode: Episode) -> tuple[int, int, str]:
        return episode.patient, episode.at_us, episode.code

    assert sorted(fast.episodes, key=key) == sorted(slow.episodes, key=key)
