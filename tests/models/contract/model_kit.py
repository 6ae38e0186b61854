"""Every registered model on its example spec, with made-up histories. Shared by the law files."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models.fusion_model import FusionModel
from models.registry import family, names
from models.spec import ModelSpec
from models.tensors import ModelScore, SampleBatch, SequenceBatch, State, Target, step_of

FAMILIES = names("models")
BASE_US = 1_700_000_000_000_000 // 3_600_000_000 * 3_600_000_000
SEED = 7
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def build(name: str, seed: int = SEED) -> FusionModel:
    """A model with the weights of a seed, normalised as data of `history` would have it."""
    found = family(name)
    torch.manual_seed(seed)
    model = found.build(found.example())
    model.eval()  # type: ignore[attr-defined]
    return model


def history(spec: ModelSpec, patients: int = 5, steps: int = 12, seed: int = 3) -> SequenceBatch:
    """Values inside the declared ranges, about half of them missing, whole modalities too."""
    draw = torch.Generator().manual_seed(seed)
    cadence_us = round(spec.cadence_s * 1e6)
    time_us = BASE_US + cadence_us * torch.arange(steps).expand(patients, steps)
    value, age_s, fresh, quality = {}, {}, {}, {}
    for modality in spec.modalities:
        shape = (patients, steps, len(modality.features))
        lo = torch.tensor([f.lo for f in modality.features])
        hi = torch.tensor([f.hi for f in modality.features])
        x = lo + (hi - lo) * torch.rand(shape, generator=draw)
        x[torch.rand(shape, generator=draw) < 0.4] = torch.nan
        x[torch.rand(shape[:2], generator=draw) < 0.2] = torch.nan
        missing = torch.isnan(x)
        age = torch.rand(shape, generator=draw) * min(modality.max_age_s, 7200.0)
        new = (torch.rand(shape, generator=draw) < 0.5) & ~missing
        value[modality.name] = x
        age_s[modality.name] = torch.where(missing, torch.zeros(()), age)
        fresh[modality.name] = new.float()
        quality[modality.name] = torch.where(missing, 0.0, torch.rand(shape, generator=draw))
    length = torch.full((patients,), steps)
    return SequenceBatch(time_us.clone(), length, value, age_s, fresh, quality)


def target(spec: ModelSpec, seq: SequenceBatch, seed: int = 5) -> Target:
    """Random outcomes, all of them known."""
    draw = torch.Generator().manual_seed(seed)
    shape = (*seq.time_us.shape, len(spec.horizons_s))
    return Target((torch.rand(shape, generator=draw) < 0.3).float(), torch.ones(shape))


def stream(
    model: FusionModel, seq: SequenceBatch, state: State | None = None, since: int = 0
) -> tuple[list[ModelScore], State]:
    """Score of every step from `since` on, by update and score, and the state at the end."""
    patients, steps = seq.time_us.shape
    state = model.init_state(patients) if state is None else state
    scores = []
    with torch.no_grad():
        for t in range(since, steps):
            batch = step_of(seq, t)
            state = model.update(state, batch)
            scores.append(model.score(state, batch.slot, batch.time_us))
    return scores, state


def same(one: Any, other: Any) -> bool:
    """Whether two tensors, scores or states are equal bit by bit; NaN equals NaN."""
    if isinstance(one, torch.Tensor):
        return torch.equal(torch.nan_to_num(one, 7e7), torch.nan_to_num(other, 7e7))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    return all(same(a, b) for a, b in zip(one, other, strict=True))


def patients_of(seq: SequenceBatch, rows: list[int]) -> SequenceBatch:
    """Some of the patients, in that order."""
    at = torch.tensor(rows)
    fields = ({k: x[at] for k, x in field.items()} for field in seq[2:])
    return SequenceBatch(seq.time_us[at], seq.length[at], *fields)


def copied(seq: SequenceBatch) -> SequenceBatch:
    """A history to change."""
    fields = ({k: x.clone() for k, x in field.items()} for field in seq[2:])
    return SequenceBatch(seq.time_us.clone(), seq.length.clone(), *fields)


def one_step(seq: SequenceBatch, t: int) -> SampleBatch:
    """Step `t`, to change."""
    return step_of(copied(seq), t)


def until(seq: SequenceBatch, end: int) -> SequenceBatch:
    """The first `end` steps."""
    fields = ({k: x[:, :end].clone() for k, x in field.items()} for field in seq[2:])
    return SequenceBatch(seq.time_us[:, :end].clone(), seq.length.clamp(max=end), *fields)


def index_of(spec: ModelSpec, modality: str) -> int:
    """Column of a modality in shares and presence."""
    return [m.name for m in spec.modalities].index(modality)
