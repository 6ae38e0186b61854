"""Training the default model: folds for honest scores, then the forests, then the artifact.

Every stage leaves a file in `<out>/.stages`, named by everything it depends on; a run that was
stopped goes on where it was, and gives the same bytes. Not here: the recipe
(`service.training.cinc2019`), figures (`benchmarks/bench_cinc2019.py`).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.evaluation.splits import patient_folds
from service.datasets.cinc2019 import Stays, load
from service.progress import SILENT, Watcher
from service.training import artifact
from service.training import cinc2019 as recipe
from service.training.committee import Raw
from streams.errors import ConfigError

Ints = NDArray[np.int64]
FOLDS: Final = artifact.FOLDS
DATASETS: Final = ("cinc2019",)


T = TypeVar("T")


class Once(Generic[T]):
    """Something that takes long, made when first asked for and then kept."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []

    def __call__(self) -> T:
        """The thing."""
        if not self._made:
            self._made.append(self._make())
        return self._made[0]


class Job(NamedTuple):
    """What to train, on what, where to."""

    data: Path
    out: Path
    folds: int = FOLDS
    seed: int = 0
    kind: artifact.Kind = "default"  # the stages are the same


class Stages:
    """Files of finished stages; a stage is run only where its file is absent."""

    def __init__(self, folder: Path, watcher: Watcher) -> None:
        self.folder = folder
        self.watcher = watcher
        folder.mkdir(parents=True, exist_ok=True)

    def bytes_of(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Content of a stage's file, made now or before."""
        path = self.folder / name
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.write_bytes(make())
            partial.replace(path)
        self.watcher.step(1)
        return path.read_bytes()

    def arrays_of(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Arrays of a stage's file."""

        def packed() -> bytes:
            sink = io.BytesIO()
            np.savez(sink, **make())
            return sink.getvalue()

        with np.load(io.BytesIO(self.bytes_of(name, packed)), allow_pickle=False) as found:
            return {key: found[key] for key in found.files}


def train(job: Job, watcher: Watcher = SILENT) -> Path:
    """Train and write the artifact's files into `job.out`.

    Parameters
    ----------
    job : Job
        What to do; the same job gives the same bytes.
    watcher : Watcher
        Told of every stage.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ConfigError
        If the data is not there, or the extra `boost` is not installed.
    """
    _require_lightgbm()
    stays = load(job.data)
    stages = Stages(job.out / ".stages" / key(job, stays), watcher)
    watcher.stage("train", job.folds * len(recipe.MEMBERS) + len(recipe.MEMBERS))
    fold = folds_of(stays, job)
    raw = held_out(stages, stays, fold, job)
    everyone = np.ones(len(stays.lengths), bool)
    rows = Once(partial(recipe.prepare, stays, everyone, recipe.HOUSES))
    forests = {}
    for member in recipe.MEMBERS:
        make = partial(_grown, rows, stays, member, job.seed)
        forests[member] = stages.bytes_of(f"{member}.txt", make)
    held = recipe.Development(raw, fold)
    files = artifact.assemble(stays, forests, held, job.seed, job.kind)
    job.out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (job.out / name).write_bytes(content)
    return job.out


def held_out(stages: Stages, stays: Stays, fold: Ints, job: Job) -> Raw:
    """Raw logits of every hour from forests that its patient did not train."""
    parts: list[tuple[Ints, Raw]] = []
    for k in range(job.folds):
        rows = Once(partial(recipe.prepare, stays, fold != k, recipe.HOUSES))
        at = np.flatnonzero(np.repeat(fold == k, stays.lengths))
        found = {}
        for member in recipe.MEMBERS:
            make = partial(_scored, rows, stays, member, at, job.seed)
            found[member] = stages.arrays_of(f"fold{k}-{member}.npz", make)
        parts.append((at, recipe.raw_of(found)))
    order = np.argsort(np.concatenate([at for at, _ in parts]))
    return recipe.joined([raw for _, raw in parts], order)


def folds_of(stays: Stays, job: Job) -> Ints:
    """Fold of every stay: as many septic stays and as many of each unit in every one."""
    return patient_folds(stays.septic + 2 * stays.unit, job.folds, job.seed)


def key(job: Job, stays: Stays) -> str:
    """What stages depend on, as a name: data, recipe, seed, folds."""
    digest = hashlib.sha256(json.dumps(recipe.settings(), sort_keys=True).encode())
    digest.update(f"{job.folds} {job.seed}".encode())
    for array in (stays.lengths, stays.label, stays.unit, *stays.value.values()):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _grown(rows: Once[recipe.Rows], stays: Stays, member: str, seed: int) -> bytes:
    return recipe.grow(rows(), stays, member, seed)


def _scored(
    rows: Once[recipe.Rows], stays: Stays, member: str, at: Ints, seed: int
) -> dict[str, Any]:
    """Held-out logits of one member, and whether its modality was there."""
    booster = recipe.load(recipe.grow(rows(), stays, member, seed))
    own = rows().own[at]
    return {
        "logit": recipe.raw(booster, own, rows().names, member),
        "there": recipe.there(own, rows().names, member),
    }


def _require_lightgbm() -> None:
    """Refuse before any work when trees cannot be grown."""
    try:
        import lightgbm  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "training grows trees with LightGBM: pip install 'vigil[boost]'"
        ) from error
