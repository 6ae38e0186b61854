"""Compiled loop over the bins of windows' spectra; the same bits as the NumPy beside it.

Imported only where numba is installed. References: `features.waveform_spectra.mean_bins`,
`.band_power`, `.shape`. Logarithms are left to NumPy, whose last bit is its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total


@compiled
def averaged(bins: Any, r: int, mean: Any) -> Any:
    """Mean of the known segments of one window, bin by bin; how many segments know any."""
    n_segments, n_bins = bins.shape[1:]
    for k in range(n_bins):
        added, n = 0.0, 0
        for s in range(n_segments):
            value = bins[r, s, k]
            if value == value:
                added += value
                n += 1
        mean[k] = added / n if n > 0 else np.nan
    some = 0
    for s in range(n_segments):
        any_known = False
        for k in range(n_bins):
            any_known = any_known or bins[r, s, k] == bins[r, s, k]
        some += any_known
    return some


@compiled
def peak(part: Any) -> Any:
    """Place of the largest bin, refined by a parabola."""
    at, last = 0, part.size - 1
    for k in range(part.size):
        at = k if part[k] > part[at] else at
    if not 0 < at < last:
        return float(at)
    left, right = part[at - 1], part[at + 1]
    bend = 2.0 * part[at] - left - right
    step = 0.5 * (right - left) / bend if bend > 0 else 0.0
    return at + min(max(step, -0.5), 0.5)


@compiled
def edge(share: Any, lower_hz: Any, bin_hz: float, most: float) -> Any:
    """Frequency below which so much of the power lies."""
    running, at = 0.0, 0
    for k in range(share.size):
        running += share[k]
        at += running < most
    at = min(at, share.size - 1)
    running = 0.0
    for k in range(at + 1):
        running += share[k]
    if not share[at] > 0:
        return np.nan
    above = (running - most) / share[at]
    return lower_hz[at] + bin_hz * (1.0 - min(max(above, 0.0), 1.0))


@compiled
def spectra(bins: Any, spec: Any, hz: Any, share: Any, out: Any) -> None:
    """Of each window: band powers, then peak, centroid and edge; share of each bin of the shape."""
    first, bin_hz, most, bands = spec
    lower_hz, middle_hz = hz
    values, n_segments, n_known = out
    n_rows, _, n_bins = bins.shape
    mean, product = np.empty(n_bins), np.empty(n_bins - first)
    n_bands = bands.shape[0]
    for r in range(n_rows):
        n_segments[r] = averaged(bins, r, mean)
        for b in range(n_bands):
            values[b, r] = total(mean[bands[b, 0] : bands[b, 1]])
        part = mean[first:]
        known = 0
        for k in range(part.size):
            known += part[k] == part[k]
            part[k] = part[k] if np.isfinite(part[k]) else 0.0
        n_known[r] = known
        whole = total(part)
        for k in range(part.size):
            share[r, k] = part[k] / whole if whole > 0 else np.nan
            product[k] = share[r, k] * middle_hz[k]
        values[n_bands, r] = middle_hz[0] + bin_hz * peak(part) if whole > 0 else np.nan
        values[n_bands + 1, r] = total(product)
        values[n_bands + 2, r] = edge(share[r], lower_hz, bin_hz, most)
