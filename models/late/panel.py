"""Scorers that know nothing of each other, and one word from all of them: late fusion live.

A panel names its members and their exact models; a member that is another build than the one the
rule was fitted on is refused. Adding a member changes the panel alone. Members may be networks,
trees or rule scores: what a member says becomes a logit by its own line. Torch-free.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from features.align import AlignedBatch
from models.late.confidence import ConfidenceWeighted, inverse_variance
from models.late.fused import Floats, Fused, sigmoid
from models.late.rules import LateRule, check_rule
from models.score import Evidence, Score, Scorer
from streams.errors import CheckpointMismatch, ConfigError

_DECIMALS = 4  # scores are published to 1e-4
_EDGE = 1e-6  # of a probability whose logit is taken


class Seat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One member: `logit = bias + slope * x`, x its probability's logit or its rule score."""

    name: str  # as `Scorer.name`
    model: str  # as `Scorer.model`: name/version/digest
    probability: bool = True  # False: a rule score in its own unit
    slope: float = 1.0  # at least 0: more of a rule's points never lowers the logit
    bias: float = 0.0


class Panel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Members, the rule, and what their word is about."""

    name: str
    version: str
    horizon_s: float
    seats: tuple[Seat, ...]
    rule: LateRule
    calibrated: bool = False

    def __post_init__(self) -> None:
        names = [seat.name for seat in self.seats]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"a panel has members of different names, got {names}")
        if any(not seat.slope >= 0.0 for seat in self.seats):
            raise ValueError("slopes of members are at least 0")
        check_rule(self.rule, len(self.seats))

    def logits(self, said: Sequence[Sequence[float | None]]) -> Floats:
        """Members' words as logits.

        Parameters
        ----------
        said : M sequences of N values
            As `Score.value`, in the order of the seats; None = that member is silent.

        Returns
        -------
        (N, M) float64
            NaN = silent.
        """
        columns = []
        for seat, values in zip(self.seats, said, strict=True):
            x = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
            if seat.probability:
                p = np.clip(x, _EDGE, 1.0 - _EDGE)
                x = np.log(p) - np.log1p(-p)
            columns.append(seat.bias + seat.slope * x)
        return np.column_stack(columns)


def encode(panel: Panel) -> bytes:
    """A panel as JSON."""
    return msgspec.json.format(msgspec.json.encode(panel), indent=1)


def decode(data: bytes) -> Panel:
    """A panel of JSON.

    Raises
    ------
    CheckpointMismatch
        If it is none.
    """
    try:
        return msgspec.json.decode(data, type=Panel)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CheckpointMismatch(f"no panel: {error}") from error


class PanelScorer:
    """A `Scorer` over others; see `models.score.Scorer`.

    Shares and presence are per member. Where nobody speaks `value` is None.

    Raises
    ------
    ConfigError
        If a member is not among the scorers.
    CheckpointMismatch
        If one is of another model than the panel's rule was fitted on.
    """

    def __init__(self, panel: Panel, scorers: Sequence[Scorer]) -> None:
        by_name = {scorer.name: scorer for scorer in scorers}
        self._members = []
        for seat in panel.seats:
            member = by_name.get(seat.name)
            if member is None:
                raise ConfigError(f"panel {panel.name!r}: no scorer {seat.name!r}")
            if member.model != seat.model:
                raise CheckpointMismatch(
                    f"panel {panel.name!r} was fitted on {seat.model}, the scorer is {member.model}"
                )
            self._members.append(member)
        self._panel = panel
        self.name = panel.name
        self.model = f"{panel.name}/{panel.version}"

    def score(self, batch: AlignedBatch) -> list[Score]:
        """One `Score` per row of `batch`, in its order."""
        said = [member.score(batch) for member in self._members]
        fused = self.fuse(said)
        return [
            self._row([scores[i] for scores in said], fused, i)
            for i in range(len(batch.features.windows))
        ]

    def fuse(self, said: Sequence[Sequence[Score]]) -> Fused:
        """The members' scores as logits, fused; by 1/std² where the rule asks for confidence."""
        logit = self._panel.logits([[score.value for score in scores] for scores in said])
        if not isinstance(self._panel.rule, ConfidenceWeighted):
            return self._panel.rule.fuse(logit)
        std = [[np.nan if s.std is None else s.std for s in scores] for scores in said]
        p = sigmoid(logit)
        of_logit = np.array(std, dtype=np.float64).T / np.maximum(p * (1.0 - p), _EDGE)
        return self._panel.rule.fuse(logit, inverse_variance(of_logit))

    def _row(self, scores: Sequence[Score], fused: Fused, row: int) -> Score:
        """The panel's word on one row."""
        first = scores[0]
        seats = self._panel.seats
        logit = float(fused.logit[row])
        value = None if np.isnan(logit) else round(float(sigmoid(fused.logit[row : row + 1])[0]), 4)
        heard = fused.present[row].tolist()
        evidence: tuple[Evidence, ...] = tuple(item for s in scores for item in s.evidence)
        rules = [s.news2 for s in scores if s.news2 is not None]
        complete = [s.completeness for s, there in zip(scores, heard, strict=True) if there]
        return Score(
            patient_id=first.patient_id,
            scorer=self.name,
            model=self.model,
            start_us=first.start_us,
            end_us=first.end_us,
            known_us=first.known_us,
            revision=first.revision,
            value=value,
            lower=None,
            upper=None,
            std=None,
            calibrated=self._panel.calibrated,
            horizon_s=self._panel.horizon_s,
            share={
                seat.name: round(part, _DECIMALS)
                for seat, part in zip(seats, fused.share[row].tolist(), strict=True)
            },
            present={seat.name: there for seat, there in zip(seats, heard, strict=True)},
            completeness=round(sum(complete) / len(seats), _DECIMALS),
            news2=rules[0] if rules else None,
            evidence=evidence,
        )
