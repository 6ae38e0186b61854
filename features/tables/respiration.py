"""Catalogue rows of respiration; computed by `features.respiration`."""

from __future__ import annotations

from typing import Final

from features.breathing.spectrum import RATES_PER_MIN
from features.breathing.windows import HIGHEST_COUNTED_PER_MIN, LOWEST_COUNTED_PER_MIN
from features.feature import Feature

_CHARLTON = "Charlton et al. (2018), IEEE Rev Biomed Eng 11:2 (the modulations)"
_LOWEST, _HIGHEST = float(RATES_PER_MIN[0]), float(RATES_PER_MIN[-1])

FEATURES: Final[tuple[Feature, ...]] = (
    Feature(
        "resp_rate_per_min",
        "resp.rate_fused/1",
        "1/min",
        "resp",
        ("60s",),
        "chest wave of quality 0.5, or ECG or PPG that make the rate probable (0.5)",
        LOWEST_COUNTED_PER_MIN,
        HIGHEST_COUNTED_PER_MIN,
        "Respiration rate",
        "breaths counted in the chest wave where its quality is 0.6 or beats the others'; else "
        "the rate most probable from ECG and PPG, followed from window to window",
        _CHARLTON,
    ),
    Feature(
        "resp_source",
        "resp.source/1",
        "1",
        "resp",
        ("60s",),
        "as the respiration rate",
        1,
        4,
        "Source of the respiration rate",
        "1 chest wave, 2 ECG, 3 PPG, 4 ECG and PPG",
        "own",
    ),
    Feature(
        "resp_wave_rate_per_min",
        "resp.rate_wave/2",
        "1/min",
        "resp",
        ("60s",),
        "coverage 0.5, quality 0.5, 2 breath intervals",
        LOWEST_COUNTED_PER_MIN,
        HIGHEST_COUNTED_PER_MIN,
        "Respiration rate (chest wave)",
        "60 / mean interval between upward zero crossings of the 4-60/min wave; quality: share of "
        "regular intervals, lowered where little power lies near the rate",
        "own",
    ),
    Feature(
        "resp_ecg_rate_per_min",
        "resp.rate_ecg/1",
        "1/min",
        "ecg",
        ("60s",),
        "coverage 0.5, rate probable (0.5)",
        _LOWEST,
        _HIGHEST,
        "Respiration rate (ECG)",
        "most probable rate from R height, trough depth and RR intervals of this window alone",
        "Moody et al. (1985), Computers in Cardiology 12:113; " + _CHARLTON,
    ),
    Feature(
        "resp_ppg_rate_per_min",
        "resp.rate_ppg/1",
        "1/min",
        "ppg",
        ("60s",),
        "coverage 0.5, rate probable (0.5)",
        _LOWEST,
        _HIGHEST,
        "Respiration rate (PPG)",
        "most probable rate from baseline, amplitude and intervals of this window's pulses alone",
        _CHARLTON,
    ),
    Feature(
        "resp_rate_cv",
        "resp.rate_cv/1",
        "1",
        "resp",
        ("60s", "300s"),
        "coverage 0.5, 5 breath intervals of the chest wave",
        0,
        35,  # of at most 1200 intervals: no more than the root of their number
        "Variability of breathing",
        "standard deviation (ddof 1) / mean of breath intervals",
        "own",
    ),
    Feature(
        "resp_apnoea_s",
        "resp.apnoea/1",
        "s",
        "resp",
        ("60s", "300s"),
        "coverage 0.5 of the chest wave",
        0,
        300,
        "Pauses of breathing",
        "seconds in stretches of at least 10 s with breaths below 20 % of the window's upper "
        "quartile of breath sizes (largest minus smallest sample within 4 s)",
        "own; 10 s as Berry et al. (2012), J Clin Sleep Med 8:597",
    ),
)
