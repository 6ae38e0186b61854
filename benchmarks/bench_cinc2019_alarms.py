"""How long an alarm should speak: the same scores at 0.2 alarms a patient-day, other silences.

After an alarm a patient's next one is held back for some hours. The longer, the fewer alarms are
spent on who was called already, so the threshold may be lower; and the fewer true ones repeat.
"24, louder 0.7": within 24 h only a score 0.7 above the threshold rings again, after 12 h.
Strictly nested: forests of three folds score the other two, each of which is judged by the
threshold and the rule that the other chose: the one with most events caught among those whose PPV
is at least WANTED_PPV. LightGBM gets the same rules.

    python -m benchmarks.bench_cinc2019_alarms
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import _cinc2019 as sets
from benchmarks._common import heading
from models.evaluation.bootstrap import Interval, Statistic, bootstrap, paired
from models.evaluation.events import SEPSIS, Alarms, Watched, alarms, threshold_at
from service.datasets.cinc2019 import Stays
from service.training import artifact
from service.training import cinc2019 as recipe
from service.training.committee import calibrate, logits
from service.training.operating import watched_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
RULES: Final = {
    **{f"{h:g}": SEPSIS._replace(silence_h=h) for h in (12.0, 14.0, 15.0, 16.0, 18.0, 24.0, 36.0)},
    **{
        f"{h:g}, louder {by:g}": SEPSIS._replace(silence_h=h, louder_by=by)
        for h, by in ((18.0, 0.4), (18.0, 0.8), (24.0, 0.4), (24.0, 0.7), (24.0, 1.0))
    },
}
WANTED_PPV: Final = 0.20
REPLICATES: Final = 1000
CHOSEN: Final = "chosen"
FIRST, OTHER = "default", "LightGBM, same inputs"


class Rung(NamedTuple):
    """Sums per patient over what was judged, each by the threshold of who tuned it."""

    days: Floats  # [P]
    alarms: Floats
    true: Floats
    events: Floats
    caught: Floats
    lead_h: Floats  # of events that were caught


def main() -> None:
    """Print the tables."""
    print(heading("CinC 2019 set A, how long an alarm speaks"))
    began = time.process_time()
    stays, job, stages = sets.stays_of_a()
    every = sets.two(stays, job, stages)
    print(f"chosen: most sensitive with a PPV of {WANTED_PPV:g}\n")
    print("| model | silence, h | alarms a day | sensitivity | PPV | lead h (quartiles) |")
    print("|---|---|---|---|---|---|")
    found = {}
    for name in (FIRST, OTHER):
        score = [_score(stays, scores, name) for scores in every]
        rules_of = {rule: [rule] * len(every) for rule in RULES}
        rules_of[CHOSEN] = [
            _chosen(stays, x, s.split.tune) for x, s in zip(score, every, strict=True)
        ]
        for rule, each in rules_of.items():
            found[name, rule] = _rung(stays, score, every, each)
            _row(name, rule if rule != CHOSEN else "chosen: " + "; ".join(each), found[name, rule])
    print(f"\n{int(found[FIRST, CHOSEN].events.sum())} events")
    _compared(found)
    print(f"\n{time.process_time() - began:.0f} s of CPU")


def _compared(found: dict[tuple[str, str], Rung]) -> None:
    """Differences on the same draws of patients."""
    for title, one, less in (
        (f"{FIRST}, chosen less 12 h", (FIRST, CHOSEN), (FIRST, "12")),
        (f"{FIRST} less {OTHER}, both chosen", (FIRST, CHOSEN), (OTHER, CHOSEN)),
        (f"{FIRST} less {OTHER}, 12 h", (FIRST, "12"), (OTHER, "12")),
    ):
        pair = _rates(found[one]), _rates(found[less])
        _, sensitivity, ppv = paired(*pair, len(found[one].days), REPLICATES)
        print(f"\n{title}: sensitivity {_said(sensitivity)}, PPV {_said(ppv)}")


def _score(stays: Stays, scores: sets.Scores, name: str) -> Floats:
    """Logits of every hour that was scored; of the default calibrated on who tunes."""
    if name != FIRST:
        return scores.peer["same"]
    tune = np.repeat(scores.split.tune, stays.lengths)
    lines = calibrate(stays.label[tune], scores.raw.rows(tune), recipe.KNOTS)
    return logits(scores.raw, lines)


def _chosen(stays: Stays, score: Floats, tune: Bools) -> str:
    """The rule whose alarms catch most while enough of them are true."""
    rows = np.repeat(tune, stays.lengths)
    best = (0.0, "12")
    for rule, spec in RULES.items():
        watched = watched_of(stays, tune, spec)
        found = _at(score[rows], watched, threshold_at(score[rows], watched, artifact.PER_DAY))
        caught = float(found.caught.sum() / found.events.sum())
        if found.true.sum() >= WANTED_PPV * found.alarms.sum():
            best = max(best, (caught, rule))
    return best[1]


def _at(score: Floats, watched: Watched, threshold: float) -> Alarms:
    return alarms(score, watched, np.array([threshold]))


def _rung(stays: Stays, score: list[Floats], every: list[sets.Scores], rules: list[str]) -> Rung:
    """Alarms of every split at the threshold of its tuning stays; only judged patients count."""
    parts: list[tuple[Floats, ...]] = []
    leads = []
    for logit, scores, rule in zip(score, every, rules, strict=True):
        tune, test = scores.split.tune, scores.split.test
        rows, judged = np.repeat(tune, stays.lengths), np.repeat(test, stays.lengths)
        watched = watched_of(stays, tune, RULES[rule])
        threshold = threshold_at(logit[rows], watched, artifact.PER_DAY)
        found = _at(logit[judged], watched_of(stays, test, RULES[rule]), threshold)
        sums = (found.alarms, found.true, found.caught)
        rang, true, warned = (x[:, 0] for x in sums)
        parts.append((found.days, rang, true, found.events, warned))
        leads.append(found.lead_h[:, 0])
    lead = np.concatenate(leads)
    days, rung, right, events, caught = (np.concatenate(x) for x in zip(*parts, strict=True))
    return Rung(days, rung, right, events, caught, lead[~np.isnan(lead)])


def _rates(rung: Rung) -> Statistic:
    def statistic(drawn: Floats) -> Floats:
        days, rang, true, events, caught = (drawn @ part for part in rung[:5])
        return np.stack([rang / days, caught / events, true / np.maximum(rang, 1)], axis=1)

    return statistic


def _row(name: str, rule: str, rung: Rung) -> None:
    values = bootstrap(_rates(rung), len(rung.days), REPLICATES)
    middle = np.percentile(rung.lead_h, (50, 25, 75))
    cells = " | ".join(_said(v) for v in values)
    print(f"| {name} | {rule} | {cells} | {middle[0]:.0f} ({middle[1]:.0f} to {middle[2]:.0f}) |")


def _said(x: Interval) -> str:
    return f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]"


if __name__ == "__main__":
    main()
