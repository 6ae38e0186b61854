"""Compiled loop over the samples of epochs; the same bits as the NumPy beside which it stands.

Imported only where numba is installed. Reference: `features.motion.epochs.epochs_of`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total


@compiled
def axis(x: Any, known: Any, n: Any, room: Any, out: Any) -> None:
    """Mean, SD, lowest and highest known sample of one axis of one epoch."""
    own, square = room
    for i in range(x.size):
        own[i] = x[i] if known[i] else 0.0
    mean = total(own) / n
    low, high = np.inf, -np.inf
    for i in range(x.size):
        away = x[i] - mean if known[i] else 0.0
        square[i] = away * away
        if known[i]:
            low, high = min(low, x[i]), max(high, x[i])
    out[0], out[1], out[2], out[3] = mean, np.sqrt(total(square) / n), low, high


@compiled
def epochs(axes: Any, largest_g: float, known: Any, away: Any, out: Any) -> bool:
    """Numbers of each epoch from its samples; whether every sample is known.

    `out` are the number of samples, ENMO, MAD, and the (B, 3, 4) numbers of the axes.
    """
    count, enmo, mad, of_axes = out
    _, n_rows, n_samples = axes.shape
    norm, over, size = np.empty(n_samples), np.empty(n_samples), np.empty(n_samples)
    whole = True
    for r in range(n_rows):
        n = 0
        for i in range(n_samples):
            x, y, z = axes[0, r, i], axes[1, r, i], axes[2, r, i]
            length = np.sqrt(x * x + y * y + z * z)
            known[r, i] = length <= largest_g
            n += known[r, i]
            norm[i] = length if known[r, i] else 0.0
            over[i] = max(length - 1.0, 0.0) if known[r, i] else 0.0
        count[r] = n
        whole = whole and n == n_samples
        if n == 0:
            enmo[r] = mad[r] = np.nan
            of_axes[r] = np.nan
            away[r] = 0.0
            continue
        mean = total(norm) / n
        for i in range(n_samples):
            away[r, i] = norm[i] - mean if known[r, i] else 0.0
            size[i] = abs(away[r, i])
        enmo[r] = total(over) / n * 1000.0
        mad[r] = total(size) / n * 1000.0
        for a in range(3):
            axis(axes[a, r], known[r], float(n), (norm, over), of_axes[r, a])
    return whole
