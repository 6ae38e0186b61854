"""From a step on gathered rows to a model on a slab of patients: gather, step, scatter.

A model says what one row does to one patient's state (`advance`) and what a state means (`judge`);
which patient sits where is no concern of it. Not here: packing, runtimes (`models.packed`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.tensors import ModelScore, SampleBatch, State, clock


class RowwiseModel(nn.Module):
    """`init_state`, `update` and `score` of `models.fusion_model.FusionModel`."""

    shapes: Mapping[str, tuple[int, ...]]  # of the state, per patient

    @abstractmethod
    def advance(self, rows: State, batch: SampleBatch, now: Tensor) -> State:
        """`update` of rows already gathered, row i of `rows` for row i of `batch`; exportable.

        `now` is a clock [N, 2].
        """

    @abstractmethod
    def judge(self, rows: State, now: Tensor, *, explain: bool) -> ModelScore:
        """`score` of rows already gathered; exportable."""

    def init_state(self, n: int, device: torch.device | str = "cpu") -> State:
        """See `models.fusion_model.FusionModel`."""
        return {key: torch.zeros(n, *shape, device=device) for key, shape in self.shapes.items()}

    def update(self, state: State, batch: SampleBatch) -> State:
        """See `models.fusion_model.FusionModel`."""
        rows = {key: tensor[batch.slot] for key, tensor in state.items()}
        after = self.advance(rows, batch, clock(batch.time_us))
        return {key: tensor.index_copy(0, batch.slot, after[key]) for key, tensor in state.items()}

    def score(
        self, state: State, slot: Tensor, now_us: Tensor, *, explain: bool = True
    ) -> ModelScore:
        """See `models.fusion_model.FusionModel`."""
        rows = {key: tensor[slot] for key, tensor in state.items()}
        return self.judge(rows, clock(now_us), explain=explain)
