"""Every data set as one task: labels, inputs in their units, times as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.evaluation.events import EventSpec
from models.training.flat import FlatHistories
from models.training.ragged import carried
from service import train_network as train_network_module
from service.artifacts import read_artifact
from service.evaluate_data import Cohort, Inputs
from service.evaluate_readers import READERS
from service.train_network import NetworkJob, part, task_of, train_network
from service.training.operating import balanced_threshold
from service.training.tasks import ASKED, TASKS, Asked, of_cohort
from streams.errors import ConfigError

QUICK = "[model]\nhidden = 8\n[training]\nepochs = 1\nbatch = 64\n"


def cohort(utility: bool = False) -> Cohort:
    lengths = np.array([12, 8] * 20)
    count = int(lengths.sum())
    random = np.random.default_rng(0)
    label = random.random(count) < 0.3
    vitals = random.normal(80, 9, (count, 2)).astype(np.float32)
    return Cohort(
        name="made up",
        citation="nobody",
        patients=tuple(f"p{i}" for i in range(40)),
        lengths=lengths,
        time_h=np.concatenate([np.arange(n) / 60 for n in lengths]),
        label=label,
        judged=random.random(count) < 0.8,
        event_patient=np.zeros(0, np.int64),
        event_h=np.zeros(0),
        inputs={"vitals": Inputs(("hr", "e4_eda"), vitals, once=False)},
        groups={},
        rules={},
        events=EventSpec(),
        utility=utility,
    )


MADE_UP = Asked("something", 60.0, 60.0, "none", {"vitals": 3600.0})


def test_what_is_not_judged_trains_nothing() -> None:
    for utility in (False, True):
        own = cohort(utility)
        task = of_cohort(own, MADE_UP)
        assert (task.weight[~own.judged] == 0).all()
        assert (task.weight[own.judged] > 0).all()
        assert (task.worth is not None) == utility


def test_inputs_have_their_concepts_unit_and_range_and_others_are_bare_numbers() -> None:
    (vitals,) = of_cohort(cohort(), MADE_UP).modalities
    heart, skin = vitals.features
    assert (heart.unit, heart.lo) == ("/min", 0.0)
    assert (skin.unit, skin.hi) == ("1", 1e6)


def test_times_and_ages_are_those_of_the_rows() -> None:
    value = {"a": np.array([[1.0], [np.nan], [2.0], [3.0], [np.nan]], np.float32)}
    flat = carried(value, np.array([3, 2]), np.array([0.0, 10.0, 300.0, 0.0, 60.0]))
    assert flat.age_s["a"].ravel().tolist() == [0.0, 10.0, 0.0, 0.0, 60.0]
    one = np.ones((5, 1), np.float32)
    seq, _ = FlatHistories(flat, one, one, np.arange(2)).batch(np.arange(2))
    since = seq.time_us - seq.time_us[:, :1]
    assert since.tolist() == [[0, 10_000_000, 300_000_000], [0, 60_000_000, 60_000_000]]


def test_rows_without_times_are_hours() -> None:
    value = {"a": np.ones((3, 1), np.float32)}
    one = np.ones((3, 1), np.float32)
    seq, _ = FlatHistories(carried(value, np.array([3])), one, one, np.arange(1)).batch(
        np.arange(1)
    )
    assert np.diff(seq.time_us.numpy()).tolist() == [[3_600_000_000] * 2]


def test_a_long_history_trains_in_pieces_that_know_what_was_measured_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train_network_module, "LONGEST", 5)
    task = of_cohort(cohort(), MADE_UP)
    parted = part(task, 0)
    assert parted.flat.hourly.lengths[:5].tolist() == [5, 5, 2, 5, 3]
    assert parted.owner[:5].tolist() == [0, 0, 0, 1, 1]
    assert parted.flat.lengths().sum() == task.lengths.sum()
    for fold in range(10):
        rows = np.concatenate(
            [np.flatnonzero(task.row_patient == p) for p in range(40) if parted.fold[p] == fold]
        )
        assert parted.hours(fold).tolist() == rows.tolist()
        assert parted.of(fold).lengths().sum() == len(rows)
    seq, _ = parted.of(int(parted.fold[0])).batch(np.array([1]))
    whole = carried(task.value, task.lengths, task.time_s)
    assert np.array_equal(seq.value["vitals"][0], whole.value["vitals"][5:10])
    assert np.array_equal(seq.age_s["vitals"][0], whole.age_s["vitals"][5:10])


def test_a_balanced_threshold_is_as_sensitive_as_precise() -> None:
    random = np.random.default_rng(1)
    label = random.random(500) < 0.2
    score = np.round(random.random(500) + 0.5 * label, 3)
    at = balanced_threshold(score, label)

    def least(threshold: float) -> float:
        hits = (label & (score >= threshold)).sum()
        return float(min(hits / label.sum(), hits / max((score >= threshold).sum(), 1)))

    assert least(at) == max(map(least, np.unique(score)))
    assert balanced_threshold(score, np.zeros(500, bool)) == 1.0
    assert balanced_threshold(score[:0], label[:0]) == 1.0


def test_every_cohort_can_be_trained_on() -> None:
    assert set(TASKS) == set(READERS)
    assert set(ASKED) == set(READERS) - {"cinc2019"}


def test_an_unknown_set_and_too_few_patients_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = NetworkJob(tmp_path, tmp_path, "linear", dataset="cinc2020")
    with pytest.raises(ConfigError, match="no data set 'cinc2020'; valid: cinc2019, "):
        task_of(job)
    task = of_cohort(cohort(), MADE_UP)
    monkeypatch.setitem(TASKS, "few", lambda path: task._replace(ids=task.ids[:9]))
    with pytest.raises(ConfigError, match="9 patients; 10 folds"):
        task_of(job._replace(dataset="few"))


def test_a_network_learns_from_a_cohort_and_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = of_cohort(cohort(), MADE_UP)
    monkeypatch.setitem(TASKS, "made_up", lambda path: task)
    (tmp_path / "s.toml").write_text(QUICK, encoding="utf-8")
    out = tmp_path / "out"
    train_network(
        NetworkJob(tmp_path, out, "fusion.early", tmp_path / "s.toml", 0, "cpu", "made_up")
    )
    spec = read_artifact(out).spec
    assert spec.task == "something"
    assert spec.cadence_s == 60.0
    assert spec.calibration.kind == "platt"
    assert spec.operating[0].name == "balanced"
    assert spec.training.command == "vigil train made_up --model fusion.early"
    assert {"auroc", "auprc", "sensitivity", "ppv"} == set(spec.training.metrics)


@pytest.mark.data
def test_a_network_learns_from_real_stays(archive: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(QUICK, encoding="utf-8")
    out = tmp_path / "out"
    place = archive("yaib_eicu_demo")
    job = NetworkJob(place, out, "fusion.early", tmp_path / "s.toml", dataset="yaib_eicu")
    train_network(job)
    assert read_artifact(out).spec.training.metrics["auroc"][0] > 0.6


@pytest.mark.data
def test_readings_of_glucose_keep_their_times(archive: Callable[[str], Path]) -> None:
    task = TASKS["t1d_uom"](archive("t1d_uom"))
    assert task.time_s is not None
    inside = np.diff(task.time_s)[: task.lengths[0] - 1]
    assert inside.min() == pytest.approx(300.0, abs=1.0), "decisions are no hour apart"
    parted = part(task, 0)
    assert len(np.unique(parted.owner[parted.of(0, 1).rows])) == 3  # 11 people in 10 folds
