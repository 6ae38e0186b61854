"""Laws of states as vectors."""

from __future__ import annotations

import numpy as np
import pytest

from features import baseline, derived, night_signal
from features.state_rows import packed, unpacked


@pytest.mark.parametrize("module", [baseline, derived, night_signal])
def test_a_state_survives_being_a_vector(module: object) -> None:
    fresh = module.fresh(4)  # type: ignore[attr-defined]
    rng = np.random.default_rng(43)
    state = type(fresh)(
        *((part + rng.integers(0, 2, part.shape)).astype(part.dtype) for part in fresh)
    )
    again = unpacked(packed(state), fresh)
    for before, after in zip(state, again, strict=True):
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)


def test_the_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="state must have shape"):
        unpacked(np.zeros((1, 5)), night_signal.fresh(1))
