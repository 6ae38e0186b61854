"""What a file calls a signal → what Vigil calls it, and in which unit.

One table for every importer, so that "PLETH" means the same wherever it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from streams.io.files.recording import Signal, fault
from streams.leads import LEADS

DEFAULT_UNITS = {
    "ecg": "mV",
    "ppg": "1",
    "resp": "1",
    "abp": "mm[Hg]",
    "spo2": "%",
    "hr": "1/min",
    "pulse": "1/min",
    "resp_rate": "1/min",
    "temp": "Cel",
    "acc_x": "g",
    "acc_y": "g",
    "acc_z": "g",
    "eda": "uS",
    "rr_interval": "ms",
    "glucose": "mmol/L",
    "step_rate": "1/min",
    "asleep": "1",
}
"""Unit (UCUM) of every signal as the engine takes it. "1": the sensor's own, uncalibrated."""

_SAME = (1.0, 0.0)
_RATE = {"1/min": _SAME, "/min": _SAME, "bpm": _SAME, "pm": _SAME}
_ACC = {"g": _SAME, "mg": (1e-3, 0.0), "m/s2": (1 / 9.80665, 0.0), "m/s^2": (1 / 9.80665, 0.0)}
_INTO_DEFAULT: dict[str, dict[str, tuple[float, float]]] = {  # unit in the file: factor, offset
    "ecg": {"mv": _SAME, "uv": (1e-3, 0.0), "µv": (1e-3, 0.0), "v": (1e3, 0.0)},
    "abp": {"mmhg": _SAME, "mm[hg]": _SAME},
    "spo2": {"%": _SAME, "percent": _SAME, "pct": _SAME},
    "hr": _RATE,
    "pulse": _RATE,
    "resp_rate": _RATE,
    "temp": {
        **dict.fromkeys(("cel", "degc", "deg c", "°c", "c", "celsius"), _SAME),
        **dict.fromkeys(("degf", "deg f", "°f", "f", "[degf]"), (5 / 9, -160 / 9)),
        "k": (1.0, -273.15),
    },
    "acc_x": _ACC,
    "acc_y": _ACC,
    "acc_z": _ACC,
    "eda": {"us": _SAME, "µs": _SAME, "μs": _SAME},
    "glucose": {"mmol/l": _SAME, "mg/dl": (10 / 180.156, 0.0)},  # g/mol of C6H12O6
    "step_rate": _RATE,
    "asleep": {"1": _SAME},
}
_MAY_BE_UNCALIBRATED = ("ecg", "eda", "abp")  # shape and time still tell something

_NAMES = {
    "pleth": "ppg",
    "ppg": "ppg",
    "bvp": "ppg",
    "resp": "resp",
    "respiration": "resp",
    "abp": "abp",
    "art": "abp",
    "hr": "hr",
    "heart rate": "hr",
    "pulse": "pulse",
    "pr": "pulse",
    "rr": "resp_rate",
    "resp_rate": "resp_rate",
    "spo2": "spo2",
    "sao2": "spo2",
    "%spo2": "spo2",
    "temp": "temp",
    "temperature": "temp",
    "rr_interval": "rr_interval",
    "ibi": "rr_interval",
    "eda": "eda",
    "gsr": "eda",
    "acc_x": "acc_x",
    "acc_y": "acc_y",
    "acc_z": "acc_z",
    "glucose": "glucose",
    "cgm": "glucose",
    "step_rate": "step_rate",
    "asleep": "asleep",
}
_FIRST_CHOICE = ("ii", "mlii")  # the lead bedside monitors count beats in
_NUMERIC_FS_HZ = 2.0  # slower than this, "RESP" is the monitor's rate, not the wave
_ECG_PREFIX = re.compile(r"^(?:ecg|ekg)[\s_-]+(?=\S)")


def canonical_names(labels: Sequence[str], fs_hz: Sequence[float]) -> list[str]:
    """Names of one recording's signals.

    Parameters
    ----------
    labels : (n_signals,)
        As the file has them.
    fs_hz : (n_signals,)
        Their rates: "RESP" below 2 Hz is a number ("resp_rate"), above it the wave ("resp").

    Returns
    -------
    list of str
        One distinct name per label. Lead II, else the first lead, is "ecg", every other lead
        "ecg_<lead>". An unknown label is kept in lower case with "_" for anything unusual; a name
        that comes twice gets "_2", "_3".

    Examples
    --------
    >>> canonical_names(["V", "RESP", "II", "PLETH", "RESP"], [125, 125, 125, 125, 1])
    ['ecg_v', 'resp', 'ecg', 'ppg', 'resp_rate']
    """
    keys = [_key(label) for label in labels]
    leads = [key for key in keys if key in LEADS]
    main = next((key for key in leads if key in _FIRST_CHOICE), leads[0] if leads else "")
    names: list[str] = []
    for key, rate in zip(keys, fs_hz, strict=True):
        if key in LEADS:
            name = "ecg" if key == main else f"ecg_{key}"
        else:
            name = _NAMES.get(key) or re.sub(r"[^a-z0-9]+", "_", key).strip("_") or "signal"
            if name == "resp" and rate < _NUMERIC_FS_HZ:
                name = "resp_rate"
        names.append(_distinct(name, names))
    return names


def default_unit(name: str) -> str:
    """Unit (UCUM) of a signal whose file names none.

    Examples
    --------
    >>> default_unit("ecg_v5")
    'mV'
    """
    return DEFAULT_UNITS.get(_root(name), "1")


def in_default_unit(path: Path, signal: Signal) -> Signal:
    """Signal as read, in the unit that every later step takes for granted.

    Parameters
    ----------
    path : Path
        For the message.
    signal : Signal
        `unit` as the file has it; empty when it has none.

    Returns
    -------
    Signal
        Samples, step and zero converted. A wave in a unit of the sensor's own keeps it.

    Raises
    ------
    SourceError
        If a number with a fixed meaning, as temperature, comes in a unit Vigil does not know.
    """
    root, unit = _root(signal.name), signal.unit.strip()
    table = _INTO_DEFAULT.get(root)
    if table is None or not unit:
        return signal._replace(unit=unit if unit and table is None else default_unit(root))
    rule = table.get(unit.lower())
    if rule is None:
        if root in _MAY_BE_UNCALIBRATED:
            return signal
        known = ", ".join(sorted(table))
        raise fault(path, f"unit of {signal.name}", f"'{unit}' is not one of {known}")
    if rule == _SAME:
        return signal._replace(unit=DEFAULT_UNITS[root])
    factor, offset = rule
    return signal._replace(
        unit=DEFAULT_UNITS[root],
        samples=signal.samples * factor + offset,
        step=signal.step * factor,
        zero=signal.zero * factor + offset,
    )


def _root(name: str) -> str:
    """Signal a name belongs to: every lead is an ECG."""
    return "ecg" if name.startswith("ecg_") else name


def _key(label: str) -> str:
    """Label in lower case, without the type that EDF puts before a lead ("ECG II")."""
    return _ECG_PREFIX.sub("", label.strip().lower())


def _distinct(name: str, taken: list[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
