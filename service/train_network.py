"""Training any registered network on a data set: stopped and resumed at will, the same bytes.

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
from models.families.late import LateModel
from models.fusion_model import FusionModel
from models.late.fused import sigmoid
from models.registry import family
from models.spec import ModelSpec, OperatingPoint, Provenance
from models.training.finish import calibrated, logits_of, rebuilt, started, told_of
from models.training.flat import FlatHistories
from models.training.loop import Trainer
from models.training.ragged import carried
from models.training.recipe import Recipe
from models.weights import files_of
from service.artifacts import write_artifact
from service.progress import SILENT, Watcher
from service.training.late_rule import as_config, fitted_rule, to_fit, usual_config
from service.training.operating import balanced_threshold, cautious_threshold
from service.training.tasks import TASKS, Task
from streams.errors import ConfigError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
BALANCED: Final = "balanced"  # name of an operating point
FOLDS: Final = 10
STOP, CALIBRATE, JUDGE = 0, 1, 2  # folds; the others train
RECORD: Final = "run.json"
_DIGITS: Final = 4
_INTERVAL: Final = 0.9
_FEW: Final = 200  # patients: a tenth of them is too few for a free curve
LONGEST: Final = 1000  # rows of a history that trains in one piece: a scan goes step by step


class NetworkJob(NamedTuple):
    """What to train, on what, where to."""

    data: Path
    out: Path
    model: str  # a registered family
    settings: Path | None = None  # TOML: [model] is the family's configuration, [training] a Recipe
    seed: int = 0
    device: str = "cpu"
    dataset: str = "cinc2019"


class Parted(NamedTuple):
    """A task as flat rows, and who does what."""

    task: Task
    flat: FlatHistories
    fold: Ints  # [P] of patients
    owner: Ints  # [pieces] patient of each history of `flat`

    def of(self, *folds: int) -> FlatHistories:
        """The histories of some folds."""
        return self.flat._replace(rows=np.flatnonzero(np.isin(self.fold[self.owner], folds)))

    def hours(self, *folds: int) -> Ints:
        """Their rows."""
        return np.flatnonzero(np.repeat(np.isin(self.fold, folds), self.task.lengths))

    def judged(self, model: FusionModel, fold: int, device: str = "cpu") -> tuple[Floats, Ints]:
        """Logits [n, 1] of the judged rows of a fold, and which rows these are."""
        rows = self.hours(fold)
        asked = self.task.judged[rows]
        return logits_of(model, self.of(fold), device)[asked], rows[asked]


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
    task = task_of(job)
    parted = part(task, job.seed)
    spec = spec_of(job.model, usual_config(job.model, config), task)
    checkpoint = job.out / ".stages" / f"{_key(job, config, recipe)}.safetensors"
    trainer = _trainer(job, spec, parted, recipe)
    _run(trainer, checkpoint, recipe, watcher)
    to_be = to_fit(job.model, config)
    trained = _ruled(trainer.model, parted, job.device) if to_be else trainer.model
    model, points, figures = _finished(trained, parted, job.device)
    told = msgspec.structs.replace(
        model.spec,
        operating=points,
        training=Provenance(
            data=task.citation,
            licence=task.asked.licence,
            command=f"vigil train {job.dataset} --model {job.model}",
            split_hash=split_hash(task.ids, parted.fold),
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


def task_of(job: NetworkJob) -> Task:
    """Rows and labels of the job's data set.

    Raises
    ------
    ConfigError
        If the data set is not known, not there, or of fewer patients than there are folds.
    """
    if job.dataset not in TASKS:
        raise ConfigError(f"no data set {job.dataset!r}; valid: {', '.join(TASKS)}")
    task = TASKS[job.dataset](job.data)
    if len(task.ids) < FOLDS:
        raise ConfigError(f"{job.data}: {len(task.ids)} patients; {FOLDS} folds need as many")
    return task


def part(task: Task, seed: int) -> Parted:
    """Flat rows, and folds of whole patients that are alike.

    A history of more than `LONGEST` rows comes in pieces: what was measured before is known in
    each, what a network remembers begins anew, as after a monitor's first row.
    """
    pieces = -(-task.lengths // LONGEST)
    owner = np.repeat(np.arange(len(task.lengths)), pieces)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    lengths = np.minimum(task.lengths[owner] - number * LONGEST, LONGEST)
    flat = FlatHistories(
        carried(task.value, task.lengths, task.time_s)._replace(lengths=lengths),
        task.target[:, None].astype(np.float32),
        task.weight[:, None].astype(np.float32),
        np.arange(len(owner)),
    )
    return Parted(task, flat, patient_folds(task.strata, FOLDS, seed), owner)


def spec_of(model: str, config: dict[str, Any], task: Task) -> ModelSpec:
    """Spec of a family on the inputs of a task.

    Raises
    ------
    ConfigError
        If there is no such family, or its configuration cannot be.
    """
    asked = task.asked
    spec = ModelSpec(
        name=model.replace(".", "-"),
        version="1",
        family=model,
        task=asked.task,
        horizons_s=(asked.horizon_s,),
        cadence_s=asked.cadence_s,
        warmup_s=2 * asked.cadence_s,
        modalities=task.modalities,
        config=config,
    )
    try:
        family(model).build(spec)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise ConfigError(f"model {model!r}: {error}; see [model] of --settings") from error
    return spec


def _trainer(job: NetworkJob, spec: ModelSpec, parted: Parted, recipe: Recipe) -> Trainer:
    """The loop, judged on its own fold by average precision."""
    training = tuple(k for k in range(FOLDS) if k not in (STOP, CALIBRATE, JUDGE))
    at = parted.hours(*training)
    values = {name: x[at].astype(np.float64) for name, x in parted.task.value.items()}
    trainer = started(spec, parted.of(*training), values, recipe, job.device)

    def judge(model: FusionModel) -> float:
        logit, rows = parted.judged(model, STOP, job.device)
        return auprc(parted.task.label[rows], logit[:, 0])

    trainer.judge = judge
    return trainer


def _run(trainer: Trainer, checkpoint: Path, recipe: Recipe, watcher: Watcher) -> None:
    """Epochs from the last checkpoint to the end."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        try:
            trainer.resume(checkpoint.read_bytes())
        except ValueError as error:
            raise ConfigError(f"{checkpoint}: {error}; remove it to begin anew") from error
    while not trainer.finished:
        watcher.stage(f"epoch {trainer.epoch + 1} of {recipe.epochs}", trainer.steps)
        trainer.run_epoch(lambda _done, _of: watcher.step(1))
        partial = checkpoint.with_suffix(".partial")
        partial.write_bytes(trainer.checkpoint())
        partial.replace(checkpoint)
    trainer.finish()


def _ruled(model: FusionModel, parted: Parted, device: str) -> FusionModel:
    """The same members under a rule fitted on patients none of them learned from."""
    assert isinstance(model, LateModel)
    rows = parted.hours(STOP)
    asked = parted.task.judged[rows]
    said = told_of(parted.of(STOP), model.said, device)[asked][:, :, 0]
    at = rows[asked]
    rule = fitted_rule(model.spec.family, said, parted.task.label[at], parted.task.row_patient[at])
    config = {**model.spec.config, "rule": as_config(rule)}
    return rebuilt(model, msgspec.structs.replace(model.spec, config=config))


def _finished(
    trained: FusionModel, parted: Parted, device: str
) -> tuple[FusionModel, tuple[OperatingPoint, ...], dict[str, tuple[float, ...]]]:
    """The calibrated model, its operating point, and figures of patients only judged."""
    task = parted.task
    raw, at = parted.judged(trained, CALIBRATE, device)
    label = task.label[at]
    smooth = trained.spec.family == "ensemble" or len(task.ids) < _FEW
    kind = "platt" if smooth else "isotonic"
    calibration = fit_calibration(kind, raw, label[:, None].astype(np.float64))
    model = calibrated(trained, calibration)
    logit = parted.judged(model, CALIBRATE)[0][:, 0]
    width = fit_halfwidth(logit, label.astype(np.float64), _INTERVAL)
    name, threshold = _threshold(task, label, np.round(sigmoid(logit), _DIGITS), at)
    model = calibrated(
        trained,
        msgspec.structs.replace(
            calibration, halfwidth_logit=round(width, _DIGITS), coverage=_INTERVAL
        ),
    )
    found = _figures(model, parted, threshold)
    point = OperatingPoint(name, model.spec.horizons_s[0], threshold, found)
    return model, (point,), {name: (x,) for name, x in found.items()}


def _threshold(task: Task, label: Bools, score: Floats, at: Ints) -> tuple[str, float]:
    """An operating point: by utility where it is defined, else as sensitive as precise."""
    if task.worth is None:
        return BALANCED, balanced_threshold(score, label)
    return "utility", min(cautious_threshold(score, _rows(task.worth, at)), 1.0)


def _figures(model: FusionModel, parted: Parted, threshold: float) -> dict[str, float]:
    """Of patients who were only judged."""
    task = parted.task
    logit, held = parted.judged(model, JUDGE)
    score, label = logit[:, 0], task.label[held]
    alarm = np.round(sigmoid(score), _DIGITS) >= threshold
    found = {"auroc": auroc(label, score), "auprc": auprc(label, score)}
    if task.worth is not None:
        lengths = np.bincount(task.row_patient[held], minlength=len(task.lengths))
        own = lengths[lengths > 0]
        found["utility"] = normalised(patient_utility(alarm, _rows(task.worth, held), own))
    else:
        hits = float((alarm & label).sum())
        found["sensitivity"] = hits / max(float(label.sum()), 1.0)
        found["ppv"] = hits / max(float(alarm.sum()), 1.0)
    return {name: round(float(x), _DIGITS) for name, x in found.items()}


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
    told = [
        job.dataset,
        str(job.data.resolve()),
        job.model,
        config,
        msgspec.to_builtins(recipe),
        job.device,
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
