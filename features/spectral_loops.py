"""Compiled forms of what is done before and after a transform; bit for bit what NumPy gives.

Imported only where numba is installed. Sums are added in NumPy's order, never `fastmath`. The
references are in `features.waveform_spectra`, `features.ecg.quality` and `features.ppg.motion`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total


@compiled
def tapered(x: Any, window: Any, most: Any, out: Any, good: Any) -> None:
    """Rows less their mean, in the window's precision, times the window.

    `good` are rows of which every sample is a number and at most `most` from the mean.
    """
    n_rows, n = x.shape
    for r in range(n_rows):
        row, mine = x[r], out[r]
        mean = total(row) / n
        n_good = 0
        for i in range(n):
            value = row[i] - mean
            n_good += abs(value) <= most
            mine[i] = value
        for i in range(n):
            mine[i] *= window[i]
        good[r] = n_good == n


@compiled
def bin_powers(lines: Any, first: Any, nyquist: Any, out: Any) -> None:
    """Power of each bin; at most eight lines a bin. See `features.waveform_spectra._power`."""
    n_rows, n_lines = lines.shape
    n_bins = out.shape[1]
    half = out.dtype.type(0.5)
    power = np.empty(n_lines, out.dtype)
    for r in range(n_rows):
        row = lines[r]
        for i in range(n_lines):
            power[i] = row[i].real * row[i].real + row[i].imag * row[i].imag
        power[0] *= half
        if nyquist:
            power[n_lines - 1] *= half
        for k in range(n_bins):
            begin = first[k]
            end = first[k + 1] if k + 1 < n_bins else n_lines
            rest = half - half
            for i in range(begin + 1, end):
                rest += power[i]
            out[r, k] = power[begin] + rest


@compiled
def powers(lines: Any, out: Any) -> None:
    """Power of each line."""
    for r in range(out.shape[0]):
        row, mine = lines[r], out[r]
        for i in range(mine.size):
            mine[i] = row[i].real * row[i].real + row[i].imag * row[i].imag


@compiled
def low_shares(lines: Any, few: Any, most: Any, out: Any) -> None:
    """Share of the power of the first `most` lines that is not in the first few; 0 without any."""
    power = np.empty(most)
    for r in range(lines.shape[0]):
        row = lines[r]
        for i in range(most):
            power[i] = row[i].real * row[i].real + row[i].imag * row[i].imag
        whole = total(power)
        out[r] = 1.0 - total(power[:few]) / whole if whole > 0 else 0.0
