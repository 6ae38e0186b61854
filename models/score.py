"""What a score is, and what a scorer must be. Torch-free, so that alerts can read it.

A learned model and a rule score satisfy the same contract: a batch of aligned samples in,
a `Score` per sample out, with uncertainty, share per modality and presence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from features.align import AlignedBatch


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One input behind a score, as a person would want to see it."""

    label: str
    code: str  # catalogue feature or clinical concept
    value: float
    unit: str
    time_us: int  # when it was true (end of the window, or the event's time)
    age_s: float  # at the score's time
    source: str  # wearable, lab, vital, med, note
    quality: float  # 0-1
    points: float  # contribution in the scorer's own unit (NEWS2 points, logit)
    baseline: float | None = None  # the patient's own usual value, where it is known
    # Care that may have moved it ("antipyretic 90 min before may lower it"); absent for none.
    explained_by: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class RuleScore(msgspec.Struct, frozen=True, gc=False):
    """A rule score with the bounds that missing inputs leave open."""

    total: int  # from the inputs at hand; equals `lower`
    lower: int
    upper: int
    single3: bool  # one input alone scores 3
    scale: int  # SpO2 scale in force
    missing: tuple[str, ...]
    points: dict[str, int]  # input -> points, present inputs only


class Score(msgspec.Struct, frozen=True, gc=False):
    """One scorer's word on one patient at one time.

    `value` is the probability within `horizon_s` for calibrated models, and the score in its own
    unit for rule scores. `lower <= value <= upper` bound it. NaN is never published: None is.
    """

    patient_id: str
    scorer: str  # "news2", "limits", ...
    model: str  # name/version/digest of the scorer: "news2/1"
    start_us: int  # the window scored
    end_us: int
    known_us: int  # decision time: nothing known later was used
    revision: int
    value: float | None
    lower: float | None
    upper: float | None
    std: float | None  # epistemic uncertainty; None for rules
    calibrated: bool
    horizon_s: float  # 0: now
    share: dict[str, float]  # modality -> additive share of `value`; of its logit for models
    present: dict[str, bool]  # modality -> was anything fresh there
    completeness: float  # 0-1, share of the scorer's inputs that were there
    news2: RuleScore | None
    evidence: tuple[Evidence, ...]
    cold: bool | UnsetType = UNSET  # of models with state: not yet warmed up on this patient
    # Outcomes that a calibrated model does not rule out at its coverage, of "no_event", "event";
    # both or none is an abstention.
    outcomes: tuple[str, ...] | UnsetType = UNSET
    abstains: bool | UnsetType = UNSET
    disagreement: float | UnsetType = UNSET  # bits between the words of the modalities alone
    contradicts: bool | UnsetType = UNSET  # by more than all but a few development patients' hours
    backfill: bool | UnsetType = UNSET  # true: the window came so late that it pages nobody


class Word(NamedTuple):
    """What a model has to say of one row: a score, and what went wrong, "" if nothing did."""

    score: Score
    fault: str


class Scorer(Protocol):
    """Batched, deterministic, no I/O; state per patient lives in the engine's snapshot.

    A scorer may have `reads`, the names of all catalogue features it looks at: then windows that
    may be scored again are kept with those only.
    """

    name: str
    model: str

    def score(self, batch: AlignedBatch) -> list[Score]:
        """One `Score` per row of `batch`, in its order; rows never influence each other."""
        ...


class StatefulScorer(Protocol):
    """A model with state per patient, in one or more versions, that may fail.

    The engine decides which version speaks for a patient and keeps what `memory_of` gives in the
    patient's snapshot; the state itself stays with the scorer.
    """

    name: str
    versions: tuple[str, ...]  # digests; the first speaks unless the log says otherwise

    def words(self, batch: AlignedBatch, chosen: Sequence[str]) -> list[Word]:
        """One `Word` per row, by the version chosen for it. Never raises for what it meets."""
        ...

    def words_again(
        self, old: AlignedBatch, new: AlignedBatch, chosen: Sequence[str]
    ) -> list[Word | None]:
        """Words on rows scored before whose facts were `old`; None where no input changed."""
        ...

    def memory_of(self, patient_id: str) -> dict[str, bytes]:
        """State by version, for the patient's snapshot."""
        ...

    def remember(self, patient_id: str, memory: dict[str, bytes]) -> None:
        """Take over what `memory_of` gave; state of a version that is not here is dropped."""
        ...

    def forget(self, patient_id: str) -> None:
        """Let a patient go."""
        ...
