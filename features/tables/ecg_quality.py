"""Catalogue rows of the quality of the ECG."""

from __future__ import annotations

from typing import Final

from features.feature import Feature

_MIN: Final = "segments that have it, half of the window"
_MEAN: Final = "; mean of the window's segments, weighted by their length"
_LI: Final = "Li, Mark & Clifford (2008), Physiol Meas 29:15"


def _row(name: str, unit: str, span: tuple[float, float], words: tuple[str, str, str]) -> Feature:
    """Row of one index: `words` are label, definition and source."""
    label, definition, source = words
    return Feature(
        f"ecg_{name}",
        f"ecg.{name.removesuffix('_pct')}/1",
        unit,
        "ecg",
        ("60s",),
        _MIN,
        *span,
        label,
        definition + _MEAN,
        source,
    )


FEATURES: Final[tuple[Feature, ...]] = (
    _row(
        "quality",
        "1",
        (0, 1),
        ("ECG quality", "chance, shifted to its gate at 0.5, that every beat is right", "own"),
    ),
    _row(
        "bsqi",
        "1",
        (0, 1),
        ("ECG bSQI", "2 * beats two detectors agree on within 150 ms / beats of both", _LI),
    ),
    _row(
        "template_corr",
        "1",
        (-1, 1),
        (
            "ECG beats' likeness",
            "mean correlation of +-0.3 s around each beat with the mean of the others",
            "Orphanidou et al. (2015), IEEE J Biomed Health Inform 19:832",
        ),
    ),
    # A kurtosis is at most the number of samples: 14 s at the working rate are below 2,700.
    _row("ksqi", "1", (0, 2700), ("ECG kurtosis", "kurtosis of the 4-30 Hz wave", _LI)),
    _row(
        "bassqi",
        "1",
        (0, 1),
        ("ECG baseline", "1 - power below 1 Hz / power below 40 Hz, Hann periodogram", _LI),
    ),
    _row(
        "flat_pct",
        "%",
        (0, 100),
        ("ECG flat", "samples inside a second or more of one unchanging value", "own"),
    ),
    _row(
        "clip_pct",
        "%",
        (0, 100),
        ("ECG clipped", "samples that stay at the segment's extreme for 20 ms", "own"),
    ),
    _row("gap_pct", "%", (0, 100), ("ECG missing", "samples that are missing", "own")),
)
