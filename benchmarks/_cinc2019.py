"""Held-out scores on CinC 2019 set A for the benchmark: which stays train, what is grown, kept.

The folds are those of `vigil train`: every hour is scored by forests its stay did not train. A fold
is judged by calibration and thresholds of other folds. Nested: of the next fold, scored by forests
that neither trained, so that nothing that judges has seen a judged label. Pooled, as `vigil train`
tunes: of the four others, whose forests did see it. Places have stays that train, stays of the same
place that tune, and stays of another that are only scored.
Forests take minutes, so each leaves a file and a run that was stopped goes on.
"""

from __future__ import annotations

import os
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks._common import ROOT
from models.families import boosted
from models.training.ragged import carried, vectors
from service.datasets.cinc2019 import MODALITIES, UNITS, Stays, load
from service.progress import SILENT
from service.train import Job, Once, Stages, folds_of, held_out, key
from service.training import boost
from service.training import cinc2019 as recipe
from service.training.committee import Raw

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Bools = NDArray[np.bool_]
INNER: Final = 4  # one of so many stays of a place tunes
CUFF: Final = ("sbp", "map", "dbp")
PEERS: Final = ("same", "recipe")  # of the folds


class Split(NamedTuple):
    """Who trains, who tunes, who is only scored, [P] each."""

    name: str
    train: Bools
    tune: Bools
    test: Bools


class Scores(NamedTuple):
    """Raw logits of a split's tuning and test stays; NaN in the rows of who trained."""

    split: Split
    raw: Raw
    peer: dict[str, Floats]  # LightGBM alone, same inputs; with the inputs of models.md §7
    worn: Floats | None = None  # vitals' logits without blood pressure, where they were made


def stays_of_a() -> tuple[Stays, Job, Stages]:
    """Set A, the training run, and where its finished stages and the benchmark's are kept."""
    source = Path(os.environ.get("VIGIL_DATA", ROOT.parent / "shared" / "data"))
    job = Job(source / "cinc2019_setA.tar.xz", ROOT / ".vigil" / "cache" / "cinc2019")
    stays = load(job.data)
    return stays, job, Stages(job.out / ".stages" / key(job, stays), SILENT)


def folds(
    stays: Stays, job: Job, stages: Stages, peers: tuple[str, ...] = ("same",)
) -> list[Scores]:
    """Scores of all folds, and per fold whose they tune and test."""
    fold = folds_of(stays, job)
    raw = held_out(stages, stays, fold, job)
    peer = {name: np.full(len(stays.label), np.nan) for name in peers}
    for name, k in product(peers, range(job.folds)):
        rows = np.repeat(fold == k, stays.lengths)
        make = partial(_peer, stays, fold != k, rows, name)
        peer[name][rows] = stages.arrays_of(f"peer-{name}{k}.npz", make)["logit"]
    splits = [Split(f"fold{k}", fold != k, fold != k, fold == k) for k in range(job.folds)]
    return [Scores(split, raw, peer) for split in splits]


def nested(stays: Stays, job: Job, stages: Stages, count: int) -> list[Scores]:
    """As the first `folds`, but one is tuned by the next, scored by forests that saw neither."""
    fold = folds_of(stays, job)
    rows = np.repeat(fold, stays.lengths)
    everyone = np.ones(len(fold), bool)
    laid = Once(partial(recipe.prepare, stays, everyone, recipe.HOUSES))  # no label is in it
    out = []
    for k, scores in enumerate(folds(stays, job, stages)[:count]):
        after = (k + 1) % job.folds
        make = partial(_tuning, stays, laid, fold, (k, after))
        found = stages.arrays_of(f"tune{k}.npz", make)
        table = _parts(scores.raw, scores.peer["same"])
        for name, column in table.items():
            column[rows == after] = found[name]
        raw, peer = _whole(table)
        out.append(Scores(scores.split._replace(tune=fold == after), raw, {"same": peer}))
    return out


def _tuning(
    stays: Stays, laid: Once[recipe.Rows], fold: NDArray[np.int64], out: tuple[int, int]
) -> dict[str, Any]:
    """Scores of the second of two folds by forests of the other three."""
    made = laid()._replace(train=~np.isin(fold, out))
    rows = np.repeat(fold == out[1], stays.lengths)
    found = _members(stays, made, rows)
    joint = np.mean([found[name] for name in recipe.JOINT], axis=0)
    raw = Raw(
        joint,
        {name: found[name] for name in recipe.SINGLE},
        {name: found[f"there-{name}"] for name in recipe.SINGLE},
    )
    return _parts(raw, _same_peer(stays, made._replace(others=[]), rows))


def _parts(raw: Raw, peer: Floats) -> dict[str, NDArray[Any]]:
    """Copies of all columns by name."""
    table: dict[str, NDArray[Any]] = {"joint": raw.joint.copy(), "peer": peer.copy()}
    for name in recipe.SINGLE:
        table[name], table[f"there-{name}"] = raw.single[name].copy(), raw.there[name].copy()
    return table


def _whole(table: dict[str, NDArray[Any]]) -> tuple[Raw, Floats]:
    single = {name: table[name] for name in recipe.SINGLE}
    there = {name: table[f"there-{name}"] for name in recipe.SINGLE}
    return Raw(table["joint"], single, there), table["peer"]


def sites(stays: Stays) -> list[Split]:
    """Other places, rehearsed: a type of unit that trained nothing and tuned nothing."""
    return [
        _apart(f"without {UNITS[k]}", stays.unit != k, stays.unit == k, k)
        for k in np.argsort(np.bincount(stays.unit)).tolist()
    ]


def two(stays: Stays, job: Job, stages: Stages) -> list[Scores]:
    """Two folds of patients by forests of the other three; each is tuned by the other."""
    fold = folds_of(stays, job)
    found = scored(stays, stages, Split("two folds", fold > 1, fold == 1, fold == 0))
    turned = found.split._replace(tune=found.split.test, test=found.split.tune)
    return [found, found._replace(split=turned)]


def _apart(name: str, inside: Bools, outside: Bools, seed: int) -> Split:
    draw = np.random.default_rng(seed).random(len(inside)) < 1 / INNER
    return Split(name, inside & ~draw, inside & draw, outside)


def scored(stays: Stays, stages: Stages, split: Split) -> Scores:
    """Scores of a split, made now or before."""
    rows = np.repeat(split.tune | split.test, stays.lengths)
    found = stages.arrays_of(f"{split.name}.npz", partial(_made, stays, split, rows))

    def whole(name: str) -> NDArray[Any]:
        empty: NDArray[Any] = np.full(len(rows), np.nan if found[name].dtype != bool else False)
        empty[rows] = found[name]
        return empty.astype(found[name].dtype)

    single = {name: whole(name) for name in recipe.SINGLE}
    there = {name: whole(f"there-{name}") for name in recipe.SINGLE}
    joint = np.mean([whole(name) for name in recipe.JOINT], axis=0)
    peer = {"same": whole("peer-same")}
    return Scores(split, Raw(joint, single, there), peer, whole("worn"))


def _made(stays: Stays, split: Split, rows: Bools) -> dict[str, Any]:
    laid = recipe.prepare(stays, split.train, recipe.HOUSES)
    out = _members(stays, laid, rows)
    booster = recipe.load(recipe.grow(laid, stays, "vitals", 0))
    cuffless = recipe.prepare(_cuffless(stays), split.train, ())
    out["worn"] = recipe.raw(booster, cuffless.own[rows], laid.names, "vitals")
    return out | {"peer-same": _same_peer(stays, laid._replace(others=[]), rows)}


def _members(stays: Stays, laid: recipe.Rows, rows: Bools) -> dict[str, Any]:
    """Raw logits of every member, and whether the modality of single ones was there."""
    own = laid.own[rows]
    out: dict[str, Any] = {}
    for member in recipe.MEMBERS:
        booster = recipe.load(recipe.grow(laid, stays, member, 0))
        out[member] = recipe.raw(booster, own, laid.names, member)
        if member in recipe.SINGLE:
            out[f"there-{member}"] = recipe.there(own, laid.names, member)
    return out


def _cuffless(stays: Stays) -> Stays:
    """What a wristband and a thermometer measure: no blood pressure."""
    vitals = stays.value["vitals"].copy()
    names = list(MODALITIES["vitals"].values())
    vitals[:, [names.index(name) for name in CUFF]] = np.nan
    return stays._replace(value={**stays.value, "vitals": vitals})


def _peer(stays: Stays, train: Bools, rows: Bools, name: str) -> dict[str, Any]:
    """LightGBM alone: on the default's inputs as charted, or on those of the recipe."""
    if name == "recipe":
        return {"logit": _recipe_peer(stays, train, rows)}
    return {"logit": _same_peer(stays, recipe.prepare(stays, train, ()), rows)}


def _same_peer(stays: Stays, plain: recipe.Rows, rows: Bools) -> Floats:
    booster = recipe.load(recipe.grow(plain, stays, "joint", 0, boost.PEER))
    return recipe.raw(booster, plain.own[rows], plain.names, "joint")


def _recipe_peer(stays: Stays, train: Bools, rows: Bools) -> Floats:
    """LightGBM on the inputs of models.md §7, those bound to the place among them."""
    spec = recipe.spec_of(
        boosted.BoostedConfig(pairs=recipe.PAIRS, counts=("vitals", "labs"), knots=2)
    )
    model = boosted.build(msgspec.structs.replace(spec, modalities=_never_too_old(spec)))
    hours = np.repeat(train, stays.lengths)
    model.fit_inputs({k: x[hours].astype(np.float64) for k, x in stays.value.items()})
    found = vectors(model, carried(stays.value, stays.lengths))
    unit = np.repeat(stays.unit, stays.lengths)
    bound = np.stack([unit == 1, unit == 2, stays.hour], axis=1).astype(np.float32)
    bound[unit == 0, :2] = np.nan
    vector: Floats32 = np.concatenate([*(found[name] for name in MODALITIES), bound], axis=1)
    worth = recipe.worth(stays)
    septic = np.repeat(stays.septic, stays.lengths)
    picked, weight = boost.chosen(septic, boost.PEER.keep, np.random.default_rng(0))
    inside = hours[picked]
    picked, weight = picked[inside], weight[inside]
    target, weight = boost.of_worth((worth.alarm - worth.quiet)[picked], weight)
    booster = boost.grow(vector[picked], target, weight, boost.PEER, 0)
    return boost.raw(booster, vector[rows])


def _never_too_old(spec: Any) -> tuple[Any, ...]:
    return tuple(msgspec.structs.replace(m, max_age_s=1e9) for m in spec.modalities)
