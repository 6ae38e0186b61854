"""The artifact is the recipe: the network says what the committee of forests said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.artifact import decode
from models.calibration.knots import fit
from models.training.ragged import carried, padded
from models.weights import network
from service.training import artifact, boost
from service.training import cinc2019 as recipe
from service.training.committee import Lines, Raw, logits
from tests.service.training.made_up import stays

pytest.importorskip("lightgbm")
SMALL = boost.Recipe(rounds=6, min_data_in_leaf=10, keep=1.0)


@pytest.fixture(scope="module")
def made():  # type: ignore[no-untyped-def]
    own = stays(80)
    everyone = np.ones(80, bool)
    rows = recipe.prepare(own, everyone, (1,))
    forests = {m: recipe.grow(rows, own, m, 0, SMALL) for m in recipe.MEMBERS}
    found = {}
    for member, text in forests.items():
        logit = recipe.raw(recipe.load(text), rows.own, rows.names, member)
        there = recipe.there(rows.own, rows.names, member)
        found[member] = {"logit": logit, "there": there}
    raw = recipe.raw_of(found)
    held = recipe.Development(raw, np.arange(80) % 5)
    return own, raw, held, forests, artifact.assemble(own, forests, held, 0)


def _said(files: dict[str, bytes], own) -> np.ndarray:  # type: ignore[no-untyped-def]
    model = network(decode(files))
    hourly = carried(own.value, own.lengths)
    with torch.no_grad():
        score = model.forward(padded(hourly, np.arange(len(own.lengths))))
    return np.concatenate([score.logit[i, :n, 0].numpy() for i, n in enumerate(own.lengths)])


def test_the_network_gives_the_calibrated_logits_of_the_committee(made) -> None:  # type: ignore[no-untyped-def]
    own, raw, held, _, files = made
    lines = artifact.judge(own, held).lines
    np.testing.assert_allclose(_said(files, own), logits(raw, lines), atol=2e-4)


def test_a_modality_that_is_absent_leaves_the_specialist_alone(made) -> None:  # type: ignore[no-untyped-def]
    own, raw, held, _, files = made
    lines = artifact.judge(own, held).lines
    labs = np.full_like(own.value["labs"], np.nan)
    without = own._replace(value={**own.value, "labs": labs})
    expected = lines.alone["vitals"].at(raw.single["vitals"])
    expected = np.where(raw.there["vitals"], expected, lines.nothing)
    np.testing.assert_allclose(_said(files, without), expected, atol=2e-4)


def test_the_same_forests_give_the_same_bytes(made) -> None:  # type: ignore[no-untyped-def]
    own, _, held, forests, files = made
    assert artifact.assemble(own, forests, held, 0) == files


def test_the_spec_has_both_operating_points_and_where_it_comes_from(made) -> None:  # type: ignore[no-untyped-def]
    spec = decode(made[-1]).spec
    assert [point.name for point in spec.operating] == ["utility", "0.2_per_day"]
    assert spec.operating[1].metrics["alarms_per_day"] <= 0.2
    assert spec.training.command == "vigil train cinc2019"
    assert spec.training.licence == "CC BY 4.0"
    assert set(spec.calibration.values) == {"no_up_to", "yes_from", "disagree_above"}


def test_without_parts_of_the_committee_there_is_no_score_but_the_base_rate() -> None:
    none = np.zeros(3, bool)
    names = ("vitals", "labs")
    raw = Raw(np.ones(3), dict.fromkeys(names, np.ones(3)), dict.fromkeys(names, none))
    random = np.random.default_rng(0)
    line = fit(random.random(500) < 0.5, random.standard_normal(500), 4)
    lines = Lines(line, dict.fromkeys(names, line), -3.0)
    np.testing.assert_array_equal(logits(raw, lines), [-3.0] * 3)
