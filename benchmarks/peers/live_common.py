"""What the live peers share: our wire form in plain Python, and the figure they all compute.

A user of a stream library who wants heart rate and HRV of the last minute every ten seconds writes
this: NeuroKit2 on the samples of the window. Runs in .vigil/live-peers, without Vigil.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import msgspec
import neurokit2 as nk
import numpy as np

FS_HZ = 250
WINDOW_S, HOP_S = 60, 10


def chunks(value: bytes) -> list[list[object]]:
    """Chunks of one record: lists as Vigil's MessagePack has them; none for other records."""
    version, kind, body = msgspec.msgpack.decode(value)
    assert version == 1
    return list(body[0]) if kind == "bundle" else []


def samples(chunk: list[object]) -> np.ndarray:
    """A chunk's values in its unit."""
    return np.frombuffer(chunk[11], "<i2") * chunk[8] + chunk[9]


def features(ecg: np.ndarray) -> dict[str, float]:
    """Heart rate and time-domain HRV of a window."""
    cleaned = nk.ecg_clean(ecg, sampling_rate=FS_HZ)
    _, found = nk.ecg_peaks(cleaned, sampling_rate=FS_HZ)
    peaks = found["ECG_R_Peaks"]
    if len(peaks) < 10:
        return {}
    hrv = nk.hrv_time(peaks, sampling_rate=FS_HZ)
    rate = 60 * FS_HZ / float(np.mean(np.diff(peaks)))
    return {"hr": rate, "rmssd": float(hrv["HRV_RMSSD"].iloc[0])}


def report(windows: int, began_s: float) -> None:
    """One JSON line for the benchmark, and the end of the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime - began_s
    line = json.dumps({"windows": windows, "cpu_s": cpu_s, "mib": used.ru_maxrss >> 10})
    print(line, file=sys.__stdout__, flush=True)  # Faust takes stdout for its log


def spent_s() -> float:
    """CPU time so far: imports and start-up are not counted."""
    return time.process_time()
