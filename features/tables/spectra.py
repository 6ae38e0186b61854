"""Catalogue rows of the spectra of waveforms."""

from __future__ import annotations

from typing import Final

from features.feature import Feature
from features.spectrum_specs import LARGEST_DEVIATION, SPECTRA, Band, SpectrumSpec

_MIN: Final = "half of the 10 s segments, each without a gap"
_WELCH: Final = "Welch (1967), IEEE Trans Audio Electroacoust 15:70"
_INOUYE: Final = "Inouye et al. (1991), Electroencephalogr Clin Neurophysiol 79:204"
_MOST_POWER: Final = 1.01 * LARGEST_DEVIATION**2
_SOURCE_SIGNAL: Final = {"ecg": "ecg", "ppg": "ppg", "acc": "acc"}
_LABEL: Final = {"ecg": "ECG", "ppg": "Pulse wave", "acc": "Movement"}


def _power(spec: SpectrumSpec, band: Band) -> Feature:
    """Row of a band's power."""
    axes = ", three axes together" if spec.signal == "acc" else ""
    return Feature(
        f"{spec.signal}_spec_{band.name}_{spec.suffix}",
        f"{spec.signal}.spec.{band.name}/1",
        spec.unit,
        _SOURCE_SIGNAL[spec.signal],
        ("60s",),
        _MIN,
        0,
        _MOST_POWER,
        f"{_LABEL[spec.signal]}, power {band.low_hz:g}-{band.high_hz:g} Hz",
        f"power in [{band.low_hz:g}, {band.high_hz:g}) Hz{axes}: mean of Hann periodograms of 10 s",
        _WELCH,
    )


def _shape(spec: SpectrumSpec) -> tuple[Feature, ...]:
    """Rows of peak, centroid, edge and entropy."""
    top_hz = spec.n_bins * spec.bin_hz
    over = f"between {spec.shape_from_hz:g} and {top_hz:g} Hz"
    rows = (
        ("peak_hz", "Hz", top_hz, "peak", f"frequency of most power {over}", _WELCH),
        (
            "centroid_hz",
            "Hz",
            top_hz,
            "centroid",
            f"mean frequency weighted by power {over}",
            _WELCH,
        ),
        ("edge95_hz", "Hz", top_hz, "95 % edge", f"95 % of the power {over} lies below", _WELCH),
        ("entropy", "1", 1, "spectral entropy", f"Shannon entropy {over}, 1 for white", _INOUYE),
    )
    return tuple(
        Feature(
            f"{spec.signal}_spec_{name}",
            f"{spec.signal}.spec.{name.removesuffix('_hz')}/1",
            unit,
            _SOURCE_SIGNAL[spec.signal],
            ("60s",),
            _MIN,
            0,
            hi,
            f"{_LABEL[spec.signal]}, {label}",
            definition,
            source,
        )
        for name, unit, hi, label, definition, source in rows
    )


FEATURES: Final[tuple[Feature, ...]] = tuple(
    row
    for spec in SPECTRA.values()
    for row in (*(_power(spec, band) for band in spec.bands), *_shape(spec))
)
