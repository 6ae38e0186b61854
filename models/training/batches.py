"""Which histories train together: of similar length, in another order every epoch.

Not here: reading histories; a `Dataset` makes a batch of the rows it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.tensors import SequenceBatch, Target

Ints = NDArray[np.int64]
_POOL = 20  # batches whose histories are sorted together: padding stays small, company varies


class Dataset(Protocol):
    """Histories that can be had in any selection."""

    def lengths(self) -> Ints:
        """Steps of each history, [P]."""
        ...

    def batch(self, rows: Ints) -> tuple[SequenceBatch, Target]:
        """The histories of `rows`, padded to the longest of them; weight 0 on padding."""
        ...


class Histories(NamedTuple):
    """A `Dataset` held in memory."""

    seq: SequenceBatch
    target: Target

    def lengths(self) -> Ints:
        """Steps of each history, [P]."""
        found: Ints = self.seq.length.numpy().astype(np.int64)
        return found

    def batch(self, rows: Ints) -> tuple[SequenceBatch, Target]:
        """The histories of `rows`, cut to the longest of them."""
        at = torch.from_numpy(np.ascontiguousarray(rows))
        steps = int(self.seq.length[at].max()) if len(rows) else 0
        fields = ({k: x[at, :steps] for k, x in field.items()} for field in self.seq[2:])
        seq = SequenceBatch(self.seq.time_us[at, :steps], self.seq.length[at], *fields)
        label, weight = self.target.label[at, :steps], self.target.weight[at, :steps]
        return seq, Target(label, weight)


def bucketed(lengths: Ints, size: int, seed: int) -> list[Ints]:
    """Batches of one epoch: every history once, similar lengths together.

    Parameters
    ----------
    lengths : (P,) int64
        Steps of each history.
    size : int
        Histories in a batch; the last may be smaller.
    seed : int
        Of the epoch: the same one gives the same batches in the same order.

    Returns
    -------
    list of int64 arrays
        Rows of each batch.

    Examples
    --------
    >>> batches = bucketed(np.array([5, 90, 6, 80]), 2, seed=0)
    >>> sorted(sorted(rows.tolist()) for rows in batches)
    [[0, 2], [1, 3]]
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), _POOL * size):
        pool = order[start : start + _POOL * size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def drop_modalities(
    seq: SequenceBatch, rate: float, draw: torch.Generator, names: Sequence[str]
) -> SequenceBatch:
    """Histories with whole modalities taken away at random, never all of them.

    Parameters
    ----------
    seq : SequenceBatch
        B histories; not changed.
    rate : float
        Chance that a modality of a history is taken, 0 to below 1.
    draw : torch.Generator
        On the CPU.
    names : sequence of str
        Modalities that may be taken; where all of them would go, a random one stays.

    Returns
    -------
    SequenceBatch
    """
    if rate <= 0.0 or not names:
        return seq
    histories = len(seq.length)
    gone = torch.rand(histories, len(names), generator=draw) < rate
    stays = torch.randint(len(names), (histories,), generator=draw)
    all_gone = gone.all(dim=1)
    gone[all_gone, stays[all_gone]] = False
    value = dict(seq.value)
    for i, name in enumerate(names):
        value[name] = _without(value[name], gone[:, i])
    return seq._replace(value=value)


def _without(value: Tensor, gone: Tensor) -> Tensor:
    """Values [B, T, d] with some histories all missing."""
    nothing = torch.full((), torch.nan, dtype=value.dtype, device=value.device)
    return torch.where(gone.to(value.device)[:, None, None], nothing, value)
