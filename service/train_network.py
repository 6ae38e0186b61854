"""Training any registered network on CinC 2019: cut and resumed at will, the same bytes every time.

Ten folds of patients: seven train, one says when to stop, one calibrates and sets the threshold,
one is only judged. After every epoch a checkpoint lies in `<out>/.stages`. Not here: the default
model, whose forests need no network (`service.train`).
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.calibration.conformal import fit_halfwidth
from models.calibration.module import fit_calibration
from models.evaluation.ranking import auprc, auroc
from models.evaluation.splits import patient_folds, split_hash
from models.evaluation.utility import RowUtility, normalised, patient_utility
from models.fusion_model import FusionModel
from models.late.fused import sigmoid
from models.registry import family
from models.spec import ModelSpec, OperatingPoint, Provenance
from models.training.finish import calibrated, logits_of, started
from models.training.flat import FlatHistories
from models.training.loop import Trainer
from models.training.losses import utility_target
from models.training.ragged import carried
from models.training.recipe import Recipe
from models.weights import files_of
from service.artifacts import write_artifact
from service.datasets.cinc2019 import CITATION, LICENCE, Stays, load
from service.progress import SILENT, Watcher
from service.training import cinc2019 as sepsis
from service.training.operating import cautious_threshold
from streams.errors import ConfigError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FOLDS: Final = 10
STOP, CALIBRATE, JUDGE = 0, 1, 2  # folds; the others train
RECORD: Final = "run.json"
_DIGITS: Final = 4
_INTERVAL: Final = 0.9


class NetworkJob(NamedTuple):
    """What to train, on what, where to."""

    data: Path
    out: Path
    model: str  # a registered family
    settings: Path | None = None  # TOML: [model] is the family's configuration, [training] a Recipe
    seed: int = 0
    device: str = "cpu"


class Parted(NamedTuple):
    """Stays as flat rows, and who does what."""

    stays: Stays
    flat: FlatHistories
    fold: Ints  # [P]

    def of(self, *folds: int) -> FlatHistories:
        """The histories of some folds."""
        return self.flat._replace(rows=np.flatnonzero(np.isin(self.fold, folds)))

    def hours(self, *folds: int) -> Ints:
        """Their rows."""
        return np.flatnonzero(np.repeat(np.isin(self.fold, folds), self.stays.lengths))


def train_network(job: NetworkJob, watcher: Watcher = SILENT) -> Path:
    """Train, and write the artifact and `run.json` into `job.out`.

    Parameters
    ----------
    job : NetworkJob
        The same job gives the same bytes, resumed or not.
    watcher : Watcher
        Told of every step.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ConfigError
        If data or settings are not there, or say something that cannot be.
    """
    config, recipe = settings_of(job)
    parted = part(load(job.data), job.seed)
    spec = spec_of(job.model, config)
    checkpoint = job.out / ".stages" / f"{_key(job, config, recipe)}.safetensors"
    trainer = _trainer(job, spec, parted, recipe)
    _run(trainer, checkpoint, recipe, watcher)
    model, points, figures = _finished(trainer, parted, job.device)
    told = msgspec.structs.replace(
        model.spec,
        operating=points,
        training=Provenance(
            data=CITATION,
            licence=LICENCE,
            command=f"vigil train cinc2019 --model {job.model}",
            split_hash=split_hash(parted.stays.ids, parted.fold),
            seed=job.seed,
            metrics=figures,
            notes="trained on 7 of 10 folds; metrics are of patients that were only judged",
        ),
    )
    write_artifact(job.out, files_of(model, told, _graph(model)))
    record = {
        "model": job.model,
        "config": config,
        "training": msgspec.to_builtins(recipe),
        "device": job.device,
        "epochs": [epoch._asdict() for epoch in trainer.history],
        "metrics": figures,
    }
    (job.out / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    return job.out


def settings_of(job: NetworkJob) -> tuple[dict[str, Any], Recipe]:
    """Configuration of the family, and recipe; what the TOML leaves out is as usual.

    Raises
    ------
    ConfigError
        If the file cannot be read, or has tables or keys that mean nothing.
    """
    found: dict[str, Any] = {}
    if job.settings is not None:
        try:
            found = tomllib.loads(job.settings.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{job.settings}: {error}") from error
    unknown = sorted(set(found) - {"model", "training"})
    if unknown:
        raise ConfigError(f"{job.settings}: no table [{unknown[0]}]; valid: [model], [training]")
    try:
        recipe = msgspec.convert({**found.get("training", {}), "seed": job.seed}, Recipe)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(f"{job.settings}: [training] {error}") from error
    return found.get("model", {}), recipe


def part(stays: Stays, seed: int) -> Parted:
    """Labels by what an alarm is worth, and folds as septic and of the same units each."""
    worth = sepsis.worth(stays)
    label, weight = utility_target(worth.alarm - worth.quiet)
    flat = FlatHistories(
        carried(stays.value, stays.lengths),
        label[:, None].astype(np.float32),
        weight[:, None].astype(np.float32),
        np.arange(len(stays.lengths)),
    )
    return Parted(stays, flat, patient_folds(stays.septic + 2 * stays.unit, FOLDS, seed))


def spec_of(model: str, config: dict[str, Any]) -> ModelSpec:
    """Spec of a family on the inputs of the default model.

    Raises
    ------
    ConfigError
        If there is no such family, or its configuration cannot be.
    """
    spec = ModelSpec(
        name=model.replace(".", "-"),
        version="1",
        family=model,
        task="sepsis",
        horizons_s=(sepsis.HORIZON_S,),
        cadence_s=3600.0,
        warmup_s=2 * 3600.0,
        modalities=sepsis.modalities(),
        config=config,
    )
    try:
        family(model).build(spec)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise ConfigError(f"model {model!r}: {error}") from error
    return spec


def _trainer(job: NetworkJob, spec: ModelSpec, parted: Parted, recipe: Recipe) -> Trainer:
    """The loop, judged on its own fold by average precision."""
    training = tuple(k for k in range(FOLDS) if k not in (STOP, CALIBRATE, JUDGE))
    at = parted.hours(*training)
    values = {name: x[at].astype(np.float64) for name, x in parted.stays.value.items()}
    trainer = started(spec, parted.of(*training), values, recipe, job.device)
    label = parted.stays.label[parted.hours(STOP)]

    def judge(model: FusionModel) -> float:
        return auprc(label, logits_of(model, parted.of(STOP), job.device)[:, 0])

    trainer.judge = judge
    return trainer


def _run(trainer: Trainer, checkpoint: Path, recipe: Recipe, watcher: Watcher) -> None:
    """Epochs from the last checkpoint to the end."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        trainer.resume(checkpoint.read_bytes())
    while not trainer.finished:
        watcher.stage(f"epoch {trainer.epoch + 1} of {recipe.epochs}", trainer.steps)
        trainer.run_epoch(lambda _done, _of: watcher.step(1))
        partial = checkpoint.with_suffix(".partial")
        partial.write_bytes(trainer.checkpoint())
        partial.replace(checkpoint)
    trainer.finish()


def _finished(
    trainer: Trainer, parted: Parted, device: str
) -> tuple[FusionModel, tuple[OperatingPoint, ...], dict[str, tuple[float, ...]]]:
    """The calibrated model, its operating point, and figures of patients only judged."""
    stays, worth = parted.stays, sepsis.worth(parted.stays)
    at, held = parted.hours(CALIBRATE), parted.hours(JUDGE)
    raw = logits_of(trainer.model, parted.of(CALIBRATE), device)
    label = stays.label[at].astype(np.float64)[:, None]
    kind = "platt" if trainer.model.spec.family == "ensemble" else "isotonic"
    calibration = fit_calibration(kind, raw, label)
    model = calibrated(trainer.model, calibration)
    logit = logits_of(model, parted.of(CALIBRATE))[:, 0]
    width = fit_halfwidth(logit, label[:, 0], _INTERVAL)
    threshold = min(cautious_threshold(np.round(sigmoid(logit), _DIGITS), _rows(worth, at)), 1.0)
    model = calibrated(
        trainer.model,
        msgspec.structs.replace(
            calibration, halfwidth_logit=round(width, _DIGITS), coverage=_INTERVAL
        ),
    )
    score = logits_of(model, parted.of(JUDGE))[:, 0]
    alarm = np.round(sigmoid(score), _DIGITS) >= threshold
    lengths = stays.lengths[parted.of(JUDGE).rows]
    utility = normalised(patient_utility(alarm, _rows(worth, held), lengths))
    found = {
        "auroc": auroc(stays.label[held], score),
        "auprc": auprc(stays.label[held], score),
        "utility": utility,
    }
    rounded = {name: round(float(x), _DIGITS) for name, x in found.items()}
    point = OperatingPoint("utility", model.spec.horizons_s[0], threshold, rounded)
    return model, (point,), {name: (x,) for name, x in rounded.items()}


def _rows(worth: RowUtility, at: Ints) -> RowUtility:
    return RowUtility(worth.alarm[at], worth.quiet[at], worth.wanted[at])


def _graph(model: FusionModel) -> bytes:
    """The network as an ONNX graph; empty without the extra `export`."""
    if find_spec("onnx") is None:
        return b""
    from models.export import to_onnx

    return to_onnx(model)


def _key(job: NetworkJob, config: dict[str, Any], recipe: Recipe) -> str:
    """What a checkpoint depends on, as a name."""
    told = [str(job.data.resolve()), job.model, config, msgspec.to_builtins(recipe), job.device]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
