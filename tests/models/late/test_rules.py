"""What each late rule does that the others do not."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from models.evaluation.ranking import auroc
from models.late.confidence import ConfidenceWeighted, DempsterShafer, inverse_variance
from models.late.mean import MeanLogit, Vote
from models.late.out_of_fold import StackedRows
from models.late.stack import LogisticStack, fit_stack
from models.late.vcdn import fit_vcdn
from models.late.weighted import WeightedLogit, fit_weights, fit_weights_for


def test_a_vote_of_two_in_three_needs_two_and_one_alone_is_enough_when_alone() -> None:
    vote = Vote(2, (0.0, 0.0, 0.0))
    rows = np.array([[1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [-1.0, np.nan, np.nan], [np.nan] * 3])
    assert vote.carried(rows).tolist() == [True, False, False, False]
    assert vote.fuse(rows).logit[:2].round(6).tolist() == [0.510826, -0.510826]  # log(2.5/1.5)


@pytest.mark.parametrize("k", [0, 4])
def test_a_vote_that_nobody_can_carry_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="1 <= k <= n"):
        Vote(k, (0.0, 0.0, 0.0))


@pytest.mark.parametrize("weight", [(0.5, 0.6), (1.5, -0.5), (float("nan"), 1.0)])
def test_weights_off_the_simplex_are_refused(weight: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        WeightedLogit(weight)


def test_weights_recover_the_planted_signal_to_noise_ratio(planted: Callable) -> None:
    rows, target = planted((3.0, 1.0), n=40_000)
    weight = fit_weights(rows.logit, target).weight
    assert weight[0] / weight[1] == pytest.approx(3.0, rel=0.1)


def test_a_member_that_knows_nothing_gets_next_to_no_weight(planted: Callable) -> None:
    rows, target = planted((2.0, 0.0))
    assert fit_weights(rows.logit, target).weight[1] < 0.03


def test_weights_for_a_utility_are_no_worse_than_mean_start_and_every_member(
    planted: Callable,
) -> None:
    rows, target = planted((1.0, 2.0, 0.2), missing=0.1)

    def utility(logit: np.ndarray) -> float:
        return auroc(target > 0.5, logit)

    start = fit_weights(rows.logit, target)
    best = fit_weights_for(utility, rows.logit, start)
    rivals = [start, MeanLogit(), *(WeightedLogit(tuple(row)) for row in np.eye(3).tolist())]
    assert all(
        utility(best.fuse(rows.logit).logit) >= utility(rival.fuse(rows.logit).logit)
        for rival in rivals
    )


def test_a_noisy_row_moves_a_confidence_weighted_mean_by_its_share_of_confidence() -> None:
    std = np.array([[1.0, 3.0]])
    found = ConfidenceWeighted().fuse(np.array([[1.0, -9.0]]), inverse_variance(std))
    assert found.logit[0] == pytest.approx((1.0 - 9.0 / 9.0) / (1.0 + 1.0 / 9.0))


def test_an_unknown_confidence_is_the_mean_of_the_rows_others() -> None:
    found = ConfidenceWeighted().fuse(np.array([[1.0, 2.0, 6.0]]), np.array([[1.0, 3.0, np.nan]]))
    assert found.logit[0] == pytest.approx((1.0 + 6.0 + 12.0) / 6.0)


def test_without_confidence_it_is_the_mean() -> None:
    logit = np.array([[1.0, 3.0], [np.nan, 2.0]])
    assert ConfidenceWeighted().fuse(logit).logit.tolist() == MeanLogit().fuse(logit).logit.tolist()


def test_dempsters_rule_agrees_with_masses_combined_by_hand() -> None:
    # masses (event, none, either): a = (.72, .18, .1), b = (.24, .36, .4)
    logit = np.log(np.array([[0.8 / 0.2, 0.4 / 0.6]]))
    rule = DempsterShafer((0.9, 0.6))
    event = 0.72 * 0.24 + 0.72 * 0.4 + 0.1 * 0.24
    none = 0.18 * 0.36 + 0.18 * 0.4 + 0.1 * 0.36
    either, conflict = 0.1 * 0.4, 0.72 * 0.36 + 0.18 * 0.24
    found = rule.evidence(logit)
    assert found.conflict[0] == pytest.approx(conflict)
    assert found.ignorance[0] == pytest.approx(either / (1.0 - conflict))
    assert rule.fuse(logit).logit[0] == pytest.approx(np.log((event + either) / (none + either)))


def test_a_distrusted_member_cannot_shout() -> None:
    rule = DempsterShafer((0.5,))
    assert rule.fuse(np.array([[30.0]])).logit[0] == pytest.approx(np.log(2.0))
    assert rule.fuse(np.array([[30.0]]), np.array([[0.0]])).logit[0] == 0.0


def test_total_trust_is_refused_because_two_such_members_could_contradict() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        DempsterShafer((1.0, 0.5))


def test_the_stack_learns_what_an_absence_says(planted: Callable) -> None:
    rows, target = planted((1.0, 1.0), n=8000)
    rng = np.random.default_rng(3)
    logit = rows.logit.copy()
    logit[rng.random(len(target)) < np.where(target > 0, 0.1, 0.6), 1] = np.nan
    stack = fit_stack(StackedRows(logit, rows.fold, rows.group), target)
    assert stack.missing[1] < -1.0  # absent says "well": log(.1/.6) = -1.8 at the optimum
    assert abs(stack.missing[0]) < 1e-6


def test_vcdn_reads_a_table_of_opinions_that_no_sum_can_say() -> None:
    """Event when the two members disagree: each alone, and any sum of both, knows nothing."""
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 6000)) < 0.5
    logit = 2.0 * (2.0 * np.column_stack([a, b]) - 1.0) + rng.normal(size=(6000, 2))
    target, group = (a ^ b).astype(np.float64), np.arange(6000)
    half = group < 3000
    rows = StackedRows(logit[half], group[half] % 5, group[half])
    held, label = logit[~half], target[~half] > 0.5
    stack = auroc(label, fit_stack(rows, target[half]).fuse(held).logit)
    vcdn = auroc(label, fit_vcdn(rows, target[half]).fuse(held).logit)
    assert abs(stack - 0.5) < 0.05
    assert vcdn > 0.95


def test_a_fitted_rule_travels_as_json_without_changing() -> None:
    rule = LogisticStack((0.1, -2.0), (0.3, 0.0), 1 / 3)
    data = msgspec.json.encode(rule)
    assert msgspec.json.decode(data, type=MeanLogit | WeightedLogit | LogisticStack) == rule
