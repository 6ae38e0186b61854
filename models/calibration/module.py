"""The calibrator that a spec describes, as a part of a model; and how a spec comes to have one."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from models.calibration.isotonic import fit_isotonic
from models.calibration.temperature import fit_platt, fit_temperature
from models.late.fused import Floats
from models.spec import CalibrationSpec

KINDS: Final = ("none", "temperature", "platt", "isotonic")


class Affine(nn.Module):
    """slope · logit + bias, per horizon; a temperature is a slope of 1/T."""

    slope: Tensor
    bias: Tensor

    def __init__(self, slope: list[float], bias: list[float]) -> None:
        super().__init__()
        self.register_buffer("slope", torch.tensor(slope), persistent=False)
        self.register_buffer("bias", torch.tensor(bias), persistent=False)

    def forward(self, logit: Tensor) -> Tensor:
        """See `models.parts.Calibrator`."""
        return self.slope * logit + self.bias


class Piecewise(nn.Module):
    """Straight lines between knots, per horizon; level beyond the ends.

    Written as a sum of clamped pieces, so that it exports as plain arithmetic.
    """

    def __init__(self, curves: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> None:
        super().__init__()
        self.horizons = len(curves)
        for i, (x, y) in enumerate(curves):
            knots, levels = torch.tensor(x), torch.tensor(y)
            apart = knots.diff()  # 0 where float32 cannot tell two knots apart
            rise = torch.where(apart > 0, levels.diff() / apart, torch.zeros_like(apart))
            self.register_buffer(f"low{i}", knots[:-1], persistent=False)
            self.register_buffer(f"span{i}", apart, persistent=False)
            self.register_buffer(f"rise{i}", rise, persistent=False)
            self.register_buffer(f"start{i}", levels[0], persistent=False)

    def forward(self, logit: Tensor) -> Tensor:
        """See `models.parts.Calibrator`."""
        return torch.stack([self._curve(logit[..., i], i) for i in range(self.horizons)], dim=-1)

    def _curve(self, logit: Tensor, i: int) -> Tensor:
        low, span = self.get_buffer(f"low{i}"), self.get_buffer(f"span{i}")
        inside = torch.minimum((logit[..., None] - low).clamp(min=0.0), span)
        return self.get_buffer(f"start{i}") + (inside * self.get_buffer(f"rise{i}")).sum(dim=-1)


def calibrator_of(spec: CalibrationSpec, horizons: int) -> nn.Module:
    """The calibrator of a spec.

    Raises
    ------
    ValueError
        If the kind is unknown, or its numbers do not fit it.
    """
    if spec.kind == "none":
        return nn.Identity()
    try:
        if spec.kind == "temperature":
            t = _numbers(spec, "temperature", horizons)
            return Affine([1.0 / x for x in t], [0.0] * horizons)
        if spec.kind == "platt":
            return Affine(_numbers(spec, "slope", horizons), _numbers(spec, "bias", horizons))
        if spec.kind == "isotonic":
            return Piecewise([_knots(spec, i) for i in range(horizons)])
    except (KeyError, ZeroDivisionError) as error:
        raise ValueError(f"calibration {spec.kind!r} lacks {error}") from error
    raise ValueError(f"no calibration {spec.kind!r}; valid: {', '.join(KINDS)}")


def fit_calibration(
    kind: str, logit: Floats, target: Floats, weight: Floats | None = None
) -> CalibrationSpec:
    """Calibration of a kind, fitted on validation rows.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    logit : (N, H) float64
        Raw logits: of a model whose spec has no calibration.
    target : (N, H) float64
        0 to 1.
    weight : (N, H) float64, optional
        At least 0; 0 = unknown.

    Returns
    -------
    CalibrationSpec

    Raises
    ------
    ValueError
        If the kind is unknown, or a horizon has no row.
    """
    if kind not in KINDS:
        raise ValueError(f"no calibration {kind!r}; valid: {', '.join(KINDS)}")
    each = np.ones_like(logit) if weight is None else weight
    values: dict[str, tuple[float, ...]] = {}
    for i in range(logit.shape[1]):
        known = each[:, i] > 0
        rows = logit[known, i], target[known, i], each[known, i]
        if kind == "temperature":
            found = {"temperature": (fit_temperature(*rows),)}
        elif kind == "platt":
            line = fit_platt(*rows)
            found = {"slope": (float(line.coefficient[0]),), "bias": (line.bias,)}
        elif kind == "isotonic":
            curve = fit_isotonic(*rows)
            found = {f"x{i}": tuple(curve.x.tolist()), f"y{i}": tuple(curve.y.tolist())}
        else:
            found = {}
        for key, numbers in found.items():
            values[key] = (*values.get(key, ()), *numbers)
    return CalibrationSpec(kind=kind, values=values)


def _numbers(spec: CalibrationSpec, key: str, horizons: int) -> list[float]:
    """One number per horizon."""
    found = list(spec.values[key])
    if len(found) != horizons or not all(np.isfinite(found)):
        raise ValueError(f"calibration.{key}: {horizons} finite numbers, got {found}")
    if key != "bias" and not all(x > 0 for x in found):
        raise ValueError(f"calibration.{key}: above 0, or ranks would turn around, got {found}")
    return found


def _knots(spec: CalibrationSpec, i: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots of one horizon's curve."""
    x, y = spec.values[f"x{i}"], spec.values[f"y{i}"]
    fits = len(x) == len(y) >= 1 and all(np.isfinite((*x, *y)))
    if not (fits and bool(np.all(np.diff(x) > 0)) and bool(np.all(np.diff(y) >= 0))):
        raise ValueError(f"calibration.x{i}, y{i}: x must ascend and y never fall")
    return x, y
