"""What a model's inputs mean: from which features and facts each name is served, in which unit.

An input is named after a clinical concept or a catalogue feature. A concept is served by what the
patient wears first, then by what was charted, as `models.rule_inputs` does for the rule scores.
Torch-free. Not here: the values (`models.inputs`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from features.catalog import CATALOG
from features.catalog import INDEX as FEATURE
from features.concepts import CONCEPTS, find
from features.concepts import INDEX as CONCEPT
from features.effects import EFFECT, EFFECTS
from features.vectors import dimensions
from models.spec import ModalitySpec

WORN_FIRST: Final[dict[str, tuple[str, ...]]] = {  # concept -> features that serve it, best first
    "hr": ("ecg_hr_bpm", "ppg_pulse_rate_bpm", "hr_mean_bpm", "pulse_mean_bpm"),
    "resp_rate": ("resp_rate_per_min", "resp_device_per_min"),
    "spo2": ("spo2_mean_pct",),
    "temp": ("temp_mean_c",),
}
RULES: Final = ("news2", "mews", "qsofa", "sirs", "shock_index")  # rule scores as inputs
RULE_UNIT: Final = "{score}"
EFFECT_PREFIX: Final = "effect:"


class Source(NamedTuple):
    """Where one input comes from: columns, best first; -1 = none."""

    name: str
    unit: str
    features: tuple[int, ...]  # columns of the catalogue
    concept: int  # column of the concepts, -1 = not charted
    rule: str  # a rule score, "" = none
    effect: int = -1  # care of `features.effects`: 1 while it may move a sign
    encoder: str = ""  # of notes, "name/version/dimensions"
    place: int = -1  # in its vector

    @property
    def meaning(self) -> str:
        """Everything that decides the value, in words; hashed into artifacts."""
        own = [self.name, self.unit, self.rule]
        own += [f"{CATALOG[i].name}={CATALOG[i].id}[{CATALOG[i].unit}]" for i in self.features]
        if self.concept >= 0:
            concept = CONCEPTS[self.concept]
            own.append(f"{concept.code}[{concept.unit}]{concept.modality}")
        if self.effect >= 0:
            effect = EFFECTS[self.effect]
            own.append(f"{effect.from_s!r}-{effect.until_s!r} {' '.join(effect.names)}")
        if self.encoder:
            own.append(f"{self.encoder}#{self.place}")
        return "|".join(own)


def source_of(name: str) -> Source | None:
    """Where an input of this name comes from; None if nothing here serves it.

    A concept, a catalogue feature, a rule score, `effect:antipyretic` (care that may move a sign,
    `features.effects`), or one number of a note's vector: `hashed-svd/1/32#0`, `bert/2/768#767`.

    Examples
    --------
    >>> source = source_of("hr")
    >>> CATALOG[source.features[0]].name, CONCEPTS[source.concept].code, source.unit
    ('ecg_hr_bpm', 'hr', '/min')
    >>> source_of("nonsense") is None
    True
    """
    if name in RULES:
        return Source(name, RULE_UNIT, (), -1, name)
    if name.startswith(EFFECT_PREFIX):
        effect = EFFECT.get(name.removeprefix(EFFECT_PREFIX), -1)
        return None if effect < 0 else Source(name, "1", (), -1, "", effect)
    encoder, mark, place = name.partition("#")
    if mark:
        served = place.isdecimal() and int(place) < dimensions(encoder)
        return Source(name, "1", (), -1, "", -1, encoder, int(place)) if served else None
    concept = find(name)
    if concept is not None:
        worn = tuple(FEATURE[f] for f in WORN_FIRST.get(concept.code, ()))
        return Source(name, concept.unit, worn, CONCEPT[concept.code], "")
    if name in FEATURE:
        return Source(name, CATALOG[FEATURE[name]].unit, (FEATURE[name],), -1, "")
    return None


def schema_hash(modalities: Iterable[ModalitySpec]) -> str:
    """Name of the meaning of a model's inputs: 16 hex digits of a SHA-256.

    Names, order, units, and the definition of everything here that serves them. A feature whose
    formula changes gets a new id, and models trained on the old one no longer fit.
    """
    said = []
    for modality in modalities:
        said.append(f"{modality.name}:{modality.kind}:{modality.max_age_s!r}")
        for feature in modality.features:
            source = source_of(feature.name)
            meaning = "" if source is None else source.meaning
            said.append(f"{feature.name}[{feature.unit}]={meaning}")
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def misfits(modalities: Iterable[ModalitySpec]) -> list[str]:
    """Why live data cannot serve these inputs, in words; empty if they can.

    An input that nothing here measures is one; so is one in another unit than it is served in.
    """
    found = []
    for modality in modalities:
        for feature in modality.features:
            source = source_of(feature.name)
            if source is None:
                found.append(f"{modality.name}.{feature.name}: nothing here measures it")
            elif source.unit != feature.unit:
                found.append(
                    f"{modality.name}.{feature.name}: unit {feature.unit!r}, "
                    f"it is served in {source.unit!r}"
                )
    return found
