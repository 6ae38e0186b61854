"""THE table of signals a device may send: what they are and what analysing them needs."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from streams.leads import FURTHER_LEADS

_UNLIMITED: Final = float("inf")


class SignalKind(StrEnum):
    """How a signal is analysed."""

    ECG = "ecg"  # a wave with R peaks
    PPG = "ppg"  # a wave with pulses
    RESP = "resp"  # a wave with breaths
    ACC = "acc"  # one axis of an accelerometer
    SCALAR = "scalar"  # a number measured now and then
    SPO2 = "spo2"
    TEMP = "temp"
    EDA = "eda"
    RR = "rr"  # intervals between beats, on a grid: see `streams.beat_grid`
    MOTION = "motion"  # made here from the three axes, never sent


class Signal(NamedTuple):
    """One signal. A sample outside `[lo, hi]` is not a measurement."""

    name: str
    kind: SignalKind
    unit: str
    context_s: float  # what its filters need on both sides of a segment
    lo: float
    hi: float
    label: str  # for people
    usual_s: float = 0.0  # between samples, where that is longer than the rate says


ECG: Final = "ecg"
MOTION: Final = "acc"
AXES: Final = ("acc_x", "acc_y", "acc_z")


def _lead(name: str, label: str) -> Signal:
    return Signal(name, SignalKind.ECG, "mV", 2.0, -_UNLIMITED, _UNLIMITED, label)


_TABLE: Final = (
    _lead(ECG, "ECG"),
    *(_lead(name, f"ECG, lead {name.removeprefix('ecg_').upper()}") for name in FURTHER_LEADS),
    Signal("rr_interval", SignalKind.RR, "ms", 0.0, 0.0, 30_000.0, "RR intervals (device)"),
    Signal("ppg", SignalKind.PPG, "1", 2.0, -_UNLIMITED, _UNLIMITED, "Pulse wave"),
    Signal("resp", SignalKind.RESP, "1", 2.0, -_UNLIMITED, _UNLIMITED, "Respiration wave"),
    Signal("acc_x", SignalKind.ACC, "g", 0.0, -64.0, 64.0, "Acceleration, x"),
    Signal("acc_y", SignalKind.ACC, "g", 0.0, -64.0, 64.0, "Acceleration, y"),
    Signal("acc_z", SignalKind.ACC, "g", 0.0, -64.0, 64.0, "Acceleration, z"),
    Signal("spo2", SignalKind.SPO2, "%", 0.0, 1.0, 100.0, "SpO2"),
    Signal("hr", SignalKind.SCALAR, "1/min", 0.0, 10.0, 350.0, "Heart rate (device)"),
    Signal("pulse", SignalKind.SCALAR, "1/min", 0.0, 10.0, 350.0, "Pulse rate (device)"),
    Signal("resp_rate", SignalKind.SCALAR, "1/min", 0.0, 1.0, 150.0, "Breathing rate (device)"),
    Signal("temp", SignalKind.TEMP, "Cel", 0.0, 10.0, 50.0, "Temperature"),
    Signal("eda", SignalKind.EDA, "uS", 0.0, 0.0, 200.0, "Skin conductance"),
    Signal("glucose", SignalKind.SCALAR, "mmol/L", 0.0, 0.5, 60.0, "Glucose (sensor)", 900.0),
    Signal("step_rate", SignalKind.SCALAR, "1/min", 0.0, 0.0, 400.0, "Steps (device)", 900.0),
    Signal("asleep", SignalKind.SCALAR, "1", 0.0, 0.0, 1.0, "Sleep (device)", 300.0),
)

SIGNALS: Final[dict[str, Signal]] = {signal.name: signal for signal in _TABLE}


def is_lead(name: str) -> bool:
    """Whether a signal is a further ECG lead."""
    return name.startswith("ecg_")


USUAL_US: Final = {s.name: round(s.usual_s * 1e6) for s in _TABLE if s.usual_s}
CONTEXT_S: Final[dict[str, float]] = {signal.name: signal.context_s for signal in _TABLE}
