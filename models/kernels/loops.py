"""Update and score of a network of gated recurrent branches, row by row, compiled.

Invariant: what is done to a row depends on that row alone; sums are chains in the order of their
terms (`models.kernels.lanes`), all else is element by element. So a row has the same bits in any
company, at any place, and on any machine. The reference is `models.fusion_model.ComposedModel` of
`GruD` and `Point` encoders, equal to rounding. Imported only where numba is installed. Not here:
which models it can run and their arrays (`models.kernels.pack`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from models.kernels import network as net
from models.kernels.branches import Chunk, encode
from models.kernels.functions import exp, log1p, sigmoid
from models.kernels.inputs import Shown, normalise, remain, spread, take_time
from models.kernels.lanes import BLOCK, move, product
from models.kernels.network import CHUNK
from models.kernels.rows import above_zero, dense, sigmoids

_F = np.float32
_ZERO, _ONE = _F(0.0), _F(1.0)
_FLAT: Final = _F(20.0)  # softplus beyond is the number itself, as torch has it


@compiled
def step(network: Any, state: Any, rows: Any, clock: Any, explain: bool, said: Any) -> None:
    """Update and score.

    Parameters
    ----------
    network : models.kernels.network.Network
    state, rows, clock : (N, S), (N, 4, D), (N, 2) float32
    explain : bool
        Whether shares are worked out; else they are NaN.
    said : tuple of float32 arrays to fill
        State after, logits, probabilities, shares, presence.
    """
    after, logit, prob, share, present = said
    count, width = state.shape
    shown, chunk = _room(network, min(CHUNK, count))
    flat, flat_after = state.reshape(-1), after.reshape(-1)
    for first in range(0, count, CHUNK):
        n = min(CHUNK, count - first)
        spread(rows, (first, n), chunk.given, network.columns.shape[1] // CHUNK)
        take_time(network.sizes, state, clock, after, (first, n), chunk.passed)
        normalise(network, chunk.given, shown, n)
        memory = (flat, flat_after, first * width)
        for m in range(network.parts.shape[0]):
            remain(network, m, shown.left, present, after, (first, n))
            encode(network, m, shown, chunk, memory, n)
            _outer(network, m, chunk, memory, n)
        held = (flat_after, present)
        _judge(network, 0, chunk, held, (first, n))
        _say(network, chunk.out, logit, prob, (first, n))
        if explain:
            _share(network, chunk, held, (share, logit), (first, n))
        else:
            share[first : first + n] = np.nan


@compiled
def _room(network: Any, rows: int) -> Any:
    """Arrays of a chunk."""
    modalities, many = network.parts.shape[0], rows * (network.columns.shape[1] // CHUNK)
    shown, wide = 0, 0
    for m in range(modalities):
        shown = max(shown, network.layers[network.parts[m, net.MIX], net.INNER])
    for layer in network.layers:
        wide = max(wide, layer[net.BLOCKS] * BLOCK)
    outer = network.outer.shape[1]
    given = np.zeros((4, many), _F)
    kinds = np.zeros((9, many), _F)
    between = np.zeros((8, rows, wide), _F)
    inputs = Shown(
        kinds[0], kinds[1], kinds[2], kinds[3], kinds[4], kinds[5], kinds[6], kinds[7], kinds[8]
    )
    return inputs, Chunk(
        given,
        np.zeros((rows, shown), _F),
        between[0],
        between[1],
        between[2],
        between[3],
        between[4],
        between[5],
        np.zeros((rows, outer), _F),
        np.zeros((modalities, rows, outer), _F),
        np.zeros((rows, outer), _F),
        between[6],
        between[7],
        np.zeros(rows, _F),
    )


@compiled
def _outer(network: Any, m: int, chunk: Any, memory: Any, n: int) -> None:
    """What a modality adds to the layer behind the vectors side by side, if it is heard."""
    part, columns, parts = network.parts[m], network.sizes[net.STATE], chunk.parts
    weight_at, bias_at, inner, blocks = network.layers[part[net.OUTER]]
    start = m * parts.shape[1] * parts.shape[2]
    where = (memory[2] + part[net.H], columns, weight_at, bias_at, 0, start, parts.shape[2])
    product((memory[1], network.w, network.w, parts), where, (n, inner, blocks))


@compiled
def _judge(network: Any, coalition: int, chunk: Any, held: Any, span: Any) -> None:
    """Raw logits of a chunk when only a coalition is heard, into `chunk.out`."""
    (_, present), (first, n) = held, span
    fused, parts, outer = chunk.fused, chunk.parts, network.outer
    width = outer.shape[1]
    for r in range(n):
        for j in range(width):
            fused[r, j] = outer[net.BASE, j]
        for m in range(network.parts.shape[0]):
            if network.coalitions[coalition, m] and present[first + r, m] > _ZERO:
                for j in range(width):
                    fused[r, j] += parts[m, r, j]
            else:
                for j in range(width):
                    fused[r, j] += outer[1 + m, j]
    hidden = fused
    if network.sizes[net.GATED]:
        _gate(network, coalition, chunk, held, span)
        dense(network, network.sizes[net.HIDDEN], fused, (0, width), chunk.hidden, n)
        hidden = chunk.hidden
        width = network.layers[network.sizes[net.HIDDEN], net.BLOCKS] * BLOCK
    above_zero(hidden, n, width)
    dense(network, network.sizes[net.OUT], hidden, (0, hidden.shape[1]), chunk.out, n)


@compiled
def _gate(network: Any, coalition: int, chunk: Any, held: Any, span: Any) -> None:
    """Vectors and flags times their gates, in place; as `models.fusers.gated.Gated`."""
    (after, present), (first, n) = held, span
    joined, fused, width = chunk.joined, chunk.fused, network.outer.shape[1]
    flags = network.sizes[net.JOINED]
    for r in range(n):
        row = (first + r) * network.sizes[net.STATE]
        for m in range(network.parts.shape[0]):
            part = network.parts[m]
            heard = network.coalitions[coalition, m] and present[first + r, m] > _ZERO
            to, size = r * width + part[net.VECTOR], part[net.WIDTH]
            if heard:
                move(after, row + part[net.H], joined, to, size)
            else:
                move(network.absent, part[net.VECTOR], joined, to, size)
            joined[r, flags + m] = _ONE if heard else _ZERO
    sigmoids(fused, n, width)
    for r in range(n):
        for j in range(width):
            fused[r, j] *= joined[r, j]


@compiled
def _calibrated(network: Any, out: Any, r: int, horizon: int, before: Any) -> Any:
    """A horizon's raw logit, of `before` those before it, and calibrated."""
    raw = out[r, horizon]
    if horizon:
        rise = raw if raw > _ZERO else _ZERO
        if raw <= _FLAT:
            rise += log1p(exp(-abs(raw)))
        raw = before + rise
    knots = network.curve[horizon]
    if not network.sizes[net.CURVED]:
        return raw, knots[0, 0] * raw + knots[0, 1]
    total = knots[0, 0]
    for i in range(1, knots.shape[0]):
        inside = raw - knots[i, 0]
        inside = inside if inside > _ZERO else _ZERO
        inside = inside if inside < knots[i, 1] else knots[i, 1]
        total += inside * knots[i, 2]
    return raw, total


@compiled
def _say(network: Any, out: Any, logit: Any, prob: Any, span: Any) -> None:
    """Calibrated logits and probabilities of every horizon."""
    first, n = span
    for r in range(n):
        raw = _ZERO
        for horizon in range(network.sizes[net.HORIZONS]):
            raw, found = _calibrated(network, out, r, horizon, raw)
            logit[first + r, horizon] = found
    many = network.sizes[net.HORIZONS]
    own = slice(first * many, (first + n) * many)
    _chances(logit.reshape(-1)[own], prob.reshape(-1)[own])


@compiled
def _chances(logit: Any, prob: Any) -> None:
    """Probabilities of logits."""
    for i in range(logit.size):
        prob[i] = sigmoid(logit[i])


@compiled
def _share(network: Any, chunk: Any, held: Any, said: Any, span: Any) -> None:
    """What each modality adds to the first logit; as `models.fusion_model.shapley`."""
    (share, logit), (first, n) = said, span
    modalities, last = network.parts.shape[0], network.coalitions.shape[0]
    weights = network.weights
    for r in range(n):
        for m in range(modalities):
            everybody = weights[m, 0] * logit[first + r, 0]
            share[first + r, m] = everybody + weights[m, last] * network.nobody[0]
    for coalition in range(1, last):
        _judge(network, coalition, chunk, held, span)
        for r in range(n):
            found = _calibrated(network, chunk.out, r, 0, _ZERO)[1]
            for m in range(modalities):
                share[first + r, m] += weights[m, coalition] * found
