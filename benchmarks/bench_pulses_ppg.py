"""How right the pulses of the PPG are, what the quality gate keeps, and what they cost.

BIDMC and the 2015 challenge: pulses against R peaks of the same recording, moved by the record's
median delay, one-to-one within 150 ms, where the ECG itself passes its gate. Wrist: against the
wristband's own intervals and its own heart rate, which is no independent truth. Needs the
recordings (`VIGIL_DATA`, default ../shared/data): `python -m benchmarks.bench_pulses_ppg`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import data_folder, heading
from features.beats import detect_r_peaks
from features.ppg.arrival import arrival
from features.ppg.motion import track
from features.ppg.pulses import CONTEXT_S, CORE_S, detect_pulses
from features.ppg.quality import GATE
from features.ppg.segment import Acceleration, PpgSegments, analyse_ppg
from features.ppg.windows import LEAST_RATE_CONFIDENCE
from features.quality import signal_quality

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Line = tuple[str, str]

TOLERANCE_S: Final = 0.15
WINDOW_SEGMENTS: Final = 6  # 60 s, hop 10 s
BATCH: Final = 256
# The wristband's rate is an average of the past; of all lags this one agrees best.
E4_LAG_S: Final = 45
_LEAST_KNOWN: Final = 0.9  # of samples, else a challenge record is left out


class Record(NamedTuple):
    """A pulse wave, the R peaks beside it, and the 10-s segments whose ECG can be believed."""

    ppg: Floats
    fs_hz: float
    r_s: Floats
    ecg_ok: NDArray[np.bool_]
    monitor_bpm: Floats  # once a second; empty if there is none


class Score(NamedTuple):
    """Counts over some records, and each record's mean error of intervals."""

    hits: int
    found: int
    true: int
    interval_ms: list[float]


def main() -> None:
    """Measure everything and print the table."""
    bidmc, challenge = list(bidmc_records()), list(challenge_records())
    lines = [
        *agreement_lines("BIDMC", bidmc),
        *monitor_lines(bidmc),
        *agreement_lines("challenge 2015", challenge),
        *gate_lines("BIDMC", bidmc),
        *gate_lines("challenge 2015", challenge),
        *noise_lines(),
        *wrist_lines(),
        *arrival_lines(bidmc),
        *cost_lines(bidmc),
    ]
    width = max(len(name) for name, _ in lines)
    print(heading("Pulses from PPG"))
    for name, value in lines:
        print(f"{name:<{width}}  {value}")


def agreement_lines(name: str, records: Sequence[Record]) -> Iterator[Line]:
    """All pulses against all R peaks of trusted ECG."""
    score = pooled(judge(record, detect(record)) for record in records)
    yield from score_lines(f"{name}, {len(records)} records, all kept", score)


def gate_lines(name: str, records: Sequence[Record]) -> Iterator[Line]:
    """The same in segments that pass the PPG gate, and how many do."""
    scores, passed = [], []
    for record in records:
        ok = analyse_ppg(segments(record.ppg, record.fs_hz), record.fs_hz).quality >= GATE
        passed.append(ok)
        scores.append(judge(record, detect(record), ok))
    yield f"{name}, segments that pass the gate, %", f"{100 * np.concatenate(passed).mean():.1f}"
    yield from score_lines(f"{name}, in those", pooled(scores))


def monitor_lines(records: Sequence[Record]) -> Iterator[Line]:
    """Pulse rate of 60-s windows, from gated segments, against the bedside monitor's."""
    error = []
    for record in records:
        found = analyse_ppg(segments(record.ppg, record.fs_hz), record.fs_hz)
        rates = window_rates(found, record.fs_hz)
        monitor = window_means(record.monitor_bpm, rates.size)
        error.append(rates - monitor)
    yield from rate_lines("BIDMC, pulse rate vs monitor's", np.concatenate(error))


def wrist_lines() -> Iterator[Line]:
    """Empatica E4: intervals, and the rate by pulses and by the spectrum."""
    seen = total = 0
    interval_ms, by_pulses, by_track, sure, passed = [], [], [], [], []
    for folder in sorted((data_folder("stress_predict_e4") / "Raw_data").iterdir()):
        bvp, acc = np.loadtxt(folder / "BVP.csv"), np.loadtxt(folder / "ACC.csv", delimiter=",")
        fs_hz, x, magnitude_g = float(bvp[1]), bvp[2:], np.sqrt((acc[2:] ** 2).sum(axis=1)) / 64
        hits, true, error = wrist_intervals(folder / "IBI.csv", bvp[0], x, fs_hz)
        seen, total = seen + hits, total + true
        interval_ms.append(error)
        rows = segments(x, fs_hz)
        moved = np.full((len(rows), segments(magnitude_g, 32.0).shape[1]), np.nan)
        own = segments(magnitude_g, 32.0)[: len(rows)]
        moved[: len(own)] = own
        found = analyse_ppg(rows, fs_hz, Acceleration(moved, 32.0))
        rates = window_rates(found, fs_hz)
        hr = np.loadtxt(folder / "HR.csv")
        seconds = np.full(10 * len(rows) + 200, np.nan)
        at = np.arange(hr.size - 2) + round(hr[0] - bvp[0]) - E4_LAG_S
        seconds[at[at >= 0]] = hr[2:][at >= 0]
        truth = window_means(seconds, rates.size)
        assert found.rates is not None
        tracked = track(windowed(found.rates.bpm), windowed(found.rates.weight))
        by_pulses.append(rates - truth)
        by_track.append(tracked.bpm - truth)
        sure.append(tracked.confidence >= LEAST_RATE_CONFIDENCE)
        passed.append(found.quality >= GATE)
    yield "E4, own intervals' beats found, %", f"{100 * seen / total:.2f}"
    yield "E4, intervals vs its own, MAE ms", f"{np.mean(interval_ms):.2f}"
    yield "E4, segments that pass the gate, %", f"{100 * np.concatenate(passed).mean():.1f}"
    pulses, tracks = np.concatenate(by_pulses), np.concatenate(by_track)
    certain = np.concatenate(sure)
    yield from rate_lines("E4, pulse rate vs its HR", pulses)
    yield from rate_lines("E4, spectral rate vs its HR, any", tracks)
    yield from rate_lines("E4, spectral rate vs its HR, sure", np.where(certain, tracks, np.nan))
    only = np.where(certain & np.isnan(pulses), tracks, np.nan)
    yield from rate_lines("E4, spectral rate where pulses have none", only)


def noise_lines() -> Iterator[Line]:
    """Rows of nothing but noise must fail."""
    rng = np.random.default_rng(0)
    for name, slope in (("white", 0.0), ("pink", 1.0), ("brown", 2.0)):
        spectrum = np.fft.rfft(rng.normal(size=(512, 1750)), axis=1)
        spectrum[:, 1:] *= np.arange(1, spectrum.shape[1]) ** (-slope / 2)
        score = analyse_ppg(np.fft.irfft(spectrum, 1750, axis=1), 125.0).quality
        yield f"{name} noise that passes the gate, %", f"{100 * np.mean(score >= GATE):.2f}"


def arrival_lines(records: Sequence[Record]) -> Iterator[Line]:
    """Spread of the arrival time within 60 s: what a trend has to rise above."""
    spread = []
    for record in records:
        pulse_us, r_us = (np.rint(t * 1e6).astype(np.intp) for t in (detect(record), record.r_s))
        row = [(us // 60_000_000) for us in (r_us, pulse_us)]
        start = [us - 60_000_000 * window for us, window in zip((r_us, pulse_us), row, strict=True)]
        spread.append(arrival(row[0], start[0], row[1], start[1], 9).iqr_ms)
    every = np.concatenate(spread)
    yield "BIDMC, quartile range of PAT in 60 s, median ms", f"{np.nanmedian(every):.1f}"


def cost_lines(records: Sequence[Record]) -> Iterator[Line]:
    """CPU time of all that `analyse_ppg` does, per patient-minute of 125 Hz, least of ten."""
    rows = np.concatenate([segments(record.ppg, 125.0)[2:-2] for record in records])
    for size in (1, 16, 256):
        some = np.ascontiguousarray(rows[:: len(rows) // BATCH][:BATCH])
        cost = min(cpu_s(lambda: analyse_in(some, size)) for _ in range(3 if size == 1 else 10))  # noqa: B023
        yield f"CPU ms per minute, batches of {size}", f"{6e3 * cost / len(some):.3f}"


def analyse_in(rows: Floats, size: int) -> None:
    """Analyse rows in batches."""
    for first in range(0, len(rows), size):
        analyse_ppg(rows[first : first + size], 125.0)


def cpu_s(work: Callable[[], None]) -> float:
    """CPU time of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def detect(record: Record) -> Floats:
    """Times of a record's pulses."""
    return np.asarray(detect_pulses(record.ppg, record.fs_hz), np.float64) / record.fs_hz


def judge(record: Record, found_s: Floats, ppg_ok: NDArray[np.bool_] | None = None) -> Score:
    """Match pulses to delayed R peaks, counting where the ECG (and the PPG) can be believed."""
    delay = delay_s(record.r_s, found_s)
    if np.isnan(delay):
        return Score(0, found_s.size, record.r_s.size, [])
    truth = record.r_s + delay
    of_truth, of_found = matched(truth, found_s)
    counted_truth, counted_found = (
        trusted(times, delay, record.ecg_ok, ppg_ok) for times in (truth, found_s)
    )
    follows = (np.diff(of_truth) == 1) & (np.diff(of_found) == 1) & counted_truth[of_truth][1:]
    error = np.abs(np.diff(found_s[of_found]) - np.diff(truth[of_truth]))[follows]
    hits = int(counted_truth[of_truth].sum())
    interval = [1e3 * float(error.mean())] if error.size else []
    return Score(hits, int(counted_found.sum()), int(counted_truth.sum()), interval)


def trusted(
    times: Floats, delay: float, ecg_ok: NDArray[np.bool_], ppg_ok: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Whether both signals can be believed at each time; the filters need the first 0.3 s."""
    ecg_at = np.clip((times - delay) // CORE_S, 0, ecg_ok.size - 1).astype(np.intp)
    good = ecg_ok[ecg_at] & (times > 2 * TOLERANCE_S)
    if ppg_ok is not None:
        good &= ppg_ok[np.clip(times // CORE_S, 0, ppg_ok.size - 1).astype(np.intp)]
    return good


def delay_s(truth: Floats, found: Floats) -> float:
    """The delay with most matches; of delays a beat apart that with the likest intervals."""
    tried = np.arange(-0.3, 0.9, 0.04)
    hits = np.array([len(matched(truth + d, found)[0]) for d in tried])
    if hits.max(initial=0) == 0:
        return float("nan")
    best = (np.inf, np.nan)
    for shift in tried[hits >= 0.99 * hits.max()]:
        a, b = matched(truth + shift, found)
        exact = shift + float(np.median(found[b] - truth[a] - shift))
        a, b = matched(truth + exact, found)
        follows = (np.diff(a) == 1) & (np.diff(b) == 1)
        error = np.abs(np.diff(found[b]) - np.diff(truth[a]))[follows]
        best = min(best, (float(error.mean()) if error.size else np.inf, exact))
    return float(best[1])


def matched(truth: Floats, found: Floats, within: float = TOLERANCE_S) -> tuple[Ints, Ints]:
    """Indices of a one-to-one matching of two ascending series."""
    i = j = 0
    pairs = []
    while i < len(truth) and j < len(found):
        error = found[j] - truth[i]
        if abs(error) <= within:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif error < 0:
            j += 1
        else:
            i += 1
    both = np.array(pairs, np.intp).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def pooled(scores: Iterator[Score] | Sequence[Score]) -> Score:
    """Counts of all records together."""
    every = list(scores)
    return Score(
        sum(score.hits for score in every),
        sum(score.found for score in every),
        sum(score.true for score in every),
        [ms for score in every for ms in score.interval_ms],
    )


def score_lines(name: str, score: Score) -> Iterator[Line]:
    """F1, sensitivity, precision and error of intervals."""
    f1 = 200 * score.hits / max(score.found + score.true, 1)
    yield f"{name}: F1 %", f"{f1:.2f}"
    shares = (100 * score.hits / max(n, 1) for n in (score.true, score.found))
    yield f"{name}: Se / PPV %", " / ".join(f"{share:.2f}" for share in shares)
    yield f"{name}: intervals vs RR, MAE ms", f"{np.mean(score.interval_ms):.2f}"


def rate_lines(name: str, error: Floats) -> Iterator[Line]:
    """Mean absolute error, share within 5/min, share of windows with both values."""
    known = np.abs(error[~np.isnan(error)])
    within = 100 * np.mean(known <= 5)
    value = f"{known.mean():.2f} / {within:.1f} / {100 * known.size / error.size:.1f}"
    yield f"{name}: MAE per min / within 5 % / windows %", value


def segments(x: Floats, fs_hz: float) -> Floats:
    """10-s cores with their context as rows, NaN outside the recording; whole rates only.

    A rest of less than a second at the end is left out.
    """
    core, context = round(CORE_S * fs_hz), round(CONTEXT_S * fs_hz)
    n_rows = (x.size + core - round(fs_hz)) // core
    x = x[: n_rows * core + context]
    padded = np.full(n_rows * core + 2 * context, np.nan)
    padded[context : context + x.size] = x  # NaN where the recording ends first
    return np.stack([padded[k * core : (k + 1) * core + 2 * context] for k in range(n_rows)])


def window_rates(found: PpgSegments, fs_hz: float) -> Floats:
    """60000 / mean interval of each 60-s window from segments that pass, half of it covered."""
    since = found.pulses.position / fs_hz - CONTEXT_S
    row = found.pulses.row
    own = (row[1:] == row[:-1]) & (since[1:] >= 0) & (since[1:] < CORE_S)
    own &= (found.quality >= GATE)[row[1:]]
    interval, place = np.diff(since)[own], row[1:][own]
    out = np.full(max(found.quality.size - WINDOW_SEGMENTS + 1, 0), np.nan)
    for i in range(out.size):
        inside = interval[(place >= i) & (place < i + WINDOW_SEGMENTS)]
        if inside.sum() >= 0.5 * CORE_S * WINDOW_SEGMENTS:
            out[i] = 60.0 / inside.mean()
    return out


def window_means(per_second: Floats, n: int) -> Floats:
    """Mean of a numeric over each 60-s window; NaN where none is known."""
    out = np.full(n, np.nan)
    for i in range(n):
        own = per_second[10 * i : 10 * i + 60]
        if np.isfinite(own).sum() >= 30:
            out[i] = np.nanmean(own)
    return out


def windowed(per_segment: Floats) -> Floats:
    """(segments, k) -> (windows, 6, k)."""
    n = max(len(per_segment) - WINDOW_SEGMENTS + 1, 0)
    return np.stack([per_segment[i : i + WINDOW_SEGMENTS] for i in range(n)])


def wrist_intervals(path: Path, start: float, x: Floats, fs_hz: float) -> tuple[int, int, float]:
    """Beats of the wristband's intervals that are found, how many it has, and their error."""
    ibi = np.genfromtxt(path, delimiter=",", skip_header=1)
    ends = ibi[:, 0] + float(path.read_text().split(",", 1)[0]) - start
    truth = np.unique(np.concatenate([ends, ends - ibi[:, 1]]).round(3))
    truth = truth[np.diff(truth, prepend=-1.0) > 0.2]
    found = np.asarray(detect_pulses(x, fs_hz), np.float64) / fs_hz
    shift = max(np.arange(-0.3, 0.3, 0.02), key=lambda d: len(matched(truth + d, found, 0.1)[0]))
    a, b = matched(truth + shift, found)
    follows = (np.diff(a) == 1) & (np.diff(b) == 1) & (np.diff(truth[a]) < 1.5)
    error = np.abs(np.diff(found[b]) - np.diff(truth[a]))[follows]
    return len(a), truth.size, 1e3 * float(error.mean())


def ecg_gate(ecg: Floats, fs_hz: float) -> NDArray[np.bool_]:
    """Which 10-s segments of an ECG pass its gate."""
    core = round(CORE_S * fs_hz)
    score = [
        signal_quality(ecg[max(0, at - core // 10) : at + core + core // 10], fs_hz, "ecg")[0]
        for at in range(0, ecg.size, core)
    ]
    return np.array(score) >= GATE


def bidmc_records() -> Iterator[Record]:
    """PLETH, lead II and the monitor's pulse rate of all BIDMC records."""
    for path in sorted(data_folder("bidmc").glob("*_Signals.npz")):
        with np.load(path) as packed:
            names = [str(channel) for channel in packed["channels"]]
            ecg, ppg = (packed["signals"][names.index(n)].astype(float) for n in ("II", "PLETH"))
            fs_hz = float(packed["fs"])
        numerics = path.with_name(path.name.replace("_Signals.npz", "_Numerics.csv"))
        monitor = np.genfromtxt(numerics, delimiter=",", skip_header=1)[:, 2]
        r_s = np.asarray(detect_r_peaks(ecg, fs_hz), np.float64) / fs_hz
        yield Record(ppg, fs_hz, r_s, ecg_gate(ecg, fs_hz), monitor)


def challenge_records() -> Iterator[Record]:
    """Last minutes before alarms whose PLETH is recorded and whose best lead passes its gate."""
    folder = data_folder("cinc2015_last60s")
    meta = json.loads((folder / "meta.json").read_text())
    with np.load(folder / "signals.npz") as packed:
        for record in meta:
            channels = record["channels"]
            if "PLETH" not in channels:
                continue
            counts = np.cumsum(packed[record["record"]], axis=1, dtype=np.int16)
            wave = np.where(counts == np.iinfo(np.int16).min, np.nan, counts.astype(float))
            leads = [i for i, n in enumerate(channels) if n not in ("PLETH", "RESP", "ABP")]
            gates = [ecg_gate(wave[i], 250.0) for i in leads]
            ppg = wave[channels.index("PLETH")]
            if not leads or np.isfinite(ppg).mean() < _LEAST_KNOWN:
                continue
            best = max(range(len(leads)), key=lambda k: gates[k].sum())
            if not gates[best].all():
                continue
            r_s = np.asarray(detect_r_peaks(wave[leads[best]], 250.0), np.float64) / 250.0
            yield Record(ppg, 250.0, r_s, gates[best], np.empty(0))


if __name__ == "__main__":
    main()
