"""Rows of features as bytes: tables and a compiled loop say what msgspec says."""

from __future__ import annotations

import numpy as np
import pytest

from features.align import FeatureBatch
from features.catalog import CATALOG
from features.ecg import kernels
from features.feature import FeatureReason
from service import row_texts
from service.row_texts import feature_texts
from streams.windows import Window

ROWS = 40


@pytest.fixture
def compiles() -> None:
    """Only where numba is installed."""
    pytest.importorskip("numba")
    kernels.compiled()


def batch(seed: int, rows: int = ROWS) -> FeatureBatch:
    """Values of every size, some absent, some infinite; shares on and off the grid."""
    rng = np.random.default_rng(seed)
    shape = (rows, len(CATALOG))
    value = rng.standard_normal(shape) * 10.0 ** rng.integers(-12, 20, shape)
    value[rng.random(shape) < 0.2] = np.nan
    value[rng.random(shape) < 0.02] = np.inf
    value[rng.random(shape) < 0.05] = -0.0
    shares = rng.random((2, *shape)).astype(np.float32)
    shares[rng.random(shares.shape) < 0.3] = 1.0
    shares[rng.random(shares.shape) < 0.3] = 0.00005
    counts = rng.integers(-5, 2_000_000_000, shape).astype(np.int32)
    counts[rng.random(shape) < 0.3] = 0
    reason = rng.choice([int(reason) for reason in FeatureReason], shape).astype(np.uint8)
    windows = tuple(Window(f'p "{k}" é', "60s", -k, k * 10**15, k, k % 3) for k in range(rows))
    return FeatureBatch(windows, value, shares[0], shares[1], counts, reason)


@pytest.mark.usefixtures("compiles")
@pytest.mark.parametrize("seed", range(5))
def test_the_loop_writes_what_msgspec_writes(seed: int) -> None:
    made = batch(seed)
    late = [k % 2 == 0 for k in range(ROWS)]
    assert row_texts._compiled(made) is not None
    assert feature_texts(made, late) == row_texts._plain(made, late)


@pytest.mark.usefixtures("compiles")
def test_a_row_with_nothing_to_tell_is_written_too() -> None:
    made = batch(1, 3)
    made.reason[1] = FeatureReason.NO_SIGNAL
    assert feature_texts(made, [False] * 3) == row_texts._plain(made, [False] * 3)
    made.reason[:] = FeatureReason.OTHER_WINDOW
    assert feature_texts(made, [True] * 3) == row_texts._plain(made, [True] * 3)


@pytest.mark.usefixtures("compiles")
@pytest.mark.parametrize("share", [np.nan, -0.5, 1.5, -0.0, np.inf, 1e30])
def test_a_share_that_is_none_is_left_to_msgspec(share: float) -> None:
    made = batch(2)
    made.reason[7, 3] = FeatureReason.OK
    made.quality[7, 3] = share
    assert row_texts._compiled(made) is None
    assert feature_texts(made, [False] * ROWS) == row_texts._plain(made, [False] * ROWS)


@pytest.mark.usefixtures("compiles")
def test_a_row_is_the_same_bytes_in_any_company() -> None:
    made = batch(3)
    alone = [
        feature_texts(FeatureBatch((window,), *(part[k : k + 1] for part in made[1:])), [False])[0]
        for k, window in enumerate(made.windows)
    ]
    assert feature_texts(made, [False] * ROWS) == alone


@pytest.mark.usefixtures("compiles")
def test_no_rows_are_no_texts() -> None:
    assert feature_texts(batch(0, 0), []) == []


@pytest.mark.usefixtures("compiles")
def test_warming_up_compiles() -> None:
    row_texts.warm_up()
    assert row_texts._loops().write.signatures
