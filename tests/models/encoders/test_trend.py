"""Running figures of an input against their definitions over the whole history."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.encoders.trend import SPANS_S, START, Trend
from models.parts import CLIP, Inputs

HOUR_S = 3600.0


def inputs(values: list[float | None]) -> Inputs:
    """One patient, one input: new wherever there is a value, then carried on; [1, T, 1] each."""
    z, mask, fresh, last = [], [], [], None
    for v in values:
        last = v if v is not None else last
        z.append(0.0 if last is None else last)
        mask.append(float(last is not None))
        fresh.append(float(v is not None))
    shaped = [torch.tensor(x, dtype=torch.float32).view(1, -1, 1) for x in (z, mask, fresh)]
    nothing = torch.zeros_like(shaped[0])
    return Inputs(shaped[0], shaped[1], nothing, shaped[2], nothing)


def channels(values: list[float | None], passed_s: list[float] | None = None) -> np.ndarray:
    """Channels of each step, [T, C]; hourly by default."""
    passed = [0.0] + [HOUR_S] * (len(values) - 1) if passed_s is None else passed_s
    found = Trend(1, full=True).scan(inputs(values), torch.tensor([passed]))
    shown: np.ndarray = found[0].numpy()
    return shown


CHANGE, DEVIATION, COUNT, MEAN6, SD6, MEAN24, SD24, HIGH, LOW = range(9)


def test_change_is_from_the_last_new_value_and_stays_until_the_next() -> None:
    found = channels([1.0, None, 3.0, None, 2.5])[:, CHANGE]
    assert found.tolist() == [0.0, 0.0, 2.0, 2.0, -0.5]


def test_deviation_is_from_the_mean_of_the_first_values_only() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 3.0, 6.0, -6.0]
    found = channels(list(values))[:, DEVIATION]
    start = np.mean(values[:START])
    assert found[-2:] == pytest.approx([6.0 - start, -6.0 - start], abs=1e-6)


@pytest.mark.parametrize(
    ("mean", "sd", "span_s"), [(MEAN6, SD6, SPANS_S[0]), (MEAN24, SD24, SPANS_S[1])]
)
def test_mean_and_spread_are_those_of_values_weighted_by_their_age(
    mean: int, sd: int, span_s: float
) -> None:
    values = np.random.default_rng(0).normal(size=40).round(3)
    weight = np.exp(-np.arange(40)[::-1] * HOUR_S / span_s)
    expected = (weight * values).sum() / weight.sum()
    variance = (weight * (values - expected) ** 2).sum() / weight.sum()
    found = channels(values.tolist())[-1]
    assert found[mean] == pytest.approx(expected, abs=1e-5)
    assert found[sd] == pytest.approx(math.sqrt(variance), abs=1e-5)


def test_a_gap_in_the_rows_counts_as_time() -> None:
    short = channels([2.0, -1.0], [0.0, HOUR_S])[-1, MEAN6]
    long = channels([2.0, -1.0], [0.0, 48 * HOUR_S])[-1, MEAN6]
    assert long == pytest.approx(-1.0, abs=0.01)
    assert short > long + 1.0


def test_a_value_carried_on_changes_nothing_but_its_age() -> None:
    with_rows = channels([1.0, None, None, 4.0], [0.0, HOUR_S, HOUR_S, HOUR_S])[-1]
    at_once = channels([1.0, 4.0], [0.0, 3 * HOUR_S])[-1]
    assert with_rows == pytest.approx(at_once, abs=1e-6)


def test_extremes_are_reached_at_once_and_fade_towards_the_present() -> None:
    found = channels([0.0, 3.0, 0.0, 0.0, 0.0])
    assert found[1:3, HIGH].tolist() == [3.0, 3.0]  # while 3 is the newest, nothing to fade to
    assert np.all(np.diff(found[2:, HIGH]) < 0)
    assert np.all(found[:, HIGH] >= found[:, LOW])


def test_before_the_first_value_there_is_nothing() -> None:
    assert not channels([None, None, 1.0])[:2].any()


def test_a_year_of_hours_leaves_every_figure_bounded() -> None:
    trend = Trend(1, full=True)
    state = torch.zeros(1, *trend.shape)
    rng = np.random.default_rng(1)
    for value in rng.uniform(-CLIP, CLIP, 9000):
        row = Inputs(*(x[:, 0] for x in inputs([float(value)])))
        state = trend.step(state, row, torch.tensor([HOUR_S]))
    assert torch.isfinite(state).all()
    shown = trend.channels(state, row)[0]
    assert shown[[MEAN6, SD6, MEAN24, SD24, HIGH, LOW]].abs().max() <= CLIP
    assert shown[SD24] == pytest.approx(2 * CLIP / math.sqrt(12), rel=0.35)


@pytest.mark.parametrize("full", [True, False])
def test_a_scan_is_the_step_in_a_loop_bit_by_bit(full: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    z, mask, fresh = (torch.randn(3, 40, 4, generator=draw) for _ in range(3))
    given = Inputs(z, (mask > 0).float(), z.abs(), (fresh > 0).float() * (mask > 0), z)
    passed = torch.rand(3, 40, generator=draw) * HOUR_S
    trend = Trend(4, full=full)
    whole = trend.scan(given, passed)
    state = torch.zeros(3, *trend.shape)
    for t in range(40):
        row = Inputs(*(x[:, t] for x in given))
        state = trend.step(state, row, passed[:, t])
        assert torch.equal(trend.channels(state, row), whole[:, t])
