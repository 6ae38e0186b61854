"""The loop that trains any fusion model: batches, steps, validation, checkpoints as bytes.

Invariant: what a step does depends on the recipe, the data, the weights and the step's number
alone, so that a run cut anywhere and resumed ends with the same bits. Not here: files, clocks and
progress (`service.train`), data, what a good figure is.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from models.fusion_model import FusionModel
from models.tensors import SequenceBatch, Target
from models.training.batches import Dataset, bucketed, drop_modalities
from models.training.recipe import Recipe, rate_at

Judge = Callable[[FusionModel], float]  # a validation figure, larger is better

_EPOCH_SEEDS, _STEP_SEEDS = 1_000_003, 7_919  # apart, so that an epoch never draws a step's numbers
_META = "run"


class Epoch(NamedTuple):
    """What one epoch came to."""

    number: int  # from 0
    losses: dict[str, float]  # means over its steps
    figure: float | None  # on validation data; None where nobody judges
    best: bool  # no epoch before was better


class Trainer:
    """Trains `model` in place, an epoch at a time.

    Parameters
    ----------
    model : FusionModel
        Also an `nn.Module`. Its inputs are normalised already (`fit_inputs`).
    data : Dataset
        Training histories.
    recipe : Recipe
    device : str
        Where the model is; on "cuda" matrix products run in bfloat16.
    judge : callable, optional
        Called after each epoch with the model that would be shipped, in evaluation mode.
    """

    def __init__(
        self,
        model: FusionModel,
        data: Dataset,
        recipe: Recipe,
        device: str = "cpu",
        judge: Judge | None = None,
    ) -> None:
        assert isinstance(model, nn.Module), f"{type(model).__name__} is no nn.Module"
        self._module: nn.Module = model
        self.model, self._data, self._recipe = model, data, recipe
        self._device, self.judge = device, judge
        self._cards = [] if device == "cpu" else [torch.device(device)]
        self._lengths = data.lengths()
        self._per_epoch = -(-len(self._lengths) // recipe.batch)
        self._droppable = [m.name for m in model.spec.modalities if m.kind != "static"]
        if len(self._droppable) < 2:
            self._droppable = []
        self._weights = {k: p for k, p in self._module.named_parameters() if p.requires_grad}
        self._optimizer = torch.optim.AdamW(
            self._weights.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self._mean = {k: p.detach().clone() for k, p in self._weights.items()}
        self._best = {k: p.detach().clone() for k, p in self._weights.items()}
        self.epoch = 0  # the next one
        self.best_figure = -np.inf
        self._stale = 0
        self.history: list[Epoch] = []

    @property
    def finished(self) -> bool:
        """Whether all epochs ran, or too many of them brought nothing better."""
        tired = self._recipe.patience > 0 and self._stale >= self._recipe.patience
        return self.epoch >= self._recipe.epochs or tired

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self._per_epoch

    def run_epoch(self, on_step: Callable[[int, int], None] | None = None) -> Epoch:
        """One epoch; `on_step(done, of)` after each step.

        Returns
        -------
        Epoch
        """
        recipe = self._recipe
        batches = bucketed(self._lengths, recipe.batch, recipe.seed * _EPOCH_SEEDS + self.epoch)
        totals: dict[str, float] = {}
        for i, rows in enumerate(batches):
            step = self.epoch * self._per_epoch + i
            for name, value in self._step(*self._data.batch(rows), step).items():
                totals[name] = totals.get(name, 0.0) + value / len(batches)
            if on_step:
                on_step(i + 1, len(batches))
        figure, best = self._judged()
        self.epoch += 1
        self.history.append(Epoch(self.epoch - 1, totals, figure, best))
        return self.history[-1]

    def finish(self) -> None:
        """Put the best epoch's weights into the model, and leave it in evaluation mode."""
        if self.judge is None:
            self._best = self._shipped()
        self._put(self._best)
        self._module.eval()

    def checkpoint(self) -> bytes:
        """Everything a later run needs to go on, in safetensors."""
        tensors = dict(self._module.state_dict())
        tensors = {f"model.{k}": x for k, x in tensors.items()}
        for name, weight in self._weights.items():
            tensors[f"mean.{name}"], tensors[f"best.{name}"] = self._mean[name], self._best[name]
            for key, value in self._optimizer.state.get(weight, {}).items():
                tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
        meta = {
            "epoch": self.epoch,
            "stale": self._stale,
            "best_figure": float(self.best_figure).hex(),
            "recipe": msgspec.to_builtins(self._recipe),
            "history": [epoch._asdict() for epoch in self.history],
        }
        plain = {k: x.detach().cpu().contiguous().clone() for k, x in tensors.items()}
        return save(plain, {_META: json.dumps(meta, sort_keys=True)})

    def resume(self, checkpoint: bytes) -> None:
        """Go on where a checkpoint was made.

        Raises
        ------
        ValueError
            If it is broken, or of another recipe or another network.
        """
        meta = _metadata(checkpoint)
        if meta["recipe"] != msgspec.to_builtins(self._recipe):
            raise ValueError("the checkpoint is of another recipe")
        try:
            tensors = load(checkpoint)
        except SafetensorError as error:
            raise ValueError("these bytes are no whole checkpoint") from error
        own = {k[6:]: x for k, x in tensors.items() if k.startswith("model.")}
        if {k: x.shape for k, x in own.items()} != {
            k: x.shape for k, x in self._module.state_dict().items()
        }:
            raise ValueError("the checkpoint is of another network")
        self._module.load_state_dict(own)
        for name, weight in self._weights.items():
            self._mean[name] = tensors[f"mean.{name}"].to(weight.device)
            self._best[name] = tensors[f"best.{name}"].to(weight.device)
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors.get(f"optimizer.{key}.{name}")
                if value is not None:
                    place = "cpu" if key == "step" else weight.device
                    self._optimizer.state[weight][key] = value.to(place)
        self.epoch, self._stale = meta["epoch"], meta["stale"]
        self.best_figure = float.fromhex(meta["best_figure"])
        self.history = [Epoch(**epoch) for epoch in meta["history"]]

    def _step(self, seq: SequenceBatch, target: Target, step: int) -> dict[str, float]:
        """One step down the gradient; its losses."""
        recipe = self._recipe
        seed = recipe.seed * _STEP_SEEDS * _EPOCH_SEEDS + step
        draw = torch.Generator().manual_seed(seed)
        seq = drop_modalities(seq, recipe.modality_dropout, draw, self._droppable)
        if self._device != "cpu":
            seq, target = _moved(seq, target, self._device)
        for group in self._optimizer.param_groups:
            group["lr"] = rate_at(step, self._per_epoch * recipe.epochs, recipe)
        self._module.train()
        with torch.random.fork_rng(self._cards), _autocast(self._device):
            torch.manual_seed(seed)
            losses = self.model.loss(seq, target)
        self._optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights.values(), recipe.clip)
        self._optimizer.step()
        self._average(step)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _average(self, step: int) -> None:
        """Renew the mean of the weights; early on it forgets faster, or the start would stay."""
        if self._recipe.average <= 0.0:
            return
        kept = min(self._recipe.average, (1.0 + step) / (10.0 + step))
        with torch.no_grad():
            for name, weight in self._weights.items():
                self._mean[name].lerp_(weight, 1.0 - kept)

    def _shipped(self) -> dict[str, Tensor]:
        """The weights that would be shipped now."""
        if self._recipe.average > 0.0:
            return {k: x.clone() for k, x in self._mean.items()}
        return {k: p.detach().clone() for k, p in self._weights.items()}

    def _put(self, weights: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(weights[name])

    def _judged(self) -> tuple[float | None, bool]:
        """Validation figure of what would be shipped, and whether it is the best so far."""
        if self.judge is None:
            return None, True
        training = {k: p.detach().clone() for k, p in self._weights.items()}
        shipped = self._shipped()
        self._put(shipped)
        self._module.eval()
        with torch.no_grad():
            figure = self.judge(self.model)
        self._put(training)
        best = figure > self.best_figure
        if best:
            self.best_figure, self._best, self._stale = figure, shipped, 0
        else:
            self._stale += 1
        return figure, best


def fit(
    model: FusionModel, data: Dataset, recipe: Recipe, judge: Judge | None = None
) -> list[Epoch]:
    """Train to the end in one go, on the CPU; see `Trainer`."""
    trainer = Trainer(model, data, recipe, judge=judge)
    epochs = []
    while not trainer.finished:
        epochs.append(trainer.run_epoch())
    trainer.finish()
    return epochs


def _metadata(checkpoint: bytes) -> dict[str, Any]:
    """What a checkpoint says beside its tensors."""
    try:
        size = int.from_bytes(checkpoint[:8], "little")
        header = json.loads(checkpoint[8 : 8 + size])
        meta: dict[str, Any] = json.loads(header["__metadata__"][_META])
    except (ValueError, KeyError) as error:
        raise ValueError("these bytes are no checkpoint") from error
    return meta


def _moved(seq: SequenceBatch, target: Target, device: str) -> tuple[SequenceBatch, Target]:
    """A batch on another device."""
    fields = ({k: x.to(device) for k, x in field.items()} for field in seq[2:])
    moved = SequenceBatch(seq.time_us.to(device), seq.length.to(device), *fields)
    return moved, Target(target.label.to(device), target.weight.to(device))


def _autocast(device: str) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 for matrix products on a GPU, nothing on a CPU."""
    if device == "cpu":
        return contextlib.nullcontext()
    return torch.autocast(device.partition(":")[0], dtype=torch.bfloat16)
