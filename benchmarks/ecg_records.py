"""MIT-BIH records, the real electrode-motion noise, and how found beats are counted."""

from __future__ import annotations

import warnings
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import data_folder

Floats = NDArray[np.float64]
FS_HZ: Final = 360.0
WITHIN: Final = 54  # samples: 150 ms
_BEAT_SYMBOLS: Final = set("NLRBAaJSVrFejnE/fQ?")
_NOISY_FROM_S: Final = range(300, 1501, 240)  # 118e24 is noisy for two minutes from each
_NOISY_S: Final = 120


class Record(NamedTuple):
    """One record of two leads at 360 Hz."""

    name: str
    signals: Floats  # (2, n) mV
    beats: Floats  # samples
    symbols: NDArray[np.str_]  # one per beat
    flutter: list[tuple[int, int]]  # stretches of ventricular flutter, not counted


def records() -> list[Record]:
    """All records of the archive, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # wfdb imports pandas the old way
        import wfdb
    out = []
    for header in sorted(data_folder("mitdb").glob("*.hea")):
        name = str(header.with_suffix(""))
        marks = wfdb.rdann(name, "atr")
        symbols = np.array(marks.symbol)
        beat = np.isin(symbols, list(_BEAT_SYMBOLS))
        flutter = zip(marks.sample[symbols == "["], marks.sample[symbols == "]"], strict=True)
        signals = np.ascontiguousarray(wfdb.rdrecord(name).p_signal.T)
        samples = marks.sample[beat].astype(np.float64)
        spans = [(int(a), int(b)) for a, b in flutter]
        out.append(Record(header.stem, signals, samples, symbols[beat], spans))
    return out


def electrode_motion() -> list[Floats]:
    """The six noisy stretches of 118e24 less 118, (2, 43200) mV each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import wfdb
    noisy = wfdb.rdrecord(str(data_folder("nstdb") / "118e24")).p_signal.T
    noise = noisy - wfdb.rdrecord(str(data_folder("mitdb") / "118")).p_signal.T
    starts = [round(s * FS_HZ) for s in _NOISY_FROM_S]
    return [np.ascontiguousarray(noise[:, s : s + round(_NOISY_S * FS_HZ)]) for s in starts]


def beat_power(x: Floats, beats: Floats) -> float:
    """Power of an ECG as stress tests define it: an eighth of the median squared range."""
    around = [x[max(0, p - 18) : p + 19] for p in beats[5:200].astype(int)]
    return float(np.median([np.ptp(w) for w in around if w.size]) ** 2 / 8)


def mixed(record: Record, lead: int, snr_db: float | None, parts: list[Floats]) -> Floats:
    """One lead with lead 0 of the noise at a signal-to-noise ratio; None leaves it clean."""
    x: Floats = record.signals[lead]
    if snr_db is None:
        return np.asarray(x, np.float64)
    noise = np.concatenate([part[0] for part in parts])
    noise = np.resize(noise - noise.mean(), x.size)
    power = beat_power(x, record.beats) / float(noise.var()) / float(10 ** (snr_db / 10))
    return np.asarray(x + noise * np.sqrt(power), np.float64)


def counted(samples: Floats, record: Record) -> Floats:
    """Those outside ventricular flutter."""
    inside = np.zeros(samples.size, np.bool_)
    for begin, end in record.flutter:
        inside |= (samples >= begin) & (samples <= end)
    return np.asarray(samples[~inside], np.float64)


def matched(truth: Floats, found: Floats) -> NDArray[np.intp]:
    """Pairs (truth, found) of a one-to-one matching within 150 ms, (pairs, 2)."""
    i = j = 0
    pairs = []
    while i < len(truth) and j < len(found):
        apart = found[j] - truth[i]
        if abs(apart) <= WITHIN:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif apart < 0:
            j += 1
        else:
            i += 1
    return np.array(pairs, np.intp).reshape(-1, 2)
