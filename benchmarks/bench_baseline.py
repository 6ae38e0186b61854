"""Personal baselines and NightSignal on people who were followed for days to months.

Calibration: how often a healthy person's value lies more than 3 from the baseline as it was
before (0.27 % of a normal distribution; heavier tails are real). Every figure is forward in time:
a value is judged before it is learnt. Needs the recordings (`VIGIL_DATA`, default
../shared/data): `python -m benchmarks.bench_baseline`.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import data_folder, heading
from benchmarks.bench_body import actigraph, clock_s
from features import baseline, derived, night_signal
from features.population import TRACKED

Floats = NDArray[np.float64]
Lines = Iterator[tuple[str, str]]
LEARNING = 5  # first values of a person, told apart
ACTIVE_COUNTS = 1500.0  # a minute, of MMASH's vector magnitude
MG_PER_COUNT = 1.664 * 1000 / 60_000  # a count is 16.64 mg for 0.1 s
NIGHT_COLUMNS = {
    "ecg_hr_bpm": "nremhr",
    "ecg_rmssd_ms": "rmssd",
    "resp_rate_per_min": "full_sleep_breathing_rate",
    "spo2_mean_pct": "spo2",
    "temp_mean_c": "nightly_temperature",
}


class Judged(NamedTuple):
    """One person's values as they were judged; (steps, F) each."""

    z: Floats
    centre: Floats


def main() -> None:
    """Measure everything and print the table."""
    print(heading("Personal baseline"))
    daily = lifesnaps(data_folder("device_fixtures"))
    sessions, onsets, resting = welltory(data_folder("welltory_covid19"))
    lines = [
        *daily_lines(daily),
        *session_lines(sessions, onsets),
        *minute_lines(data_folder("mmash")),
        *night_lines(daily, resting, onsets),
    ]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value}")


def judge(end_s: Floats, values: Mapping[str, Floats], active: Floats | None = None) -> Judged:
    """One person's values, in order, through the baseline."""
    state, z, centre = baseline.fresh(1), [], []
    for i, second in enumerate(end_s):
        row = np.full((1, baseline.N_TRACKED), np.nan)
        for name, series in values.items():
            row[0, TRACKED.index(name)] = series[i]
        moment = baseline.Moment(
            np.array([round(second * 1e6)]),
            np.zeros(1),
            np.zeros(1) if active is None else active[i : i + 1],
            np.zeros(1, np.bool_),
        )
        state, deviation = baseline.update(state, row, moment, np.ones(row.shape, np.bool_))
        z.append(deviation.z[0])
        centre.append(deviation.centre[0])
    return Judged(np.array(z), np.array(centre))


def rates(z: Floats) -> str:
    """Share beyond 3 and standard deviation of the known ones."""
    known = z[~np.isnan(z)]
    return f"{100 * (np.abs(known) > 3).mean():.2f} %, SD {known.std():.2f} (n {known.size})"


def lifesnaps(folder: Path) -> dict[str, dict[int, dict[str, float]]]:
    """Nights of healthy wearers of a watch: person, day, column, value."""
    people: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
    with (folder / "lifesnaps" / "daily_fitbit_sema_df_unprocessed.csv").open() as file:
        for row in csv.DictReader(file):
            wanted = (*NIGHT_COLUMNS.values(), "resting_hr")
            people[row["id"]][dt.date.fromisoformat(row["date"][:10]).toordinal()] = {
                name: float(row[name]) if row[name] else np.nan for name in wanted
            }
    return people


def daily_lines(people: Mapping[str, Mapping[int, Mapping[str, float]]]) -> Lines:
    """Calibration on one value a night."""
    first, later = defaultdict(list), defaultdict(list)
    for days in people.values():
        order = sorted(days)
        values = {
            name: np.array([days[day][column] for day in order])
            for name, column in NIGHT_COLUMNS.items()
        }
        found = judge(np.array(order) * 86_400.0 + 4 * 3600.0, values)
        for name in NIGHT_COLUMNS:
            z = found.z[:, TRACKED.index(name)]
            z = z[~np.isnan(z)]
            first[name].append(z[:LEARNING])
            later[name].append(z[LEARNING:])
    yield f"|z| > 3, nights of {len(people)} healthy people (LifeSnaps)", ""
    for name in NIGHT_COLUMNS:
        yield f"  {name}, first five nights", rates(np.concatenate(first[name]))
        yield f"  {name}, later", rates(np.concatenate(later[name]))


def welltory(
    folder: Path,
) -> tuple[
    dict[str, list[tuple[float, float, float]]], dict[str, int], dict[str, dict[int, float]]
]:
    """Sessions (second, heart rate, RMSSD), day of symptom onset, daily resting pulse."""
    onsets: dict[str, int] = {}
    sessions: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    resting: dict[str, dict[int, float]] = defaultdict(dict)
    for row in records(folder / "participants.csv"):
        if row["symptoms_onset"]:
            onset = dt.datetime.strptime(row["symptoms_onset"], "%m/%d/%Y")  # noqa: DTZ007
            onsets[row["user_code"]] = onset.date().toordinal()
    for row in records(folder / "hrv_measurements.csv"):
        rr = np.array([float(x) for x in row["rr_data"].split(",") if x])
        if rr.size < 60:
            continue
        good = (rr > 300) & (rr < 2000) & (np.abs(rr / np.median(rr) - 1) < 0.25)
        if good.mean() < 0.8:
            continue
        step = np.diff(rr)[good[1:] & good[:-1]]
        moment = dt.datetime.fromisoformat(row["measurement_datetime"]).replace(tzinfo=dt.UTC)
        second = moment.timestamp() + 719_163 * 86_400.0  # on the ordinals' scale
        value = (second, 60_000 / float(rr[good].mean()), float(np.sqrt((step**2).mean())))
        sessions[row["user_code"]].append(value)
    for row in records(folder / "wearables.csv"):
        if row["resting_pulse"]:
            day = dt.date.fromisoformat(row["day"]).toordinal()
            resting[row["user_code"]][day] = float(row["resting_pulse"])
    return dict(sessions), onsets, dict(resting)


def records(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open() as file:
        return list(csv.DictReader(file))


def session_lines(
    sessions: Mapping[str, list[tuple[float, float, float]]], onsets: Mapping[str, int]
) -> Lines:
    """Calibration on short sessions days apart, healthy and around symptom onset."""
    groups: dict[str, list[Floats]] = defaultdict(list)
    for person, found in sessions.items():
        if len(found) < LEARNING:
            continue
        table = np.array(sorted(found))
        values = {"ecg_hr_bpm": table[:, 1], "ecg_rmssd_ms": table[:, 2]}
        z = judge(table[:, 0], values).z[:, [TRACKED.index(name) for name in values]]
        since = table[:, 0] // 86_400 - onsets.get(person, -(10**6))
        later = np.arange(len(z)) >= LEARNING
        groups["first five sessions"].append(z[~later])
        groups["healthy (onset > 14 days away or > 60 days past)"].append(
            z[later & ((since < -14) | (since > 60))]
        )
        groups["2 days before to 10 after onset"].append(z[later & (since >= -2) & (since <= 10)])
    yield f"|z| > 3, sessions of {len(groups['first five sessions'])} people (Welltory)", ""
    for name, parts in groups.items():
        z = np.concatenate(parts)
        yield f"  heart rate, {name}", rates(z[:, 0])
        yield f"  RMSSD, {name}", rates(z[:, 1])


def minute_lines(folder: Path) -> Lines:
    """Heart rate minute by minute on a person's first day, and what movement explains of it."""
    z, explained = [], []
    for path in sorted(folder.glob("user_*")):
        start_s, counts, hr = minutes_of(path)
        end_s: Floats = start_s + 60.0 * np.arange(1.0, len(hr) + 1.0)
        active = (counts > ACTIVE_COUNTS).astype(np.float64)
        z.append(judge(end_s, {"ecg_hr_bpm": hr}, active).z[:, TRACKED.index("ecg_hr_bpm")])
        state, expected = derived.fresh(1), []
        for i, second in enumerate(end_s):
            end_us, learn = np.array([round(second * 1e6)]), np.ones(1, np.bool_)
            mg = counts[i : i + 1] * MG_PER_COUNT
            state, _, rate = derived.unexplained(state, hr[i : i + 1], mg, end_us, learn)
            expected.append(rate[0])
        known = ~np.isnan(expected) & ~np.isnan(hr)
        known[:120] = False
        rest = hr[known] - np.array(expected)[known]
        explained.append(1.0 - (rest**2).mean() / hr[known].var())
    yield f"|z| > 3, first day by minute of {len(z)} people (MMASH)", rates(np.concatenate(z))
    median = float(np.median([np.nanstd(part) for part in z]))
    yield "  SD of z, median over people", f"{median:.2f}"
    yield "  variance of heart rate explained by movement, ahead", f"{np.mean(explained):.2f}"


def minutes_of(folder: Path) -> tuple[float, Floats, Floats]:
    """Start, activity counts and heart rate (of at least 20 beats) per minute."""
    seconds, counts = actigraph(folder)
    first, n = int(seconds[0]) // 60, int(seconds[-1] - seconds[0]) // 60 + 1
    seen = np.bincount(seconds // 60 - first, minlength=n)
    total = np.bincount(seconds // 60 - first, weights=counts, minlength=n)
    per_minute = np.where(seen >= 30, total * 60 / np.maximum(seen, 1), np.nan)
    rows = records(folder / "RR.csv")
    at_s = np.array([clock_s(row["time"]) for row in rows])
    at_s += 86_400 * np.r_[0, np.cumsum(np.diff(at_s) < -40_000)]
    rr_s = np.array([float(row["ibi_s"]) for row in rows])
    minute = np.where((rr_s > 0.3) & (rr_s < 2.0), at_s // 60 - first, -1)
    hr = np.full(n, np.nan)
    for i in np.unique(minute[(minute >= 0) & (minute < n)]):
        own = rr_s[minute == i]
        if own.size >= 20:
            hr[i] = 60.0 / float(np.median(own))
    return first * 60.0, per_minute, hr


def night_levels(nights: Mapping[int, float]) -> tuple[Floats, NDArray[np.int64]]:
    """NightSignal of one person's nights, and their days."""
    state, levels, days = night_signal.fresh(1), [], sorted(nights)
    for day in days:
        bpm = nights[day] if nights[day] > 30 else np.nan  # zeros stand for missing
        state, level, _ = night_signal.night(state, np.array([bpm]), np.array([day]))
        levels.append(level[0])
    return np.array(levels), np.array(days)


def night_lines(
    daily: Mapping[str, Mapping[int, Mapping[str, float]]],
    resting: Mapping[str, Mapping[int, float]],
    onsets: Mapping[str, int],
) -> Lines:
    """Share of healthy nights with an alert, and people alerted around symptom onset."""
    groups: dict[str, list[Floats]] = defaultdict(list)
    for days in daily.values():
        nights = {day: values["resting_hr"] for day, values in days.items()}
        groups[f"{len(daily)} healthy people (LifeSnaps)"].append(night_levels(nights)[0])
    ill = alerted = 0
    for person, pulse in resting.items():
        level, day = night_levels(pulse)
        since = day - onsets.get(person, -(10**6))
        near = (since >= -7) & (since <= 21)
        groups[f"{len(resting)} people, not -7..21 days of onset (Welltory)"].append(level[~near])
        watched = (np.abs(since) <= 10) & ~np.isnan(level)
        if watched.sum() >= 7:
            ill += 1
            alerted += bool((level[watched] >= 1).any())
    for name, parts in groups.items():
        known = np.concatenate(parts)
        known = known[~np.isnan(known)]
        yield (
            f"NightSignal, nights yellow or red / red, {name}",
            f"{100 * (known >= 1).mean():.1f} / {100 * (known == 2).mean():.1f} % (n {known.size})",
        )
    yield "NightSignal, people alerted within 10 days of onset (Welltory)", f"{alerted} of {ill}"


if __name__ == "__main__":
    main()
