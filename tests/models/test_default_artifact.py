"""The shipped models: whole, small, of this build's inputs, and of sense on patients made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifact import FILES, Artifact, decode
from models.fusion_model import FusionModel
from models.news2 import VITAL_SIGNS
from models.training.ragged import carried, padded
from models.weights import network

FOLDER = Path(__file__).resolve().parents[2] / "models" / "artifacts"
COMMANDS = {
    "default": "vigil train cinc2019",
    "steady": "python -m benchmarks.train_steady",
}
MOST_NUMBERS = 300_000
HOURS = 24


def _read(name: str) -> Artifact:
    folder = FOLDER / name
    return decode({n: (folder / n).read_bytes() for n in FILES if (folder / n).exists()})


@pytest.fixture(scope="module", params=sorted(COMMANDS))
def artifact(request: pytest.FixtureRequest) -> Artifact:
    return _read(request.param)


@pytest.fixture(scope="module")
def model(artifact: Artifact) -> FusionModel:
    return network(artifact)


def _patient(
    model: FusionModel, worse: float, *, labs: bool = True, hours: int = HOURS
) -> np.ndarray:
    """Probability hour by hour of one whose pulse, breath and lactate rise for 12 hours."""
    hour = np.arange(hours)
    rise = np.clip(hour - 11, 0, None) / 12 * worse
    usual = {
        "hr": 80 + 40 * rise,
        "spo2": 97 - 5 * rise,
        "temp": 36.9 + 1.8 * rise,
        "resp_rate": 16 + 12 * rise,
        "sbp": 125 - 35 * rise,
        "map": 85 - 25 * rise,
        "dbp": 65 - 20 * rise,
        "lactate": 1.2 + 3 * rise,
        "creatinine": 0.9 + rise,
        "wbc": 8 + 9 * rise,
        "bun": 15 + 15 * rise,
        "age_years": np.full(hours, 64.0),
        "sex": np.ones(hours),
    }
    value = {}
    for modality in model.spec.modalities:
        x = np.full((hours, len(modality.features)), np.nan, np.float32)
        for column, feature in enumerate(modality.features):
            if feature.name in usual and (labs or modality.name != "labs"):
                x[:, column] = usual[feature.name]
                if modality.name == "labs":
                    x[hour % 6 != 5, column] = np.nan
        value[modality.name] = x
    with torch.no_grad():
        score = model.forward(padded(carried(value, np.array([hours])), np.array([0])))
    return score.prob[0, :, 0].numpy()


def test_it_is_small_and_a_patient_takes_little(artifact: Artifact) -> None:
    assert sum(x.size for x in artifact.weights.values()) <= MOST_NUMBERS
    assert artifact.spec.state_bytes <= 4096


def test_it_says_what_it_was_trained_on_and_how(artifact: Artifact) -> None:
    training = artifact.spec.training
    assert training.licence == "CC BY 4.0"
    assert training.command == COMMANDS[artifact.spec.name]
    card = (FOLDER / artifact.spec.name / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert training.command in card
    assert training.data.split("doi:")[1] in card
    assert "not a medical device" in card


def test_both_operating_points_are_there_and_quiet(artifact: Artifact) -> None:
    points = {point.name: point for point in artifact.spec.operating}
    assert set(points) == {"utility", "0.2_per_day"}
    assert points["0.2_per_day"].metrics["alarms_per_day"] <= 0.2
    assert 0 < points["utility"].threshold < 1


@pytest.mark.parametrize("labs", [True, False])
def test_who_gets_worse_scores_higher_with_and_without_laboratory(
    model: FusionModel, labs: bool
) -> None:
    stable, worse = (_patient(model, much, labs=labs) for much in (0.0, 1.0))
    assert worse[-1] > 2 * stable[-1]
    assert worse[-1] > 2 * worse[8]


def test_a_stable_patient_is_below_the_threshold(model: FusionModel) -> None:
    threshold = {p.name: p.threshold for p in model.spec.operating}["utility"]
    assert (_patient(model, 0.0) < threshold).all()


def test_the_steady_ones_forests_are_those_of_the_default_and_then_the_chart() -> None:
    plain, steady = (_read(name).weights for name in ("default", "steady"))
    forests = [n for n in plain if ".joint." in n or ".single." in n]
    assert forests
    for name in forests:
        np.testing.assert_array_equal(plain[name], steady[name][: len(plain[name])])
        more = len(steady[name]) - len(plain[name])
        assert more == (0 if ".labs." in name else len(VITAL_SIGNS))


def test_who_stays_long_and_well_is_not_called_ill_by_the_steady_one() -> None:
    days = 5 * 24
    steady, plain = (network(_read(name)) for name in ("steady", "default"))
    late = [_patient(model, 0.0, hours=days)[-1] for model in (steady, plain)]
    assert late[0] < {p.name: p.threshold for p in steady.spec.operating}["utility"]
    assert late[0] < late[1] / 3


def test_its_graph_is_what_this_build_exports(artifact: Artifact, model: FusionModel) -> None:
    """Where it is not, `python -m benchmarks.export_shipped` is due."""
    onnx, export = (pytest.importorskip(name) for name in ("onnx", "models.export"))
    written_by = onnx.load_from_string(artifact.onnx).producer_version
    if written_by != torch.__version__.split("+")[0]:
        pytest.skip(f"the shipped graph was written by torch {written_by}")
    assert export.to_onnx(model) == artifact.onnx
