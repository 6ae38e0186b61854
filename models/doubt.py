"""What a published probability leaves open: outcomes not ruled out, modalities that contradict.

Both are learned on development patients and lie in an artifact's `calibration.values`: `no_up_to`
and `yes_from` bound the conformal sets, `disagree_above` is the most that modalities usually
disagree by. What an artifact does not declare is not said. Torch-free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.calibration.conformal import Conformal
from models.calibration.disagreement import disagreement
from models.inputs import VALUE
from models.runtime import Floats, Said, Step
from models.spec import CalibrationSpec, ModelSpec

NO_UP_TO: Final = "no_up_to"
YES_FROM: Final = "yes_from"
DISAGREE_ABOVE: Final = "disagree_above"
NO_EVENT: Final = "no_event"
EVENT: Final = "event"


_POSSIBLE: Final[dict[tuple[bool, bool], tuple[str, ...]]] = {
    (False, False): (),
    (True, False): (NO_EVENT,),
    (False, True): (EVENT,),
    (True, True): (NO_EVENT, EVENT),
}


class Doubt(NamedTuple):
    """What one model declares."""

    sets: Conformal | None
    disagree_above: float  # bits; NaN: not declared
    members: tuple[tuple[int, int, int], ...]  # place of a modality with time, its columns from, to

    @classmethod
    def of(cls, spec: ModelSpec) -> Doubt:
        """What a spec declares."""
        members, first = [], 0
        for place, modality in enumerate(spec.modalities):
            end = first + len(modality.features)
            if modality.kind != "static":
                members.append((place, first, end))
            first = end
        limit = spec.calibration.values.get(DISAGREE_ABOVE, (np.nan,))[0]
        return cls(_sets(spec.calibration), float(limit), tuple(members))

    def outcomes(self, prob: float) -> tuple[str, ...] | None:
        """Outcomes that are not ruled out at a probability; None where no sets are declared.

        Parameters
        ----------
        prob : float
            Rounded as it is published.
        """
        return self.outcomes_of(np.array([prob]))[0]

    def outcomes_of(self, prob: NDArray[np.float64]) -> Sequence[tuple[str, ...] | None]:
        """`outcomes` of many probabilities [N]."""
        if self.sets is None:
            return [None] * len(prob)
        found = self.sets.sets_of(prob)
        flags = zip(found.none.tolist(), found.event.tolist(), strict=True)
        return [_POSSIBLE[no_event, event] for no_event, event in flags]

    @property
    def compares(self) -> bool:
        """Whether modalities are to be compared at all."""
        return self.disagree_above == self.disagree_above and len(self.members) > 1

    def bits(self, state: Floats, rows: Floats, times: Floats, said: Said, step: Step) -> Floats:
        """Disagreement of the modalities of some rows, each asked alone.

        Parameters
        ----------
        state : (N, S) float32
            From which `said` was said.
        rows : (N, 4, D) float32
            Packed rows.
        times : (N, 2) float32
            Their clocks.
        said : Said
            What the model says of these rows with everything that is there.
        step : callable
            The model.

        Returns
        -------
        (N,) float64
            NaN where fewer than two modalities are there, or the model had no word.
        """
        heard = np.array([place for place, _, _ in self.members])
        there = said.present[:, heard] > 0.5
        found = np.full(len(rows), np.nan)
        chosen = np.flatnonzero(there.sum(axis=1) > 1)
        if not len(chosen):
            return found
        each = [self._without_others(rows[chosen], first, end) for _, first, end in self.members]
        again = np.tile(chosen, len(self.members))
        said_alone = step(state[again], np.concatenate(each), times[again]).logit[:, 0]
        logit = said_alone.reshape(len(self.members), len(chosen)).T.astype(np.float64)
        found[chosen] = disagreement(np.where(there[chosen], logit, np.nan))
        return found

    def _without_others(self, rows: Floats, first: int, end: int) -> Floats:
        """Rows in which no other modality with time was measured."""
        alone: Floats = rows.copy()
        for _, start, stop in self.members:
            if (start, stop) != (first, end):
                alone[:, VALUE, start:stop] = np.nan
        return alone


def disagreement_limit(logit: NDArray[np.float64], share: float = 0.99) -> float:
    """Bits that modalities of development patients stay below in `share` of the rows; 1 for none.

    Parameters
    ----------
    logit : (N, M) float64
        Calibrated logits of every modality alone, of patients that trained nothing; NaN = absent.
    share : float
        How rarely disagreement is to be a finding.
    """
    bits = disagreement(logit)
    bits = bits[~np.isnan(bits)]
    return float(np.quantile(bits, share)) if len(bits) else 1.0


def _sets(calibration: CalibrationSpec) -> Conformal | None:
    values = calibration.values
    if NO_UP_TO not in values or YES_FROM not in values:
        return None
    bounds = (values[NO_UP_TO][0], 1.0 - values[YES_FROM][0])
    return Conformal(calibration.coverage, (bounds,))
