"""How often a heart that stands still is said to beat, and what telling so costs.

Segments go through the engine's own analysis and the patient's usual height of beats. "Said" is a
segment that passes; a patient is said to have a rate where half of the minute passes, as
`ecg_hr_bpm` asks. Costs: segments of MIT-BIH, both leads, and BIDMC that would pass otherwise.
`python -m benchmarks.bench_standstill` (recordings: `VIGIL_DATA`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from benchmarks._common import data_folder, heading
from benchmarks.ecg_records import FS_HZ, Floats, records
from benchmarks.standstill import STILL, own_p_wave, own_p_waves, standstill
from features.analyse import analyse
from features.beats import detect_r_peaks
from features.feature import FeatureReason
from features.primitives import Primitives
from features.usual_beats import UsualBeats
from streams.segments import SEGMENT_US, Segment

RATIOS: Final = (0.08, 0.15, 0.25, 0.4)
LEVELS_MV: Final = (0.003, 0.01, 0.02, 0.04)
BEFORE_S: Final = 300.0
STILL_S: Final = 60.0
EACH: Final = 50  # simulated patients of every ratio and noise: 800, that is 4,800 segments
_LEADS: Final = ("II", "V", "AVR", "I", "III", "MCL", "AVL", "AVF", "V5")


class Lead(NamedTuple):
    """One lead of a recording."""

    name: str
    x: Floats  # mV
    fs_hz: float


class Said(NamedTuple):
    """Segments that pass, and patients half of whose segments do."""

    passed: int
    segments: int
    rates: int
    patients: int

    def __str__(self) -> str:
        return (
            f"{self.passed} of {self.segments} segments pass, a rate for {self.rates} of "
            f"{self.patients}"
        )


def main() -> None:
    """Measure everything and print it."""
    print(heading("Ventricular standstill"))
    real = [*mit_leads(), *bidmc_leads()]
    costs(real)
    for before_s in (BEFORE_S, 0.0):
        print(f"after {before_s:.0f} s of beats:")
        simulated(before_s)
        own(real, before_s)
        others(before_s)


def mit_leads() -> Iterator[Lead]:
    """Both leads of the MIT-BIH records."""
    for record in records():
        for k in (0, 1):
            yield Lead(f"{record.name}.{k}", np.asarray(record.signals[k], np.float64), FS_HZ)


def bidmc_leads() -> Iterator[Lead]:
    """Every lead of the BIDMC records."""
    for path in sorted(data_folder("bidmc").glob("*_Signals.npz")):
        with np.load(path) as held:
            for name, x in zip(held["channels"], held["signals"], strict=True):
                if str(name).strip(" ,") in _LEADS:
                    own_name = f"{path.stem.removesuffix('_Signals')}.{str(name).strip(' ,')}"
                    yield Lead(own_name, x.astype(np.float64), float(held["fs"]))


def segments_of(x: Floats, fs_hz: float) -> list[Segment]:
    """A recording as the service cuts it."""
    core, context = round(10 * fs_hz), round(2 * fs_hz)
    padded = np.concatenate([np.full(context, np.nan), x, np.full(context, np.nan)])
    return [
        Segment(
            "p", "d", "ecg", k * SEGMENT_US, (k + 1) * SEGMENT_US, fs_hz, "mV",
            -context * 1e6 / fs_hz,
            padded[k * core : (k + 1) * core + 2 * context].astype(np.float32),
        )
        for k in range(x.size // core)
    ]  # fmt: skip


def judged(x: Floats, fs_hz: float) -> list[Primitives]:
    """The segments of one patient as the engine keeps them."""
    return watched(analyse(segments_of(x, fs_hz)))[0]


def watched(found: Sequence[Primitives]) -> tuple[list[Primitives], int]:
    """Segments as they are kept, and after how many a heart is said to stand still."""
    usual, kept, n_still = UsualBeats(), [], 0
    for p in found:
        kept.append(usual.judged(p))
        n_still += bool(usual.standing_still_us())
    return kept, n_still


def passes(found: Sequence[Primitives]) -> int:
    return sum(p.reason == FeatureReason.OK for p in found)


def costs(real: Sequence[Lead]) -> None:
    """Segments refused of those that would pass, by shape and by height."""
    for name, leads in (
        ("MIT-BIH", [lead for lead in real if lead.fs_hz == FS_HZ]),
        ("BIDMC", [lead for lead in real if lead.fs_hz != FS_HZ]),
    ):
        whole = shape = height = told = 0
        where: list[str] = []
        for lead in leads:
            alone = analyse(segments_of(lead.x, lead.fs_hz))
            kept, alerts = watched(alone)
            told += alerts > 0
            by_shape = sum(p.reason == FeatureReason.NO_QRS for p in alone)
            by_height = passes(alone) - passes(kept)
            whole, shape, height = whole + passes(kept), shape + by_shape, height + by_height
            if by_shape or by_height:
                where.append(f"{lead.name} {by_shape}+{by_height}")
        total = whole + shape + height
        print(
            f"{name}: {shape} by shape and {height} by height of {total} segments that pass "
            f"otherwise, {100 * (shape + height) / total:.3f} %: {', '.join(where) or 'none'}; "
            f"an alert for {told} of {len(leads)} leads"
        )


def said_of(patients: Sequence[Sequence[Primitives]]) -> Said:
    """What is said of the still part of patients."""
    rates = sum(2 * passes(found) >= len(found) for found in patients)
    return Said(sum(map(passes, patients)), sum(map(len, patients)), rates, len(patients))


def simulated(before_s: float) -> None:
    """Simulated P waves by their size and by noise."""
    rng = np.random.default_rng(11)
    sums = []
    for ratio in RATIOS:
        for level in LEVELS_MV:
            patients = []
            for _ in range(EACH):
                x = standstill(rng, (before_s, STILL_S), ratio, level)
                patients.append(judged(x, FS_HZ)[-int(STILL_S // 10) :])
            sums.append(said_of(patients))
            print(f"  P waves {ratio:.2f} of QRS, noise {level:.3f} mV: {sums[-1]}")
    print(f"  all: {Said(*(sum(column) for column in zip(*sums, strict=True)))}")


def own(real: Sequence[Lead], before_s: float) -> None:
    """P waves of the recordings themselves, after their own beats."""
    rng = np.random.default_rng(12)
    for level in (0.002, 0.01, 0.02):
        patients = []
        for lead in real:
            found = own_p_wave(lead.x, np.asarray(detect_r_peaks(lead.x, lead.fs_hz)), lead.fs_hz)
            if found is None:
                continue
            still = own_p_waves(rng, found, lead.fs_hz, STILL_S, level)
            x = np.concatenate([lead.x[: round(before_s * lead.fs_hz)], still])
            patients.append(judged(x, lead.fs_hz)[-int(STILL_S // 10) :])
        print(f"  own P waves, noise {level:.3f} of QRS: {said_of(patients)}")


def others(before_s: float) -> None:
    """Other hearts without a beat."""
    rng = np.random.default_rng(13)
    for name, make in STILL.items():
        patients = []
        for _ in range(200):
            still = make(rng, round(STILL_S * FS_HZ))
            beats = standstill(rng, (before_s, STILL_S), 0.15, 0.01)[: -still.size]
            x = np.concatenate([beats, still])
            patients.append(judged(x, FS_HZ)[-int(STILL_S // 10) :])
        print(f"  {name}: {said_of(patients)}")


if __name__ == "__main__":
    main()
