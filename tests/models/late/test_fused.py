"""Laws that every late rule keeps, whatever it learned."""

from __future__ import annotations

import numpy as np
import pytest

from models.late.confidence import ConfidenceWeighted, DempsterShafer
from models.late.fused import LateFuser, present_logits, sigmoid, softplus
from models.late.mean import MeanLogit, Vote
from models.late.out_of_fold import StackedRows
from models.late.stack import LogisticStack, fit_stack
from models.late.vcdn import fit_vcdn
from models.late.weighted import WeightedLogit


def rules() -> dict[str, LateFuser]:
    rng = np.random.default_rng(1)
    logit = rng.normal(size=(300, 3))
    logit[rng.random(logit.shape) < 0.2] = np.nan
    target = (np.nansum(logit, axis=1) > 0).astype(np.float64)
    rows = StackedRows(logit, np.arange(300) % 3, np.arange(300))
    return {
        "mean": MeanLogit(),
        "vote": Vote(2, (0.1, -0.2, 0.0)),
        "weighted": WeightedLogit((0.5, 0.3, 0.2)),
        "stack": fit_stack(rows, target),
        "flags": LogisticStack((1.0, -2.0, 0.5), (0.1, 0.2, 0.3), -1.0),
        "confidence": ConfidenceWeighted(),
        "dempster_shafer": DempsterShafer((0.9, 0.6, 0.99)),
        "vcdn": fit_vcdn(rows, target),
    }


RULES = rules()
EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())


def rows(n: int = 256, missing: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    logit = 3.0 * rng.normal(size=(n, 3))
    logit[rng.random(logit.shape) < missing] = np.nan
    return logit, rng.random((n, 3))


@EVERY_RULE
def test_parts_add_up_to_the_logit(rule: LateFuser) -> None:
    logit, confidence = rows()
    found = rule.fuse(logit, confidence)
    heard = found.present.any(axis=1)
    assert np.abs(found.bias + found.share.sum(axis=1) - found.logit)[heard].max() < 1e-12


@EVERY_RULE
def test_an_absent_member_has_no_part_and_nobody_means_no_score(rule: LateFuser) -> None:
    logit, confidence = rows()
    found = rule.fuse(logit, confidence)
    assert np.all(found.share[np.isnan(logit)] == 0.0)
    assert np.array_equal(np.isnan(found.logit), np.isnan(logit).all(axis=1))
    assert np.isnan(found.logit).any()


@EVERY_RULE
@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_row_has_the_same_bits_in_any_company(rule: LateFuser, size: int) -> None:
    logit, confidence = rows()
    whole = rule.fuse(logit, confidence)
    for start in range(0, len(logit) - size, 37):
        part = rule.fuse(logit[start : start + size], confidence[start : start + size])
        assert part.logit.tobytes() == whole.logit[start : start + size].tobytes()
        assert part.share.tobytes() == whole.share[start : start + size].tobytes()


@EVERY_RULE
def test_certain_members_leave_the_logit_finite(rule: LateFuser) -> None:
    found = rule.fuse(np.array([[np.inf, -np.inf, np.inf]]))
    assert np.isfinite(found.logit).all()


@EVERY_RULE
def test_inputs_are_left_as_they_were(rule: LateFuser) -> None:
    logit, confidence = rows()
    before = logit.tobytes(), confidence.tobytes()
    rule.fuse(logit, confidence)
    assert (logit.tobytes(), confidence.tobytes()) == before


def test_logits_that_are_no_matrix_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of members"):
        present_logits(np.zeros(3))


def test_sigmoid_and_softplus_agree_with_their_definitions() -> None:
    z = np.linspace(-40.0, 40.0, 161)
    assert np.allclose(sigmoid(z), 1.0 / (1.0 + np.exp(-z)), rtol=1e-14)
    assert np.allclose(softplus(z), np.log1p(np.exp(z)), rtol=1e-14)
