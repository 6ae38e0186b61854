"""`vigil evaluate`: an artifact on a data set, or stored scores on labels, to one document.

Not here: figures (`service.evaluate_measure`), variants (`service.evaluate_robust`), the page.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.evaluation.events import EventSpec, watch
from models.open import open_blocks
from models.spec import ModelSpec
from service.artifacts import folder_of, read_artifact
from service.backtest_labels import Labels
from service.backtest_scores import ScoreTable
from service.evaluate_alarms import USUAL, Speaking
from service.evaluate_data import Cohort
from service.evaluate_measure import Asked, Bench, measure
from service.evaluate_robust import SEED, absence, future_audit, giveaways, only, stress
from service.evaluate_score import Scored, score
from service.progress import SILENT, Watcher
from streams.errors import ConfigError

Floats = NDArray[np.float64]
REPLICATES: Final = 1000
SAMPLE: Final = 5000
UTILITY_POINT: Final = "utility"
SAME_DATA: Final = "Trained on {}: of those same patients every figure is too good."
HOUR_US: Final = 3_600_000_000


class Wanted(NamedTuple):
    """How much to do."""

    replicates: int = REPLICATES
    robustness: bool = True
    sample: int = SAMPLE  # patients whose inputs are taken away, delayed and spoilt
    beside: tuple[Artifact, ...] = ()  # compared on the same patients, as NEWS2 is
    speaking: Speaking = USUAL  # how an alarm speaks


EVERYTHING: Final = Wanted()


def open_artifact(name: str) -> Artifact:
    """An artifact by folder, or by the name of a shipped one; raises as `service.artifacts`."""
    return read_artifact(folder_of(name))


def evaluate(
    artifact: Artifact, cohort: Cohort, wanted: Wanted = EVERYTHING, watcher: Watcher = SILENT
) -> dict[str, Any]:
    """The whole document of an artifact on a cohort.

    Parameters
    ----------
    artifact : Artifact
        Checked.
    cohort : Cohort
        From `service.evaluate_data`.
    wanted : Wanted
        Replicates; whether inputs are taken away, delayed and spoilt too.
    watcher : Watcher
        Told how far it is.
    """
    blocks = open_blocks(artifact)
    spec = artifact.spec
    asked = Asked(_threshold(spec), wanted.replicates)
    watcher.stage("score", len(cohort.time_h))
    said = score(cohort, spec, blocks, _telling(watcher))
    for other in wanted.beside:
        there = score(cohort, other.spec, open_blocks(other)).prob
        cohort = cohort._replace(rules={**cohort.rules, other.ref: there})
    bench = Bench.of(cohort, wanted.speaking)
    watcher.stage("measure", 1)
    document = measure(bench, said.prob, said.std, asked)
    watcher.step(1)

    def again(other: Cohort) -> Floats:
        return score(other, spec, blocks).prob

    audit: dict[str, Any] = {"future_mutation": future_audit(cohort, again), **giveaways(cohort)}
    audit["splits"] = _splits(artifact, cohort)
    document["audit"] = audit
    document["modality_absence"] = []  # the key is always there
    if wanted.robustness:
        watcher.stage("robustness", 2)
        chosen = some_of(cohort, wanted.sample)
        small = Bench.of(only(cohort, chosen), wanted.speaking)
        known = said.prob[np.isin(cohort.patient, chosen)]
        document["modality_absence"] = absence(small, known, again, asked)
        watcher.step(1)
        document["robustness"] = stress(small, again, asked)
        document["robustness_patients"] = len(chosen)
        watcher.step(1)
    document["operational"] = _operational(said, blocks.runtime.name, len(cohort.time_h))
    return {**document, "run": _run(artifact, cohort, wanted)}


def some_of(cohort: Cohort, count: int) -> NDArray[np.int64]:
    """So many patients, the same ones every time; everybody where there are no more."""
    everyone = np.arange(len(cohort.patients))
    if len(everyone) <= count:
        return everyone
    return np.sort(np.random.default_rng(SEED).choice(everyone, count, replace=False))


def _threshold(spec: ModelSpec) -> float:
    """The operating point for the utility, else the first one; NaN if none is declared."""
    points = {point.name: point.threshold for point in spec.operating}
    return points.get(UTILITY_POINT, next(iter(points.values()), np.nan))


def evaluate_scores(
    table: ScoreTable, labels: Labels, spec: EventSpec, wanted: Wanted = EVERYTHING
) -> dict[str, Any]:
    """The document of stored scores: what `vigil replay` left, judged by labels.

    Parameters
    ----------
    table : ScoreTable
        Scores of one scorer.
    labels : Labels
        Events in MEDS' form.
    spec : EventSpec
        Horizon, silence, and what follows an event.
    wanted : Wanted
        Replicates.
    """
    cohort, prob = stored_cohort(table, labels, spec)
    asked = Asked(np.nan, wanted.replicates)
    document = measure(Bench.of(cohort, wanted.speaking), prob, table.numbers["std"], asked)
    document["audit"] = giveaways(cohort)
    run = {
        "data": cohort.name,
        "vigil": version("vigil"),
        "replicates": wanted.replicates,
        "speaking": wanted.speaking._asdict(),
    }
    return {**document, "run": run}


def stored_cohort(table: ScoreTable, labels: Labels, spec: EventSpec) -> tuple[Cohort, Floats]:
    """Rows of stored scores as a cohort without inputs, and the scores in its order.

    A row is positive when an event follows within the horizon; rows after an event are not judged
    for as long as the rule says.
    """
    lengths = np.bincount(table.patient, minlength=len(table.patients)).astype(np.int64)
    order = np.lexsort((table.end_us, table.patient))
    begin = table.end_us[order][np.cumsum(lengths) - lengths]
    time_h = (table.end_us[order] - np.repeat(begin, lengths)) / HOUR_US
    events = [(p, e) for p, name in enumerate(table.patients) for e in labels.of(name)]
    of = np.array([p for p, _ in events], np.int64)
    at_h = np.array([(e - begin[p]) / HOUR_US for p, e in events])
    watched = watch(np.repeat(np.arange(len(lengths)), lengths), time_h, of, at_h, spec)
    label, judged = np.zeros(len(order), bool), np.zeros(len(order), bool)
    judged[watched.row] = True
    label[watched.row] = watched.event >= 0
    cohort = Cohort(
        name="stored scores",
        citation="",
        patients=table.patients,
        lengths=lengths,
        time_h=time_h,
        label=label,
        judged=judged,
        event_patient=of,
        event_h=at_h,
        inputs={},
        groups={},
        rules={},
        events=spec._replace(row_h=_row_h(time_h, lengths)),
        utility=False,
    )
    return cohort, table.numbers["value"][order]


def of_scorer(table: ScoreTable, name: str | None) -> ScoreTable:
    """The scores of one scorer; the first where none is named.

    Raises
    ------
    ConfigError
        If it made no score.
    """
    if name is not None and name not in table.scorers:
        raise ConfigError(f"--scorer {name}: there are {', '.join(table.scorers)}")
    number = table.scorers.index(name) if name else 0
    rows = np.flatnonzero(table.scorer == number)
    return table._replace(
        patient=table.patient[rows],
        scorer=table.scorer[rows],
        start_us=table.start_us[rows],
        end_us=table.end_us[rows],
        known_us=table.known_us[rows],
        revision=table.revision[rows],
        numbers={key: column[rows] for key, column in table.numbers.items()},
        calibrated=table.calibrated[rows],
        models=[table.models[row] for row in rows.tolist()],
        texts={},
    )


def plain(value: Any) -> Any:
    """A document that JSON can hold: no NaN, no infinity, tuples as lists."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_document(document: dict[str, Any], path: Path) -> None:
    """Write the document as JSON."""
    text = json.dumps(plain(document), indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _row_h(time_h: Floats, lengths: NDArray[np.int64]) -> float:
    """Time one row stands for: the median distance of a patient's rows."""
    apart = np.diff(time_h)
    inside = np.ones(len(apart), bool)
    inside[np.cumsum(lengths)[:-1] - 1] = False
    return float(np.median(apart[inside])) if inside.any() else 1.0


def _telling(watcher: Watcher) -> Callable[[int, int], None]:
    """Rows done, as steps since the last time."""
    before = [0]

    def tell(done: int, whole: int) -> None:
        watcher.step(done - before[0])
        before[0] = done

    return tell


def _splits(artifact: Artifact, cohort: Cohort) -> dict[str, Any]:
    """Were these patients the training ones? Judged by what the artifact says of itself."""
    training = artifact.spec.training
    names = len(set(cohort.patients))
    source = cohort.citation.rpartition(" ")[2]  # its DOI, where it has one
    own = source.startswith("doi:") and source in training.data
    return {
        "patients_named_twice": len(cohort.patients) - names,
        "trained_on": training.data,
        "split_hash": training.split_hash,
        "same_data_set": own,
        "note": SAME_DATA.format(training.data) if own else "The artifact names other data.",
    }


def _operational(said: Scored, runtime: str, rows: int) -> dict[str, Any]:
    return {
        "runtime": runtime,
        "rows": rows,
        "scores_per_cpu_second": rows / said.seconds if said.seconds > 0 else np.nan,
        "state_bytes_per_patient": said.state_bytes,
    }


def _run(artifact: Artifact, cohort: Cohort, wanted: Wanted) -> dict[str, Any]:
    spec = artifact.spec
    return {
        "artifact": artifact.ref,
        "family": spec.family,
        "task": spec.task,
        "horizons_s": list(spec.horizons_s),
        "data": cohort.name,
        "citation": cohort.citation,
        "training": {"data": spec.training.data, "licence": spec.training.licence},
        "operating_points": {point.name: point.threshold for point in spec.operating},
        "speaking": wanted.speaking._asdict(),
        "replicates": wanted.replicates,
        "vigil": version("vigil"),
    }
