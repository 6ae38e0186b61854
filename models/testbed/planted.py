"""Made-up patients whose truth is known: where the signal is, and how two modalities carry it.

Every maker is a function of its seed. Labels come from the planted factors, never from the noise,
so that what a kind of fusion can reach at best is known. Waveforms are in `models.testbed.pulses`.
Results on these say which mechanism works, nothing about patients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.spec import FeatureSpec, ModalitySpec, ModelSpec
from models.tensors import SequenceBatch, Target
from models.training.batches import Histories

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CADENCE_S: Final = 3600.0
_BASE_US: Final = 1_700_000_000_000_000 // 3_600_000_000 * 3_600_000_000
_HELD: Final = 0.9  # autocorrelation of a slow factor from hour to hour
LAG: Final = 3  # hours between the planted cause and the outcome


class Planted(NamedTuple):
    """Histories, and what stands behind them."""

    histories: Histories
    label: Bools  # [B, T]
    factors: dict[str, Floats]  # [B, T] each


Values = dict[str, Floats]  # modality -> [B, T, d]
Made = tuple[Values, Bools, dict[str, Floats]]  # columns, label, factors
Maker = Callable[[np.random.Generator, int, int], Made]


def spec_of(
    family: str, modalities: dict[str, int], config: dict[str, object] | None = None
) -> ModelSpec:
    """Spec of a family over modalities of so many made-up features, hourly."""
    return ModelSpec(
        name=f"planted-{family}",
        version="1",
        family=family,
        task="planted",
        horizons_s=(CADENCE_S,),
        cadence_s=CADENCE_S,
        warmup_s=0.0,
        modalities=tuple(
            ModalitySpec(
                name,
                "dense",
                tuple(FeatureSpec(f"{name}_{i}", "1", -100.0, 100.0) for i in range(d)),
                6 * CADENCE_S,
            )
            for name, d in modalities.items()
        ),
        config=config or {},
    )


def plant(make: Maker, patients: int = 256, steps: int = 24, seed: int = 0) -> Planted:
    """Patients of one kind; the same seed gives the same bits.

    Parameters
    ----------
    make : callable
        One of the makers below.
    patients, steps : int
    seed : int

    Returns
    -------
    Planted
    """
    value, label, factors = make(np.random.default_rng(seed), patients, steps)
    return Planted(histories_of(value, label), label, factors)


def histories_of(value: Values, label: Bools) -> Histories:
    """Columns that are all new every hour, as histories."""
    patients, steps = label.shape
    time_us = _BASE_US + round(CADENCE_S * 1e6) * torch.arange(steps).expand(patients, steps)
    tensors = {name: torch.from_numpy(x).float() for name, x in value.items()}
    there = {name: torch.isfinite(x).float() for name, x in tensors.items()}
    seq = SequenceBatch(
        time_us=time_us,
        length=torch.full((patients,), steps),
        value=tensors,
        age_s={name: torch.zeros_like(x) for name, x in tensors.items()},
        fresh=there,
        quality={name: x.clone() for name, x in there.items()},
    )
    outcome = torch.from_numpy(label).float()[..., None]
    return Histories(seq, Target(outcome, torch.ones_like(outcome)))


def without(planted: Histories, modality: str) -> SequenceBatch:
    """The histories with one modality missing throughout."""
    value = dict(planted.seq.value)
    value[modality] = torch.full_like(value[modality], torch.nan)
    return planted.seq._replace(value=value)


def only(planted: Planted, modality: str) -> Planted:
    """The same patients with one modality and no other: what a specialist is trained on."""
    seq = planted.histories.seq
    alone = seq._replace(
        value={modality: seq.value[modality]},
        age_s={modality: seq.age_s[modality]},
        fresh={modality: seq.fresh[modality]},
        quality={modality: seq.quality[modality]},
    )
    return planted._replace(histories=planted.histories._replace(seq=alone))


def _slow(rng: np.random.Generator, patients: int, steps: int) -> Floats:
    """A factor of unit variance that changes slowly, [B, T]."""
    factor = np.empty((patients, steps))
    factor[:, 0] = rng.normal(size=patients)
    fresh = np.sqrt(1.0 - _HELD**2)
    for t in range(1, steps):
        factor[:, t] = _HELD * factor[:, t - 1] + fresh * rng.normal(size=patients)
    return factor


def _seen(rng: np.random.Generator, factor: Floats, noise: float, d: int = 2) -> Floats:
    """A factor as `d` noisy columns, [B, T, d]."""
    return factor[..., None] + noise * rng.normal(size=(*factor.shape, d))


def redundant(rng: np.random.Generator, patients: int, steps: int) -> Made:
    """Both modalities show the same factor; either will do."""
    state = _slow(rng, patients, steps)
    value = {"a": _seen(rng, state, 0.7), "b": _seen(rng, state, 0.7)}
    return value, state > 0.8, {"state": state}


def unique(rng: np.random.Generator, patients: int, steps: int) -> Made:
    """Only the first modality shows the factor; the second is of no use."""
    state = _slow(rng, patients, steps)
    value = {"a": _seen(rng, state, 0.7), "b": rng.normal(size=(patients, steps, 2))}
    return value, state > 0.8, {"state": state}


def synergistic(rng: np.random.Generator, patients: int, steps: int) -> Made:
    """Event where two signs differ (XOR): each modality alone knows nothing at all."""
    a, b = np.sign(rng.normal(size=(2, patients, steps)))
    value = {"a": _seen(rng, a, 0.4), "b": _seen(rng, b, 0.4)}
    return value, a != b, {"a": a, "b": b}


def lagged(rng: np.random.Generator, patients: int, steps: int) -> Made:
    """The outcome follows `LAG` hours after its cause; what is seen now says nothing."""
    cause = rng.normal(size=(patients, steps))
    before = np.zeros_like(cause)
    before[:, LAG:] = cause[:, :-LAG]
    value = {"a": _seen(rng, cause, 0.3), "b": rng.normal(size=(patients, steps, 2))}
    return value, before > 0.5, {"cause": cause}


def shared_private(rng: np.random.Generator, patients: int, steps: int) -> Made:
    """Each modality mixes the shared factor with one of its own, which nobody asked for."""
    state, own_a, own_b = (_slow(rng, patients, steps) for _ in range(3))
    value = {"a": _seen(rng, state + own_a, 0.2), "b": _seen(rng, state + own_b, 0.2)}
    return value, state > 0.8, {"state": state, "own_a": own_a, "own_b": own_b}


def close_pair(rng: np.random.Generator, patients: int, steps: int) -> Made:
    """Two modalities whose small difference is the signal, and a third that adds a little."""
    state, loud = rng.normal(size=(2, patients, steps))
    value = {
        "a": _seen(rng, 2.0 * loud + 0.5 * state, 0.2),
        "b": _seen(rng, 2.0 * loud - 0.5 * state, 0.2),
        "c": _seen(rng, state, 3.0),
    }
    return value, state > 0.5, {"state": state, "loud": loud}


MAKERS: Final[dict[str, Maker]] = {
    "redundant": redundant,
    "unique": unique,
    "synergistic": synergistic,
    "lagged": lagged,
    "shared_private": shared_private,
    "close_pair": close_pair,
}
