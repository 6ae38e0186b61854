"""The 693 published five-minute windows: how many values agree to all printed digits.

Run with ``python -m benchmarks.bench_hrv_reference``.
"""

from __future__ import annotations

from collections import Counter

from benchmarks._common import data_folder, heading
from benchmarks._hrv_data import agrees, as_published, reference_windows


def main() -> None:
    print(heading("HRV against the PhysioNet Cardiovascular Signal Toolbox, 693 windows"))
    windows, agreed = 0, Counter[str]()
    worst: dict[str, float] = {}
    for window in reference_windows(data_folder("hrv_reference")):
        windows += 1
        for name, value in as_published(window).items():
            printed = window.printed[name]
            agreed[name] += agrees(value, printed)
            if value and printed.strip() not in ("", "NaN"):
                off = abs(float(printed) / value - 1)
                worst[name] = max(worst.get(name, 0.0), off)
    print(f"{'measure':10s} {'agree':>9s} {'worst relative':>15s}")
    for name, n in agreed.items():
        print(f"{name:10s} {n:4d}/{windows} {worst[name]:15.1e}")


if __name__ == "__main__":
    main()
