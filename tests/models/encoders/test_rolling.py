"""Rolling statistics: each against its definition on a whole history, by brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.encoders.rolling import RollingEncoder
from models.parts import Inputs
from models.spec import FeatureSpec, ModalitySpec

HOURS = 40


def _modality(kind: str) -> ModalitySpec:
    features = tuple(FeatureSpec(name, "1", -9.0, 9.0) for name in ("a", "b"))
    return ModalitySpec("m", kind, features, 1e9)  # type: ignore[arg-type]


def _history(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    x = random.standard_normal((HOURS, 2)).astype(np.float32)
    x[random.random(x.shape) < 0.4] = np.nan
    return x


def _inputs(x: np.ndarray) -> Inputs:
    """Measurements of one patient as a model is given them: carried on, with ages."""
    value, age, last = np.zeros_like(x), np.zeros_like(x), np.full(2, -1)
    for hour in range(len(x)):
        last = np.where(np.isfinite(x[hour]), hour, last)
        value[hour] = np.where(last >= 0, x[np.maximum(last, 0), [0, 1]], 0.0)
        age[hour] = np.where(last >= 0, (hour - last) * 3600.0, 0.0)
    seen = np.isfinite(x).astype(np.float32)
    mask = (np.cumsum(seen, axis=0) > 0).astype(np.float32)
    return Inputs(*(torch.from_numpy(c[None].copy()) for c in (value, mask, age, seen, mask)))


def _scan(kind: str = "dense", *, counts: bool = True) -> tuple[np.ndarray, list[str]]:
    encoder = RollingEncoder(_modality(kind), (("a", "b"),), counts=counts)
    passed = torch.full((1, HOURS), 3600.0)
    passed[:, 0] = 0.0
    found = encoder.scan(_inputs(_history()), passed)[0].numpy()
    return found, list(encoder.names)


def _window(x: np.ndarray, hour: int, length: int) -> np.ndarray:
    known = x[max(hour - length + 1, 0) : hour + 1]
    return known[np.isfinite(known)]


def _baseline(x: np.ndarray) -> list[float]:
    """Deviation of the latest value from the mean of the first six hours."""
    out = []
    for hour in range(HOURS):
        first, known = x[: min(hour + 1, 6)], x[: hour + 1]
        first, known = first[np.isfinite(first)], known[np.isfinite(known)]
        out.append(known[-1] - first.mean() if len(first) and len(known) else np.nan)
    return out


@pytest.mark.parametrize(
    ("name", "length", "of"),
    [
        ("mean_6h", 6, np.mean),
        ("least_6h", 6, np.min),
        ("greatest_6h", 6, np.max),
        ("sd_6h", 6, lambda w: w.std(ddof=1) if len(w) > 1 else np.nan),
        ("mean_12h", 12, np.mean),
        ("mean_24h", 24, np.mean),
    ],
)
def test_windows_are_those_of_the_whole_history(name: str, length: int, of) -> None:  # type: ignore[no-untyped-def]
    found, names = _scan()
    for column, feature in enumerate(("a", "b")):
        x = _history()[:, column]
        windows = [_window(x, hour, length) for hour in range(HOURS)]
        expected = [of(w) if len(w) else np.nan for w in windows]
        np.testing.assert_allclose(found[:, names.index(f"{feature}.{name}")], expected, atol=2e-6)


def test_the_baseline_is_the_mean_of_the_first_six_hours() -> None:
    found, names = _scan()
    x = _history()[:, 1]
    np.testing.assert_allclose(found[:, names.index("b.from_first_6h")], _baseline(x), atol=1e-6)


def test_last_values_ages_counts_and_changes_are_those_of_the_measurements() -> None:
    found, names = _scan("event")
    x = _history()[:, 0]
    for hour in range(HOURS):
        at = np.flatnonzero(np.isfinite(x[: hour + 1]))
        row = {n: found[hour, names.index(f"a.{n}")] for n in ("last", "age_h", "count", "change")}
        assert row["count"] == len(at)
        assert np.isnan(row["last"]) == (len(at) == 0)
        if len(at):
            assert row["last"] == x[at[-1]]
            assert row["age_h"] == hour - at[-1]
        expected = x[at[-1]] - x[at[-2]] if len(at) > 1 else np.nan
        np.testing.assert_equal(row["change"], expected)


def test_a_pair_is_the_difference_of_its_last_values_and_hours_are_counted() -> None:
    found, names = _scan()
    difference = found[:, names.index("a.last")] - found[:, names.index("b.last")]
    np.testing.assert_equal(found[:, names.index("a-b")], difference)
    np.testing.assert_equal(found[:, names.index("hours")], np.arange(1, HOURS + 1))


def test_how_often_something_was_measured_is_told_only_when_asked_for() -> None:
    assert not any("count" in name for name in _scan(counts=False)[1])


def test_rows_that_never_came_make_the_windows_older() -> None:
    encoder = RollingEncoder(_modality("dense"))
    one = Inputs(*(torch.ones(1, 2) for _ in range(5)))
    state = {key: torch.zeros(1, *shape) for key, shape in encoder.state.items()}
    state = encoder.step(state, one, torch.zeros(1))
    later = one._replace(value=torch.full((1, 2), 5.0))
    state = encoder.step(state, later, torch.tensor([8 * 3600.0]))
    found = dict(zip(encoder.names, encoder.read(state, torch.zeros(1))[0].tolist(), strict=True))
    assert found["a.mean_6h"] == 5.0
    assert found["a.mean_12h"] == 3.0
    assert found["hours"] == 9.0


def test_a_provisional_row_within_the_hour_replaces_the_hours_newest_value() -> None:
    encoder = RollingEncoder(_modality("dense"))
    one = Inputs(*(torch.ones(1, 2) for _ in range(5)))
    state = {key: torch.zeros(1, *shape) for key, shape in encoder.state.items()}
    for value in (1.0, 3.0):
        row = one._replace(value=torch.full((1, 2), value))
        state = encoder.step(state, row, torch.tensor([60.0 if value > 1 else 0.0]))
    found = dict(zip(encoder.names, encoder.read(state, torch.zeros(1))[0].tolist(), strict=True))
    assert found["a.mean_6h"] == 3.0
