"""Windows of an hour and a day, from what five minutes left behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from features import daily_life, long_windows, night_signal
from features.align import FeatureBatch
from features.catalog import INDEX
from features.column import Column
from features.families import heart, motion, saturation
from features.families.table import Columns, Row, asked_of
from features.feature import FeatureReason
from features.history import DAY_FEATURES, DAY_ROW, FIVE_MINUTES_US, HOUR_ROW, HOUR_US, N_DAY
from features.intervals import Floats, Ints
from features.motion.day import motion_row, night_columns, nonwear_column
from features.oximetry import hour_columns
from features.personal import gathered, scattered
from features.segment_rows import column
from features.signals import MOTION
from features.tables.hrv_device import device_name
from features.temperature import slope_column

_DAY_COLUMNS = np.array([INDEX[name] for name in DAY_FEATURES])
_DAILY_LIFE_COLUMNS = np.array([INDEX[name] for name in daily_life.SOURCES])
_DAY_US = N_DAY * FIVE_MINUTES_US


def remember(rows: Sequence[Row], batch: FeatureBatch, at: Ints) -> None:
    """Keep what long windows need of the 300-s windows that end on a multiple of five minutes.

    Parameters
    ----------
    rows : sequence of Row
        All windows of the batch.
    batch : FeatureBatch
        Their features.
    at : (B,) int
        Which of them are such windows.
    """
    places = at.tolist()
    own = asked_of(rows, tuple(places))
    part = HOUR_ROW.parts
    table = np.full((len(own), HOUR_ROW.n), np.nan)
    table[:, part["motion"]] = motion_row(motion.epochs(own))
    for signal, name, made in (
        ("spo2", "saturation", saturation.numbers),
        ("ecg", "ecg", heart.ecg_history),
        ("rr_interval", "device", heart.device_history),
    ):
        has = [i for i, row in enumerate(own) if row[0].rings.first_us(signal) is not None]
        if has:
            table[has, part[name]] = made(asked_of(rows, tuple(places[i] for i in has)))
    table[:, part["temperature"]] = batch.value[at, INDEX["temp_mean_c"]][:, None]
    table[:, part["daily_life"]] = batch.value[at][:, _DAILY_LIFE_COLUMNS]
    day = batch.value[at][:, _DAY_COLUMNS]
    for i, (memory, window) in enumerate(own):
        memory.calibrations.take_up()
        memory.five.put(window.end_us, table[i])
        memory.day.put(window.end_us, day[i])


def hour(rows: Sequence[Row]) -> Columns:
    """Features of the last hour."""
    table = np.stack([memory.five.until(window.end_us) for memory, window in rows])
    part = HOUR_ROW.parts
    full = np.ones(len(rows))
    made = hour_columns(table[:, :, part["saturation"]], full)
    warm = table[:, :, part["temperature"]][:, :, 0]
    made["temp_slope_c_per_h"] = slope_column(warm, full)
    made |= daily_life.hour_columns(table[:, :, part["daily_life"]])
    made["acc_nonwear"] = nonwear_column(table[:, :, part["motion"]], full)
    vectors = np.full((len(rows), DAY_ROW.n), np.nan)
    for source, rename in _SOURCES.items():
        columns, vectors[:, DAY_ROW.parts[source]] = long_windows.hour_columns(
            table[:, :, part[source]]
        )
        made |= {rename(name): own for name, own in columns.items()}
    for i, (memory, window) in enumerate(rows):
        if window.end_us % HOUR_US == 0:
            memory.hours.put(window.end_us, vectors[i])
    return {name: _explained(rows, name, own) for name, own in made.items()}


def day(rows: Sequence[Row]) -> Columns:
    """Features of the last day, the night's signal among them."""
    table = np.stack([memory.day.until(window.end_us) for memory, window in rows])
    made = night_columns(table[:, :, 0], table[:, :, 1], table[:, :, 2])
    made["night_signal"] = _night_signal(rows, table)
    hours = np.stack([memory.hours.until(window.end_us) for memory, window in rows])
    for source, rename in _SOURCES.items():
        columns = long_windows.day_columns(hours[:, :, DAY_ROW.parts[source]])
        made |= {rename(name): own for name, own in columns.items()}
    return {name: _explained(rows, name, own) for name, own in made.items()}


def _night_signal(rows: Sequence[Row], table: Floats) -> Column:
    """Judged once a day, at noon of the patient's clock, from the night before."""
    people = [memory.personal for memory, _ in rows]
    state = gathered(people, "night_signal", night_signal.fresh)
    end_us = np.array([window.end_us for _, window in rows])
    bpm = night_columns(table[:, :, 0], table[:, :, 1], table[:, :, 2])["ecg_night_hr_bpm"].value
    noon = end_us % _DAY_US == _DAY_US // 2
    state, level, _ = night_signal.night(state, np.where(noon, bpm, np.nan), end_us // _DAY_US)
    scattered(people, "night_signal", state)
    seen = (~np.isnan(level)).astype(np.float64)
    return column(level, seen, seen, seen)


def _explained(rows: Sequence[Row], name: str, own: Column) -> Column:
    """Say that a signal is not there, or has not lasted long enough yet."""
    signal = _SIGNAL_OF.get(name.split("_", maxsplit=1)[0], "ecg")
    first = [memory.rings.first_us(signal) for memory, _ in rows]
    missing = np.isin(own.reason, _MAY_BE_ABSENT)
    unknown = np.array(
        [us is None or us >= w.end_us for us, (_, w) in zip(first, rows, strict=True)]
    )
    young = np.array(
        [us is not None and us > w.start_us for us, (_, w) in zip(first, rows, strict=True)]
    )
    reason = np.where(missing & young, FeatureReason.TOO_SHORT, own.reason)
    reason = np.where(missing & unknown, FeatureReason.NO_SIGNAL, reason)
    return own._replace(reason=reason.astype(np.uint8))


_MAY_BE_ABSENT = (FeatureReason.GAP, FeatureReason.UNDEFINED, FeatureReason.TOO_SHORT)
_SOURCES: dict[str, Callable[[str], str]] = {"ecg": str, "device": device_name}
_SIGNAL_OF = {
    "rr": "rr_interval",
    "spo2": "spo2",
    "temp": "temp",
    "acc": MOTION,
    "glucose": "glucose",
    "step": "step_rate",
    "asleep": "asleep",
}
