"""A model as one function of three arrays: what runtimes run, and what is exported.

Rows are independent, so a runtime may pad, split and batch them as it likes.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from models.fusion_model import FusionModel
from models.layout import Layout
from models.tensors import ModelScore, SampleBatch, State


@runtime_checkable
class Rowwise(Protocol):
    """A model that can work on gathered rows, which is faster and can be exported."""

    def advance(self, rows: State, batch: SampleBatch, now: Tensor) -> State:
        """`FusionModel.update` of rows already gathered; `now` is a clock [N, 2]."""
        ...

    def judge(self, rows: State, now: Tensor, *, explain: bool) -> ModelScore:
        """`FusionModel.score` of rows already gathered."""
        ...


class Packed(NamedTuple):
    """What `PackedModel` gives, [N, ...] float32; as `models.runtime.OUTPUTS`."""

    after: Tensor  # [N, S] state with the row taken in
    logit: Tensor  # [N, H]
    prob: Tensor  # [N, H]
    std: Tensor  # [N, H]
    share: Tensor  # [N, M]
    present: Tensor  # [N, M] 0 or 1


class PackedModel(nn.Module):
    """Update and score of rows: state [N, S], rows [N, 4, D], clock [N, 2] in, `Packed` out."""

    def __init__(self, model: FusionModel, *, explain: bool = True) -> None:
        super().__init__()
        assert isinstance(model, nn.Module)
        self.model = model
        self.layout = Layout.of(model.spec)
        self.explain = explain

    def forward(self, state: Tensor, rows: Tensor, clock: Tensor) -> Packed:
        """One row each; nothing is kept."""
        own: State = {}
        for part in self.layout.state:
            piece = state[:, part.start : part.stop]
            flat = len(part.shape) == 1  # most are: in a graph a reshape is a copy
            own[part.name] = piece if flat else piece.reshape(-1, *part.shape)
        batch = self._batch(rows, clock)
        if isinstance(self.model, Rowwise):
            after = self.model.advance(own, batch, clock)
            said = self.model.judge(after, clock, explain=self.explain)
        else:
            after = self.model.update(own, batch)
            said = self.model.score(after, batch.slot, batch.time_us, explain=self.explain)
        kept = [after[part.name] for part in self.layout.state]
        kept = [x if x.dim() == 2 else x.flatten(1) for x in kept]
        present = said.present.to(state.dtype)
        return Packed(torch.cat(kept, dim=1), said.logit, said.prob, said.std, said.share, present)

    def _batch(self, rows: Tensor, clock: Tensor) -> SampleBatch:
        value, age_s, fresh, quality = (
            {part.name: rows[:, i, part.start : part.stop] for part in self.layout.inputs}
            for i in range(4)
        )
        slot, time_us = clock[:, 0], clock[:, 0]  # a rowwise model looks at neither
        if not isinstance(self.model, Rowwise):
            slot = torch.arange(rows.shape[0], device=rows.device)
            hours, seconds = clock[:, 0].double(), clock[:, 1].double()
            time_us = (hours * 3_600_000_000 + torch.round(seconds * 1e6)).to(torch.int64)
        revision = torch.zeros_like(slot)
        return SampleBatch(slot, time_us, revision, value, age_s, fresh, quality, rows)
