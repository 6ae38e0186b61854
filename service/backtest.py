"""`vigil policy backtest`: policies on what was, side by side.

Stored scores go through the live alert machine, or through the way that equals it where the policy
allows; recordings go through the whole engine once. Not here: reading (`backtest_scores`,
`backtest_tap`), measuring (`backtest_measure`), the page (`backtest_page`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from alerts.alert import AlertEvent
from alerts.envelope import cloud_event_json
from alerts.policy import Policy
from service.backtest_exact import Until, patient_events
from service.backtest_fit import misfits
from service.backtest_labels import Labels
from service.backtest_light import Inputs as LightInputs
from service.backtest_light import episodes, unsupported
from service.backtest_measure import Figures, caught_by, judge, measure
from service.backtest_policy import parsed, shifted, thresholds
from service.backtest_run import Episode, Outcome, Stay, episodes_of
from service.backtest_scores import ScoreTable
from service.backtest_tap import Call, in_log_order, played
from service.progress import SILENT, Watcher
from streams.errors import ConfigError

MOST_EXACT: Final = 200_000  # scores up to which a frontier is drawn by the exact machine


class Candidate(NamedTuple):
    """A policy under test; `name` is how it is called in tables."""

    name: str
    text: str
    policy: Policy


class Point(NamedTuple):
    """One threshold of a frontier."""

    threshold: float
    figures: Figures


class Tested(NamedTuple):
    """One policy's result: at its own thresholds, and along its frontier."""

    candidate: Candidate
    outcome: Outcome
    figures: Figures
    swept: str  # the condition whose threshold was moved; empty: none
    frontier: tuple[Point, ...]
    why_exact: str  # why the exact machine was used; empty: the fast way was
    misfits: tuple[str, ...] = ()  # why the scores say little about this policy


class Report(NamedTuple):
    """Everything of one backtest."""

    tested: tuple[Tested, ...]
    horizon_us: int
    labelled: bool
    agreement: dict[str, int] | None  # events caught by both, only the first, only the second
    run: dict[str, Any]


class History(NamedTuple):
    """What is tested on: stored scores, or calls kept from recordings."""

    stays: tuple[Stay, ...]
    table: ScoreTable | None
    until: Until
    calls: dict[str, list[Call]] | None
    live_digest: str  # of the policy commands were given under; empty: none are played


def stored_history(table: ScoreTable, until: Until) -> History:
    """Stored scores as a history; a stay reaches from a patient's first window to its last."""
    bounds = table.bounds()
    stays = [
        Stay(name, int(table.start_us[a:b].min()), int(table.end_us[a:b].max()))
        for name, a, b in zip(table.patients, bounds, bounds[1:], strict=False)
    ]
    return History(tuple(stays), table, until, None, "")


def events(history: History, policy: Policy) -> list[AlertEvent]:
    """Everything the live machine says under a policy, as `alerts.jsonl` has it."""
    return in_log_order(_events(history, policy, p) for p in range(len(history.stays)))


def digest(found: Sequence[AlertEvent]) -> str:
    """The `alerts_sha256` of a replay that said this."""
    sha = hashlib.sha256()
    for event in found:
        sha.update(cloud_event_json(event) + b"\n")
    return sha.hexdigest()


def outcome(
    history: History,
    policy: Policy,
    *,
    exact: bool = False,
    cache: dict[str, LightInputs] | None = None,
) -> tuple[Outcome, str]:
    """What a policy does to a history, and why the exact machine was used (empty: it was not).

    Parameters
    ----------
    history : History
        Stored scores or kept calls.
    policy : Policy
        Any.
    exact : bool
        Use the machine even where the fast way would serve.
    cache : dict, optional
        Kept between policies that differ in levels alone.
    """
    why = "asked for" if exact else "recordings"
    if history.table is not None and not exact:
        why = unsupported(policy, history.table)
        if not why:
            try:
                found = episodes(history.table, policy, cache)
            except OverflowError:
                why = "more than 64 inputs"
            else:
                return Outcome(history.stays, tuple(found), False), ""
    own: list[Episode] = []
    for p in range(len(history.stays)):
        own += episodes_of(p, _events(history, policy, p))
    return Outcome(history.stays, tuple(own), True), why


def backtest(
    history: History,
    candidates: Sequence[Candidate],
    labels: Labels | None,
    horizon_us: int,
    watcher: Watcher = SILENT,
    *,
    exact: bool = False,
) -> Report:
    """Test policies on a history.

    Parameters
    ----------
    history : History
        Stored scores or kept calls.
    candidates : sequence of Candidate
        At least one.
    labels : Labels or None
        What happened; without, burden alone is told.
    horizon_us : int
        How long before an event a raise is of use.
    watcher : Watcher
        Told of progress.
    exact : bool
        Use the live machine throughout.
    """
    of = labels.of if labels is not None else _nothing
    watcher.stage("policies", len(candidates))
    tested = []
    for candidate in candidates:
        tested.append(_test(history, candidate, of, horizon_us, exact))
        watcher.step(1)
    agreement = None
    if labels is not None and len(tested) == 2:
        agreement = _agreement((tested[0].outcome, tested[1].outcome), of, horizon_us)
    return Report(tuple(tested), horizon_us, labels is not None, agreement, {})


def _test(
    history: History,
    candidate: Candidate,
    of: Callable[[str], Sequence[int]],
    horizon_us: int,
    exact: bool,
) -> Tested:
    found, why = outcome(history, candidate.policy, exact=exact)
    figures = measure(found, of, horizon_us)
    swept, points = _frontier(history, candidate, of, horizon_us, exact or bool(why))
    table = history.table
    said = misfits(table, candidate.policy) if table is not None and table.size else ()
    return Tested(candidate, found, figures, swept, points, why, said)


def _frontier(
    history: History,
    candidate: Candidate,
    of: Callable[[str], Sequence[int]],
    horizon_us: int,
    exact: bool,
) -> tuple[str, tuple[Point, ...]]:
    """The first condition that reads a score, its threshold moved; none for a large exact run."""
    table = history.table
    if table is None or (exact and table.size > MOST_EXACT):
        return "", ()
    known = candidate.policy.conditions.items()
    codes = [code for code, spec in known if spec.scorer in table.scorers]
    if not codes or candidate.policy.conditions[codes[0]].field not in table.numbers:
        return "", ()
    code, spec = codes[0], candidate.policy.conditions[codes[0]]
    rows = table.scorer == table.scorers.index(spec.scorer)
    values = table.numbers[spec.field][rows]
    cache: dict[str, LightInputs] = {}
    points = []
    for at in thresholds(values, spec.levels[0].hi):
        try:
            policy = parsed(shifted(candidate.text, code, at))
        except ConfigError:  # a floor or ceiling of its own forbids it
            continue
        kept = cache if spec.severe is None else None  # severe moves too, and is in the inputs
        found, _ = outcome(history, policy, exact=exact, cache=kept)
        points.append(Point(at, measure(found, of, horizon_us, resamples=0)))
    return code, tuple(points)


def _events(history: History, policy: Policy, p: int) -> list[AlertEvent]:
    if history.table is not None:
        bounds = history.table.bounds()
        place = (int(bounds[p]), int(bounds[p + 1]))
        return list(patient_events(history.table, p, place, policy, history.until))
    assert history.calls is not None
    patient = history.stays[p].patient
    own = policy.digest == history.live_digest
    return played(patient, history.calls.get(patient, []), policy, commands=own)


def _agreement(
    pair: tuple[Outcome, Outcome], of: Callable[[str], Sequence[int]], horizon_us: int
) -> dict[str, int]:
    first, second = (caught_by(each, of, horizon_us) for each in pair)
    pairs = [(caught, second[event]) for event, caught in first.items()]
    return {
        "both": sum(a and b for a, b in pairs),
        "first_only": sum(a and not b for a, b in pairs),
        "second_only": sum(b and not a for a, b in pairs),
        "neither": sum(not a and not b for a, b in pairs),
    }


def _nothing(patient: str) -> Sequence[int]:
    return ()


def document(report: Report) -> dict[str, Any]:
    """The report as JSON has it; figures that are not defined are null."""
    return {
        **report.run,
        "horizon_s": report.horizon_us / 1e6,
        "labelled": report.labelled,
        "agreement": report.agreement,
        "policies": [
            {
                "name": each.candidate.name,
                "policy": msgspec.to_builtins(each.candidate.policy.ref),
                "exact": each.outcome.exact,
                "why_exact": each.why_exact,
                "misfits": each.misfits,
                "figures": plain(each.figures),
                "swept": each.swept,
                "frontier": [
                    {"threshold": point.threshold, **plain(point.figures)}
                    for point in each.frontier
                ],
            }
            for each in report.tested
        ],
    }


def plain(figures: Figures) -> dict[str, Any]:
    """Figures for JSON: an estimate is [value, low, high]."""
    return {
        name: [_number(part) for part in value] if isinstance(value, tuple) else _number(value)
        for name, value in figures._asdict().items()
    }


def write_document(report: Report, path: Path) -> None:
    """Write `backtest.json`."""
    content = msgspec.json.format(msgspec.json.encode(document(report)), indent=2)
    path.write_bytes(content + b"\n")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)


def judged_of(tested: Tested, labels: Labels, horizon_us: int) -> Any:
    """Every raise of a tested policy, and whether an event followed."""
    return judge(tested.outcome, labels.of, horizon_us)
