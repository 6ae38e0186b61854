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
from models.kernels.lanes import BLOCK, product
from models.kernels.network import CHUNK
from models.kernels.rows import add, dense, put, put_above_zero

_LANES: Final = 16

_F = np.float32
_ZERO = _F(0.0)
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
        _judge(network, 0, chunk, (flat_after, present), (first, n))
        _say(network, chunk.out, logit, prob, (first, n))
        if explain:
            _share(network, chunk, (flat_after, present), (share, logit), (first, n))
        else:
            share[first : first + n] = np.nan


@compiled
def _room(network: Any, rows: int) -> Any:
    """Arrays of a chunk; whole vectors may be read and written beyond each row's end."""
    padded = network.columns.shape[1] // CHUNK
    many = rows * padded + 2 * _LANES
    shown, hidden = 0, 0
    for m in range(network.parts.shape[0]):
        shown = max(shown, network.layers[network.parts[m, net.MIX], net.INNER])
    for layer in network.layers:
        hidden = max(hidden, layer[net.BLOCKS] * BLOCK)
    joined = network.absent.size
    products = rows * hidden
    kept = Shown(
        np.zeros(many, _F),
        np.zeros(many, _F),
        np.zeros(many, _F),
        np.zeros(many, _F),
        np.zeros(many, _F),
        np.zeros(many, _F),
        np.zeros(many, _F),
        np.zeros(many, _F),
    )
    return kept, Chunk(
        np.zeros((4, many), _F),
        np.zeros(rows * shown + 2 * _LANES, _F),
        np.zeros(products, _F),
        np.zeros(products, _F),
        np.zeros(products, _F),
        np.zeros(products, _F),
        np.zeros(network.parts.shape[0] * rows * network.outer.shape[1], _F),
        np.zeros(rows * max(joined, network.outer.shape[1]), _F),
        np.zeros(products, _F),
        np.zeros(products, _F),
        np.zeros(rows, _F),
    )


@compiled
def _outer(network: Any, m: int, chunk: Any, memory: Any, n: int) -> None:
    """What a modality adds to the layer behind the vectors side by side, if it is heard."""
    part, columns = network.parts[m], network.sizes[net.STATE]
    weight_at, bias_at, inner, blocks = network.layers[part[net.OUTER]]
    start = m * (chunk.parts.size // network.parts.shape[0])
    where = (memory[2] + part[net.H], columns, weight_at, bias_at, 0, start, blocks * BLOCK)
    product((memory[1], network.w, network.w, chunk.parts), where, (n, inner, blocks))


@compiled
def _judge(network: Any, coalition: int, chunk: Any, held: Any, span: Any) -> None:
    """Raw logits of a chunk when only a coalition is heard, into `chunk.out`."""
    (_, present), (first, n) = held, span
    width = network.outer.shape[1]
    each = chunk.parts.size // network.parts.shape[0]
    fused, parts, outer = chunk.fused, chunk.parts, network.outer
    for r in range(n):
        to = r * width
        own = fused[to : to + width]
        put(outer[net.BASE], own)
        for m in range(network.parts.shape[0]):
            heard = network.coalitions[coalition, m] and present[first + r, m] > _ZERO
            at = m * each + to
            add(parts[at : at + width] if heard else outer[1 + m], own)
    hidden = fused
    if network.sizes[net.GATED]:
        _gate(network, coalition, chunk, held, span)
        dense(network, network.sizes[net.HIDDEN], fused, (0, width), chunk.hidden, n)
        hidden = chunk.hidden
        width = network.layers[network.sizes[net.HIDDEN], net.BLOCKS] * BLOCK
    put_above_zero(hidden[: n * width], hidden[: n * width])
    dense(network, network.sizes[net.OUT], hidden, (0, width), chunk.out, n)


@compiled
def _gate(network: Any, coalition: int, chunk: Any, held: Any, span: Any) -> None:
    """Vectors and flags times their gates, in place; as `models.fusers.gated.Gated`."""
    (after, present), (first, n) = held, span
    width, joined = network.outer.shape[1], network.sizes[net.JOINED]
    fused, absent = chunk.fused, network.absent
    modalities = network.parts.shape[0]
    for r in range(n):
        to, row = r * width, (first + r) * network.sizes[net.STATE]
        for m in range(modalities):
            at, size = network.parts[m, net.VECTOR], network.parts[m, net.WIDTH]
            heard = network.coalitions[coalition, m] and present[first + r, m] > _ZERO
            kept = row + network.parts[m, net.H]
            vector = after[kept : kept + size] if heard else absent[at : at + size]
            _let_through(vector, fused[to + at : to + at + size])
            flag = to + joined + m
            fused[flag] = sigmoid(fused[flag]) if heard else _ZERO


@compiled
def _let_through(vector: Any, gates: Any) -> None:
    """A vector times its gates, in their place."""
    for j in range(vector.size):
        gates[j] = vector[j] * sigmoid(gates[j])


@compiled
def _calibrated(network: Any, out: Any, at: int, horizon: int, before: Any) -> Any:
    """A horizon's raw logit, of `before` those before it, and calibrated."""
    raw = out[at + horizon]
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
    wide = network.layers[network.sizes[net.OUT], net.BLOCKS] * BLOCK
    for r in range(n):
        raw = _ZERO
        for horizon in range(network.sizes[net.HORIZONS]):
            raw, found = _calibrated(network, out, r * wide, horizon, raw)
            logit[first + r, horizon] = found
    for horizon in range(network.sizes[net.HORIZONS]):
        for r in range(first, first + n):
            prob[r, horizon] = sigmoid(logit[r, horizon])


@compiled
def _share(network: Any, chunk: Any, held: Any, said: Any, span: Any) -> None:
    """What each modality adds to the first logit; as `models.fusion_model.shapley`."""
    (share, logit), (first, n) = said, span
    wide = network.layers[network.sizes[net.OUT], net.BLOCKS] * BLOCK
    modalities, last = network.parts.shape[0], network.coalitions.shape[0]
    weights = network.weights
    for r in range(n):
        for m in range(modalities):
            everybody = weights[m, 0] * logit[first + r, 0]
            share[first + r, m] = everybody + weights[m, last] * network.nobody[0]
    for coalition in range(1, last):
        _judge(network, coalition, chunk, held, span)
        for r in range(n):
            found = _calibrated(network, chunk.out, r * wide, 0, _ZERO)[1]
            for m in range(modalities):
                share[first + r, m] += weights[m, coalition] * found
