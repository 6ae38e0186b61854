"""The contract of every fusion model, and the usual way to build one: encoders, fuser, head.

Invariant: a model is a pure function of its weights, a state and a batch; a row's result never
depends on other rows. Not here: where inputs come from (`models.inputs`), the slab and the buckets
(`models.torch_scorer`), training (`models.training`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import factorial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.parts import (
    Calibrator,
    Encoder,
    Fuser,
    Head,
    Inputs,
    Loss,
    Normalizer,
    normalised,
)
from models.rowwise import RowwiseModel
from models.spec import ModelSpec
from models.tensors import (
    LossDict,
    ModelScore,
    SampleBatch,
    SequenceBatch,
    State,
    Target,
    elapsed_s,
    steps_s,
)

CLOCK = "t"  # state of every composed model: hours, seconds of the last row
LEFT = "left_s"  # [M] for how long each modality still counts as present, plus 1; 0 = absent
EXACT_SHARES = 5  # up to so many modalities every coalition is tried
AUXILIARY_WEIGHT = 0.3  # of the modalities' own heads in the loss


class FusionModel(Protocol):
    """What can be trained, shipped, scored from state, and tested by the contract suite."""

    spec: ModelSpec

    def init_state(self, n: int, device: torch.device | str = "cpu") -> State:
        """State of `n` patients never seen: zeros, shaped as `spec.state`."""
        ...

    def update(self, state: State, batch: SampleBatch) -> State:
        """State with the rows of `batch` taken in, each at its slot; `state` is not changed."""
        ...

    def score(
        self, state: State, slot: Tensor, now_us: Tensor, *, explain: bool = True
    ) -> ModelScore:
        """What the state at each slot [N] says at `now_us` [N]; changes nothing."""
        ...

    def forward(self, seq: SequenceBatch, *, explain: bool = False) -> ModelScore:
        """Score of every step [B, T]; equals `update` and `score` in a loop, to 1e-5."""
        ...

    def loss(self, seq: SequenceBatch, target: Target) -> LossDict:
        """Training loss: "total" and its parts."""
        ...

    def bias(self) -> Tensor:
        """Calibrated logits [H] that shares count from."""
        ...

    def fit_inputs(self, value: Mapping[str, NDArray[np.float64]]) -> None:
        """Take normalisation from rows [N, d] of training patients, by modality; NaN = missing."""
        ...


class Parts(NamedTuple):
    """What a composed model is made of; `loss` judges raw logits."""

    encoders: Mapping[str, Encoder]  # by modality
    fuser: Fuser
    head: Head
    calibrator: Calibrator
    loss: Loss
    auxiliary: Mapping[str, Head] = {}  # a head of its own per modality, for the loss only


class ComposedModel(RowwiseModel):
    """Encoder per modality, fuser, head, calibrator.

    Shares are Shapley values over the modalities, on the calibrated logit of the first horizon,
    with the learned absent embedding as the baseline: they sum to logit - bias exactly, for any
    fuser. With more than `EXACT_SHARES` modalities they average two opposite orders.
    """

    def __init__(self, spec: ModelSpec, parts: Parts) -> None:
        super().__init__()
        self.spec = spec
        self.names = tuple(m.name for m in spec.modalities)
        self.normalizers = nn.ModuleDict({m.name: Normalizer(m) for m in spec.modalities})
        self.encoders = nn.ModuleDict({n: _module(parts.encoders[n]) for n in self.names})
        self._step = dict(parts.encoders)  # the same modules, typed
        self.absent = nn.ParameterDict(
            {n: nn.Parameter(0.01 * torch.randn(parts.encoders[n].width)) for n in self.names}
        )
        self.fuser = _module(parts.fuser)
        self.head = _module(parts.head)
        self.calibrator = _module(parts.calibrator)
        self.auxiliary = nn.ModuleDict({n: _module(h) for n, h in parts.auxiliary.items()})
        self.criterion = _module(parts.loss)
        self.max_age_s = {m.name: m.max_age_s for m in spec.modalities}
        self.shapes = state_of(spec, parts.encoders)

    def advance(self, rows: State, batch: SampleBatch, now: Tensor) -> State:
        """See `RowwiseModel`."""
        passed_s = elapsed_s(rows[CLOCK], now)
        after: State = {CLOCK: now}
        left = []
        for name, inputs in self._prepared(batch).items():
            own = {k: rows[f"{name}.{k}"] for k in self._step[name].state}
            for key, tensor in self._step[name].step(own, inputs, passed_s).items():
                after[f"{name}.{key}"] = tensor
            unspent = (self.max_age_s[name] - inputs.age_s + 1.0) * inputs.mask
            left.append(unspent.amax(dim=-1))
        after[LEFT] = torch.stack(left, dim=-1)  # [N, M]
        return after

    def judge(self, rows: State, now: Tensor, *, explain: bool) -> ModelScore:
        """See `RowwiseModel`."""
        waited_s = elapsed_s(rows[CLOCK], now)
        at_once = rows[CLOCK] is now  # nothing was waited for: a graph takes nothing off
        left = rows[LEFT] if at_once else rows[LEFT] - waited_s[..., None]
        present = left >= 1.0  # [N, M]
        vectors = {}
        for name in self.names:
            own = {k: rows[f"{name}.{k}"] for k in self._step[name].state}
            vectors[name] = self._step[name].read(own, waited_s)
        return self._said(vectors, present, explain=explain)

    def forward(self, seq: SequenceBatch, *, explain: bool = False) -> ModelScore:
        """See `FusionModel`."""
        vectors, present = self.encode(seq)
        return self._said(vectors, present, explain=explain)

    def loss(self, seq: SequenceBatch, target: Target) -> LossDict:
        """See `FusionModel`; the heads of the modalities count `AUXILIARY_WEIGHT` each."""
        return self.loss_beside(seq, target, None)

    def loss_beside(self, seq: SequenceBatch, target: Target, offset: Tensor | None) -> LossDict:
        """`loss` with `offset` [B, T, H] added to the joint logit: what is said elsewhere."""
        vectors, present = self.encode(seq)
        raw = self.raw(vectors, present)
        joint = self.criterion(raw if offset is None else raw + offset, target)
        found = {"joint": joint}
        total = joint
        for name, head in self.auxiliary.items():
            there = present[..., self.names.index(name), None].to(joint.dtype)
            own = Target(target.label, target.weight * there)
            found[name] = self.criterion(head(vectors[name]), own)
            total = total + AUXILIARY_WEIGHT * found[name]
        return {**found, "total": total}

    def encode(self, seq: SequenceBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Vectors [B, T, width] per modality, and which were present [B, T, M]."""
        passed_s = steps_s(seq.time_us)
        vectors, present = {}, []
        for name in self.names:
            inputs = self.prepare(name, seq)
            vectors[name] = self._step[name].scan(inputs, passed_s)
            present.append(inputs.mask.amax(dim=-1) > 0)
        return vectors, torch.stack(present, dim=-1)

    def prepare(self, name: str, batch: SampleBatch | SequenceBatch) -> Inputs:
        """Normalised inputs of one modality."""
        found: Inputs = self.normalizers[name](
            batch.value[name], batch.age_s[name], batch.fresh[name], batch.quality[name]
        )
        return found

    def _prepared(self, batch: SampleBatch) -> dict[str, Inputs]:
        """Normalised inputs of every modality; of packed rows in one go: fewer, wider steps."""
        whole, own = batch.whole, [self._normalizer(name) for name in self.names]
        widths = [len(normalizer.center) for normalizer in own]
        if whole is None or whole.shape[-1] != sum(widths):
            return {name: self.prepare(name, batch) for name in self.names}
        oldest = [torch.full_like(n.center, n.max_age_s) for n in own]
        clips = [torch.full_like(n.center, n.clip) for n in own]
        found = normalised(
            tuple(whole[:, i] for i in range(4)),
            torch.cat([n.center for n in own]),
            torch.cat([n.scale for n in own]),
            torch.cat(oldest),
            torch.cat(clips),
        )
        parts = [torch.split(each, widths, dim=-1) for each in found]
        return {name: Inputs(*(p[i] for p in parts)) for i, name in enumerate(self.names)}

    def _normalizer(self, name: str) -> Normalizer:
        found = self.normalizers[name]
        assert isinstance(found, Normalizer)
        return found

    def raw(self, vectors: Mapping[str, Tensor], present: Tensor) -> Tensor:
        """Logits before calibration; absent modalities are their embedding."""
        filled, there = {}, {}
        for i, name in enumerate(self.names):
            flag = present[..., i]
            filled[name] = torch.where(flag[..., None], vectors[name], self.absent[name])
            there[name] = flag.to(filled[name].dtype)
        logit: Tensor = self.head(self.fuser(filled, there))
        return logit

    def _said(self, vectors: Mapping[str, Tensor], present: Tensor, *, explain: bool) -> ModelScore:
        logit: Tensor = self.calibrator(self.raw(vectors, present))
        share = self._shares(vectors, present, logit) if explain else unknown(present)
        std = unknown(logit)
        return ModelScore(torch.sigmoid(logit), logit, std, share, present)

    def bias(self) -> Tensor:
        """Calibrated logits [H] with every modality absent: what shares count from."""
        vectors = {name: self.absent[name][None] for name in self.names}
        present = torch.zeros(1, len(self.names), dtype=torch.bool, device=self._device())
        logit: Tensor = self.calibrator(self.raw(vectors, present))
        return logit[0]

    def fit_inputs(self, value: Mapping[str, NDArray[np.float64]]) -> None:
        """See `FusionModel`."""
        for name, rows in value.items():
            self._normalizer(name).fit(rows)

    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def _shares(self, vectors: Mapping[str, Tensor], present: Tensor, logit: Tensor) -> Tensor:
        modalities = len(self.names)
        whole = logit[..., 0]
        worth = {0: self.bias()[0].expand_as(whole), (1 << modalities) - 1: whole}

        def value(coalition: int) -> Tensor:
            if coalition not in worth:
                flags = [bool(coalition >> i & 1) for i in range(modalities)]
                only = present & torch.tensor(flags, device=present.device)
                worth[coalition] = self.calibrator(self.raw(vectors, only))[..., 0]
            return worth[coalition]

        exact = modalities <= EXACT_SHARES
        shares = shapley(value, modalities) if exact else _two_orders(value, modalities)
        return torch.stack(shares, dim=-1)


def unknown(like: Tensor) -> Tensor:
    """NaN of the same shape, float32; in a graph one operator."""
    return like.to(torch.float32) * torch.nan


def state_of(spec: ModelSpec, encoders: Mapping[str, Encoder]) -> dict[str, tuple[int, ...]]:
    """State a composed model keeps per patient; what its spec must declare."""
    shapes: dict[str, tuple[int, ...]] = {CLOCK: (2,), LEFT: (len(spec.modalities),)}
    for modality in spec.modalities:
        for key, shape in encoders[modality.name].state.items():
            shapes[f"{modality.name}.{key}"] = tuple(shape)
    return shapes


def shapley(value: Callable[[int], Tensor], players: int) -> list[Tensor]:
    """Shapley value of each player; `value` of a coalition given as bits.

    Source: Shapley (1953), A value for n-person games; exact, 2**players coalitions.
    """
    shares = []
    for player in range(players):
        total = torch.zeros_like(value(0))
        for others in range(1 << players):
            if others >> player & 1:
                continue
            size = others.bit_count()
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            total = total + weight * (value(others | 1 << player) - value(others))
        shares.append(total)
    return shares


def _two_orders(value: Callable[[int], Tensor], players: int) -> list[Tensor]:
    """Mean of what each player adds when they join in order, and in the opposite order."""
    shares = []
    for player in range(players):
        before, after = (1 << player) - 1, ((1 << players) - 1) ^ ((1 << player + 1) - 1)
        first = value(before | 1 << player) - value(before)
        last = value(after | 1 << player) - value(after)
        shares.append((first + last) / 2)
    return shares


def _module(part: object) -> nn.Module:
    """A part as what it must also be."""
    assert isinstance(part, nn.Module), f"{type(part).__name__} is no nn.Module"
    return part
