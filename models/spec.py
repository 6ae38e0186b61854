"""What a model is, in plain values: the `spec.json` of every artifact. Torch-free.

Invariant: a spec says everything about a model but its weights; two builds that read the same spec
build the same network. Not here: bytes and hashes (`models.artifact`), where inputs come from
(`models.inputs`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal["dense", "event", "static", "score", "embedding"]
_FLOAT_BYTES = 4  # every state tensor is float32


class FeatureSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input: a concept code or catalogue feature, its unit, and the range it can have."""

    name: str
    unit: str
    lo: float
    hi: float


class ModalitySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Inputs that come together. A value older than `max_age_s` counts as absent."""

    name: str
    kind: Kind
    features: tuple[FeatureSpec, ...]
    max_age_s: float  # static facts: 1e9


class CalibrationSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How `prob` became a probability, and how wide its interval is.

    `halfwidth_logit` is a split-conformal half width: [prob(logit - w), prob(logit + w)] held the
    outcome's rate with `coverage` on the calibration patients; 0 = no interval.
    """

    kind: str = "none"  # none, temperature, platt, isotonic
    halfwidth_logit: float = 0.0
    coverage: float = 0.0
    values: dict[str, tuple[float, ...]] = {}  # e.g. conformal quantiles, by name


class OperatingPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A threshold chosen on development data; alert policies may cite it."""

    name: str  # "utility", "0.2_per_day"
    horizon_s: float
    threshold: float  # on the calibrated probability
    metrics: dict[str, float] = {}  # what it gave there


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the weights come from; a model card in a few fields."""

    data: str = ""
    licence: str = ""
    command: str = ""
    split_hash: str = ""
    seed: int = 0
    metrics: dict[str, tuple[float, ...]] = {}  # value, or (value, lower, upper)
    notes: str = ""


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about a model but its weights.

    `family` names a registered model (`models.registry`), `config` what that family needs to build
    the network. `state` is what it keeps per patient, float32, by name. `monotone` lists
    "modality.feature" inputs whose rise never lowers the logit. `jitter` bounds how far `prob` may
    move when an event's time is off by one hour (1: no promise).
    """

    name: str
    version: str
    family: str
    task: str
    horizons_s: tuple[float, ...]  # the first is the one that is explained and alerted on
    cadence_s: float
    warmup_s: float
    modalities: tuple[ModalitySpec, ...]
    state: dict[str, tuple[int, ...]] = {}
    config: dict[str, Any] = {}
    schema_hash: str = ""
    calibration: CalibrationSpec = CalibrationSpec()
    operating: tuple[OperatingPoint, ...] = ()
    training: Provenance = Provenance()
    monotone: tuple[str, ...] = ()
    jitter: float = 1.0

    def modality(self, name: str) -> ModalitySpec:
        """The modality of that name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for modality in self.modalities:
            if modality.name == name:
                return modality
        raise KeyError(name)

    @property
    def state_bytes(self) -> int:
        """Bytes one patient's state takes.

        Examples
        --------
        >>> state = {"h": (96,), "t": (2,)}
        >>> ModelSpec("m", "1", "f", "t", (60.0,), 60.0, 0.0, (), state).state_bytes
        392
        """
        total = 0
        for shape in self.state.values():
            size = _FLOAT_BYTES
            for length in shape:
                size *= length
            total += size
        return total
