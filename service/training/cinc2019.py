"""The recipe of the default model on CinC 2019: what is grown on which rows, and mixed how.

Everything here is a function of stays and of which of them train; files, folds and progress are
`service.train`'s. Choices that were made for hospitals nobody here has seen, each with its figure,
are in `benchmarks/RESULTS-cinc2019.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from models.evaluation.utility import RowUtility, row_utility
from models.families.boosted import BoostedConfig, BoostedModel, Forest, build, encoders_of
from models.spec import FeatureSpec, ModalitySpec, ModelSpec
from models.training.ragged import carried, vectors
from service.datasets.cinc2019 import LABEL_LEAD_H, MODALITIES, Stays, features
from service.training import boost
from service.training.charting import HABITS, OWN, elsewhere
from service.training.committee import Raw

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Note = Callable[[str], None]

KINDS: Final = {"vitals": "dense", "labs": "event", "static": "static"}
MAX_AGE_S: Final = {"vitals": 12 * 3600.0, "labs": 72 * 3600.0, "static": 1e9}
PAIRS: Final = {
    "vitals": (("hr", "sbp"), ("sbp", "dbp")),
    "labs": (("bun", "creatinine"),),
}
COUNTED: Final = ("vitals",)
HOUSES: Final = (1, 2)  # seeds of made-up houses
SINGLE: Final = ("vitals", "labs")
SOON_H: Final = 24.0  # an alarm this long before onset is one that a ward can use


class Member(NamedTuple):
    """One forest of the committee."""

    reads: str  # "joint": everything; a modality: that and what is static
    house: int  # place in HOUSES of the one it also learns from
    seed: int  # added to the run's
    target: Literal["worth", "soon"]  # is an alarm worth more than silence; onset in SOON_H


MEMBERS: Final = {  # by what is in their files' names; joint ones are averaged
    "joint": Member("joint", 0, 0, "worth"),
    "second": Member("joint", 1, 7, "worth"),
    "third": Member("joint", 0, 8, "worth"),
    "soon": Member("joint", 1, 9, "soon"),
    "sooner": Member("joint", 0, 10, "soon"),
    "vitals": Member("vitals", 0, 0, "worth"),
    "labs": Member("labs", 0, 0, "worth"),
}
JOINT: Final = tuple(name for name, member in MEMBERS.items() if member.reads == "joint")
GROWN: Final = boost.Recipe(keep=0.2)  # of each copy, other rows in every one
VERSION: Final = "2"
KNOTS: Final = 24
HORIZON_S: Final = 6 * 3600.0  # the label begins six hours before onset


class Rows(NamedTuple):
    """Vectors of every hour as charted, and of the training hours as charted elsewhere."""

    train: Bools  # [P]
    own: Floats32  # [N, W]
    others: list[Floats32]
    names: tuple[str, ...]  # [W] "modality.feature.statistic"


class Development(NamedTuple):
    """What is known of patients that trained nothing."""

    raw: Raw
    fold: Ints  # [P]


def modalities() -> tuple[ModalitySpec, ...]:
    """Inputs of the default model."""
    return tuple(
        ModalitySpec(
            name,
            cast(Any, KINDS[name]),
            tuple(FeatureSpec(c.code, c.unit, c.lo, c.hi) for c in features(name)),
            MAX_AGE_S[name],
        )
        for name in MODALITIES
    )


def spec_of(config: BoostedConfig) -> ModelSpec:
    """The default model's spec, before anything was trained."""
    import msgspec

    told = msgspec.to_builtins(config)
    if not config.clock:
        del told["clock"]  # artifacts from before there was one keep their bytes
    return ModelSpec(
        name="default",
        version=VERSION,
        family="boosted",
        task="sepsis",
        horizons_s=(HORIZON_S,),
        cadence_s=3600.0,
        warmup_s=2 * 3600.0,
        modalities=modalities(),
        config=told,
    )


def blank(forests: dict[str, Forest] | None = None, clock: int = 0) -> BoostedModel:
    """The network with forests of given sizes and knots of a clock, nothing trained."""
    sizes = forests or dict.fromkeys(("joint", *SINGLE), Forest(1, 3, 1))
    config = BoostedConfig(
        joint=sizes["joint"],
        single={name: sizes[name] for name in SINGLE},
        pairs=PAIRS,
        counts=COUNTED,
        knots=KNOTS,
        clock=clock,
    )
    return build(spec_of(config))


def prepare(stays: Stays, train: Bools, houses: tuple[int, ...]) -> Rows:
    """Normalise by the training stays and lay out every hour.

    Parameters
    ----------
    stays : Stays
        All of them.
    train : (P,) bool
        Which of them train.
    houses : tuple of int
        Seeds of the made-up houses.
    """
    model = fitted(blank(), stays, train)
    names = {name: tuple(table.values()) for name, table in MODALITIES.items()}
    own = laid(model, stays.value, stays.lengths)
    others = [
        laid(model, elsewhere(stays.value, names, stays.lengths, seed), stays.lengths)
        for seed in houses
    ]
    return Rows(train, own, others, column_names())


def fitted(model: BoostedModel, stays: Stays, train: Bools) -> BoostedModel:
    """The model with the normalisation of the training stays."""
    hours = np.repeat(train, stays.lengths)
    model.fit_inputs({k: x[hours].astype(np.float64) for k, x in stays.value.items()})
    return model


def laid(model: BoostedModel, value: dict[str, Floats32], lengths: Ints) -> Floats32:
    """The whole vector of every hour, [N, W]; see `column_names`."""
    found = vectors(model, carried(value, lengths))
    return np.concatenate([found[name] for name in MODALITIES], axis=1)


def column_names() -> tuple[str, ...]:
    """What every number of the whole vector is: modality.feature.statistic."""
    encoders = encoders_of(blank().spec)
    return tuple(f"{m}.{name}" for m, e in encoders.items() for name in e.names)


def columns(names: tuple[str, ...], member: str) -> Ints:
    """Columns a member of the committee may read: its modality's and the static ones."""
    reads = MEMBERS[member].reads
    wanted = tuple(MODALITIES) if reads == "joint" else (reads, "static")
    kept = [i for i, name in enumerate(names) if name.split(".")[0] in wanted]
    return np.array(kept, np.int64)


def worth(stays: Stays) -> RowUtility:
    """Official utility of every hour."""
    return row_utility(stays.label, stays.lengths)


def grow(rows: Rows, stays: Stays, member: str, seed: int, settings: boost.Recipe = GROWN) -> bytes:
    """One forest on the training stays, as charted and as charted elsewhere; LightGBM's text."""
    own = MEMBERS[member]
    target, weight = targets(stays, own.target)
    hours = np.repeat(rows.train, stays.lengths) & (weight > 0)
    septic = np.repeat(stays.septic, stays.lengths)
    seed = seed + own.seed
    random = np.random.default_rng(seed)
    at = columns(rows.names, member)
    parts = []
    others = rows.others[own.house :][:1]
    for vector in (rows.own, *others):
        picked, thinned = boost.chosen(septic, settings.keep, random)
        inside = hours[picked]
        picked, thinned = picked[inside], thinned[inside] / (1 + len(others))
        parts.append((vector[picked][:, at], target[picked], weight[picked] * thinned))
    x, y, w = (np.concatenate(each) for each in zip(*parts, strict=True))
    return boost.text(boost.grow(x, y, w, settings, seed))


def targets(stays: Stays, kind: str) -> tuple[Floats, Floats]:
    """Target and weight of every hour, [N]; hours of weight 0 teach nothing.

    Parameters
    ----------
    stays : Stays
        All of them.
    kind : str
        "worth": an alarm is worth more than silence, weighted by how much. "soon": onset within
        SOON_H, every hour before onset alike.
    """
    if kind == "worth":
        own = worth(stays)
        return boost.of_worth(own.alarm - own.quiet, np.ones(len(stays.label)))
    until_h = hours_until_onset(stays)
    return (until_h <= SOON_H).astype(np.float64), (until_h > 0).astype(np.float64)


def hours_until_onset(stays: Stays) -> Floats:
    """Hours from every row to the onset of its stay, [N]; +inf where there is none."""
    hour = np.arange(len(stays.label)) - np.repeat(stays.starts, stays.lengths)
    first = np.full(len(stays.lengths), np.inf)
    np.minimum.at(first, stays.stay[stays.label], hour[stays.label].astype(np.float64))
    found: Floats = np.repeat(first + LABEL_LEAD_H, stays.lengths) - hour
    return found


def load(text: bytes) -> Any:
    """A forest from LightGBM's text."""
    return boost.load(text)


def raw(booster: Any, rows: Floats32, names: tuple[str, ...], member: str) -> Floats:
    """Raw logits of a member for some hours."""
    return boost.raw(booster, rows[:, columns(names, member)])


def there(rows: Floats32, names: tuple[str, ...], member: str) -> Bools:
    """Whether any value of a member's modality was there; of the joint one, of both."""
    reads = MEMBERS[member].reads
    wanted = SINGLE if reads == "joint" else (reads,)
    found = np.ones(len(rows), bool)
    for name in wanted:
        last = [i for i, n in enumerate(names) if n.startswith(f"{name}.") and n.endswith(".last")]
        found &= np.isfinite(rows[:, last]).any(axis=1)
    return found


def raw_of(found: dict[str, dict[str, Any]]) -> Raw:
    """Members' stage files as one thing."""
    joint = np.mean([found[name]["logit"] for name in JOINT], axis=0)
    single = {name: found[name]["logit"] for name in SINGLE}
    return Raw(joint, single, {name: found[name]["there"] for name in SINGLE})


def joined(parts: list[Raw], order: Ints) -> Raw:
    """Folds one after the other, put into the order of the rows."""

    def each(columns: list[NDArray[Any]]) -> Any:
        return np.concatenate(columns)[order]

    single = {name: each([part.single[name] for part in parts]) for name in SINGLE}
    present = {name: each([part.there[name] for part in parts]) for name in SINGLE}
    return Raw(each([part.joint for part in parts]), single, present)


def settings() -> dict[str, Any]:
    """Everything of the recipe that decides the trees, for the names of stages."""
    return {
        "grown": GROWN._asdict(),
        "members": {name: list(member) for name, member in MEMBERS.items()},
        "houses": [HOUSES, SOON_H],
        "habits": [repr(HABITS), repr(OWN)],
        "inputs": [m.name + "." + f.name for m in modalities() for f in m.features],
        "pairs": repr(PAIRS),
        "counted": COUNTED,
        "max_age_s": MAX_AGE_S,
        "version": VERSION,
    }
