"""Draws the figures of docs/signals.md: what the detectors see on simulated recordings.

In the peers' environment (`benchmarks/peers/make`), as matplotlib is not of the project:
`.vigil/peers/bin/python -m benchmarks.plot_signals`. With `--real` it also draws recordings into
the ignored `.vigil/figures`; those are never committed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import ROOT, data_folder
from features.beats import detect_pulses, detect_r_peaks
from features.intervals import nn_from_beats
from features.quality import GATE, signal_quality
from service import sim_waveforms

Floats = NDArray[np.float64]

FS_HZ: Final = 125.0
SECONDS: Final = 40
OUT: Final = ROOT / "docs" / "img"
REAL_OUT: Final = ROOT / ".vigil" / "figures"
BLUE, RED, GREY, AMBER = "#1f4e79", "#b3261e", "#6b6b6b", "#f4d58d"


class Scene(NamedTuple):
    """One figure."""

    name: str
    title: str
    ecg: Floats
    ppg: Floats
    beats_s: Floats  # true ones; empty where nobody knows
    fs_hz: float


def main() -> None:
    """Draw the figures."""
    if importlib.util.find_spec("matplotlib") is None:
        print("matplotlib is not installed here: benchmarks/peers/make says how to run this")
        return
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
    )
    OUT.mkdir(parents=True, exist_ok=True)
    for scene in (clean(), noisy(), broken()):
        draw(scene, OUT)
    if "--real" in sys.argv[1:]:
        REAL_OUT.mkdir(parents=True, exist_ok=True)
        for scene in real():
            draw(scene, REAL_OUT)


def clean() -> Scene:
    """A quiet recording with one premature beat and its pause."""
    rng = np.random.default_rng(7)
    steps = 0.82 + 0.04 * np.sin(np.arange(70) * 0.9) + 0.01 * rng.standard_normal(70)
    steps[27], steps[28] = 0.52, 1.12
    ecg, ppg, beats = _waves(steps, rng)
    return Scene("signals-clean", "clean: one premature beat", ecg, ppg, beats, FS_HZ)


def noisy() -> Scene:
    """The same heart while an electrode and the wrist move."""
    ecg, ppg, beats = clean()[2:5]
    rng = np.random.default_rng(3)
    t = np.arange(len(ecg)) / FS_HZ
    moving = np.exp(-0.5 * ((t - 15) / 2.2) ** 2) + 0.8 * np.exp(-0.5 * ((t - 31) / 1.2) ** 2)
    slow = np.cumsum(rng.standard_normal(len(ecg))) * 0.12
    slow -= np.convolve(slow, np.ones(63) / 63, "same")
    ecg = ecg + moving * (1.6 * slow + 0.35 * rng.standard_normal(len(ecg)))
    ppg = ppg + moving * 1.6 * np.sin(2 * np.pi * 2.6 * t + 3 * np.sin(2 * np.pi * 0.4 * t))
    return Scene("signals-noisy", "noisy: motion at 15 s and 31 s", ecg, ppg, beats, FS_HZ)


def broken() -> Scene:
    """The same heart through a gap, a loose electrode, spikes, a rail and single lost samples."""
    ecg, ppg, beats = (part.copy() for part in clean()[2:5])

    def at(begin_s: float, end_s: float) -> slice:
        return slice(round(begin_s * FS_HZ), round(end_s * FS_HZ))

    ecg[at(6, 11)] = np.nan
    ecg[at(17, 22)] = 0.0
    ecg[at(26, 26.03)] += 40.0
    ecg[[3800, 4000, 4200]] = np.nan
    ppg[at(9, 12)] = np.nan
    ppg[at(20, 40)] = ppg[at(20, 40)].clip(None, 0.55)
    title = "broken: gaps, a lead off at 17 s, a 40 mV spike at 26 s, PPG on its rail from 20 s"
    return Scene("signals-broken", title, ecg, ppg, beats, FS_HZ)


def _waves(steps_s: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """ECG, PPG and true beats."""
    beats = np.cumsum(steps_s) - 3.0
    t = np.arange(round(SECONDS * FS_HZ)) / FS_HZ
    breath = 2 * np.pi * 0.22 * t
    ecg = sim_waveforms.ecg(t, beats, breath) + 0.01 * rng.standard_normal(len(t))
    ppg = sim_waveforms.ppg(t, beats, breath) + 0.01 * rng.standard_normal(len(t))
    return ecg, ppg, beats[(beats >= 0) & (beats < SECONDS)]


def real() -> list[Scene]:
    """Forty seconds of two recordings."""
    out = []
    for path in sorted(data_folder("bidmc").glob("*_Signals.npz"))[:2]:
        with np.load(path) as packed:
            names = [str(c) for c in packed["channels"]]
            part = packed["signals"][:, : round(SECONDS * FS_HZ)].astype(np.float64)
        ecg, ppg = part[names.index("II")], part[names.index("PLETH")]
        out.append(Scene(path.stem.lower(), path.stem, ecg, ppg, np.empty(0), FS_HZ))
    return out


def draw(scene: Scene, folder: Path) -> None:
    """One figure: both signals with what was found, and the intervals that count."""
    plt = importlib.import_module("matplotlib.pyplot")
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(9.5, 5.2), sharex=True, height_ratios=(3, 3, 2), layout="constrained"
    )
    r_peaks = np.asarray(detect_r_peaks(scene.ecg, scene.fs_hz)) / scene.fs_hz
    pulses = np.asarray(detect_pulses(scene.ppg, scene.fs_hz)) / scene.fs_hz
    _signal(top, scene, scene.ecg, r_peaks, "ecg")
    _signal(middle, scene, scene.ppg, pulses, "ppg")
    top.set_title(scene.title, loc="left")
    _intervals(bottom, scene, r_peaks)
    bottom.set_xlim(0, SECONDS)
    bottom.set_xlabel("s")
    path = folder / f"{scene.name}.png"
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def _signal(axes: Any, scene: Scene, x: Floats, found_s: Floats, kind: str) -> None:
    """A wave, its beats, and per 10 s the quality and what is wrong."""
    t = np.arange(len(x)) / scene.fs_hz
    low, high = np.nanpercentile(x, (0.2, 99.8))
    room = 0.35 * (high - low)
    axes.plot(t, x, color=BLUE, lw=0.7)
    axes.plot(found_s, np.interp(found_s, t, np.nan_to_num(x)), ".", color=RED, ms=4)
    axes.set_ylim(low - 0.3 * room, high + room)
    axes.set_ylabel("ECG, mV" if kind == "ecg" else "pulse wave")
    for start in range(0, SECONDS, 10):
        part = x[round(start * scene.fs_hz) : round((start + 10) * scene.fs_hz)]
        score, reasons = signal_quality(part, scene.fs_hz, kind)
        if score < GATE:
            axes.axvspan(start, start + 10, color=AMBER, alpha=0.5, lw=0)
        text = f"quality {score:.2f} {', '.join(reasons)}"
        axes.text(start + 0.2, high + 0.62 * room, text, color=GREY, fontsize=7)
        axes.axvline(start, color=GREY, lw=0.3)


def _intervals(axes: Any, scene: Scene, r_peaks_s: Floats) -> None:
    """NN intervals as dots, artefacts as crosses; nothing over a gap or from a refused segment."""
    n = round(10 * scene.fs_hz)
    passed = [
        signal_quality(scene.ecg[i : i + n], scene.fs_hz, "ecg")[0] >= GATE
        for i in range(0, len(scene.ecg), n)
    ]
    refused = np.flatnonzero(~np.array(passed)) * 10.0
    gaps = np.concatenate([_gap_times(scene.ecg, scene.fs_hz), refused + 5])
    kept = r_peaks_s[~np.isin(r_peaks_s // 10 * 10, refused)]
    times = np.sort(np.concatenate([kept, gaps]))
    nn = nn_from_beats(np.where(np.isin(times, gaps), np.nan, times))
    axes.plot(nn.times_s[nn.valid], nn.nn_ms[nn.valid], "o", color=BLUE, ms=3, label="NN")
    odd = ~nn.valid
    axes.plot(nn.times_s[odd], nn.nn_ms[odd], "x", color=RED, ms=5, label="ectopic or artefact")
    if scene.beats_s.size:
        truth = np.diff(scene.beats_s) * 1000
        axes.plot(scene.beats_s[1:], truth, "-", color=GREY, lw=0.5, label="simulated")
    axes.set_ylim(300, 1500)
    axes.set_ylabel("RR, ms")
    axes.legend(loc="upper right", ncols=3, frameon=False, fontsize=7)


def _gap_times(x: Floats, fs_hz: float) -> Floats:
    """A time inside every stretch of 0.1 s or more without signal (absent or flat)."""
    dead = np.isnan(x) | (np.r_[np.diff(x), np.nan] == 0)
    edges = np.flatnonzero(np.diff(np.r_[0, dead.astype(int), 0]))
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= 0.1 * fs_hz
    return np.asarray((starts + stops)[long] / 2 / fs_hz, np.float64)


if __name__ == "__main__":
    main()
