"""An evaluation scores as served, finds leaks that are planted, and writes what others read."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.artifact import Artifact, decode
from models.evaluation.events import EventSpec, alarms, watch
from models.evaluation.past import with_past
from models.open import open_blocks
from models.spec import ModelSpec
from models.weights import files_of
from service.backtest_labels import Labels
from service.backtest_scores import ScoreTable, from_arrow
from service.evaluate import (
    Wanted,
    evaluate,
    evaluate_scores,
    plain,
    some_of,
    write_document,
)
from service.evaluate_alarms import Speaking
from service.evaluate_data import Cohort, Inputs, held_over
from service.evaluate_measure import HEADLINES
from service.evaluate_page import page
from service.evaluate_robust import (
    future_audit,
    giveaways,
    late,
    only,
    scrambled_after,
    without,
    wrong_units,
)
from service.evaluate_score import score
from tests.models.contract import model_kit as kit

HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return decode(files_of(kit.build("linear")))


def made_up(spec: ModelSpec, patients: int = 60, seed: int = 1) -> Cohort:
    """Stays of 5 to 40 h; a fifth septic; inputs inside the declared ranges, half missing."""
    random = np.random.default_rng(seed)
    lengths = random.integers(5, 40, patients)
    rows = int(lengths.sum())
    septic = np.flatnonzero((np.arange(patients) % 5 == 0) & (lengths > 10))
    time_h = np.concatenate([np.arange(n, dtype=float) for n in lengths])
    patient = np.repeat(np.arange(patients), lengths)
    onset = lengths[septic].astype(float)
    label = np.zeros(rows, bool)
    for who, at in zip(septic, onset, strict=True):
        label |= (patient == who) & (time_h >= at - 6)
    inputs = {}
    for modality in spec.modalities:
        lo, hi = (np.array([getattr(f, k) for f in modality.features]) for k in ("lo", "hi"))
        value = lo + (hi - lo) * random.random((rows, len(lo)))
        value[random.random(value.shape) < 0.5] = np.nan
        names = tuple(f.name for f in modality.features)
        once = modality.kind == "static"
        inputs[modality.name] = Inputs(names, value.astype(np.float32), once)
    return Cohort(
        name="made up",
        citation="",
        patients=tuple(f"p{i}" for i in range(patients)),
        lengths=lengths,
        time_h=time_h,
        label=label,
        judged=np.ones(rows, bool),
        event_patient=septic,
        event_h=onset,
        inputs=inputs,
        groups={"sex": tuple("female" if i % 2 else "male" for i in range(patients))},
        rules={"a rule": np.round(random.random(rows), 1)},
        events=EventSpec(),
        utility=True,
    )


def test_scoring_equals_the_model_stepped_patient_by_patient(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec, 12)
    blocks = open_blocks(artifact)
    whole = score(cohort, artifact.spec, blocks)
    for patient in range(12):
        alone = score(only(cohort, np.array([patient])), artifact.spec, blocks)
        rows = cohort.patient == patient
        assert np.array_equal(whole.prob[rows], alone.prob)
        assert np.array_equal(whole.present[rows], alone.present)


def test_a_concept_that_nobody_measured_is_missing_not_an_error(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec, 5)
    said = score(cohort._replace(inputs={}), artifact.spec, open_blocks(artifact))
    assert np.isfinite(said.prob).all()
    assert not said.present.any()


def test_the_future_audit_passes_a_causal_model_and_catches_one_that_peeks(
    artifact: Artifact,
) -> None:
    cohort = made_up(artifact.spec)
    blocks = open_blocks(artifact)
    causal = future_audit(cohort, lambda c: score(c, artifact.spec, blocks).prob)
    assert causal["passed"]
    assert causal["changed_after"] > 0

    def peeking(other: Cohort) -> np.ndarray:
        first = np.nan_to_num(next(iter(other.inputs.values())).value[:, 0])
        return np.repeat(np.add.reduceat(first, other.starts), other.lengths)

    assert not future_audit(cohort, peeking)["passed"]


def test_scrambling_leaves_what_was_before_alone(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec, 8)
    hour = cohort.lengths // 2
    mixed = scrambled_after(cohort, hour)
    own = np.arange(len(cohort.time_h)) - np.repeat(cohort.starts, cohort.lengths)
    early = own <= np.repeat(hour, cohort.lengths)
    for name, inputs in cohort.inputs.items():
        after = mixed.inputs[name].value
        assert np.array_equal(inputs.value[early], after[early], equal_nan=True)
        assert not np.array_equal(inputs.value[~early], after[~early], equal_nan=True)


def test_length_and_an_input_that_is_the_label_are_named(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec)
    name = next(iter(cohort.inputs))
    inputs = cohort.inputs[name]
    value = inputs.value.copy()
    value[:, 0] = cohort.label
    leaky = cohort._replace(inputs={**cohort.inputs, name: inputs._replace(value=value)})
    assert inputs.names[0] in giveaways(leaky)["suspect"]
    assert giveaways(cohort)["suspect"] == []
    assert giveaways(cohort)["hour_auroc_per_row"] > 0.5


def test_late_values_move_within_their_patient_only(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec, 6)
    name = next(iter(cohort.inputs))
    moved = late(cohort, name, 2).inputs[name].value
    for start, length in zip(cohort.starts, cohort.lengths, strict=True):
        assert np.isnan(moved[start : start + 2]).all()
        before = cohort.inputs[name].value[start : start + length - 2]
        assert np.array_equal(moved[start + 2 : start + length], before, equal_nan=True)


def test_an_absent_modality_has_no_value_and_the_others_keep_theirs(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec, 6)
    gone = next(iter(cohort.inputs))
    after = without(cohort, (gone,))
    assert np.isnan(after.inputs[gone].value).all()
    assert all(after.inputs[n] is cohort.inputs[n] for n in cohort.inputs if n != gone)


def test_wrong_units_hit_temperature_and_glucose_of_some_patients() -> None:
    spec = kit.build("linear").spec
    cohort = made_up(spec, 200)
    names = ("temp", "hr")
    value = np.full((len(cohort.time_h), 2), 37.0, np.float32)
    after = wrong_units(cohort._replace(inputs={"v": Inputs(names, value, once=False)}))
    temp, hr = after.inputs["v"].value.T
    assert np.unique(np.round(temp, 1)).tolist() == pytest.approx([37.0, 98.6], abs=1e-4)
    assert (hr == 37).all()


def test_only_some_patients_keep_their_rows_events_and_groups(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec)
    chosen = np.array([0, 5, 7])
    some = only(cohort, chosen)
    assert some.patients == ("p0", "p5", "p7")
    assert len(some.time_h) == cohort.lengths[chosen].sum()
    wanted = [i for i, p in enumerate(chosen) if p in cohort.event_patient]
    assert some.event_patient.tolist() == wanted


def test_a_value_is_held_within_its_patient() -> None:
    value = np.array([1, np.nan, np.nan, np.nan, np.nan], np.float32)
    held = held_over(value, np.array([4, 1]), 2)
    assert held[:3].tolist() == [1, 1, 1]
    assert np.isnan(held[3:]).all()


@pytest.fixture(scope="module")
def document(artifact: Artifact) -> dict:
    return evaluate(artifact, made_up(artifact.spec, 120), Wanted(40))


def test_the_document_has_every_headline_with_its_interval(document: dict) -> None:
    keys = [*HEADLINES, "modality_absence", "n_patients", "n_events", "ci"]
    assert [key for key in keys if key not in document and key != "utility"] == []
    for name in ("auroc", "auprc", "brier", "sensitivity_at_0.2_per_day"):
        low, high = document["ci"][name]
        assert low <= document[name] <= high


def test_another_model_is_compared_on_the_same_draws(artifact: Artifact) -> None:
    twin = evaluate(artifact, made_up(artifact.spec), Wanted(10, False, beside=(artifact,)))
    assert twin["scores"][f"model less {artifact.ref}"]["auroc"] == (0.0, 0.0, 0.0)


def test_figures_that_a_data_set_does_not_define_are_there_and_null(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec)._replace(events=None, utility=False)
    found = plain(evaluate(artifact, cohort, Wanted(0, robustness=False)))
    assert found["modality_absence"] == []  # asked for or not, the key is there
    assert [name for name in HEADLINES if name not in found] == []
    assert found["sensitivity_at_0.2_per_day"] is None
    assert found["utility"] is None
    assert 'id="alarms"' not in page(found)


def test_nobody_ill_everybody_ill_and_stays_of_one_hour_give_a_page(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec, 30)
    nobody = (np.zeros(0, np.int64), np.zeros(0))
    healthy = cohort._replace(
        label=np.zeros_like(cohort.label), event_patient=nobody[0], event_h=nobody[1]
    )
    short = healthy._replace(
        lengths=np.ones(30, np.int64),
        time_h=np.zeros(30),
        label=cohort.label[cohort.starts],
        judged=np.ones(30, bool),
        inputs={n: i._replace(value=i.value[cohort.starts]) for n, i in cohort.inputs.items()},
        rules={n: score[cohort.starts] for n, score in cohort.rules.items()},
    )
    for odd in (healthy, short, cohort._replace(label=np.ones_like(cohort.label))):
        document = evaluate(artifact, odd, Wanted(20, robustness=False))
        assert "Vigil evaluation" in page(plain(document))
        assert "Vigil evaluation" in page(document)


def test_another_rule_of_alarms_is_the_one_that_is_counted_by_hand(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec, 120)
    rule = Speaking(silence_h=20, louder_h=6, louder_by=0.2, past=0.4, past_h=8)
    found = evaluate(artifact, cohort, Wanted(5, robustness=False, speaking=rule))["events"]
    prob = score(cohort, artifact.spec, open_blocks(artifact)).prob
    mixed = with_past(np.log(prob / (1 - prob)), cohort.lengths, 0.4, 8)
    spec = EventSpec(silence_h=20, louder_h=6, louder_by=0.2)
    watched = watch(cohort.patient, cohort.time_h, cohort.event_patient, cohort.event_h, spec)
    point = found["model"]["at_rates"][2]
    at = np.log(point["threshold"] / (1 - point["threshold"]))
    rung = alarms(mixed, watched, np.array([at - 1e-9]))
    assert point["alarms_per_day"][0] == pytest.approx(rung.alarms.sum() / rung.days.sum())
    assert point["sensitivity"][0] == pytest.approx(rung.caught.sum() / rung.events.sum())
    assert (found["rule"]["silence_h"], found["rule"]["louder_by"]) == (20, 0.2)
    usual = evaluate(artifact, cohort, Wanted(5, robustness=False))["events"]
    assert usual["model"]["at_rates"][2] != point


def test_points_of_a_rule_are_not_read_as_log_odds() -> None:
    score = np.array([3.0, 1.0, 5.0])
    watched = watch(
        np.zeros(3, np.int64), np.arange(3.0), np.zeros(0, np.int64), np.zeros(0), EventSpec()
    )
    heard = Speaking(louder_by=1.0, past=0.5).heard(score, watched, np.array([3]))
    np.testing.assert_allclose(heard.score, [3.0, 1.5, 4.0])
    assert np.isinf(heard.watched.spec.louder_by)
    assert heard.shown(4.0) == 4.0


def test_a_page_says_which_rule_its_alarms_follow(artifact: Artifact) -> None:
    rule = Speaking(silence_h=24, louder_by=1, past=0.3)
    cohort = made_up(artifact.spec)
    document = evaluate(artifact, cohort, Wanted(5, robustness=False, speaking=rule))
    words = page(document)
    assert "24 h of silence; 30" in words
    assert "1.0 log-odds above the threshold rings all the same" in words
    assert "log-odds" not in page(evaluate(artifact, cohort, Wanted(5, robustness=False)))


def test_every_modality_is_taken_away(document: dict, artifact: Artifact) -> None:
    absent = [tuple(row["absent"]) for row in document["modality_absence"]]
    assert absent[0] == ()
    for modality in artifact.spec.modalities:
        assert (modality.name,) in absent


def test_a_sample_of_patients_is_the_same_every_time(artifact: Artifact) -> None:
    cohort = made_up(artifact.spec)
    assert some_of(cohort, 100).tolist() == list(range(60))
    assert len(set(some_of(cohort, 20).tolist())) == 20
    assert some_of(cohort, 20).tolist() == some_of(cohort, 20).tolist()


def test_json_holds_no_number_that_is_none(document: dict, tmp_path: Path) -> None:
    write_document(document, tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["n_patients"] == 120


def test_the_page_shows_figures_and_escapes_names(document: dict) -> None:
    run = {**document["run"], "data": "<script>alert(1)</script>"}
    text = page(plain({**document, "run": run}))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    for heading in ("Point in time", "Alarms over time", "Calibration", "Subgroups", "TRIPOD+AI"):
        assert heading in text
    assert "http" not in text.split("</style>")[1]


def test_a_page_warns_of_a_model_that_sees_the_future(document: dict) -> None:
    audit = {**document["audit"], "future_mutation": {**document["audit"]["future_mutation"]}}
    audit["future_mutation"]["passed"] = False
    assert "the model sees the future" in page(plain({**document, "audit": audit}))


def test_a_page_warns_where_the_artifact_was_trained_on_this_data_set(artifact: Artifact) -> None:
    training = msgspec.structs.replace(artifact.spec.training, data="Set X, doi:10.1/x")
    spec = msgspec.structs.replace(artifact.spec, training=training)
    trained = artifact._replace(spec=spec)
    wanted = Wanted(0, robustness=False)
    cohort = made_up(artifact.spec)._replace(citation="Set Y of the same, doi:10.1/x")
    found = evaluate(trained, cohort, wanted)
    assert "Trained on Set X" in page(plain(found))
    other = evaluate(trained, cohort._replace(citation="Other, doi:10.1/z"), wanted)
    assert "Trained on Set X" not in page(plain(other))


def stored(hours: int = 30) -> ScoreTable:
    import pyarrow as pa

    time = np.tile(np.arange(hours), 40)
    patient = np.repeat(np.arange(40), hours)
    value = np.where((patient % 4 == 0) & (time > 20), 0.9, 0.1)
    columns = {
        "patient_id": pa.array([f"p{p}" for p in patient]),
        "end_us": time * HOUR_US,
        "value": value,
    }
    return from_arrow(pa.table(columns))


def test_stored_scores_are_judged_by_labels() -> None:
    labels = Labels({f"p{p}": ((25 * HOUR_US,) if p % 4 == 0 else ()) for p in range(40)})
    document = evaluate_scores(stored(), labels, EventSpec(horizon_h=4), Wanted(20))
    assert document["n_events"] == 10
    assert document["auroc"] == pytest.approx(1.0)
    assert document["sensitivity_at_0.5_per_day"] == 1
    assert document["n_rows"] == 30 * 40 - 10 * 5
    assert "Alarms over time" in page(plain(document))
