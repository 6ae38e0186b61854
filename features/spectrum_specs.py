"""THE table of waveform spectra: which bins of a segment are kept, which bands are read.

A row here gives a signal its spectral features: catalogue and extraction read it. Not here: how
they are computed (`features.waveform_spectra`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

# Beyond any unit of any device; its power still fits a float32.
LARGEST_DEVIATION: Final = 1e9


class Band(NamedTuple):
    """Half-open band `[low_hz, high_hz)`; both are borders of bins."""

    name: str
    low_hz: float
    high_hz: float


class SpectrumSpec(NamedTuple):
    """How the spectrum of one kind of signal is kept and what is read from it."""

    signal: str  # prefix of its features
    unit: str  # of its power
    suffix: str  # of its power, in feature names
    bin_hz: float  # a multiple of 0.1
    n_bins: int  # from 0 Hz
    shape_from_hz: float  # peak, centroid, edge and entropy leave out what lies below
    bands: tuple[Band, ...]


# THE table of spectra. Bins hold band powers exactly, because every edge is a border of bins, and
# what shape needs to a bin's width: 320-480 bytes per segment instead of 2.5 kB at 125 Hz.
SPECTRA: Final[dict[str, SpectrumSpec]] = {
    # QRS 5-15 Hz over 5-40 Hz and baseline below 1 Hz are the usual signal quality bands
    # (Li, Mark, Clifford 2008, Physiol Meas 29:15).
    "ecg": SpectrumSpec(
        "ecg",
        "mV2",
        "mv2",
        0.5,
        80,
        0.5,
        (
            Band("base", 0.0, 1.0),
            Band("low", 1.0, 5.0),
            Band("qrs", 5.0, 15.0),
            Band("high", 15.0, 40.0),
        ),
    ),
    # 30-240 pulses a minute, then their harmonics.
    "ppg": SpectrumSpec(
        "ppg",
        "1",
        "power",
        0.1,
        80,
        0.5,
        (Band("base", 0.0, 0.5), Band("pulse", 0.5, 4.0), Band("high", 4.0, 8.0)),
    ),
    # Steps 0.5-3 Hz; tremor 3-8 Hz (Parkinsonian 4-6 Hz) and above.
    "acc": SpectrumSpec(
        "acc",
        "g2",
        "g2",
        0.1,
        120,
        0.3,
        (
            Band("base", 0.0, 0.5),
            Band("gait", 0.5, 3.0),
            Band("tremor", 3.0, 8.0),
            Band("high", 8.0, 12.0),
        ),
    ),
}
