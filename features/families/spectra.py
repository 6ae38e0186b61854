"""Spectra of waveforms: the mean of the segments' own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.families.table import Columns, Row, all_explained, look_up
from features.gather import dense
from features.layout import SEGMENT_NUMBERS
from features.signals import SignalKind
from features.spectrum_specs import SPECTRA
from features.waveform_spectra import spectral_columns

_SIGNALS: Final = (SignalKind.ECG, SignalKind.PPG)


def columns(rows: Sequence[Row]) -> Columns:
    """Spectra in 60-s windows of ECG and PPG; that of movement is with the rest of movement."""
    made: Columns = {}
    for kind in _SIGNALS:
        first = SEGMENT_NUMBERS[kind].index("bin_0")
        found = look_up(rows, [kind.value])
        bins = dense(found.rows, found.segments)[:, :, first : first + SPECTRA[kind].n_bins]
        own = spectral_columns(bins.astype(np.float32), found.support.quality, SPECTRA[kind])
        made |= all_explained(found, own)
    return made
