"""What is known of a person with diabetes at each decision, by modality; nothing of later times.

Insulin on board falls along the exponential curve that open loop systems use for rapid-acting
analogues (peak of activity 75 min, end 5 h); carbohydrates leave along a gamma curve with its peak
at 45 min. Personal terms are a person's own past, never the others'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.datasets.t1d_uom import LOW_MMOL_L, MINUTE_US, Person, Stream, held

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kernel = Callable[[Floats], Floats]
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
LAGS_MIN: Final = (5, 10, 15, 20, 30, 45, 60, 90, 120)
SPANS_H: Final = (0.5, 1.0, 3.0, 6.0, 24.0)
PEAK_MIN: Final = 75.0
END_MIN: Final = 300.0
GAMMA_MIN: Final = 45.0
PRIOR_DAYS: Final = 3.0  # of others' days in a personal share of lows
TYPICAL_LOW: Final = 0.03  # share of readings, Battelino's goal is 0.04


class Columns:
    """Features by modality, in the order they were made."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.modality: list[str] = []
        self.values: list[Floats] = []

    def add(self, modality: str, name: str, value: Floats) -> None:
        """Keep one feature."""
        self.names.append(name)
        self.modality.append(modality)
        self.values.append(value)


def features(person: Person, at_us: Ints) -> Columns:
    """Every feature of one person at every decision; NaN where it is not known."""
    columns = Columns()
    _clock(columns, at_us)
    _glucose(columns, person.streams["glucose"], at_us)
    _personal(columns, person.streams["glucose"], at_us)
    _wrist(columns, person, at_us)
    _insulin(columns, person, at_us)
    _meals(columns, person, at_us)
    return columns


def _clock(c: Columns, at_us: Ints) -> None:
    angle = 2 * np.pi * (at_us % DAY_US) / DAY_US
    for k in (1, 2):
        c.add("clock", f"day_sin{k}", np.sin(k * angle))
        c.add("clock", f"day_cos{k}", np.cos(k * angle))


def _glucose(c: Columns, glucose: Stream, at_us: Ints) -> None:
    """The last value, where it came from and where it leads."""
    now, age = held(glucose, at_us, 20 * MINUTE_US)
    c.add("glucose", "now", now)
    c.add("glucose", "age_min", age)
    for lag in LAGS_MIN:
        before, _ = held(glucose, at_us - lag * MINUTE_US, 20 * MINUTE_US)
        c.add("glucose", f"less_{lag}", now - before)
    for span in (20, 40, 60):
        c.add("glucose", f"slope_{span}", slope(glucose, at_us, span))
    for hours in SPANS_H:
        mean, sd, least = moments(glucose, at_us, hours)
        c.add("glucose", f"mean_{hours:g}h", mean)
        c.add("glucose", f"sd_{hours:g}h", sd)
        c.add("glucose", f"min_{hours:g}h", least)


def _personal(c: Columns, glucose: Stream, at_us: Ints) -> None:
    """How often and when this person was low until now."""
    low = Stream(glucose.time_us, (glucose.value < LOW_MMOL_L).astype(float))
    share, days = shrunk(low, at_us, 30 * DAY_US)
    c.add("glucose", "own_low_share", share)
    c.add("glucose", "own_days", days)
    recent, _ = shrunk(low, at_us, DAY_US)
    c.add("glucose", "own_low_share_1d", recent)
    mean, sd, _ = moments(glucose, at_us, 14 * 24)
    c.add("glucose", "own_mean", mean)
    c.add("glucose", "own_cv", sd / mean)
    since, _ = since_last(Stream(glucose.time_us[low.value > 0], low.value[low.value > 0]), at_us)
    c.add("glucose", "since_low_h", since)


def _wrist(c: Columns, person: Person, at_us: Ints) -> None:
    """Heart rate beside the person's own, effort of the last hours, sleep."""
    rate = person.streams.get("heart_rate")
    usual, spread, _ = moments(rate, at_us, 24)
    for minutes in (10, 30, 60):
        mean, _, _ = moments(rate, at_us, minutes / 60)
        c.add("wrist", f"rate_above_own_{minutes}", mean - usual)
    c.add("wrist", "rate_own", usual)
    c.add("wrist", "rate_own_sd", spread)
    ten, _, _ = moments(rate, at_us, 1 / 6)
    hour, _, _ = moments(rate, at_us - 50 * MINUTE_US, 1 / 6)
    c.add("wrist", "rate_change_1h", ten - hour)
    for name in ("stress", "asleep"):
        for hours in (0.5, 2.0, 8.0):
            mean, _, _ = moments(person.streams.get(name), at_us, hours)
            c.add("wrist", f"{name}_{hours:g}h", mean)
    for name in ("steps", "met", "motion"):
        for hours in (0.5, 1.0, 3.0, 12.0, 24.0):
            mean, _, _ = moments(person.streams.get(name), at_us, hours)
            c.add("wrist", f"{name}_{hours:g}h", mean)


def _insulin(c: Columns, person: Person, at_us: Ints) -> None:
    """Insulin on board and what it will do in the next half and whole hour."""
    bolus = person.streams.get("bolus")
    daily = summed(bolus, at_us, lambda m: np.ones(len(m)), 14 * 24 * 60) / 14
    board = summed(bolus, at_us, on_board, END_MIN)
    c.add("insulin", "on_board", board)
    for ahead in (30, 60):
        acts = summed(bolus, at_us, _acts_within(float(ahead)), END_MIN)
        c.add("insulin", f"acts_{ahead}", acts)
    c.add("insulin", "on_board_share", board / np.where(daily > 0, daily, np.nan))
    for hours in (1, 3, 6):
        c.add("insulin", f"bolus_{hours}h", summed(bolus, at_us, _all, hours * 60.0))
    since, dose = since_last(bolus, at_us)
    c.add("insulin", "since_bolus_h", since)
    c.add("insulin", "last_bolus", dose)
    rate, _ = held(person.streams.get("basal_rate"), at_us, DAY_US)
    usual, _, _ = moments(person.streams.get("basal_rate"), at_us, 7 * 24)
    c.add("insulin", "basal_rate", rate)
    c.add("insulin", "basal_above_own", rate - usual)
    since, dose = since_last(person.streams.get("basal_long"), at_us)
    c.add("insulin", "since_long_h", since)
    c.add("insulin", "last_long", dose)


def _meals(c: Columns, person: Person, at_us: Ints) -> None:
    """Carbohydrates still to come, and the balance with the insulin on board."""
    carbs = person.streams.get("carbs")
    board = summed(carbs, at_us, carbs_left, 6 * 60)
    c.add("meals", "on_board", board)
    for ahead in (30, 60):
        c.add("meals", f"comes_{ahead}", summed(carbs, at_us, _comes_within(float(ahead)), 6 * 60))
    for hours in (1, 3, 6):
        c.add("meals", f"carbs_{hours}h", summed(carbs, at_us, _all, hours * 60.0))
    for name in ("protein", "fat"):
        c.add("meals", f"{name}_4h", summed(person.streams.get(name), at_us, _all, 240))
    since, grams = since_last(carbs, at_us)
    c.add("meals", "since_meal_h", since)
    c.add("meals", "last_carbs", grams)


def on_board(minutes: Floats) -> Floats:
    """Share of a bolus not used yet, 1 at its time and 0 at END_MIN."""
    t = np.clip(minutes, 0, END_MIN)
    tau = PEAK_MIN * (1 - PEAK_MIN / END_MIN) / (1 - 2 * PEAK_MIN / END_MIN)
    a = 2 * tau / END_MIN
    s = 1 / (1 - a + (1 + a) * np.exp(-END_MIN / tau))
    inner = (t**2 / (tau * END_MIN * (1 - a)) - t / tau - 1) * np.exp(-t / tau) + 1
    found: Floats = np.where(t >= END_MIN, 0.0, 1 - s * (1 - a) * inner)
    return found


def carbs_left(minutes: Floats) -> Floats:
    """Share of a meal's carbohydrates not absorbed yet."""
    x = np.maximum(minutes, 0) / GAMMA_MIN
    found: Floats = (1 + x) * np.exp(-x)
    return found


def summed(stream: Stream | None, at_us: Ints, kernel: Kernel, reach_min: float) -> Floats:
    """Sum of kernel(minutes since) times value over the past; NaN before a stream begins."""
    if stream is None:
        return np.full(len(at_us), np.nan)
    total = np.zeros(len(at_us))
    reach_us = int(reach_min * MINUTE_US)
    first = np.searchsorted(at_us, stream.time_us)
    last = np.searchsorted(at_us, stream.time_us + reach_us)
    for begin, end, when, value in zip(first, last, stream.time_us, stream.value, strict=True):
        if end > begin:
            total[begin:end] += value * kernel((at_us[begin:end] - when) / MINUTE_US)
    started = stream.time_us[0] <= at_us
    recent = np.searchsorted(stream.time_us, at_us) - np.searchsorted(
        stream.time_us, at_us - 3 * DAY_US
    )
    found: Floats = np.where(started & (recent > 0), total, np.nan)  # three silent days: not logged
    return found


def since_last(stream: Stream | None, at_us: Ints) -> tuple[Floats, Floats]:
    """Hours since the last value, and it."""
    value, age = held(stream, at_us, 7 * DAY_US)
    return age / 60, value


def moments(stream: Stream | None, at_us: Ints, hours: float) -> tuple[Floats, Floats, Floats]:
    """Mean, standard deviation and least of the values of the last hours; NaN without any."""
    none = np.full(len(at_us), np.nan)
    if stream is None:
        return none, none.copy(), none.copy()
    end = np.searchsorted(stream.time_us, at_us, side="right")
    begin = np.searchsorted(stream.time_us, at_us - int(hours * HOUR_US), side="right")
    count = end - begin
    some = count > 0
    n = np.where(some, count, 1)
    one, two = (np.concatenate([[0.0], np.cumsum(v)]) for v in (stream.value, stream.value**2))
    mean = (one[end] - one[begin]) / n
    spread = np.sqrt(np.maximum((two[end] - two[begin]) / n - mean**2, 0.0))
    least = none.copy()
    if some.any():
        padded = np.append(stream.value, np.inf)
        pairs = np.stack([begin[some], end[some]], axis=1).ravel()
        least[some] = np.minimum.reduceat(padded, pairs)[::2]
    return np.where(some, mean, np.nan), np.where(count > 1, spread, np.nan), least


def slope(stream: Stream, at_us: Ints, minutes: int) -> Floats:
    """Least-squares slope per minute over the last minutes."""
    t = (stream.time_us - stream.time_us[0]) / MINUTE_US
    end = np.searchsorted(stream.time_us, at_us, side="right")
    begin = np.searchsorted(stream.time_us, at_us - minutes * MINUTE_US, side="left")
    sums = [
        np.concatenate([[0.0], np.cumsum(v)]) for v in (t, stream.value, t * t, t * stream.value)
    ]
    n = end - begin
    st, sv, stt, stv = (s[end] - s[begin] for s in sums)
    below = n * stt - st * st
    found: Floats = np.where(below > 1, (n * stv - st * sv) / np.where(below > 1, below, 1), np.nan)
    return found


def shrunk(stream: Stream, at_us: Ints, span_us: int) -> tuple[Floats, Floats]:
    """Mean of the past span drawn towards what is typical, and the days it rests on."""
    end = np.searchsorted(stream.time_us, at_us, side="right")
    begin = np.searchsorted(stream.time_us, at_us - span_us, side="right")
    one = np.concatenate([[0.0], np.cumsum(stream.value)])
    n = end - begin
    days = np.minimum(at_us - stream.time_us[0], span_us) / DAY_US
    weight = PRIOR_DAYS * n / np.maximum(days, 0.05)
    share = (one[end] - one[begin] + weight * TYPICAL_LOW) / (n + weight)
    return share, days


def _all(minutes: Floats) -> Floats:
    return np.ones(len(minutes))


def _acts_within(ahead: float) -> Kernel:
    return lambda minutes: on_board(minutes) - on_board(minutes + ahead)


def _comes_within(ahead: float) -> Kernel:
    return lambda minutes: carbs_left(minutes) - carbs_left(minutes + ahead)
