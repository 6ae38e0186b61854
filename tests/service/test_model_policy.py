"""The example policy stands at the shipped model's operating point; the shipped one reads rules."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from alerts.policy import Policy
from alerts.policy_spec import AgainSpec, PastSpec
from models.spec import ModelSpec
from service.artifacts import read_artifact, shipped_folder
from service.build import load_policy, model_names, scorers
from service.config import Config

OFFERED = ("# levels =", "# for_s =", "# past =", "# again =")
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "policies" / "sepsis.toml"


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    folder = shipped_folder("default")
    assert folder is not None
    return read_artifact(folder).spec


@pytest.fixture(scope="module")
def example() -> Policy:
    return load_policy(str(EXAMPLE))


def test_the_shipped_policy_reads_no_model() -> None:
    read = {condition.scorer for condition in load_policy("").conditions.values()}
    assert read == {"news2", "limits"}


def test_the_example_rings_at_the_operating_point_of_the_artifact(
    example: Policy, spec: ModelSpec
) -> None:
    point = next(p for p in spec.operating if p.name == "0.2_per_day")
    condition = example.conditions["sepsis_risk"]
    on_the_grid_of_scores = math.ceil(round(point.threshold * 1e4, 6)) / 1e4
    assert condition.levels[0].hi == pytest.approx(on_the_grid_of_scores)
    assert point.metrics["alarms_per_day"] <= 0.2
    assert condition.refractory_s == 12 * 3600.0  # the silence that it was evaluated with


def test_the_example_looks_for_contradiction_where_the_artifact_says(
    example: Policy, spec: ModelSpec
) -> None:
    limit = spec.calibration.values["disagree_above"][0]
    assert example.conditions["contradiction"].levels[0].hi == pytest.approx(limit, abs=5e-4)


def test_the_example_can_be_scored_with_the_configuration_as_shipped(example: Policy) -> None:
    names = [scorer.name for scorer in scorers(example, models=model_names(Config()))]
    assert names == ["news2", "limits"]


def test_what_the_policies_share_is_the_same(example: Policy) -> None:
    shipped = load_policy("")
    assert example.conditions["deterioration"] == shipped.conditions["deterioration"]
    one, other = (p.conditions["single_parameter"] for p in (example, shipped))
    assert (one.levels, one.for_s, one.keep_s) == (other.levels, other.for_s, other.keep_s)


def test_the_rule_it_offers_instead_can_be_taken_as_it_stands(tmp_path: Path) -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    own = lines.index("[condition.sepsis_risk]")
    last = next(i for i in range(own, len(lines)) if not lines[i])
    body = lines[own:last]
    rule = [line.removeprefix("# ") for line in body if line.startswith(OFFERED)]
    kept = [line for line in body if not line.startswith(("levels", "for_s", "refractory_s"))]
    (tmp_path / "ward.toml").write_text("\n".join([*lines[:own], *kept, *rule, *lines[last:]]))
    spec = load_policy(str(tmp_path / "ward.toml")).conditions["sepsis_risk"]
    assert len(rule) == len(OFFERED)
    assert isinstance(spec.again, AgainSpec)
    assert isinstance(spec.past, PastSpec)
    assert spec.again.louder_hi is not None
    apart = _odds(spec.again.louder_hi) - _odds(spec.levels[0].hi)
    assert apart == pytest.approx(1.2, abs=0.01)


def _odds(share: float) -> float:
    return math.log(share / (1 - share))
