"""What a feature is, and why one may have no value.

Not here: which features there are (`features.catalog`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class FeatureReason(IntEnum):
    """Why a feature has no value. It is NaN exactly when the reason is not one of `VALUED`."""

    OK = 0
    GAP = 1  # too little of the window was recorded
    FLAT = 2
    CLIP = 3
    NOISE = 4
    TOO_FEW_BEATS = 5
    TOO_SHORT = 6  # the recording has not lasted long enough yet
    ARTEFACT_PCT = 7
    LOW_QUALITY = 8
    UNDEFINED = 9
    NO_SIGNAL = 10  # the patient has no such signal
    OTHER_WINDOW = 11  # this feature is computed over another window length
    QUANTISED = 12  # there is a value: the device's coarse clock was allowed for
    ALIAS = 13  # the heart is too slow for this band
    NO_QRS = 14  # only waves that are no QRS complexes, or far below the patient's usual ones


VALUED: Final = (FeatureReason.OK, FeatureReason.QUANTISED)


class Feature(NamedTuple):
    """One column. `id` changes whenever the formula, a band or a parameter changes."""

    name: str
    id: str
    unit: str
    signal: str  # primary source signal
    windows: tuple[str, ...]  # of "60s", "300s", "3600s", "86400s"
    minimum: str  # what the window must hold, in words
    lo: float  # declared range; a value outside is a bug
    hi: float
    label: str  # for people
    definition: str
    source: str  # citation
