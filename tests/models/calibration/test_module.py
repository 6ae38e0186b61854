"""Calibrations in a spec, as parts of a model: the same numbers in NumPy and in torch."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from models.calibration.isotonic import Curve, fit_isotonic
from models.calibration.module import KINDS, Piecewise, calibrator_of, fit_calibration
from models.calibration.temperature import fit_platt, fit_temperature
from models.evaluation.ranking import auroc
from models.late.fused import sigmoid
from models.late.logistic import log_loss
from models.spec import CalibrationSpec


def rows(n: int = 4000, horizons: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    true = rng.normal(-1.0, 1.0, (n, horizons))
    return 3.0 * true + 1.0, (rng.random(true.shape) < sigmoid(true)).astype(float)


def test_a_temperature_undoes_over_confidence() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(size=20_000)
    target = (rng.random(20_000) < sigmoid(true)).astype(float)
    assert fit_temperature(2.5 * true, target) == pytest.approx(2.5, rel=0.05)


def test_platt_recovers_slope_and_bias() -> None:
    logit, target = rows(40_000, 1)
    line = fit_platt(logit[:, 0], target[:, 0])
    assert line.coefficient[0] == pytest.approx(1 / 3, rel=0.05)
    assert line.bias == pytest.approx(-1 / 3, abs=0.05)


def test_platt_never_turns_ranks_around() -> None:
    logit, target = rows(500, 1)
    assert fit_platt(-logit[:, 0], target[:, 0]).coefficient[0] > 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
def test_every_kind_lowers_the_loss_and_keeps_ranks(kind: str) -> None:
    logit, target = rows()
    spec = fit_calibration(kind, logit, target)
    calibrated = calibrator_of(spec, 2)(torch.from_numpy(logit).float()).double().numpy()
    one = np.ones(len(logit))
    for i in range(2):
        label = target[:, i]
        assert log_loss(calibrated[:, i], label, one) < log_loss(logit[:, i], label, one) - 0.02
        before, after = (auroc(label > 0.5, x[:, i]) for x in (logit, calibrated))
        assert after > before - 0.002


@pytest.mark.parametrize("kind", KINDS)
def test_a_calibration_travels_as_json(kind: str) -> None:
    spec = fit_calibration(kind, *rows(200))
    back = msgspec.json.decode(msgspec.json.encode(spec), type=CalibrationSpec)
    x = torch.linspace(-5, 5, 22).view(11, 2)
    assert torch.equal(calibrator_of(spec, 2)(x), calibrator_of(back, 2)(x))


def test_the_torch_curve_is_numpys_curve() -> None:
    logit, target = rows(3000, 1)
    curve = fit_isotonic(logit[:, 0], target[:, 0])
    x = np.linspace(-30, 30, 601)
    part = Piecewise([(tuple(curve.x), tuple(curve.y))])
    got = part(torch.from_numpy(x).float()[:, None])[:, 0].numpy()
    assert np.abs(got - curve(x)).max() < 2e-5


def test_one_knot_is_a_constant() -> None:
    part = Piecewise([((0.5,), (1.5,))])
    assert part(torch.tensor([[-9.0], [9.0]])).flatten().tolist() == [1.5, 1.5]
    assert Curve(np.array([0.5]), np.array([1.5]))(np.array([9.0])).tolist() == [1.5]


def test_weight_zero_does_not_count() -> None:
    logit, target = rows(1000)
    weight = np.ones_like(logit)
    weight[500:] = 0.0
    junk = target.copy()
    junk[500:] = 1.0 - junk[500:]
    one = fit_calibration("platt", logit, junk, weight)
    other = fit_calibration("platt", logit[:500], target[:500])
    assert np.allclose(one.values["slope"], other.values["slope"], rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "values", "reason"),
    [
        ("magic", {}, "valid: none"),
        ("temperature", {}, "lacks"),
        ("temperature", {"temperature": (1.0, -1.0)}, "above 0"),
        ("temperature", {"temperature": (1.0,)}, "2 finite"),
        ("platt", {"slope": (1.0, 1.0), "bias": (0.0, float("nan"))}, "finite"),
        ("isotonic", {"x0": (1.0, 0.0), "y0": (0.0, 1.0), "x1": (0.0,), "y1": (0.0,)}, "ascend"),
        ("isotonic", {"x0": (0.0, 1.0), "y0": (1.0, 0.0), "x1": (0.0,), "y1": (0.0,)}, "fall"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(
    kind: str, values: dict[str, tuple[float, ...]], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        calibrator_of(CalibrationSpec(kind=kind, values=values), 2)
