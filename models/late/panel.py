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

    @property
    def model(self) -> str:
        """As `Score.model`."""
        return f"{self.name}/{self.version}"

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
        self.model = panel.model

    def score(self, batch: AlignedBatch) -> list[Score]:
        """One `Score` per row of `batch`, in its order."""
        said = [member.score(batch) for member in self._members]
        return words(self._panel, [list(row) for row in zip(*said, strict=True)])


def words(panel: Panel, rows: Sequence[Sequence[Score | None]]) -> list[Score]:
    """The panel's word on rows that its members have scored.

    Parameters
    ----------
    panel : Panel
        Members and rule.
    rows : N sequences of M scores
        In the order of the seats; None = that member is not there. Of a row somebody must be.

    Returns
    -------
    list of Score
    """
    if not rows:
        return []
    fused = _fuse(panel, list(zip(*rows, strict=True)))
    return [_word(panel, row, fused, i) for i, row in enumerate(rows)]


def _fuse(panel: Panel, said: Sequence[Sequence[Score | None]]) -> Fused:
    """The members' scores as logits, fused; by 1/std² where the rule asks for confidence."""
    logit = panel.logits([[None if s is None else s.value for s in each] for each in said])
    if not isinstance(panel.rule, ConfidenceWeighted):
        return panel.rule.fuse(logit)
    std = [[np.nan if s is None or s.std is None else s.std for s in each] for each in said]
    p = sigmoid(logit)
    of_logit = np.array(std, dtype=np.float64).T / np.maximum(p * (1.0 - p), _EDGE)
    return panel.rule.fuse(logit, inverse_variance(of_logit))


def _word(panel: Panel, scores: Sequence[Score | None], fused: Fused, row: int) -> Score:
    """The panel's word on one row."""
    said = [score for score in scores if score is not None]
    first = said[0]
    seats = panel.seats
    logit = fused.logit[row : row + 1]
    value = None if np.isnan(logit[0]) else round(float(sigmoid(logit)[0]), _DECIMALS)
    heard = fused.present[row].tolist()
    evidence: tuple[Evidence, ...] = tuple(item for s in said for item in s.evidence)
    rules = [s.news2 for s in said if s.news2 is not None]
    complete = [s.completeness for s, there in zip(scores, heard, strict=True) if s and there]
    return Score(
        patient_id=first.patient_id,
        scorer=panel.name,
        model=panel.model,
        start_us=first.start_us,
        end_us=first.end_us,
        known_us=first.known_us,
        revision=first.revision,
        value=value,
        lower=None,
        upper=None,
        std=None,
        calibrated=panel.calibrated,
        horizon_s=panel.horizon_s,
        share={
            seat.name: round(part, _DECIMALS)
            for seat, part in zip(seats, fused.share[row].tolist(), strict=True)
        },
        present={seat.name: there for seat, there in zip(seats, heard, strict=True)},
        completeness=round(sum(complete) / len(seats), _DECIMALS),
        news2=rules[0] if rules else None,
        evidence=evidence,
    )
