"""`vigil policy backtest` on 20,336 ICU stays with hourly scores: figures, frontier, CPU time.

CinC 2019 development set A. The score is NEWS2 at its lower bound from the charted vital signs (at
most 2 h old, temperature 8 h); consciousness is not in the data and counts as missing. An event is
the onset of sepsis: the data set's label begins 6 h before it. The 203 stays whose label is there
from the first hour are left out: when their sepsis began is not known.

With `--learned TRAINED` the score is the shipped model's instead, held out: every hour was scored
by forests that its stay did not train. TRAINED is what `vigil train cinc2019 --out TRAINED` left.

    python -m benchmarks.bench_backtest [--learned TRAINED] [--html FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks._common import data_folder, heading
from models.news2 import News2Inputs, news2
from service.backtest import Candidate, Report, backtest, outcome, stored_history
from service.backtest_exact import Until
from service.backtest_labels import Labels
from service.backtest_measure import Estimate
from service.backtest_page import write_page
from service.backtest_policy import parsed
from service.backtest_scores import ScoreTable, from_arrow

Floats = NDArray[np.float64]
HERE: Final = Path(__file__).resolve().parent
HOUR_US: Final = 3_600_000_000
START_US: Final = 1_577_836_800_000_000
HORIZON_H: Final = 12
LABEL_LEAD_H: Final = 6
MAX_AGE_H: Final = {"Temp": 8}
POLICIES: Final = ("hourly_news2", "hourly_news2_steady")
LEARNED: Final = ("hourly_default", "hourly_default_again")


class Stays:
    """The data set: columns by name, and which hour of which stay every row is."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "setA.npz", allow_pickle=False) as found:
            self.values = found["values"]
            self.lengths = found["lengths"].astype(np.int64)
            self.ids = found["ids"]
            self.columns = [str(name) for name in found["columns"]]
        self.stay = np.repeat(np.arange(len(self.lengths)), self.lengths)
        first = np.cumsum(self.lengths) - self.lengths
        self.hour = np.arange(len(self.stay)) - first[self.stay]
        self.septic_at_first = self.values[-1][first] > 0

    def known(self) -> set[str]:
        """Stays whose onset is known, or that have none."""
        return {str(name) for name in self.ids[~self.septic_at_first]}

    def column(self, name: str) -> Floats:
        """One variable, NaN where it was not measured."""
        found: Floats = self.values[self.columns.index(name)].astype(np.float64)
        return found

    def held(self, name: str) -> Floats:
        """The last value of a stay, if it is not too old."""
        value = self.column(name)
        at = np.where(np.isnan(value), -1, np.arange(len(value)))
        last = np.maximum.accumulate(at)
        age = np.arange(len(value)) - last
        usable = (last >= 0) & (age <= self.hour) & (age <= MAX_AGE_H.get(name, 2))
        return np.where(usable, value[np.maximum(last, 0)], np.nan)


def scores(data: Stays) -> ScoreTable:
    """NEWS2 of every hour, as `vigil replay` would have stored it."""
    fio2 = data.held("FiO2")
    none = np.full(len(data.stay), np.nan)
    oxygen = np.where(np.isnan(fio2), np.nan, (fio2 > 0.21).astype(np.float64))
    inputs = News2Inputs(
        resp_rate=data.held("Resp"),
        spo2=data.held("O2Sat"),
        oxygen=oxygen,
        sbp=data.held("SBP"),
        pulse=data.held("HR"),
        consciousness=none,
        temp=data.held("Temp"),
        spo2_scale=none,
    )
    result = news2(inputs)
    there = (result.points >= 0).sum(axis=1)
    value = np.where(there > 0, result.lower, np.nan).astype(np.float64)
    end_us = START_US + (data.hour + 1) * HOUR_US
    columns = {
        "patient_id": pa.array(data.ids).take(pa.array(data.stay)),
        "scorer": pa.array(["news2"]).take(pa.array(np.zeros(len(value), np.int64))),
        "start_us": end_us - HOUR_US,
        "end_us": end_us,
        "value": pa.array(value, from_pandas=True),
        "upper": result.upper.astype(np.float64),
        "completeness": np.round(there / 7, 4),
    }
    return from_arrow(pa.table(columns))


def learned(data: Stays, source: Path, trained: Path) -> ScoreTable:
    """Held-out probability of every hour, from the stages of a training run."""
    from service.datasets.cinc2019 import load
    from service.progress import SILENT
    from service.train import Job, Stages, folds_of, held_out, key
    from service.training.artifact import judge
    from service.training.cinc2019 import Development

    stays = load(source)
    assert list(stays.ids) == [str(name) for name in data.ids]
    job = Job(source, trained)
    fold = folds_of(stays, job)
    stages = Stages(trained / ".stages" / key(job, stays), SILENT)
    prob = judge(stays, Development(held_out(stages, stays, fold, job), fold)).prob
    end_us = START_US + (data.hour + 1) * HOUR_US
    columns = {
        "patient_id": pa.array(data.ids).take(pa.array(data.stay)),
        "scorer": pa.array(["default"]).take(pa.array(np.zeros(len(prob), np.int64))),
        "start_us": end_us - HOUR_US,
        "end_us": end_us,
        "value": prob,
        "completeness": np.ones(len(prob)),
    }
    return from_arrow(pa.table(columns))


def onsets(data: Stays) -> Labels:
    """When sepsis began: six hours after the label does."""
    label = data.column("SepsisLabel") > 0
    found: dict[str, tuple[int, ...]] = {str(name): () for name in data.ids}
    rows = np.flatnonzero(label)
    for stay, row in zip(*np.unique(data.stay[rows], return_index=True), strict=True):
        hour = int(data.hour[rows[row]]) + LABEL_LEAD_H + 1
        found[str(data.ids[stay])] = (START_US + hour * HOUR_US,)
    return Labels(found)


def show(report: Report) -> None:
    """Print both policies and their frontiers."""
    print(f"\n{'':28}" + "".join(f"{each.candidate.name:>28}" for each in report.tested))
    for name, words in (
        ("alerts_per_day", "alerts / patient-day"),
        ("false_per_day", "false alerts / patient-day"),
        ("sensitivity", f"caught within {HORIZON_H} h"),
        ("covered", "in alert within it"),
        ("ppv", "PPV"),
        ("lead_h", "median lead, h"),
        ("time_in_alert", "time in alert"),
        ("top_share", "alerts of the top 10 %"),
    ):
        cells = [words_of(getattr(each.figures, name)) for each in report.tested]
        print(f"{words:28}" + "".join(f"{cell:>28}" for cell in cells))
    for each in report.tested:
        print(f"\nfrontier of {each.candidate.name}: threshold, alerts/patient-day, caught, PPV")
        for point in each.frontier:
            f = point.figures
            print(
                f"{point.threshold:8g} {f.alerts_per_day.value:10.3f} {f.sensitivity.value:8.3f}"
                f" {f.ppv.value:8.3f}"
            )


def words_of(estimate: Estimate) -> str:
    """A figure with its interval."""
    return f"{estimate.value:.3f} ({estimate.low:.3f}-{estimate.high:.3f})"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--html", type=Path, help="folder for the page")
    parser.add_argument("--learned", type=Path, help="what `vigil train cinc2019` left")
    given = parser.parse_args()
    what = "the shipped model, held out" if given.learned else "NEWS2 (lower bound)"
    print(heading(f"Backtest, CinC 2019 development set A, hourly: {what}"))
    folder = data_folder("cinc2019_setA") / "cinc2019_sepsis"
    data = Stays(folder)
    labels = onsets(data)
    table = learned(data, folder / "setA.npz", given.learned) if given.learned else scores(data)
    policies = LEARNED if given.learned else POLICIES
    texts = {name: (HERE / f"{name}.toml").read_text("utf-8") for name in policies}
    candidates = [Candidate(name, text, parsed(text)) for name, text in texts.items()]
    began_s = time.process_time()
    _, why = outcome(stored_history(table, Until(None)), candidates[0].policy)
    spent_s = time.process_time() - began_s
    way = f"exact machine: {why}" if why else "fast way"
    print(f"one policy over {table.size:,} patient-hours: {spent_s:.2f} s CPU ({way}); goal 10 s")
    began_s = time.process_time()
    history = stored_history(table.of_patients(data.known()), Until(None))
    report = backtest(history, candidates, labels, HORIZON_H * HOUR_US)
    print(f"with frontiers and intervals: {time.process_time() - began_s:.1f} s CPU")
    show(report)
    print(f"\nevents caught by: {report.agreement}")
    if given.html:
        given.html.mkdir(parents=True, exist_ok=True)
        run = {"sources": ["CinC 2019 set A"], "labels": "sepsis onset"}
        write_page(report._replace(run=run), given.html / "backtest.html")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
