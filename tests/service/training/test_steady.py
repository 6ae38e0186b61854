"""What time alone says is taken from every forest, in training as in the network that is served."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.artifact import decode
from models.training.ragged import carried, padded
from models.weights import network
from service.training import artifact, boost, chart, steady
from service.training import cinc2019 as recipe
from service.training.committee import Raw, calibrate, logits, mixed
from tests.service.training.made_up import stays

SMALL = boost.Recipe(rounds=6, min_data_in_leaf=10, keep=1.0)


def _raw(hours: np.ndarray, ill: np.ndarray) -> Raw:
    """Scores that rise with the time, and by 2 for who is ill."""
    random = np.random.default_rng(0)
    logit = 0.1 * np.minimum(hours, 60) + 2.0 * ill + random.normal(0, 0.1, len(hours))
    there = np.ones(len(hours), bool)
    return Raw(logit, {"vitals": 3 * logit, "labs": logit}, {"vitals": there, "labs": there})


def test_time_alone_says_nothing_more_and_who_is_more_ill_is_still_said() -> None:
    hours = steady.hours_followed(np.full(400, 100))
    ill = np.repeat(np.arange(400) % 10 == 0, 100)
    raw = _raw(hours, ill)
    lines = steady.clocks(ill, raw, hours)
    after = steady.without_clock(raw, hours, lines)
    for logit, factor in ((after.joint, 1.0), (after.single["vitals"], 3.0)):
        by_hour = [logit[~ill & (hours == h)].mean() for h in (3, 20, 40, 59, 80, 100)]
        assert np.ptp(by_hour) < 0.25 * factor
        assert logit[ill].mean() - logit[~ill].mean() == pytest.approx(2.0 * factor, abs=0.1)
    assert np.ptp([raw.joint[~ill & (hours == h)].mean() for h in (3, 80)]) > 5


def test_hours_of_the_ill_move_no_clock() -> None:
    hours = steady.hours_followed(np.full(50, 70))
    ill = np.repeat(np.arange(50) < 5, 70)
    raw = _raw(hours, ill)
    other = raw._replace(joint=np.where(ill, 99.0, raw.joint))
    ours, theirs = (steady.clocks(ill, x, hours)["joint"] for x in (raw, other))
    np.testing.assert_array_equal(ours.calibrated, theirs.calibrated)


def test_hours_that_nobody_reached_say_what_the_last_ones_said() -> None:
    hours = steady.hours_followed(np.full(20, 30))
    none = np.zeros(len(hours), bool)
    line = steady.clocks(none, _raw(hours, none), hours)["joint"]
    assert np.isfinite(line.calibrated).all()
    assert (np.diff(line.raw) > 0).all()
    assert len(line.raw) == steady.KNOTS
    assert np.ptp(line.calibrated[line.raw > 30]) == 0


def test_the_beginning_of_stays_is_cut_with_their_scores() -> None:
    own = stays(60)
    raw = _raw(steady.hours_followed(own.lengths), own.label)
    cut, held = steady.beginning(own, recipe.Development(raw, np.arange(60) % 5))
    assert cut.lengths.max() <= steady.FIRST_H
    assert len(cut.label) == cut.lengths.sum() == len(held.raw.joint) == len(cut.value["labs"])
    np.testing.assert_array_equal(cut.label[cut.starts], own.label[own.starts])
    np.testing.assert_array_equal(held.raw.joint[cut.starts], raw.joint[own.starts])


def test_the_network_takes_away_what_training_took_away() -> None:
    pytest.importorskip("lightgbm")
    own = stays(80)
    rows = recipe.prepare(own, np.ones(80, bool), (1,))
    forests = {m: recipe.grow(rows, own, m, 0, SMALL) for m in recipe.MEMBERS}
    found = {}
    for member, text in forests.items():
        logit = recipe.raw(recipe.load(text), rows.own, rows.names, member)
        found[member] = {"logit": logit, "there": recipe.there(rows.own, rows.names, member)}
    held = recipe.Development(recipe.raw_of(found), np.arange(80) % 5)
    files = artifact.assemble(own, forests, held, 0, "steady")
    model = decode(files)
    assert (model.spec.name, model.spec.version) == ("steady", steady.VERSION)
    assert model.spec.training.command == "vigil train cinc2019 --model steady"
    with torch.no_grad():
        score = network(model).forward(
            padded(carried(own.value, own.lengths), np.arange(len(own.lengths)))
        )
    said = np.concatenate([score.logit[i, :n, 0].numpy() for i, n in enumerate(own.lengths)])
    hours = steady.hours_followed(own.lengths)
    plain = recipe.fitted(recipe.blank(), own, np.ones(80, bool))
    points = steady.charted(held.raw, chart.points_of(own, plain))
    clock = steady.clocks(own.label, points, hours)
    raw = steady.without_clock(points, hours, clock)
    cut, beginning = steady.beginning(own, held._replace(raw=raw))
    lines = calibrate(cut.label, beginning.raw, recipe.KNOTS)
    np.testing.assert_allclose(said, logits(raw, lines), atol=5e-4)


def test_a_point_of_the_chart_is_worth_the_same_whoever_is_heard() -> None:
    hours = steady.hours_followed(np.full(20, 30))
    raw = _raw(hours, np.zeros(len(hours), bool))
    points = np.random.default_rng(1).integers(0, 12, len(hours)).astype(np.float64)
    after = steady.charted(raw, points)
    np.testing.assert_allclose(mixed(after) - mixed(raw), steady.POINT * points, atol=1e-12)
    np.testing.assert_array_equal(after.single["labs"], raw.single["labs"])
