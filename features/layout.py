"""What the numbers of a signal's events and segments mean: the order of `extra` and `stats`.

Fixed per kind of signal, so that the rings of a patient are plain arrays and a snapshot needs no
names.
"""

from __future__ import annotations

from typing import Final

from features import electrodermal, oximetry
from features.motion.windows import Number
from features.ppg.motion import N_RATES
from features.ppg.movement import FIRST_BIN, LAST_BIN
from features.signal_ring import Kind
from features.signals import MOTION, SIGNALS, SignalKind
from features.spectrum_specs import SPECTRA


def _bins(signal: str) -> tuple[str, ...]:
    """Names of the bins of a segment's spectrum."""
    return tuple(f"bin_{i}" for i in range(SPECTRA[signal].n_bins))


ECG_INDICES: Final = (
    "bsqi",
    "template_corr",
    "ksqi",
    "bassqi",
    "flat_pct",
    "clip_pct",
    "gap_pct",
)
QRS_ODDS: Final = "qrs_odds"  # no feature: what the usual height of beats asks about
EVENT_NUMBERS: Final[dict[SignalKind, tuple[str, ...]]] = {
    SignalKind.ECG: ("peak", "trough", "ectopic"),
    SignalKind.PPG: ("baseline", "amplitude", "rise_s"),
}
SEGMENT_NUMBERS: Final[dict[SignalKind, tuple[str, ...]]] = {
    SignalKind.ECG: (*ECG_INDICES, QRS_ODDS, *_bins("ecg")),
    SignalKind.PPG: (
        "raw_median",
        "bsqi",
        "template_corr",
        *(f"rate_{i}_bpm" for i in range(N_RATES)),
        *(f"rate_{i}_weight" for i in range(N_RATES)),
        *_bins("ppg"),
    ),
    SignalKind.SPO2: tuple(f"second_{i}" for i in range(oximetry.SEGMENT_S)),
    SignalKind.TEMP: ("median_c",),
    SignalKind.EDA: tuple(f"half_second_{i}" for i in range(electrodermal.SEGMENT_STEPS)),
    SignalKind.MOTION: (
        *(number.name.lower() for number in Number),
        *_bins("acc"),
    ),
}
# What windows of five minutes read: whether a beat is ectopic, and the bins in which movement and
# pulse meet. All else of these kinds is read within a minute.
_CADENCE: Final = tuple(f"bin_{i}" for i in range(FIRST_BIN, LAST_BIN + 1))
_LASTING_EVENTS: Final[dict[SignalKind, tuple[str, ...]]] = {
    SignalKind.ECG: ("ectopic",),
    SignalKind.PPG: (),
}
_LASTING_SEGMENTS: Final[dict[SignalKind, tuple[str, ...]]] = {
    SignalKind.ECG: (),
    SignalKind.PPG: _CADENCE,
    SignalKind.MOTION: (*(number.name.lower() for number in Number), *_CADENCE),
}
# The next window of a minute begins 50 s ago, and looks one segment further back.
FRESH_US: Final = 60_000_000


def _places(
    kind: SignalKind,
    names: dict[SignalKind, tuple[str, ...]],
    lasting: dict[SignalKind, tuple[str, ...]],
) -> tuple[int, ...] | None:
    """Where the numbers stand that last; None: all do."""
    if kind not in lasting:
        return None
    return tuple(names[kind].index(name) for name in lasting[kind])


_PLAIN: Final = Kind(0, 0)
_KINDS: Final = {name: signal.kind for name, signal in SIGNALS.items()} | {
    MOTION: SignalKind.MOTION
}
_SHAPES: Final = {
    name: Kind(
        len(EVENT_NUMBERS.get(kind, ())),
        len(SEGMENT_NUMBERS.get(kind, ())),
        _places(kind, EVENT_NUMBERS, _LASTING_EVENTS),
        _places(kind, SEGMENT_NUMBERS, _LASTING_SEGMENTS),
    )
    for name, kind in _KINDS.items()
}
# What is needed from before the longest window: intervals for the rhythm that the first ones are
# judged by, saturation for the level that a fall is measured from.
_LEADS_US: Final = {
    SignalKind.ECG: 60_000_000,
    SignalKind.RR: 60_000_000,
    SignalKind.SPO2: oximetry.LEAD_S * 1_000_000,
    SignalKind.EDA: electrodermal.LEAD_S * 1_000_000,
}


def lead_of(signal: str) -> int:
    """How far before a window the segments of a signal are wanted, µs."""
    return _LEADS_US.get(_KINDS.get(signal, SignalKind.SCALAR), 0)


def shape_of(signal: str) -> Kind:
    """How many numbers the events and segments of a signal carry; none for an unknown one."""
    return _SHAPES.get(signal, _PLAIN)
