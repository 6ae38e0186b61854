"""Everything known of ECG segments: beats, what kind they are, and how far to trust them.

Stateless and batched: the result of a row depends on its samples only.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.ecg import detector, quality, second, standstill, usable, working
from features.ecg.candidates import Block
from features.ecg.company import row_totals
from features.ecg.decision import Looks
from features.ecg.detector import RunBlock
from features.ecg.morphology import Shapes, shapes
from features.ecg.standstill import MeanBeats
from features.runs import Bools, Floats, Ints, is_rate
from features.unheard import RunBeats, joined, run_beats, unheard

_AGREE_S: Final = 0.15  # EC57: two marks of one beat


class EcgBeatTable(NamedTuple):
    """Beats of all rows, sorted by row, then position; one value each."""

    row: Ints
    position: Floats  # samples from the row's first
    amplitude: Floats  # of the 4-30 Hz wave at R, in the signal's unit, at least 0
    up: Floats  # highest sample around R, same unit: follows breathing
    down: Floats  # lowest sample around it, likewise
    ectopic: Floats  # 0-1, chance that the beat is ventricular
    confidence: Floats  # 0-1, chance that it is a beat


class EcgSegments(NamedTuple):
    """Beats of the rows, and one value per row for their quality."""

    beats: EcgBeatTable
    quality: Floats  # 0-1; below `features.ecg.quality.GATE` the segment counts as a gap
    bsqi: Floats  # NaN where neither detector has a beat
    template_corr: Floats  # NaN with fewer than three beats
    ksqi: Floats  # NaN without a usable run, as is bassqi
    bassqi: Floats
    flat_pct: Floats
    clip_pct: Floats
    gap_pct: Floats
    reason: NDArray[np.uint8]  # FeatureReason
    usable: Bools  # (B, n_samples) neither gap nor flat
    qrs_odds: Floats  # log-odds of beats against P waves, by their shape; NaN with few beats
    score_inputs: Floats  # (B, 5) what `quality` was made of, for training


class _Look(NamedTuple):
    """Beats of a run, and sums its row's indices are made of; (runs,) each but the first."""

    beats: EcgBeatTable
    heard: RunBeats  # of broken rows only
    row: Ints
    seconds: Floats
    risk: Floats
    agreed: Ints
    seen: Ints  # beats of both detectors
    alike: Floats  # sum over beats
    compared: Ints
    kin: Floats  # sum over beats
    found: Ints  # beats
    peaked: Floats
    steady: Floats
    own: MeanBeats  # of the core
    around: MeanBeats  # of the context
    block: Block
    core: tuple[Ints, Ints]  # run and working sample of the beats of the core


def analyse_ecg(
    x: Floats,
    fs_hz: float,
    core: tuple[int, int] | None = None,
    networks: Looks | None = None,
    mv_per_unit: float | None = None,
) -> EcgSegments:
    """Beats and quality of ECG segments.

    Parameters
    ----------
    x : (B, n_samples) float64
        One segment a row, 2 s of context on either side of the core; NaN marks a gap.
    fs_hz : float
        Sampling rate, 25 to 2000 Hz. At impossible rates there are no beats and quality is 0.
    core : (first, stop), optional
        Samples whose faults count, and whose beats tell whether they are P waves or spikes; beats
        of the context are reported all the same. The whole row by default.
    networks : two Network, optional
        Others than those that were trained.
    mv_per_unit : float, optional
        What one of `x` is in mV; None: not known, and P waves alone are told by shape only.

    Returns
    -------
    EcgSegments
        Never raises for what samples hold.

    Notes
    -----
    A gap costs beats within a second of it at most: runs of less than 2 s have none, and beats
    within 0.25 s of a cut are left out. Quality indices are of the whole row, context included.
    Checked against: ``tests/features/ecg/test_segment.py``, ``benchmarks/bench_beats_ecg.py``.
    """
    n_rows, n = x.shape
    view = usable.look(x, fs_hz) if is_rate(fs_hz) else None
    own = core or (0, n)
    found = [_look(block, n, own) for block in detector.run_blocks(x, fs_hz, networks, view)]
    indices = _indices(found, n_rows, own)
    qrs_odds = np.full(n_rows, np.nan)
    if found:
        told = _told(found, n_rows, fs_hz, mv_per_unit)
        qrs_odds = told.qrs_odds
        indices = indices._replace(no_qrs=told.no_qrs | _unanswered(found, told.bare))
    inside = np.zeros(n, np.bool_)
    inside[slice(*own)] = True
    fault = _all_gap(n_rows)
    if view and detector.is_rate(fs_hz):
        fault = usable.faults(view, fs_hz, inside)
    verdict = quality.judged(indices, fault, fs_hz, n)
    return EcgSegments(
        beats=_sorted([look.beats for look in found]),
        quality=verdict.quality,
        bsqi=indices.bsqi,
        template_corr=indices.template_corr,
        ksqi=indices.ksqi,
        bassqi=indices.bassqi,
        flat_pct=100.0 * fault.flat,
        clip_pct=100.0 * fault.clip,
        gap_pct=100.0 * fault.gap,
        reason=verdict.reason,
        usable=usable.mask(view) if view else np.zeros(x.shape, np.bool_),
        qrs_odds=qrs_odds,
        score_inputs=np.ascontiguousarray(quality.inputs(indices).T),
    )


def _all_gap(n_rows: int) -> usable.Faults:
    """Faults of rows at an impossible rate."""
    nothing = np.zeros(n_rows)
    return usable.Faults(nothing + 1.0, nothing, nothing, nothing)


def _look(run: RunBlock, n_samples: int, core: tuple[int, int]) -> _Look:
    """Beats of a block of runs, and the sums for their rows."""
    block, row = run.block, run.beats.row
    n_runs = len(block.wave)
    shape = shapes(block, (row, run.place.peak), run.place.position)
    other = second.second_opinion(block.slow, block.fs_hz)
    both = (row, run.place.position), (other[0], other[1].astype(np.float64))
    known = ~np.isnan(shape.likeness)
    position = run.position()
    own = (position >= core[0]) & (position < core[1])
    return _Look(
        beats=_table(run, shape, n_samples),
        heard=_heard(run, n_samples),
        row=run.row,
        seconds=np.full(n_runs, run.length / run.fs_hz),
        risk=run.risk,
        agreed=second.matches(*both, _AGREE_S * block.fs_hz, n_runs),
        seen=np.bincount(row, minlength=n_runs) + np.bincount(other[0], minlength=n_runs),
        alike=np.bincount(row[known], shape.likeness[known], n_runs).astype(np.float64),
        compared=np.bincount(row[known], minlength=n_runs),
        kin=np.bincount(row, shape.kinship, n_runs).astype(np.float64),
        found=np.bincount(row, minlength=n_runs),
        peaked=quality.peakedness(block),
        steady=quality.steadiness(block),
        own=standstill.mean_beats(block, row[own], run.place.peak[own]),
        around=standstill.mean_beats(block, row[~own], run.place.peak[~own]),
        block=block,
        core=(row[own], run.place.peak[own]),
    )


def _told(
    found: list[_Look], n_rows: int, fs_hz: float, mv_per_unit: float | None
) -> standstill.Verdict:
    """Whether the mean beats of each row, over all its runs, are QRS complexes.

    P waves are told by all beats, the more the better; spikes by those of the core, because two
    beats before them would be seen in the mean.
    """
    row = np.concatenate([look.row for look in found])
    order = np.argsort(row, kind="stable")

    def of_rows(parts: list[MeanBeats]) -> MeanBeats:
        total = np.concatenate([part.total for part in parts])[order]
        count = np.concatenate([part.n_beats for part in parts])[order]
        n_beats = np.bincount(row[order], count, n_rows).astype(np.intp)
        return MeanBeats(row_totals(total, row[order], n_rows), n_beats)

    own, around = of_rows([look.own for look in found]), of_rows([look.around for look in found])
    whole = MeanBeats(own.total + around.total, own.n_beats + around.n_beats)
    return standstill.told((whole, own), working.rate(fs_hz), mv_per_unit)


def _unanswered(found: list[_Look], bare: Bools) -> Bools:
    """Which of the rows with bare beats have no run in which anything answers them."""
    out = bare.copy()
    if not bare.any():
        return out
    for look in found:
        run, peak = look.core
        for k in np.flatnonzero(out[look.row]).tolist():
            if standstill.answered(look.block, k, peak[run == k]):
                out[look.row[k]] = False
    return out


def _heard(run: RunBlock, n_samples: int) -> RunBeats:
    """What the runs of broken rows have of beats."""
    if run.length == n_samples:
        return joined([])
    at_s, height = run.place.position / run.block.fs_hz, np.abs(run.place.height)
    return run_beats(run.row, run.length / run.fs_hz, (run.beats.row, at_s, height))


def _table(run: RunBlock, shape: Shapes, n_samples: int) -> EcgBeatTable:
    """Beats of a block in their rows, without those at a cut."""
    kept = ~detector.edges(run, n_samples)
    return EcgBeatTable(
        run.row[run.beats.row][kept],
        run.position()[kept],
        np.abs(run.place.height)[kept],
        shape.up[kept],
        shape.down[kept],
        _chance(shape.ectopic[kept]),
        _chance(run.logit[kept]),
    )


def _chance(logit: Floats) -> Floats:
    """Logits as chances."""
    return np.asarray(1.0 / (1.0 + np.exp(-logit.clip(-40, 40))), np.float64)


def chosen_beats(table: EcgBeatTable, chosen: Bools | Ints) -> EcgBeatTable:
    """The chosen beats, in the order chosen."""
    return EcgBeatTable(
        row=table.row[chosen],
        position=table.position[chosen],
        amplitude=table.amplitude[chosen],
        up=table.up[chosen],
        down=table.down[chosen],
        ectopic=table.ectopic[chosen],
        confidence=table.confidence[chosen],
    )


def _sorted(parts: list[EcgBeatTable]) -> EcgBeatTable:
    """Tables put together, by row, then position."""
    if not parts:
        nothing = np.empty(0)
        return EcgBeatTable(np.empty(0, np.intp), *[nothing] * 6)
    row = np.concatenate([part.row for part in parts])
    columns = [np.concatenate(column) for column in zip(*(p[1:] for p in parts), strict=True)]
    table = EcgBeatTable(row, *columns)
    same, later = row[1:] == row[:-1], columns[0][1:] > columns[0][:-1]
    if bool(((row[1:] > row[:-1]) | (same & later)).all()):  # the usual case: rows one by one
        return table
    return chosen_beats(table, np.lexsort((columns[0], row)))


def _indices(found: list[_Look], n_rows: int, core: tuple[int, int]) -> quality.Indices:
    """Indices of the rows from those of their runs."""
    if not found:
        nothing = np.full(n_rows, np.nan)
        none = np.zeros(n_rows, np.intp)
        unknown = nothing, nothing, nothing, nothing, nothing, nothing
        return quality.Indices(*unknown, none, none, none > 0, none > 0)
    row = np.concatenate([look.row for look in found])
    order = np.argsort(row, kind="stable")

    def total(parts: list[Floats] | list[Ints]) -> Floats:
        values = np.concatenate(parts).astype(np.float64)
        return np.bincount(row[order], values[order], n_rows).astype(np.float64, copy=False)

    seconds = total([look.seconds for look in found])
    seen, compared = total([k.seen for k in found]), total([k.compared for k in found])
    beat_row = np.concatenate([look.beats.row for look in found])
    position = np.concatenate([look.beats.position for look in found])
    inside = (position >= core[0]) & (position < core[1])
    return quality.Indices(
        risk=np.where(seconds > 0, total([k.risk for k in found]), np.nan),
        bsqi=_ratio(2.0 * total([k.agreed for k in found]), seen),
        kinship=_ratio(total([k.kin for k in found]), total([k.found for k in found])),
        template_corr=_ratio(total([k.alike for k in found]), compared),
        ksqi=_ratio(total([k.peaked * k.seconds for k in found]), seconds),
        bassqi=_ratio(total([k.steady * k.seconds for k in found]), seconds),
        n_beats=np.bincount(beat_row, minlength=n_rows),
        n_own=np.bincount(beat_row[inside], minlength=n_rows),
        unheard=unheard(joined([look.heard for look in found]), n_rows),
        no_qrs=np.zeros(n_rows, np.bool_),
    )


def _ratio(a: Floats, b: Floats) -> Floats:
    """Quotient, NaN where the divisor is 0."""
    return np.where(b > 0, a / np.where(b > 0, b, 1.0), np.nan)
