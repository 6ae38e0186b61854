"""Movement, posture, steps and sleep from the epochs of three axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.families.table import Columns, Row, all_explained, look_up
from features.gather import dense
from features.intervals import Floats
from features.motion.windows import Number, motion_columns, sleep_column
from features.signals import MOTION
from features.spectrum_specs import SPECTRA
from features.waveform_spectra import spectral_columns

N_NUMBERS: Final = len(Number)


def columns(rows: Sequence[Row]) -> Columns:
    """Movement in 60-s windows, its spectrum included."""
    found = look_up(rows, [MOTION])
    table = dense(found.rows, found.segments)
    made = motion_columns(table[:, :, :N_NUMBERS], found.support.quality)
    bins = table[:, :, N_NUMBERS:]
    made |= spectral_columns(bins.astype(np.float32), found.support.quality, SPECTRA["acc"])
    return all_explained(found, made)


def long_columns(rows: Sequence[Row]) -> Columns:
    """Movement and sleep in 300-s windows."""
    found = look_up(rows, [MOTION])
    numbers = dense(found.rows, found.segments)[:, :, :N_NUMBERS]
    made = motion_columns(numbers, found.support.quality)
    made["acc_sleep"] = sleep_column(numbers, found.support.quality)
    return all_explained(found, made)


def epochs(rows: Sequence[Row]) -> Floats:
    """`(B, S, 21)` epochs of windows, for what looks back further."""
    found = look_up(rows, [MOTION])
    return dense(found.rows, found.segments)[:, :, :N_NUMBERS]
