"""Late fusion inside one model: a logit per modality by a head of its own, then a fixed rule.

The rules are those of `models.late`, as tensors; their numbers are fitted there, out of fold, and
travel in the spec. What a rule says when no modality is present is its prior.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from models.heads.event import cumulative
from models.late.confidence import VARIANCE_FLOOR, ConfidenceWeighted, DempsterShafer
from models.late.fused import LOGIT_CAP
from models.late.mean import MeanLogit, Vote
from models.late.rules import LateRule, check_rule
from models.late.stack import LogisticStack
from models.late.vcdn import LEAK, Vcdn
from models.late.weighted import WeightedLogit

_LOG_VARIANCE: Final = 6.0  # nobody is 150,000 times as sure as another


class Opinions(nn.Module):
    """Vectors of modalities to one logit per horizon, [..., H], by a rule.

    With the confidence rule each member also has a variance per row. It is no part of the member:
    it is learned from how well the fused logit does, members held still (`held_still`).
    """

    def __init__(
        self, widths: dict[str, int], horizons: int, rule: LateRule, prior: float = 0.0
    ) -> None:
        super().__init__()
        self.names = tuple(widths)
        self.width = self.horizons = horizons
        self.prior = prior
        self.uncertain = isinstance(rule, ConfidenceWeighted)
        self.heads = nn.ModuleDict({name: nn.Linear(w, horizons) for name, w in widths.items()})
        unsure = widths if self.uncertain else {}
        self.unsure = nn.ModuleDict({name: nn.Linear(w, horizons) for name, w in unsure.items()})
        check_rule(rule, len(widths))
        self._rule = _RULES[type(rule)](rule, len(widths))

    def forward(self, vectors: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """See `models.parts.Fuser`."""
        return self._ruled(self.opinions(vectors), self._variance(vectors), present)

    def opinions(self, vectors: dict[str, Tensor]) -> Tensor:
        """Logits of the members, [..., M, H]."""
        said = torch.stack([self.heads[name](vectors[name]) for name in self.names], dim=-2)
        return cumulative(said).clamp(-LOGIT_CAP, LOGIT_CAP)

    def held_still(self, vectors: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """The fused logit, through which a gradient reaches the variances and no member."""
        still = {name: x.detach() for name, x in vectors.items()}
        return self._ruled(self.opinions(still).detach(), self._variance(still), present)

    def _variance(self, vectors: dict[str, Tensor]) -> Tensor | None:
        """Variances of the members' logits, [..., M, H]; None where the rule does not ask."""
        if not self.uncertain:
            return None
        said = torch.stack([self.unsure[name](vectors[name]) for name in self.names], dim=-2)
        return torch.exp(said.clamp(-_LOG_VARIANCE, _LOG_VARIANCE))

    def _ruled(self, logit: Tensor, variance: Tensor | None, present: dict[str, Tensor]) -> Tensor:
        """The rule on each horizon."""
        there = torch.stack([present[name] for name in self.names], dim=-1)  # [..., M]
        unknown = torch.ones_like(logit) if variance is None else variance
        fused = [self._rule(logit[..., h], unknown[..., h], there) for h in range(self.horizons)]
        heard = there.amax(dim=-1, keepdim=True) > 0
        return torch.where(heard, torch.stack(fused, dim=-1), self.prior)


Apply = Callable[[Tensor, Tensor, Tensor], Tensor]  # logit, variance, present [..., M] -> [...]


def _mean(rule: MeanLogit, members: int) -> Apply:
    return lambda logit, variance, there: _over(logit, there, torch.ones_like(logit))


def _weighted(rule: WeightedLogit, members: int) -> Apply:
    weight = rule.weight
    return lambda logit, variance, there: _over(logit, there, _like(weight, logit))


def _confidence(rule: ConfidenceWeighted, members: int) -> Apply:
    return lambda logit, variance, there: _over(
        logit, there, 1.0 / variance.clamp(min=VARIANCE_FLOOR)
    )


def _vote(rule: Vote, members: int) -> Apply:

    def apply(logit: Tensor, variance: Tensor, there: Tensor) -> Tensor:
        yes = torch.where(logit >= _like(rule.threshold, logit), there, 0.0).sum(dim=-1)
        return torch.log((yes + 0.5) / (there.sum(dim=-1) - yes + 0.5))

    return apply


def _dempster_shafer(rule: DempsterShafer, members: int) -> Apply:

    def apply(logit: Tensor, variance: Tensor, there: Tensor) -> Tensor:
        committed = _like(rule.reliability, logit) * there
        open_mass = 1.0 - committed
        event = committed * torch.sigmoid(logit) + open_mass
        none = committed * torch.sigmoid(-logit) + open_mass
        return (torch.log(event) - torch.log(none)).sum(dim=-1)

    return apply


def _stack(rule: LogisticStack, members: int) -> Apply:

    def apply(logit: Tensor, variance: Tensor, there: Tensor) -> Tensor:
        said = _like(rule.coefficient, logit) * logit * there
        return rule.bias + (said + _like(rule.missing, logit) * (1.0 - there)).sum(dim=-1)

    return apply


def _vcdn(rule: Vcdn, members: int) -> Apply:

    def apply(logit: Tensor, variance: Tensor, there: Tensor) -> Tensor:
        event, none = torch.sigmoid(logit) * there, torch.sigmoid(-logit) * there
        opinions = torch.stack([event, none, 1.0 - there], dim=-1)  # [..., M, 3]
        cells = opinions[..., 0, :]
        for m in range(1, members):
            cells = (cells[..., :, None] * opinions[..., m, None, :]).flatten(-2)
        hidden = torch.tensor(rule.hidden, dtype=logit.dtype, device=logit.device)
        unit = nn.functional.linear(cells, hidden, _like(rule.hidden_bias, logit))
        unit = torch.where(unit > 0, unit, LEAK * unit)
        return rule.out_bias + nn.functional.linear(unit, _like(rule.out, logit)[None])[..., 0]

    return apply


_RULES: Final[dict[type, Callable[..., Apply]]] = {
    MeanLogit: _mean,
    Vote: _vote,
    WeightedLogit: _weighted,
    ConfidenceWeighted: _confidence,
    DempsterShafer: _dempster_shafer,
    LogisticStack: _stack,
    Vcdn: _vcdn,
}


def _over(logit: Tensor, there: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over who is present; the plain mean where all of them weigh nothing."""
    heard = weight * there
    silent = heard.sum(dim=-1, keepdim=True) <= 0.0
    heard = torch.where(silent, there, heard)
    total = heard.sum(dim=-1, keepdim=True)
    return (heard * logit).sum(dim=-1) / total.clamp(min=torch.finfo(logit.dtype).tiny)[..., 0]


def _like(numbers: tuple[float, ...], tensor: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=tensor.dtype, device=tensor.device)
