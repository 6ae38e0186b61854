"""Several tasks from one fused vector: a logit each, with no order among them."""

from __future__ import annotations

from torch import Tensor, nn


class TaskHead(nn.Module):
    """A shared layer, then a layer per task to its logit.

    What differs from `models.heads.event` is that tasks are questions of their own: an answer to
    one bounds no other. A task whose outcome is not known at a step has weight 0 in the target.

    Parameters
    ----------
    width, tasks : int
        Of the fused vector; how many logits.
    hidden : int
        Of the shared layer.
    dropout : tuple of float
        Before and after it, in training only.
    """

    def __init__(
        self, width: int, tasks: int, hidden: int = 64, dropout: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Dropout(dropout[0]), nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout[1])
        )
        self.out = nn.Linear(hidden, tasks)

    def forward(self, fused: Tensor) -> Tensor:
        """Logits [..., tasks]; see `models.parts.Head`."""
        logits: Tensor = self.out(self.hidden(fused))
        return logits
