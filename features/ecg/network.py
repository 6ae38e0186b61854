"""A small network's answer, its sums always in the same order.

Not here: the numbers (`features.ecg.weights`) and how they were found
(`benchmarks/train_ecg_decision.py`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from features.ecg import kernels
from features.runs import Floats

_PER_ROW: Final = 8  # beats in the emptiest usual row: fewer are a small batch


class Network(NamedTuple):
    """Layers of weights; the input's centre and scale are part of the first."""

    weights: tuple[Floats, ...]  # (inputs, outputs) each
    biases: tuple[Floats, ...]  # (outputs,) each


def logits(network: Network, columns: Floats) -> Floats:
    """Answer for each column of inputs: above 0 is yes.

    Parameters
    ----------
    network : Network
    columns : (inputs, n) float64
        One row per input, so that every step runs over all candidates.

    Returns
    -------
    (n,) float64

    Notes
    -----
    Products are added input by input, never by BLAS: its order of summation may depend on n.
    """
    by = kernels.layer if kernels.worth_it(columns.shape[1] // _PER_ROW) else _layer
    layer = columns
    last = len(network.weights) - 1
    for depth, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        out = by(layer, weight, bias)
        layer = out if depth == last else np.maximum(out, 0.0, out=out)
    return np.asarray(layer[0], np.float64)


def _layer(columns: Floats, weight: Floats, bias: Floats) -> Floats:
    """Weighted sums of columns plus a bias, (outputs, n), added in the columns' order."""
    out = np.empty((weight.shape[1], columns.shape[1]))
    out[:] = bias[:, None]
    scratch = np.empty_like(out)
    for values, own in zip(columns, weight, strict=True):
        np.multiply(own[:, None], values, out=scratch)
        out += scratch
    return out


def from_text(text: str) -> Network:
    """Network written as `layers sizes...` and then every weight and bias in turn."""
    numbers = text.split()
    sizes = [int(word) for word in numbers[1 : int(numbers[0]) + 1]]
    values = np.array(numbers[int(numbers[0]) + 1 :], np.float64)
    weights, biases, at = [], [], 0
    for inputs, outputs in pairwise(sizes):
        weights.append(values[at : at + inputs * outputs].reshape(inputs, outputs))
        at += inputs * outputs
        biases.append(values[at : at + outputs])
        at += outputs
    return Network(tuple(weights), tuple(biases))
