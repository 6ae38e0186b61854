"""Sepsis on CinC 2019 set A: the default model beside its peers, every figure held out.

Run it: `python -m benchmarks.bench_cinc2019 [folds [recipe]] [nested [COUNT]] [sites]`. It takes
about 25 minutes of CPU the first time; finished splits are kept.
"""

from __future__ import annotations

import sys
import time
from typing import Final

import numpy as np

from benchmarks import _cinc2019 as sets
from benchmarks import _cinc2019_judge as judge
from benchmarks._common import heading
from models.evaluation.bootstrap import Interval
from models.evaluation.calibration import calibration
from models.evaluation.ranking import auroc
from service.datasets.cinc2019 import Stays
from service.train import Job, Stages

DEFAULT: Final = "default"
ROWS: Final = {
    "default": "default: committee of forests",
    "best": "the same at its best threshold",
    "late": "late fusion: mean of vitals and labs",
    "vitals": "vitals and static alone",
    "labs": "labs and static alone",
    "same": "LightGBM, same inputs",
    "recipe": "LightGBM, recipe inputs (unit, hour of stay, counts)",
    "labs absent": "default, no laboratory",
    "worn alone": "default, no laboratory and no blood pressure",
    "hour": "hour of the stay alone (leak baseline)",
}


def _said(x: Interval, digits: int = 3) -> str:
    return f"{x.value:.{digits}f} [{x.low:.{digits}f}, {x.high:.{digits}f}]"


def _row(name: str, values: list[Interval]) -> None:
    print(f"| {name} | " + " | ".join(_said(v) for v in values) + " |")


def _nested(stays: Stays, job: Job, stages: Stages, count: int) -> None:
    """The same held-out scores, tuned by forests that saw the judged labels and not."""
    print(f"\n## {count} of {job.folds} folds, strictly nested and as `vigil train` tunes\n")
    print("| tuned | model | utility | AUROC | AUPRC |\n|---|---|---|---|---|")
    strict = sets.nested(stays, job, stages, count)
    usual = sets.folds(stays, job, stages)[:count]
    which = np.logical_or.reduce([scores.split.test for scores in strict])
    for title, every in (("strictly nested", strict), ("as `vigil train`", usual)):
        pooled = judge.pool(stays, every)
        for name in (DEFAULT, judge.BEST, "vitals", "same"):
            _row(f"{title} | {ROWS[name]}", judge.figures(pooled, name, which))


def _folds(stays: Stays, job: Job, stages: Stages, peers: tuple[str, ...]) -> None:
    print("\n## Five folds, as `vigil train` tunes: forests of other folds have seen the label\n")
    _compared(judge.pool(stays, sets.folds(stays, job, stages, peers)), stays)


def _compared(pooled: judge.Pooled, stays: Stays) -> None:
    """All tables of folds."""
    print("| model | utility | AUROC | AUPRC |\n|---|---|---|---|")
    names = [name for name in ROWS if name in pooled.of and name not in judge.ABSENT]
    for name in names:
        _row(ROWS[name], judge.figures(pooled, name))
    print("\n| difference, same draws of patients | utility | AUROC | AUPRC |\n|---|---|---|---|")
    for other in (name for name in names if name not in (DEFAULT, judge.BEST, "hour")):
        _row(f"default less {ROWS[other]}", judge.differences(pooled, DEFAULT, other))
    for absent, alone in (("labs", "vitals"), ("vitals", "labs")):
        title = f"default with {absent} absent less specialist of {alone}"
        _row(title, judge.differences(pooled, f"{absent} absent", alone))
    _row("at the best threshold less vitals alone", judge.differences(pooled, judge.BEST, "vitals"))
    _alarms(pooled, [name for name in names if name in judge.RINGING])
    _doubts(stays, pooled)
    _lengths(stays)


def _alarms(pooled: judge.Pooled, names: list[str]) -> None:
    print(
        "\n| at 0.2 alarms a patient-day | alarms a day | sensitivity | PPV | lead h (quartiles) |"
    )
    print("|---|---|---|---|---|")
    for name in names:
        found = judge.alarms_of(pooled, name)
        lead = f"{found.lead_h[0]:.0f} ({found.lead_h[1]:.0f} to {found.lead_h[2]:.0f})"
        values = (found.alarms_per_day, found.sensitivity, found.ppv)
        print(f"| {ROWS[name]} | " + " | ".join(_said(v) for v in values) + f" | {lead} |")


def _doubts(stays: Stays, pooled: judge.Pooled) -> None:
    found = calibration(stays.label, pooled.prob, stays.stay)
    ill = stays.label
    print(f"\nECE {_said(found.ece, 4)}, Brier {_said(found.brier, 4)}, slope {_said(found.slope)}")
    print(
        f"conformal sets for 90 %: hours without the label {pooled.covered[~ill].mean():.3f}, with "
        f"it {pooled.covered[ill].mean():.3f}, all {pooled.covered.mean():.3f}; "
        f"{pooled.sets.mean():.2f} labels in a set"
    )


def _lengths(stays: Stays) -> None:
    area = auroc(stays.septic, stays.lengths.astype(np.float64))
    print(f"length of the record alone, per stay: AUROC {area:.3f}")


def _sites(stays: Stays, stages: Stages) -> None:
    print("\n## Other places, rehearsed: nothing of the tested unit was trained or tuned on\n")
    print("| trained to tested | model | utility | AUROC | AUPRC |\n|---|---|---|---|---|")
    for split in sets.sites(stays):
        scores = sets.scored(stays, stages, split)
        pooled = judge.pool(stays, [scores])
        for name in (DEFAULT, judge.BEST, "labs absent", "worn alone", "same"):
            _row(f"{split.name} | {ROWS[name]}", judge.figures(pooled, name, split.test))


def main() -> None:
    """Print the tables."""
    wanted = set(sys.argv[1:]) or {"folds", "recipe", "nested", "sites"}
    print(heading("CinC 2019 set A"))
    stays, job, stages = sets.stays_of_a()
    print(f"{len(stays.ids)} stays, {int(stays.septic.sum())} septic, {len(stays.label)} hours")
    started = time.process_time()
    if "folds" in wanted:
        _folds(stays, job, stages, sets.PEERS if "recipe" in wanted else sets.PEERS[:1])
    if "nested" in wanted:
        numbers = [int(word) for word in wanted if word.isdigit()]
        _nested(stays, job, stages, min([*numbers, job.folds]))
    if "sites" in wanted:
        _sites(stays, stages)
    print(f"\n{time.process_time() - started:.0f} s of CPU; prevalence {np.mean(stays.label):.4f}")


if __name__ == "__main__":
    main()
