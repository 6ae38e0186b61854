"""The decision of `alerts.conditions` for many patients in step: raises and ends, nothing else.

No words, no records: so a year of patients takes seconds. It covers policies that use what is in
`KNOWN`; for any other `unsupported` says why and the exact machine is used. That both agree is
held by `tests/service/test_backtest_light.py` on random histories.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerts.alert import PRIORITY_RANK
from alerts.policy import Policy
from alerts.policy_spec import ConditionSpec
from models.score import Evidence
from service.backtest_exact import TICK_US
from service.backtest_run import OPEN_END, Episode
from service.backtest_scores import Floats, Ints, ScoreTable, only

Bools = NDArray[np.bool_]
KNOWN: Final = frozenset(
    {
        *("source", "levels", "display", "label", "unit", "for_s", "keep_s", "rejoin_s"),
        *("refractory_s", "max_gap_s", "stale_after_s", "min_completeness", "update_delta"),
        *("update_s", "severe", "severe_quality", "severe_age_s", "severe_completeness"),
        *("same_input",),
    }
)
QUIET, PENDING, ON, KEEP = 0, 1, 2, 3  # as `alerts.conditions.Hold`
NO_LEVEL: Final = -1
DECIMALS_SCALE: Final = 1e4  # scores are rounded to 1e-4 before any threshold
_RULE_POINTS: Final = msgspec.json.Decoder(dict[str, Any] | None)
_EVIDENCE: Final = msgspec.json.Decoder(tuple[Evidence, ...])


class Inputs(NamedTuple):
    """What one condition reads of rows, ready to step: one entry per row of `rows`."""

    rows: Ints  # of the table, by patient, in order
    patient: Ints
    value: Floats  # rounded; NaN: no score
    end_us: Ints
    known_us: Ints
    completeness: Floats
    present: NDArray[np.uint64]  # inputs that were there, as bits
    points: NDArray[np.uint64]  # inputs that carried points
    severe: Bools


def unsupported(policy: Policy, table: ScoreTable) -> str:
    """Why this way does not serve a policy or a history; empty when it does."""
    ordered = _ordered(table)
    if ordered:
        return ordered
    read = {code: spec for code, spec in policy.conditions.items() if spec.scorer in table.scorers}
    for code, spec in read.items():
        for name, default in zip(
            spec.__struct_fields__[-len(spec.__struct_defaults__) :],
            spec.__struct_defaults__,
            strict=True,
        ):
            plain = default() if callable(default) else default
            if name not in KNOWN and getattr(spec, name) != plain:
                return f"condition.{code}.{name} is used"
        if spec.field not in ("lower", "value", "upper"):
            return f"condition.{code} reads one input"
    for rule in getattr(policy, "inhibits", ()):
        held = any(fnmatchcase(code, rule.target) for code in read)
        if held and any(fnmatchcase(code, rule.source) for code in read):
            return f"{rule.source} inhibits {rule.target}"
    return ""


def _ordered(table: ScoreTable) -> str:
    """Why rows are not plainly one after the other, if they are not."""
    if np.any(table.revision != 0):
        return "scores are revised"
    same = (np.diff(table.patient) == 0) & (np.diff(table.scorer) == 0)
    if len(table.scorers) > 1:
        order = np.lexsort((np.arange(table.size), table.scorer, table.patient))
        same = np.diff(table.patient[order]) + np.diff(table.scorer[order]) == 0
        end_us, known_us = table.end_us[order], table.known_us[order]
    else:
        end_us, known_us = table.end_us, table.known_us
    if np.any(same & (np.diff(end_us) <= 0)) or np.any(same & (np.diff(known_us) < 0)):
        return "scores are not in order"
    return ""


def episodes(
    table: ScoreTable, policy: Policy, cache: dict[str, Inputs] | None = None
) -> list[Episode]:
    """What the policy would have raised, by condition and time.

    Parameters
    ----------
    table : ScoreTable
        In order, see `unsupported`; of at most 64 different inputs.
    policy : Policy
        One that `unsupported` has nothing against.
    cache : dict, optional
        Kept between calls on one table whose policies differ in `levels` alone.
    """
    found: list[Episode] = []
    for code, spec in policy.conditions.items():
        if spec.scorer not in table.scorers:
            continue
        inputs = None if cache is None else cache.get(code)
        if inputs is None:
            inputs = _inputs(table, spec)
            if cache is not None:
                cache[code] = inputs
        found += _Steps(code, spec, policy, inputs).run()
    return found


def _inputs(table: ScoreTable, spec: ConditionSpec) -> Inputs:
    """Columns of the rows that a condition reads."""
    rows = np.flatnonzero(table.scorer == table.scorers.index(spec.scorer))
    value = rounded(table.numbers[spec.field][rows])
    value = np.where(np.isnan(table.numbers["value"][rows]), np.nan, value)
    completeness = table.numbers["completeness"][rows]
    completeness = np.where(np.isnan(completeness), 1.0, completeness)
    present = np.zeros(len(rows), np.uint64)
    points, severe = present.copy(), np.zeros(len(rows), np.bool_)
    if table.texts:
        _read_texts(table, spec, (rows, value, completeness), (present, points, severe))
    columns = (table.end_us[rows], table.known_us[rows], completeness)
    return Inputs(rows, table.patient[rows], value, *columns, present, points, severe)


def rounded(value: Floats) -> Floats:
    """Round to 1e-4 exactly as Python's `round` does, which the engine uses.

    Examples
    --------
    >>> rounded(np.array([0.00005, 2.67495, np.nan])).tolist()
    [0.0001, 2.6749, nan]
    """
    scaled = value * DECIMALS_SCALE
    found: Floats = np.rint(scaled) / DECIMALS_SCALE
    doubtful = np.abs(np.abs(scaled - np.trunc(scaled)) - 0.5) < 1e-3
    for row in np.flatnonzero(doubtful):
        found[row] = round(float(value[row]), 4)
    return found


def _read_texts(
    table: ScoreTable,
    spec: ConditionSpec,
    read: tuple[Ints, Floats, Floats],
    out: tuple[NDArray[np.uint64], NDArray[np.uint64], Bools],
) -> None:
    """Inputs as bits, and which scores are severe.

    Raises
    ------
    OverflowError
        If there are more inputs than bits in a word.
    """
    rows, value, completeness = read
    present, points, severe = out
    bits: dict[str, int] = {}
    names = {code: group[0] for group in spec.same_input for code in group}
    for at, (row, rule_text, evidence_text) in enumerate(only(table, rows)):
        rule = _RULE_POINTS.decode(rule_text or "null")
        hot = spec.severe is not None and value[at] >= spec.severe
        items = _EVIDENCE.decode(evidence_text or "[]") if hot or rule is None else ()
        if rule is not None:
            carried = rule["points"]
        else:
            carried = {names.get(item.code, item.code): item.points for item in items}
        for name, count in carried.items():
            bit = np.uint64(1 << bits.setdefault(name, len(bits)))
            present[at] |= bit
            if count > 0:
                points[at] |= bit
        if hot and items and completeness[at] >= spec.severe_completeness:
            severe[at] = _severe(items, float(value[at]), spec, bool(table.calibrated[row]))


def _severe(
    items: tuple[Evidence, ...], value: float, spec: ConditionSpec, calibrated: bool
) -> bool:
    """Whether a score is severe on good, fresh evidence alone."""
    assert spec.severe is not None
    doubtful = sum(
        item.points
        for item in items
        if item.points > 0
        and not (item.quality >= spec.severe_quality and item.age_s <= spec.severe_age_s)
    )
    return doubtful == 0 if calibrated else value - doubtful >= spec.severe


class _Steps:
    """One condition over all patients, the k-th score of each in the k-th step.

    Patients are ordered by how many scores they have, so that those still there are a prefix.
    """

    def __init__(self, code: str, spec: ConditionSpec, policy: Policy, inputs: Inputs) -> None:
        self.code, self.spec, self.policy = code, spec, policy
        level_hi = spec.levels[0].hi
        reached = np.unique(inputs.patient[inputs.value >= level_hi])
        begins = np.searchsorted(inputs.patient, reached)
        counts = np.searchsorted(inputs.patient, reached, side="right") - begins
        order = np.argsort(-counts, kind="stable")
        self.patient, self.begin, self.count = reached[order], begins[order], counts[order]
        self.inputs = inputs
        n, levels = len(reached), len(spec.levels)
        self.hold = np.zeros((levels, n), np.int8)
        self.since = np.zeros((levels, n), np.int64)
        self.held = np.zeros((levels, n), np.int64)
        self.last = np.zeros((levels, n), np.int64)
        self.paused = np.zeros((levels, n), np.bool_)
        self.carried = np.zeros(n, np.uint64)
        self.quiet_until = np.zeros(n, np.int64)
        self.last_level = np.full(n, NO_LEVEL, np.int8)
        self.level = np.full(n, NO_LEVEL, np.int8)  # as it was told
        self.stale = np.zeros(n, np.bool_)
        self.usable_us = np.zeros(n, np.int64)  # when the last usable score was known
        self.open = np.zeros(n, np.bool_)
        self.latch = np.zeros(n, np.bool_)
        self.cleared_us = np.zeros((2, n), np.int64)  # event time, log time
        self.episode = np.full(n, OPEN_END, np.int64)  # place in `raised`
        self.raised: list[NDArray[np.int64]] = []  # lane, at, rank, first, place
        self.ended: list[NDArray[np.int64]] = []  # place, at
        self.ranked: list[NDArray[np.int64]] = []  # place, rank
        self.places = 0
        self.ranks = np.array([PRIORITY_RANK[level.priority] for level in spec.levels])
        self.latching = np.array([self._latches(level.priority) for level in spec.levels])

    def _latches(self, priority: Any) -> bool:
        known = getattr(self.policy, "latches", None)
        if known is not None:
            return bool(known(self.code, priority))
        return bool(self.policy.priorities[priority].latching)

    def run(self) -> list[Episode]:
        """All episodes of the condition."""
        for k in range(int(self.count.max(initial=0))):
            lanes = int(np.searchsorted(-self.count, -k, side="left"))
            self._step(self.begin[:lanes] + k, lanes)
        return self._episodes()

    def _step(self, at: Ints, n: int) -> None:
        """Everyone's next score."""
        inputs = self.inputs
        value, end_us, known_us = inputs.value[at], inputs.end_us[at], inputs.known_us[at]
        self._tick(known_us, end_us, n)
        there = ~np.isnan(value)
        gone = self.carried[:n] & ~inputs.present[at]
        complete = (inputs.completeness[at] >= self.spec.min_completeness) & (gone == 0)
        was = self._top(n)
        held_back = (was == NO_LEVEL) & (end_us < self.quiet_until[:n])
        for index in range(len(self.spec.levels)):
            back = held_back & (index <= self.last_level[:n])
            self._level(index, n, (value, end_us, there, complete, inputs.severe[at], back))
        now = self._top(n)
        cleared = (was != NO_LEVEL) & (now == NO_LEVEL)
        carried = np.where(there, gone | inputs.points[at], self.carried[:n])
        self.carried[:n] = np.where(cleared, 0, carried)
        until = end_us + _us(self.spec.refractory_s)
        self.quiet_until[:n] = np.where(cleared, until, self.quiet_until[:n])
        self.last_level[:n] = np.where(cleared, was, self.last_level[:n])
        rest = (self.hold[:, :n] == QUIET).all(axis=0) & (end_us >= self.quiet_until[:n])
        self.carried[:n][rest], self.quiet_until[:n][rest] = 0, 0
        self.last_level[:n][rest] = NO_LEVEL
        self._tell(n, (now, there, end_us, known_us))

    def _level(self, index: int, n: int, seen: tuple[Any, ...]) -> None:
        """Move one level of everyone; see `alerts.conditions`."""
        value, end_us, there, complete, severe, held_back = seen
        spec, limits = self.spec, self.spec.levels[index]
        hold, since = self.hold[index, :n], self.since[index, :n]
        held, last = self.held[index, :n], self.last[index, :n]
        paused = self.paused[index, :n]
        with np.errstate(invalid="ignore"):
            low, high = value < limits.lo, value >= limits.hi
        skip = ~there | (low & ~complete)
        paused |= skip & (hold != QUIET)
        gap = end_us - last
        broken = gap > _us(spec.max_gap_s)
        credit = np.where(broken | paused, 0, gap)
        on = hold >= ON
        keeping = np.where(hold == KEEP, held + credit, 0)
        over = on & low & (keeping >= _us(spec.keep_s))
        fresh = (hold == QUIET) | broken
        pending = np.where(fresh, 0, held + credit)
        due = high & (severe | ((pending >= _us(spec.for_s)) & ~held_back))
        none = ~on & (low | (fresh & ~high))
        new_hold = np.where(
            on, np.where(low, KEEP, ON), np.where(none, QUIET, np.where(due, ON, PENDING))
        )
        new_hold = np.where(over, QUIET, new_hold)
        new_held = np.where(on, np.where(low, keeping, 0), np.where(due, 0, pending))
        new_since = np.where(~on & fresh, end_us, since)
        rest = new_hold == QUIET
        take = ~skip
        hold[take] = new_hold[take]
        held[take] = np.where(rest, 0, new_held)[take]
        since[take] = np.where(rest, 0, new_since)[take]
        last[take] = np.where(rest, 0, end_us)[take]
        paused[take] = False

    def _tick(self, known_us: Ints, end_us: Ints, n: int) -> None:
        """What ticks did since the last score: alerts gone stale, or resolved."""
        live = (self.level[:n] != NO_LEVEL) & ~self.stale[:n]
        due = self.usable_us[:n] + _us(self.spec.stale_after_s)
        stale = live & (_tick_at(due) < known_us)
        self.stale[:n] |= stale
        self.paused[:, :n] |= stale & (self.hold[:, :n] != QUIET)
        over = self.open[:n] & (self.level[:n] == NO_LEVEL) & ~self.latch[:n]
        rejoin = _us(self.spec.rejoin_s)
        by_tick = _tick_at(self.cleared_us[1, :n] + rejoin) < known_us
        by_score = end_us - self.cleared_us[0, :n] >= rejoin
        self.open[:n] &= ~(over & (by_tick | by_score))

    def _tell(self, n: int, seen: tuple[Any, ...]) -> None:
        """Raises, ends and changes of priority."""
        now, there, end_us, known_us = seen
        active = self.level[:n] != NO_LEVEL
        usable = there & ~self.paused[:, :n].any(axis=0)
        raised = np.flatnonzero(~active & (now != NO_LEVEL))
        self.stale[:n] = np.where(active, ~usable, False)
        ended = np.flatnonzero(active & usable & (now == NO_LEVEL))
        changed = np.flatnonzero(active & usable & (now != NO_LEVEL) & (now != self.level[:n]))
        self.usable_us[:n] = np.where(usable, known_us, self.usable_us[:n])
        if len(raised):
            first = ~self.open[raised]
            self.episode[raised] = self.places + np.arange(len(raised))
            ranks = self.ranks[now[raised]]
            self.raised.append(np.stack([raised, known_us[raised], ranks, first]))
            self.places += len(raised)
            kept = np.where(first, False, self.latch[raised])
            self.latch[raised] = kept | self.latching[now[raised]]
            self.open[raised] = True
            self.level[raised] = now[raised]
        if len(changed):
            rises = changed[now[changed] > self.level[changed]]
            self.latch[rises] |= self.latching[now[rises]]
            self.ranked.append(np.stack([self.episode[rises], self.ranks[now[rises]]]))
            self.level[changed] = now[changed]
        if len(ended):
            self.ended.append(np.stack([self.episode[ended], known_us[ended]]))
            self.cleared_us[0, ended], self.cleared_us[1, ended] = end_us[ended], known_us[ended]
            self.level[ended] = NO_LEVEL

    def _top(self, n: int) -> NDArray[np.int8]:
        """Highest level on per lane."""
        top = np.full(n, NO_LEVEL, np.int8)
        for index in range(len(self.spec.levels)):
            top[self.hold[index, :n] >= ON] = index
        return top

    def _episodes(self) -> list[Episode]:
        if not self.raised:
            return []
        lane, at_us, rank, first = np.concatenate(self.raised, axis=1)
        end_us = np.full(len(lane), OPEN_END, np.int64)
        if self.ended:
            place, when = np.concatenate(self.ended, axis=1)
            end_us[place] = when
        if self.ranked:
            place, risen = np.concatenate(self.ranked, axis=1)
            np.maximum.at(rank, place, risen)
        order = np.lexsort((at_us, self.patient[lane]))
        return [
            Episode(patient, self.code, False, ranked, at, end, True, bool(new))
            for patient, ranked, at, end, new in zip(
                self.patient[lane[order]].tolist(),
                rank[order].tolist(),
                at_us[order].tolist(),
                end_us[order].tolist(),
                first[order].tolist(),
                strict=True,
            )
        ]


def _tick_at(at_us: Ints) -> Ints:
    """The first tick at or after each time."""
    return -(-at_us // TICK_US) * TICK_US


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
