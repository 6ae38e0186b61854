"""How a model is trained, in plain values: what a TOML table `[training]` may say."""

from __future__ import annotations

import math

import msgspec


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Those of the sepsis recipe by default. Same recipe, same data: same weights.

    `modality_dropout` takes whole modalities (not static ones) from histories. `average` > 0 keeps
    an exponential mean of the weights, and that is what is judged and shipped.
    """

    epochs: int = 9
    batch: int = 64  # histories
    learning_rate: float = 3e-3  # at the peak of one cycle
    warm_up: float = 0.2  # share of the steps
    weight_decay: float = 1e-2
    clip: float = 1.0  # of the gradient's norm
    modality_dropout: float = 0.15
    average: float = 0.0  # per step, e.g. 0.998; 0: none
    patience: int = 0  # epochs without a better validation figure; 0: all epochs run
    seed: int = 0

    def __post_init__(self) -> None:
        positive = {
            "epochs": self.epochs,
            "batch": self.batch,
            "learning_rate": self.learning_rate,
            "clip": self.clip,
        }
        for name, value in positive.items():
            if not value > 0:
                raise ValueError(f"training.{name} = {value}: above 0")
        shares = {
            "warm_up": self.warm_up,
            "modality_dropout": self.modality_dropout,
            "average": self.average,
        }
        for name, value in shares.items():
            if not 0.0 <= value < 1.0:
                raise ValueError(f"training.{name} = {value}: at least 0, below 1")


_START, _END = 1 / 25.0, 1e-4  # shares of the peak, as Smith's cycle has them


def rate_at(step: int, steps: int, recipe: Recipe) -> float:
    """Learning rate of one step of `steps`: up along a cosine, then down along another.

    Notes
    -----
    Source: Smith and Topin (2018), arXiv 1708.07120.

    Examples
    --------
    >>> recipe = Recipe(learning_rate=1.0, warm_up=0.2)
    >>> [round(rate_at(step, 101, recipe), 4) for step in (0, 20, 60, 100)]
    [0.04, 1.0, 0.5, 0.0001]
    """
    last = max(steps - 1, 1)
    top = recipe.warm_up * last
    if step < top:
        low, share = _START, 0.5 - 0.5 * math.cos(math.pi * step / top)
    else:
        low, share = _END, 0.5 + 0.5 * math.cos(math.pi * min((step - top) / (last - top), 1.0))
    return recipe.learning_rate * (low + (1.0 - low) * share)
