"""How long an alarm should speak: the same scores at 0.2 alarms a patient-day, other silences.

After an alarm a patient's next one is held back for some hours. The longer, the fewer alarms are
spent on who was called already, so the threshold may be lower; and the fewer true ones repeat.
"24, louder 0.8": within 24 h only a score 0.8 above the threshold rings again, after 12 h. "past
0.3": of the logit 0.3 is the person's mean of the last 24 h. Each fold is judged by the threshold
and the rule that others chose: the most sensitive among those whose PPV is at least WANTED_PPV.
"Fitted": 24 h, and how much louder is not one of a few numbers but the one at which others' PPV is
WANTED_PPV; a policy can state that too (`past`, `again`).
"two": strictly nested, forests of three folds score the other two, each of which is tuned by the
other. "five": as `vigil train` tunes, by held-out scores of the four others, whose forests have
seen the judged labels; the stays are two and a half times as many. LightGBM gets the same rules
where it was scored.

    python -m benchmarks.bench_cinc2019_alarms [two] [five]
"""

from __future__ import annotations

import sys
import time
from itertools import product
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import _cinc2019 as sets
from benchmarks._common import heading
from models.calibration.knots import fit
from models.evaluation.bootstrap import Interval, Statistic, bootstrap, paired
from models.evaluation.events import SEPSIS, Alarms, EventSpec, Watched, alarms, threshold_at
from models.evaluation.past import with_past
from service.datasets.cinc2019 import Stays
from service.training import artifact
from service.training import cinc2019 as recipe
from service.training.committee import calibrate, logits
from service.training.operating import watched_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
PAST_H: Final = 24
PASTS: Final = (0.0, 0.3, 0.5)


class Rule(NamedTuple):
    """When it rings, and how much of the score is the past's."""

    spec: EventSpec
    past: float


def _rules() -> dict[str, Rule]:
    """All rules by their names."""
    spans = [(h, np.inf) for h in (12.0, 14.0, 15.0, 16.0, 18.0, 24.0)]
    spans += product((18.0, 24.0), (0.4, 0.6, 0.8, 1.0))
    out = {}
    for (hours, louder), past in product(spans, PASTS):
        name = f"{hours:g}" + (f", louder {louder:g}" if np.isfinite(louder) else "")
        name += f", past {past:g}" if past else ""
        out[name] = Rule(SEPSIS._replace(silence_h=hours, louder_by=louder), past)
    return out


RULES: Final = _rules()
SHOWN: Final = (  # in the table; all of them are there to choose
    *("12", "15", "18", "24", "24, louder 0.6", "24, louder 0.8", "24, louder 1"),
    *("12, past 0.3", "15, past 0.3", "18, past 0.3", "24, louder 0.6, past 0.3"),
    *("24, louder 0.8, past 0.3", "24, louder 1, past 0.3", "24, louder 0.8, past 0.5"),
    "24, louder 1, past 0.5",
)
WANTED_PPV: Final = 0.20
REPLICATES: Final = 1000
CHOSEN: Final = "chosen"
FITTED: Final = "fitted"
SHAPES: Final = tuple(product((10.0, 12.0), PASTS))  # from when on louder rings, share of the past
LOUDER: Final = (0.2, 2.5)  # between which it is sought
HALVINGS: Final = 6  # of the louder by, twice as many of a threshold
USUAL: Final = "12"
FIRST, OTHER = "default", "LightGBM, same inputs"


class Fitted(NamedTuple):
    """A rule that was fitted to who tunes, and how it does there."""

    rule: Rule
    sensitivity: float

    @property
    def name(self) -> str:
        """As the table has it."""
        spec, past = self.rule
        return f"{spec.louder_h:g} h, louder {spec.louder_by:.2f}, past {past:g}"


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
    asked = sys.argv[1:] or ["two"]
    if "two" in asked:
        every = sets.two(stays, job, stages)
        _table("two folds, strictly nested", stays, every, (FIRST, OTHER))
    if "five" in asked:
        every = sets.folds(stays, job, stages, ())
        _table("five folds, as `vigil train` tunes", stays, every, (FIRST,))
    print(f"\n{time.process_time() - began:.0f} s of CPU")


def _table(title: str, stays: Stays, every: list[sets.Scores], names: tuple[str, ...]) -> None:
    """Rules of one way to divide the stays, and what was chosen."""
    print(f"\n{title}; chosen: most sensitive with a PPV of {WANTED_PPV:g}\n")
    print("| model | silence, h | alarms a day | sensitivity | PPV | lead h (quartiles) |")
    print("|---|---|---|---|---|---|")
    found = {}
    for name in names:
        score = [_score(stays, scores, name) for scores in every]
        tuned = list(zip(score, (s.split.tune for s in every), strict=True))
        for rule in SHOWN:
            found[name, rule] = _rung(stays, score, every, [RULES[rule]] * len(every))
            _row(name, rule, found[name, rule])
        chosen = [_chosen(stays, *each) for each in tuned]
        found[name, CHOSEN] = _rung(stays, score, every, [RULES[each] for each in chosen])
        _row(name, "chosen: " + "; ".join(chosen), found[name, CHOSEN])
        fitted = [_fitted(stays, *each) for each in tuned]
        found[name, FITTED] = _rung(stays, score, every, [each.rule for each in fitted])
        _row(name, "fitted: " + "; ".join(each.name for each in fitted), found[name, FITTED])
    print(f"\n{int(found[FIRST, CHOSEN].events.sum())} events")
    _compared(found)


def _compared(found: dict[tuple[str, str], Rung]) -> None:
    """Differences on the same draws of patients, of who was judged."""
    for title, one, less in (
        (f"{FIRST}, chosen less 12 h", (FIRST, CHOSEN), (FIRST, USUAL)),
        (f"{FIRST}, fitted less 12 h", (FIRST, FITTED), (FIRST, USUAL)),
        (f"{FIRST}, fitted less chosen", (FIRST, FITTED), (FIRST, CHOSEN)),
        (f"{FIRST} less {OTHER}, both chosen", (FIRST, CHOSEN), (OTHER, CHOSEN)),
        (f"{FIRST} less {OTHER}, 12 h", (FIRST, USUAL), (OTHER, USUAL)),
    ):
        if less not in found:
            continue
        pair = _rates(found[one]), _rates(found[less])
        _, sensitivity, ppv = paired(*pair, len(found[one].days), REPLICATES)
        print(f"\n{title}: sensitivity {_said(sensitivity)}, PPV {_said(ppv)}")


def _score(stays: Stays, scores: sets.Scores, name: str) -> Floats:
    """Logits of every hour that was scored, calibrated on who tunes: a step means the same."""
    tune = np.repeat(scores.split.tune, stays.lengths)
    if name != FIRST:
        raw = scores.peer["same"]
        return fit(stays.label[tune], raw[tune], recipe.KNOTS).at(raw)
    lines = calibrate(stays.label[tune], scores.raw.rows(tune), recipe.KNOTS)
    return logits(scores.raw, lines)


def _by(rule: Rule, score: Floats, stays: Stays, which: Bools) -> tuple[Floats, Watched]:
    """Scores of some stays as a rule reads them, and what is watched."""
    own = score[np.repeat(which, stays.lengths)]
    own = with_past(own, stays.lengths[which], rule.past, PAST_H)
    return own, watched_of(stays, which, rule.spec)


def _chosen(stays: Stays, score: Floats, tune: Bools) -> str:
    """The rule whose alarms catch most while enough of them are true."""
    best = (0.0, USUAL)
    for name, rule in RULES.items():
        own, watched = _by(rule, score, stays, tune)
        found = _at(own, watched, threshold_at(own, watched, artifact.PER_DAY))
        caught = float(found.caught.sum() / found.events.sum())
        if found.true.sum() >= WANTED_PPV * found.alarms.sum():
            best = max(best, (caught, name))
    return best[1]


def _fitted(stays: Stays, score: Floats, tune: Bools) -> Fitted:
    """The most sensitive rule of 24 h whose alarms are true as often as wanted, and no oftener."""
    best = Fitted(RULES[USUAL], 0.0)
    for after, past in SHAPES:
        spec = SEPSIS._replace(silence_h=24.0, louder_h=after)
        own, watched = _by(Rule(spec, past), score, stays, tune)
        low, high = LOUDER
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            rule = Rule(spec._replace(louder_by=middle), past)
            watched = watched._replace(spec=rule.spec)
            found = _at(own, watched, _lowest(own, watched))
            enough = found.true.sum() >= WANTED_PPV * found.alarms.sum()
            low, high = (middle, high) if enough else (low, middle)
            if enough:
                best = max(
                    best, Fitted(rule, float(found.caught.sum() / found.events.sum())), key=_caught
                )
    return best


def _caught(fitted: Fitted) -> float:
    return fitted.sensitivity


def _lowest(score: Floats, watched: Watched) -> float:
    """As `threshold_at`, by halving: near it where the rate does not fall all the way."""
    low, high = np.quantile(score, (0.7, 1.0))
    for _ in range(2 * HALVINGS):
        middle = float((low + high) / 2)
        found = _at(score, watched, middle)
        over = found.alarms.sum() > artifact.PER_DAY * found.days.sum()
        low, high = (middle, high) if over else (low, middle)
    return float(high)


def _at(score: Floats, watched: Watched, threshold: float) -> Alarms:
    return alarms(score, watched, np.array([threshold]))


def _rung(stays: Stays, score: list[Floats], every: list[sets.Scores], rules: list[Rule]) -> Rung:
    """Alarms of every split at the threshold of its tuning stays; only judged patients count."""
    parts: list[tuple[Floats, ...]] = []
    leads = []
    for logit, scores, rule in zip(score, every, rules, strict=True):
        own, watched = _by(rule, logit, stays, scores.split.tune)
        threshold = threshold_at(own, watched, artifact.PER_DAY)
        found = _at(*_by(rule, logit, stays, scores.split.test), threshold)
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
