"""A trained network as the arrays of the compiled loops, where they can run it."""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial
from typing import Final

import numpy as np
from torch import Tensor, nn

from models.calibration.module import Affine, Piecewise
from models.encoders.gru_d import GruD
from models.encoders.point import Point
from models.fusers.concat import Concat
from models.fusers.gated import Gated
from models.fusion_model import CLOCK, EXACT_SHARES, LEFT, ComposedModel, FusionModel
from models.heads.event import EventHead
from models.kernels import lanes
from models.kernels import network as net
from models.kernels.network import Floats, Network
from models.layout import Layout
from models.parts import Normalizer

_VECTOR: Final = 16  # inputs are read in whole vectors


def runs(model: FusionModel) -> bool:
    """Whether the loops know every part of a model."""
    if type(model) is not ComposedModel:  # another class may do anything
        return False
    return (
        all(type(part) in (GruD, Point) for part in model.encoders.values())
        and type(model.fuser) in (Concat, Gated)
        and type(model.head) is EventHead
        and type(model.calibrator) in (nn.Identity, Affine, Piecewise)
    )


def pack(model: FusionModel) -> Network:
    """Its arrays.

    Parameters
    ----------
    model : FusionModel
        In evaluation mode, on the CPU; one of which `runs` says True.
    """
    assert isinstance(model, ComposedModel)
    return _Packer(model).packed()


class _Packer:
    """Weights one after the other, and where each begins."""

    def __init__(self, model: ComposedModel) -> None:
        self.model, self.layout = model, Layout.of(model.spec)
        self.weights: list[Floats] = []
        self.layers: list[list[int]] = []
        self.at = 0

    def packed(self) -> Network:
        model = self.model
        parts, vector = [], 0
        for place, name in zip(self.layout.inputs, model.names, strict=True):
            parts.append(self._part(name, place.start, vector))
            vector += parts[-1][net.WIDTH]
        outer = self._outer(parts, vector)
        gated = isinstance(model.fuser, Gated)
        head = model.head
        assert isinstance(head, EventHead)
        hidden = self._layer(*_linear(head.hidden[1])) if gated else net.NONE
        out = self._layer(*_linear(head.out))
        curve = _curve(model.calibrator, len(model.spec.horizons_s))
        coalitions, shares = _coalitions(len(model.names))
        at = {part.name: part.start for part in self.layout.state}
        sizes = np.zeros(net.SIZE, np.int64)
        sizes[[net.STATE, net.COLUMNS]] = self.layout.state_width, len(self.layout.features)
        sizes[[net.JOINED, net.GATED, net.HIDDEN, net.OUT]] = vector, gated, hidden, out
        sizes[[net.HORIZONS, net.CLOCK, net.LEFT]] = len(curve), at[CLOCK], at[LEFT]
        sizes[net.CURVED] = isinstance(model.calibrator, Piecewise)
        return Network(
            np.concatenate(self.weights),
            np.array(parts, np.int64),
            np.array(self.layers, np.int64),
            self._columns(),
            np.concatenate([_array(model.absent[name]) for name in model.names]),
            outer,
            sizes,
            curve,
            coalitions,
            shares,
            _array(model.bias())[:1].copy(),
        )

    def _layer(self, weight: Floats, bias: Floats) -> int:
        """Keep a layer [outputs, inputs]; returns its row in `layers`."""
        outputs, inputs = weight.shape
        wide = np.zeros(lanes.padded(outputs), np.float32)
        wide[:outputs] = bias
        packed = lanes.packed(weight)
        start = self.at
        self.layers.append([start, start + packed.size, inputs, wide.size // lanes.BLOCK])
        self.weights += [packed, wide]
        self.at += packed.size + wide.size
        return len(self.layers) - 1

    def _part(self, name: str, start: int, vector: int) -> list[int]:
        """A modality's row of `parts`, its layers kept."""
        encoder = self.model.encoders[name]
        assert isinstance(encoder, GruD | Point)
        at = {part.name: part.start for part in self.layout.state}
        row = [net.NONE] * net.PART
        row[net.START], row[net.VECTOR], row[net.WIDTH] = start, vector, encoder.width
        row[net.INPUTS] = len(self._normalizer(name).center)
        row[net.H], row[net.QUALITY] = at[f"{name}.h"], 0
        row[net.MIX] = self._layer(*_linear(encoder.mix[0]))
        if isinstance(encoder, GruD):
            row[net.QUALITY] = int(encoder.quality)
            row[net.TREND] = at[f"{name}.trend"] if encoder.trend else net.NONE
            self._recurrent(encoder, row)
        return row

    def _recurrent(self, encoder: GruD, row: list[int]) -> None:
        """The layers of a gated recurrent unit: of what is shown, and of what is remembered."""
        weight_x, weight_h, bias_x, bias_h = (_array(x) for x in encoder.gru.all_weights[0])
        none = np.zeros(encoder.width, np.float32)
        gates = (net.RESET_X, net.RESET_H), (net.UPDATE_X, net.UPDATE_H)
        for i, (from_x, from_h) in enumerate(gates):  # as torch keeps them: reset, update, new
            own = slice(i * encoder.width, (i + 1) * encoder.width)
            row[from_x] = self._layer(weight_x[own], bias_x[own] + bias_h[own])
            row[from_h] = self._layer(weight_h[own], none)
        new = slice(2 * encoder.width, None)
        row[net.NEW_X] = self._layer(weight_x[new], bias_x[new])
        row[net.NEW_H] = self._layer(weight_h[new], bias_h[new])

    def _outer(self, parts: list[list[int]], joined: int) -> Floats:
        """The layer behind the vectors, cut by modality: its flag is a bias where it is heard."""
        fuser, head = self.model.fuser, self.model.head
        assert isinstance(head, EventHead)
        linear = fuser.gate if isinstance(fuser, Gated) else head.hidden[1]
        weight, bias = _linear(linear)
        outer = np.zeros((1 + len(parts), lanes.padded(len(bias))), np.float32)
        outer[net.BASE, : len(bias)] = bias
        for m, (name, row) in enumerate(zip(self.model.names, parts, strict=True)):
            own = weight[:, row[net.VECTOR] : row[net.VECTOR] + row[net.WIDTH]]
            row[net.OUTER] = self._layer(np.ascontiguousarray(own), weight[:, joined + m])
            absent = _array(self.model.absent[name]).astype(np.float64)
            outer[1 + m, : len(bias)] = own.astype(np.float64) @ absent
        return outer

    def _columns(self) -> Floats:
        """What is known of each input; inputs beyond the last are never there."""
        count = len(self.layout.features)
        found = np.zeros((net.COLUMN, -(-count // _VECTOR) * _VECTOR), np.float32)
        found[net.SCALE], found[net.OLDEST] = 1.0, -1.0
        for place, name in zip(self.layout.inputs, self.model.names, strict=True):
            own, normalizer = slice(place.start, place.stop), self._normalizer(name)
            found[net.CENTER, own] = _array(normalizer.center)
            found[net.SCALE, own] = _array(normalizer.scale)
            found[net.OLDEST, own], found[net.CLIP, own] = normalizer.max_age_s, normalizer.clip
            encoder = self.model.encoders[name]
            if isinstance(encoder, GruD):
                found[net.FADE, own] = _array(encoder.fade)
                found[net.FADE_BIAS, own] = _array(encoder.fade_bias)
        return np.tile(found, net.CHUNK)

    def _normalizer(self, name: str) -> Normalizer:
        found = self.model.normalizers[name]
        assert isinstance(found, Normalizer)
        return found


def _array(x: Tensor) -> Floats:
    return np.ascontiguousarray(x.detach().numpy(), np.float32)


def _linear(layer: nn.Module) -> tuple[Floats, Floats]:
    assert isinstance(layer, nn.Linear)
    return _array(layer.weight), _array(layer.bias)


def _curve(calibrator: nn.Module, horizons: int) -> Floats:
    """Calibration by horizon: slope and bias, or the first level, then low, span, rise by knot."""
    if isinstance(calibrator, Piecewise):
        knots = [_knots(calibrator, i) for i in range(horizons)]
        found = np.zeros((horizons, max(map(len, knots)), 3), np.float32)
        for i, own in enumerate(knots):
            found[i, : len(own)] = own  # a knot of zeros adds nothing
        return found
    found = np.zeros((horizons, 1, 3), np.float32)
    found[:, 0, 0] = _array(calibrator.slope) if isinstance(calibrator, Affine) else 1.0
    found[:, 0, 1] = _array(calibrator.bias) if isinstance(calibrator, Affine) else 0.0
    return found


def _knots(curve: Piecewise, i: int) -> Floats:
    low, span, rise = (_array(curve.get_buffer(f"{key}{i}")) for key in ("low", "span", "rise"))
    first = np.array([[_array(curve.get_buffer(f"start{i}")).item(), 0.0, 0.0]], np.float32)
    return np.concatenate([first, np.stack([low, span, rise], axis=1)])


def _coalitions(players: int) -> tuple[net.Ints, Floats]:
    """Which modalities are heard, everybody first, and each one's share of the logits [M, C + 1].

    The last column is of nobody's logit. As `models.fusion_model.shapley`, and beyond
    `EXACT_SHARES` the mean of two opposite orders, as a sum over coalitions.
    """
    everybody = (1 << players) - 1
    weights: dict[int, list[float]] = {everybody: [0.0] * players, 0: [0.0] * players}
    for player in range(players):
        for others, weight in _joined(player, players):
            for coalition, sign in ((others | 1 << player, 1.0), (others, -1.0)):
                own = weights.setdefault(coalition, [0.0] * players)
                own[player] += sign * weight
    nobody = weights.pop(0)
    heard = [[coalition >> i & 1 for i in range(players)] for coalition in weights]
    return np.array(heard, np.int64), np.array([*weights.values(), nobody], np.float32).T.copy()


def _joined(player: int, players: int) -> Sequence[tuple[int, float]]:
    """Coalitions a player joins, and how much each counts."""
    if players > EXACT_SHARES:
        everybody = (1 << players) - 1
        first, last = (1 << player) - 1, everybody ^ ((1 << player + 1) - 1)
        return [(first, 0.5), (last, 0.5)]
    found = []
    for others in range(1 << players):
        if not others >> player & 1:
            size = others.bit_count()
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            found.append((others, weight))
    return found
