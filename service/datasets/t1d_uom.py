"""T1D-UOM: people with type 1 diabetes, wrist and insulin and meals beside continuous glucose.

Alsuhaymi et al. 2025, doi:10.5281/zenodo.15169263 (CC BY 4.0). Every stream is (known time, value):
when a value became usable, which for a wrist epoch is its end. Traps: dates are DD/MM though the
README says MM/DD; some headers begin with a byte-order mark; a heart rate of 0 and a negative
stress mean "none"; some meals lie years outside or have no time of day; some people lack a whole
modality; for weeks one file holds two glucose series in turn that differ by 6 mmol/L, so such days
are left out. Times are the local ones of the files, read as if UTC: nothing needs another clock.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.errors import SourceError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
MINUTE_US: Final = 60_000_000
LOW_MMOL_L: Final = 3.9  # level 1 hypoglycaemia, Battelino et al. 2019, Diabetes Care 42:1593
HELD_MIN: Final = 20  # a reading older than this says nothing of now
APART_MIN: Final = 5  # between decisions
CLOSE_MIN: Final = 4.5  # readings of one sensor are 5 min apart
CONTRADICTION_MMOL_L: Final = 2.0  # twice what glucose moves in as many minutes
CONTRADICTIONS: Final = 5  # of a day: one may be a finger prick
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
FORMATS: Final = ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S")
DAY: Final = re.compile(r"\d\d/\d\d/\d{4}")
MODALITIES: Final = {
    "glucose": ("glucose",),
    "wrist": ("heart_rate", "stress", "asleep", "steps", "met", "motion"),
    "insulin": ("bolus", "basal_rate", "basal_long"),
    "meals": ("carbs", "protein", "fat", "fibre"),
}


class Stream(NamedTuple):
    """One kind of value of one person, by the time it was known."""

    time_us: Ints  # [N] rising
    value: Floats  # [N]


class Person(NamedTuple):
    """What is known of one person; a stream that they lack is absent."""

    name: str
    streams: dict[str, Stream]


class Decisions(NamedTuple):
    """When a forecast is asked for and whether a low follows."""

    time_us: Ints  # [N]
    low: Bools  # [N] a reading below LOW_MMOL_L within the horizon


def people(folder: Path) -> Iterator[Person]:
    """Everybody with glucose, by number.

    Parameters
    ----------
    folder : Path
        `t1d_uom` as unpacked.

    Raises
    ------
    SourceError
        If there is nobody, or a time is none.
    """
    found = sorted((folder / "Glucose Data").glob("UoMGlucose*.csv"))
    if not found:
        raise SourceError(f"{folder}: no 'Glucose Data/UoMGlucose*.csv'")
    for path in found:
        name = path.stem.removeprefix("UoMGlucose")
        yield Person(name, dict(_streams(folder, name)))


def decisions(glucose: Stream, horizon_min: int) -> Decisions:
    """Times of readings that are not low themselves and whose future is known.

    Parameters
    ----------
    glucose : Stream
        mmol/L.
    horizon_min : int
        How far ahead.

    Notes
    -----
    A future is known if some reading in it is low, or readings are never more than HELD_MIN apart
    up to the first one beyond it. The reading itself is part of what the forecast may use.
    """
    horizon_us, held_us = horizon_min * MINUTE_US, HELD_MIN * MINUTE_US
    time_us, value = glucose
    kept = _thinned(time_us, APART_MIN * MINUTE_US)
    kept = kept[value[kept] >= LOW_MMOL_L]
    end = np.searchsorted(time_us, time_us[kept] + horizon_us, side="right")
    lows = np.concatenate([[0], np.cumsum(value < LOW_MMOL_L)])
    low = lows[end] > lows[kept + 1]
    apart = np.diff(time_us, append=np.iinfo(np.int64).max) > held_us  # after the last: unknown
    gaps = np.concatenate([[0], np.cumsum(apart)])
    known = low | (gaps[np.minimum(end, len(time_us) - 1)] == gaps[kept]) & (end < len(time_us))
    return Decisions(time_us[kept[known]], low[known])


def without_contradictions(glucose: Stream) -> Stream:
    """The series without days on which readings minutes apart often differ as no body can.

    Notes
    -----
    Two sensors, or two people, in one file. Which is right is not known, so neither is used.
    """
    time_us, value = glucose
    close = np.diff(time_us) < CLOSE_MIN * MINUTE_US
    apart = np.abs(np.diff(value)) > CONTRADICTION_MMOL_L
    day = time_us // DAY_US
    first = int(day.min(initial=0))
    pairs = np.bincount(
        day[1:][close & apart] - first, minlength=int(day.max(initial=0)) - first + 1
    )
    bad = pairs[day - first] >= CONTRADICTIONS
    return Stream(time_us[~bad], value[~bad])


def held(stream: Stream | None, at_us: Ints, max_age_us: int) -> tuple[Floats, Floats]:
    """Last value known at each time and its age in minutes; NaN if none is young enough.

    Parameters
    ----------
    stream : Stream or None
        None where the person has no such stream.
    at_us : (N,) int64
        When.
    max_age_us : int
        Oldest that is used.
    """
    none = np.full(len(at_us), np.nan)
    if stream is None or not len(stream.time_us):
        return none, none.copy()
    place = np.searchsorted(stream.time_us, at_us, side="right") - 1
    age_us = at_us - stream.time_us[np.maximum(place, 0)]
    good = (place >= 0) & (age_us <= max_age_us)
    value = np.where(good, stream.value[np.maximum(place, 0)], np.nan)
    return value, np.where(good, age_us / MINUTE_US, np.nan)


def _streams(folder: Path, name: str) -> Iterator[tuple[str, Stream]]:
    """Every stream of one person."""
    sugar = folder / f"Glucose Data/UoMGlucose{name}.csv"
    for _, stream in _table(sugar, {"glucose": ("value", 0, _positive)}):
        yield "glucose", without_contradictions(stream)
    five, quarter = 5 * MINUTE_US, 15 * MINUTE_US
    wrist = {
        "heart_rate": ("heart_rate", five, _positive),
        "stress": ("stress_level_value", five, _positive),
        "asleep": ("sleep_level", five, _any),
    }
    yield from _table(folder / f"Sleep Data/UoMsleep{name}.csv", wrist)
    activity = {
        "steps": ("step_count", quarter, _any),
        "met": ("met", quarter, _any),
        "motion": ("motion_intensity_mean", quarter, _any),
    }
    yield from _table(folder / f"Activity Data/UoMActivity{name}.csv", activity, _SUMMED)
    bolus = folder / f"Insulin Data/Bolus Data/UoMBolus{name}.csv"
    yield from _table(bolus, {"bolus": ("bolus_dose", 0, _positive)}, _SUMMED)
    basal = folder / f"Insulin Data/Basal Data/UoMBasal{name}.csv"
    for kind, what in (("R", "basal_rate"), ("L", "basal_long")):
        yield from _table(basal, {what: ("basal_dose", 0, _any)}, (), ("insulin_kind", kind))
    meals = {
        "carbs": ("carbs_g", 0, _any),
        "protein": ("prot_g", 0, _any),
        "fat": ("fat_g", 0, _any),
        "fibre": ("fibre_g", 0, _any),
    }
    yield from _table(folder / f"Nutrition Data/UoMNutrition{name}.csv", meals, tuple(meals))


_SUMMED: Final = ("steps", "bolus")  # of rows at one time; of the others the last holds
Wanted = Mapping[str, tuple[str, int, Callable[[float], bool]]]


def _table(
    path: Path, wanted: Wanted, summed: tuple[str, ...] = (), only: tuple[str, str] = ("", "")
) -> Iterator[tuple[str, Stream]]:
    """Columns of one file as streams; nothing of a file that is not there."""
    if not path.is_file():
        return
    found: dict[str, dict[int, float]] = {stream: {} for stream in wanted}
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            if only[0] and row[only[0]] != only[1]:
                continue
            time_us = _time(next(iter(row.values())), path)
            if time_us is None:
                continue
            for stream, (column, late_us, valid) in wanted.items():
                value = _number(row.get(column))
                if value is not None and valid(value):
                    at = time_us + late_us
                    before = found[stream].get(at, 0.0) if stream in summed else 0.0
                    found[stream][at] = before + value
    for stream, values in found.items():
        if values:
            time = np.array(sorted(values), np.int64)
            yield stream, Stream(time, np.array([values[t] for t in time.tolist()]))


def _time(text: str, path: Path) -> int | None:
    """Microseconds; None for a day without a time of day, which could be any."""
    text = text.strip()
    if DAY.fullmatch(text):
        return None
    for form in FORMATS:
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()) * 10**6
        except ValueError:
            continue
    raise SourceError(f"{path}: '{text}' is no time (DD/MM/YYYY HH:MM)")


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _any(_: float) -> bool:
    return True


def _positive(value: float) -> bool:
    return value > 0


def _thinned(time_us: Ints, apart_us: int) -> Ints:
    """Indices at least so far apart, the first kept."""
    kept, last = [], -apart_us
    for i, at in enumerate(time_us.tolist()):
        if at - last >= apart_us - MINUTE_US // 2:
            kept.append(i)
            last = at
    return np.array(kept, np.int64)
