"""Replay the BIDMC recordings and compare heart and respiration rate with the references.

Development figures: the recordings under VIGIL_DATA. Heart rate is compared with the bedside
monitor's 1 Hz numerics averaged over the same 60 s, respiration with the two breath annotators.
A window counts when it is fully inside the recording and the reference exists for all of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import data_folder, heading
from service.config import load as load_config
from service.replay import load, replay_embedded

Floats = NDArray[np.float64]


def monitor_rate(folder: Path, patient_id: str, column: str) -> Floats:
    """One column of a record's numerics, one value per second."""
    lines = (folder / f"{patient_id}_Numerics.csv").read_text().strip().splitlines()
    names = [name.strip() for name in lines[0].split(",")]
    at = names.index(column)
    cells = [line.split(",")[at].strip() for line in lines[1:]]
    return np.array([float(cell) if cell else np.nan for cell in cells])


def breath_times_s(folder: Path, patient_id: str) -> list[Floats]:
    """Breath times of the two annotators, s from the start."""
    lines = (folder / f"{patient_id}_Breaths.csv").read_text().strip().splitlines()[1:]
    cells = [line.split(",") for line in lines]
    return [
        np.array([float(row[k]) / 125.0 for row in cells if len(row) > k and row[k].strip()])
        for k in (0, 1)
    ]


def breath_rate(times_s: Floats, start_s: float, end_s: float) -> float:
    """Breaths per minute in a window: its whole breaths over the time they took."""
    inside = times_s[(times_s >= start_s) & (times_s < end_s)]
    if len(inside) < 3:
        return np.nan
    return float(60.0 * (len(inside) - 1) / (inside[-1] - inside[0]))


def summary(errors: list[float], missing: int) -> str:
    """MAE, share within 5 per minute, and how many windows have no value."""
    found = np.abs(np.array(errors))
    within = 100 * np.mean(found <= 5) if len(found) else np.nan
    return (
        f"MAE {found.mean():.3f}, within 5: {within:.2f} %, windows {len(found)}, "
        f"without a value {missing}"
    )


def main() -> int:
    """Print the table; the exit status says whether the goals are met."""
    folder = data_folder("bidmc")
    print(heading("heart and respiration rate on BIDMC, 60 s windows every 10 s"))
    done = replay_embedded(load([folder], None), load_config(None, {}))
    starts = {row["patient_id"]: row["start_us"] for row in done.run["recordings"]}
    errors: dict[str, list[float]] = {"hr": [], "ppg": [], "resp mean": [], "resp count": []}
    missing = dict.fromkeys(errors, 0)
    for row in done.results.features:
        start_s = (row.start_us - starts[row.patient_id]) / 1e6
        if row.window != "60s" or start_s < 0 or start_s + 60 > 480:
            continue
        monitor = monitor_rate(folder, row.patient_id, "HR")[int(start_s) : int(start_s) + 60]
        own = breath_times_s(folder, row.patient_id)
        by_time = [breath_rate(times, start_s, start_s + 60) for times in own]
        by_count = [float(np.sum((t >= start_s) & (t < start_s + 60))) for t in own]
        truth = {
            "hr": (row.values["ecg_hr_bpm"], float(np.mean(monitor))),
            "ppg": (row.values["ppg_pulse_rate_bpm"], float(np.mean(monitor))),
            "resp mean": (row.values["resp_rate_per_min"], float(np.mean(by_time))),
            "resp count": (row.values["resp_rate_per_min"], float(np.mean(by_count))),
        }
        for name, (value, wanted) in truth.items():
            if np.isnan(wanted):
                continue
            if value is None:
                missing[name] += 1
            else:
                errors[name].append(value - wanted)
    for name, found in errors.items():
        print(f"{name:>11}: {summary(found, missing[name])}")
    print(f"       cost: {done.run['cost']}")
    hr, resp = np.abs(errors["hr"]), np.abs(errors["resp mean"])
    met = hr.mean() <= 0.6 and np.mean(hr <= 5) >= 0.99 and resp.mean() <= 0.7
    goals = "HR MAE <= 0.6 and 99 % within 5, respiration MAE <= 0.7"
    print(f"goals ({goals}):", "met" if met else "MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
