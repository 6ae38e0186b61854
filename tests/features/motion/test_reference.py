from __future__ import annotations

import numpy as np
import pytest

from tests.features.motion.reference import enmo_mg


def test_rest_in_any_posture_is_no_movement() -> None:
    angle = np.linspace(0, np.pi, 50)
    assert enmo_mg(np.cos(angle), np.sin(angle), np.zeros(50)) == pytest.approx(0, abs=1e-9)


def test_free_fall_is_not_negative() -> None:
    assert enmo_mg(np.zeros(1), np.zeros(1), np.zeros(1)).tolist() == [0.0]


def test_the_norm_counts_above_one_g() -> None:
    assert enmo_mg(np.array([1.2]), np.array([1.6]), np.array([0.0])) == pytest.approx(1000)
