"""THE table of care that explains a change of a sign: a drug, oxygen, blood, fluid, and how long.

A sign that moves inside such a window may have been moved: a temperature that fell after
paracetamol is no recovery. An effect annotates rows and evidence; no rule score reads it.
Not here: which dose is in force (`features.asof`), how it is shown (`models`, `alerts`).

The windows are ours, chosen wide enough for the slowest common route of the sources named; they
are no dosing advice. A record of medication with value 0 is a stop, and ends the effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_HOUR_S: Final = 3600.0


class Effect(NamedTuple):
    """One kind of care, the signs it moves, and when.

    `names` are whole words of a drug's name or code, in lower case. `moves` maps the concept code
    of a sign to +1 (raises it) or -1 (lowers it). The effect counts while the newest dose is
    `from_s` to `until_s` old, both included. `source` is what the row rests on; `checked` what of
    it was looked up, and where. What is not in `checked` is general pharmacology, not looked up.
    """

    code: str
    label: str
    names: tuple[str, ...]
    moves: dict[str, int]
    from_s: float
    until_s: float
    source: str
    checked: str


EFFECTS: Final[tuple[Effect, ...]] = (
    Effect(
        "antipyretic",
        "Antipyretic",
        ("paracetamol", "acetaminophen", "ibuprofen", "metamizole", "tylenol", "ofirmev"),
        {"temp": -1},
        0.0,
        6 * _HOUR_S,
        "Walson et al. (1989), Clin Pharmacol Ther 46:9: paracetamol, ibuprofen in fever",
        "Cochrane CD003676: that trial, a single dose, followed for 8 h; not its hours of effect",
    ),
    Effect(
        "beta_blocker",
        "Beta blocker",
        (
            "metoprolol",
            "propranolol",
            "bisoprolol",
            "atenolol",
            "carvedilol",
            "labetalol",
            "esmolol",
            "landiolol",
            "nebivolol",
            "sotalol",
        ),
        {"hr": -1, "sbp": -1, "map": -1},
        0.0,
        12 * _HOUR_S,
        "Prescribing information of metoprolol tartrate: lowers heart rate and pressure",
        "label on DailyMed: the direction; not the hours, which are those of dosing twice a day",
    ),
    Effect(
        "vasopressor",
        "Vasopressor",
        (
            "norepinephrine",
            "noradrenaline",
            "levophed",
            "epinephrine",
            "adrenaline",
            "vasopressin",
            "phenylephrine",
            "neosynephrine",
            "dopamine",
            "terlipressin",
        ),
        {"sbp": 1, "dbp": 1, "map": 1},
        0.0,
        2 * _HOUR_S,
        "Prescribing information of norepinephrine; rates are charted hourly",
        "aneskey.com/norepinephrine: at once, until 1-2 min after the infusion",
    ),
    Effect(
        "vasodilator",
        "Vasodilator",
        ("nitroglycerin", "glyceryl", "nitroprusside", "hydralazine", "nicardipine", "clevidipine"),
        {"sbp": -1, "dbp": -1, "map": -1},
        0.0,
        6 * _HOUR_S,
        "Prescribing information of hydralazine injection",
        "label: lowest after 10-80 min; droracle.ai 741730, after guidelines: for 2-4 h",
    ),
    Effect(
        "opioid",
        "Opioid",
        (
            "morphine",
            "hydromorphone",
            "dilaudid",
            "fentanyl",
            "oxycodone",
            "remifentanil",
            "sufentanil",
            "methadone",
            "tramadol",
            "meperidine",
            "codeine",
        ),
        {"resp_rate": -1, "spo2": -1, "consciousness": 1},
        0.0,
        6 * _HOUR_S,
        "Anesthesiology 2004, 101:1201 (PMID 15505457): breathing after intravenous morphine",
        "its abstract: the effect follows the blood with a half-life of 4.4 h",
    ),
    Effect(
        "opioid_antagonist",
        "Opioid antagonist",
        ("naloxone", "narcan"),
        {"resp_rate": 1},
        0.0,
        2 * _HOUR_S,
        "Prescribing information of naloxone",
        "pdr.net: shorter than some opioids; Wikipedia: from 2 min, for 30-90 min",
    ),
    Effect(
        "sedative",
        "Sedative",
        ("propofol", "midazolam", "lorazepam", "diazepam", "dexmedetomidine", "precedex", "versed"),
        {"consciousness": 1, "gcs": -1, "resp_rate": -1, "sbp": -1},
        0.0,
        6 * _HOUR_S,
        "Prescribing information of lorazepam injection; others are shorter",
        "droracle.ai 518116, 544506, after the labels: lorazepam 6-8 h, midazolam 1-6 h",
    ),
    Effect(
        "insulin",
        "Insulin",
        ("insulin", "humalog", "novolog", "lispro", "aspart", "glargine", "humulin"),
        {"glucose": -1, "k": -1},
        0.0,
        8 * _HOUR_S,
        "Prescribing information of regular human insulin; basal insulins last a day",
        "endocrinologyadvisor.com, insulins: regular from 30 min, for 6-8 h; glargine 24 h",
    ),
    Effect(
        "corticosteroid",
        "Corticosteroid",
        ("prednisone", "prednisolone", "methylprednisolone", "hydrocortisone", "dexamethasone"),
        {"glucose": 1, "wbc": 1, "temp": -1},
        _HOUR_S,
        24 * _HOUR_S,
        "Dale et al. (1975), J Clin Invest 56:808: white cells rise",
        "its abstract (jci.org 108159): 4,000 neutrophils/mm3 more; not the hours",
    ),
    Effect(
        "beta_agonist",
        "Beta agonist",
        ("salbutamol", "albuterol", "terbutaline", "levalbuterol", "formoterol"),
        {"hr": 1, "k": -1},
        0.0,
        6 * _HOUR_S,
        "Prescribing information of albuterol: heart rate up, potassium down",
        "klawinger.org, albuterol: both directions, from 5-15 min, for 3-6 h",
    ),
    Effect(
        "diuretic",
        "Loop diuretic",
        ("furosemide", "frusemide", "lasix", "bumetanide", "torsemide"),
        {"urine_output": 1, "k": -1, "sbp": -1},
        0.0,
        8 * _HOUR_S,
        "Prescribing information of furosemide",
        "biologyinsights.com, droracle.ai 866982: injected 2 h, by mouth 6-8 h; not the pressure",
    ),
    Effect(
        "transfusion",
        "Red cell transfusion",
        ("prbc", "rbc", "rbcs", "erythrocytes", "transfusion"),
        {"hb": 1},
        0.0,
        24 * _HOUR_S,
        "Wiesen et al. (1994), Ann Intern Med 121:278: 15 min are as good as 24 h",
        "its first page (annals.org), and Transfusion 1997, 37:573, which finds the same",
    ),
    Effect(
        "inotrope",
        "Inotrope",
        ("dobutamine", "milrinone", "isoprenaline", "isoproterenol"),
        {"hr": 1, "sbp": 1},
        0.0,
        2 * _HOUR_S,
        "Prescribing information of dobutamine; rates are charted hourly",
        "pfizermedicalinformation.com: from 1-2 min, at its height by 10 min, half-life 2 min",
    ),
    Effect(
        "oxygen_therapy",
        "Oxygen",
        (),
        {"spo2": 1},
        0.0,
        12 * _HOUR_S,
        "RCP (2017), NEWS2: oxygen itself scores 2 points",
        "the chart of NEWS2 (scribd.com 584338409) and creatinineclearance.com: 2 points",
    ),
)
EFFECT: Final[dict[str, int]] = {effect.code: i for i, effect in enumerate(EFFECTS)}
OXYGEN_THERAPY: Final = EFFECT["oxygen_therapy"]

# Above: oxygen is given; at or below: air. Of FiO2, room air as charted in whole percent.
OXYGEN_ABOVE: Final[dict[str, float]] = {"oxygen": 0.5, "o2_flow": 0.0, "fio2": 21.5}

_WORD = re.compile(r"[a-z0-9]+")
_BY_NAME: Final[dict[str, tuple[int, ...]]] = {
    name: tuple(i for i, effect in enumerate(EFFECTS) if name in effect.names)
    for effect in EFFECTS
    for name in effect.names
}
_MOST_LETTERS: Final = 256  # a drug's name is short; what follows is not read


@lru_cache(maxsize=4096)
def _of_words(text: str) -> tuple[int, ...]:
    """Effects named in a short text, ascending."""
    found = {i for word in _WORD.findall(text.casefold()) for i in _BY_NAME.get(word, ())}
    return tuple(sorted(found))


def effects_of(text: str) -> tuple[int, ...]:
    """Which effects the name of a drug stands for, as indices of `EFFECTS`, ascending.

    Parameters
    ----------
    text : str
        Name or code of a medication as charted; whole words count, in any case.

    Returns
    -------
    tuple of int
        Empty when the table knows none of its words.

    Examples
    --------
    >>> [EFFECTS[i].code for i in effects_of("Metoprolol Tartrate 25 mg PO")]
    ['beta_blocker']
    >>> effects_of("Ondansetron")
    ()
    """
    return _of_words(text[:_MOST_LETTERS])


_FROM_US: Final = np.array([round(effect.from_s * 1e6) for effect in EFFECTS], np.int64)
_UNTIL_US: Final = np.array([round(effect.until_s * 1e6) for effect in EFFECTS], np.int64)


def at_work(
    value: NDArray[np.float64], time_us: NDArray[np.int64], end_us: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which effects may move a sign at each row's end.

    Parameters
    ----------
    value : (B, E) float64
        Of the newest dose, columns as `EFFECTS`: above 0 given, 0 stopped, NaN none.
    time_us : (B, E) int64
        When that was; 0 = never.
    end_us : (B,) int64
        The rows' ends.

    Returns
    -------
    (B, E) bool
        Whether a dose is `from_s` to `until_s` old, both included, and was not stopped.
    """
    age_us = end_us[:, None] - time_us
    working: NDArray[np.bool_] = (value > 0) & (age_us >= _FROM_US) & (age_us <= _UNTIL_US)
    return working


class Explanation(NamedTuple):
    """What may have moved a sign."""

    line: str  # "antipyretic 90 min before may lower it"
    since_us: int  # when it was given: what was measured before is not explained by it


Explained = Mapping[str, tuple[Explanation, ...]]  # concept code of a sign -> in order of EFFECTS


def explanations(
    value: NDArray[np.float64], time_us: NDArray[np.int64], end_us: NDArray[np.int64]
) -> list[Explained]:
    """What may have moved each sign, in words.

    Parameters
    ----------
    value, time_us, end_us
        As for `at_work`; without columns nothing is explained.

    Returns
    -------
    list of mapping, length B
        Empty for a row without an effect at work.

    Examples
    --------
    >>> value, time_us = np.full((1, len(EFFECTS)), np.nan), np.zeros((1, len(EFFECTS)), np.int64)
    >>> value[0, 0], time_us[0, 0] = 1.0, 1
    >>> explanations(value, time_us, np.array([5_400_000_001]))[0]["temp"][0].line
    'antipyretic 90 min before may lower it'
    """
    found: list[Explained] = [{}] * len(end_us)
    if not value.size:
        return found
    working = at_work(value, time_us, end_us)
    for row in np.flatnonzero(working.any(axis=1)).tolist():
        found[row] = _of_row(np.flatnonzero(working[row]), time_us[row], int(end_us[row]))
    return found


def _of_row(numbers: NDArray[np.intp], time_us: NDArray[np.int64], end_us: int) -> Explained:
    """Explanations of one row by the effects at work."""
    lines: dict[str, tuple[Explanation, ...]] = {}
    for number in numbers.tolist():
        since_us = int(time_us[number])
        minutes = (end_us - since_us) // 60_000_000
        for code, sign in EFFECTS[number].moves.items():
            line = f"{EFFECTS[number].label.lower()} {minutes} min before {_does(code, sign)}"
            lines[code] = (*lines.get(code, ()), Explanation(line, since_us))
    return lines


def _does(code: str, sign: int) -> str:
    """What an effect may do to a sign, in words."""
    if code == "consciousness":
        return "may dull it"
    return "may raise it" if sign > 0 else "may lower it"
