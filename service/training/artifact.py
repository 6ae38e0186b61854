"""From forests and held-out scores to the artifact's files: calibration, thresholds, provenance."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.calibration.knots import Line
from models.doubt import DISAGREE_ABOVE, disagreement_limit
from models.evaluation.events import alarms, threshold_at
from models.evaluation.ranking import auprc, auroc
from models.evaluation.splits import split_hash
from models.evaluation.utility import normalised, patient_utility
from models.families.boosted import BoostedModel, Forest, Grown
from models.spec import CalibrationSpec, ModelSpec, OperatingPoint, Provenance
from models.weights import files_of
from service.datasets.cinc2019 import CITATION, LICENCE, Stays
from service.training import boost, chart, steady
from service.training import cinc2019 as recipe
from service.training.committee import SHARES, Lines, alone, calibrate, logits, sigmoid
from service.training.operating import (
    MISS,
    cautious_threshold,
    conformal,
    halfwidth,
    watched_of,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kind = Literal["default", "steady"]
COMMAND: Final = "vigil train cinc2019"
VERSIONS: Final[dict[Kind, str]] = {"default": recipe.VERSION, "steady": steady.VERSION}
FOLDS: Final = 5  # unless another number is asked for
SELDOM: Final = 0.99  # of development hours in which modalities do not contradict
PER_DAY: Final = 0.2  # alarms per patient-day of the second operating point
ROOM: Final = 2 * recipe.GROWN.num_leaves - 1  # nodes of a full tree
NEVER: Final = 1.0  # a probability no score reaches
ROUNDED: Final = 4  # digits of figures in the spec


class Judged(NamedTuple):
    """Held-out scores of every hour, calibrated."""

    lines: Lines
    logit: Floats  # [N]
    prob: Floats  # [N] rounded as scores are
    disagree_above: float  # bits that the modalities' own words are seldom apart by


def assemble(
    stays: Stays,
    forests: dict[str, bytes],
    held: recipe.Development,
    seed: int,
    kind: Kind = "default",
) -> dict[str, bytes]:
    """Files of the artifact by name.

    Parameters
    ----------
    stays : Stays
        What it was trained on.
    forests : dict of bytes
        LightGBM's text by member.
    held : Development
        Held-out raw logits, and folds.
    seed : int
        For the record.
    kind : str
        "steady" takes away what time alone says, see `service.training.steady`.
    """
    told_of = stays
    clock: dict[str, Line] = {}
    if kind == "steady":
        told_of, held, clock = steady.taken(stays, held, chart.points_of(stays, _plain(stays)))
    judged = judge(told_of, held)
    model = network(stays, forests, judged.lines, clock)
    named = msgspec.structs.replace(model.spec, name=kind, version=VERSIONS[kind])
    spec = told(named, told_of, held.fold, judged, seed)
    return files_of(model, spec, graph(model))


def graph(model: BoostedModel) -> bytes:
    """The network as an ONNX graph; empty without the extra `export`, and then torch scores."""
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        return b""
    from models.export import to_onnx

    return to_onnx(model.eval())


def judge(stays: Stays, held: recipe.Development) -> Judged:
    """Calibration fitted on held-out scores, and these scores calibrated."""
    lines = calibrate(stays.label, held.raw, recipe.KNOTS)
    logit = logits(held.raw, lines)
    limit = disagreement_limit(alone(held.raw, lines), SELDOM)
    return Judged(lines, logit, np.round(sigmoid(logit), ROUNDED), round(limit, ROUNDED))


def network(
    stays: Stays, forests: dict[str, bytes], lines: Lines, clock: dict[str, Line]
) -> BoostedModel:
    """The network with trees, normalisation, calibration and perhaps a clock in it."""
    names, plain = recipe.column_names(), _plain(stays)
    laid, sizes = {}, {}
    for part in ("joint", *recipe.SINGLE):
        members = recipe.JOINT if part == "joint" else (part,)
        grown = [
            boost.arrays(boost.load(forests[m]), recipe.columns(names, m), len(names), ROOM)
            for m in members
        ]
        laid[part] = boost.averaged([arrays for arrays, _ in grown])
        depth = max(depth for _, depth in grown)
        if clock and part in steady.CHARTED:
            laid[part], depth = steady.with_chart(laid[part], plain), max(depth, chart.DEPTH)
        trees, nodes = laid[part]["column"].shape
        sizes[part] = Forest(trees, nodes, depth)
    blank = recipe.blank(sizes, steady.KNOTS if clock else 0)
    model = recipe.fitted(blank, stays, np.ones(len(stays.lengths), bool))
    model.committee.take(Grown(laid, SHARES, lines.whole, lines.alone, lines.nothing, clock))
    return model


def _plain(stays: Stays) -> BoostedModel:
    """The network without trees, with the normalisation of all stays."""
    return recipe.fitted(recipe.blank(), stays, np.ones(len(stays.lengths), bool))


def told(spec: ModelSpec, stays: Stays, fold: Ints, judged: Judged, seed: int) -> ModelSpec:
    """The spec with calibration, operating points and provenance."""
    worth = recipe.worth(stays)
    threshold = min(cautious_threshold(judged.prob, worth), NEVER)
    watched = watched_of(stays, np.ones(len(stays.lengths), bool))
    quiet = min(threshold_at(judged.prob, watched, PER_DAY), NEVER)

    def metrics(at: float) -> dict[str, float]:
        found = alarms(judged.prob, watched, np.array([at]))
        rung, true = found.alarms.sum(), found.true.sum()
        sums = patient_utility(judged.prob >= at, worth, stays.lengths)
        figures = {
            "utility": normalised(sums),
            "alarms_per_day": rung / found.days.sum(),
            "sensitivity": found.caught.sum() / found.events.sum(),
            "ppv": true / max(rung, 1),
        }
        return {name: round(float(x), ROUNDED) for name, x in figures.items()}

    points = (
        OperatingPoint("utility", spec.horizons_s[0], threshold, metrics(threshold)),
        OperatingPoint("0.2_per_day", spec.horizons_s[0], quiet, metrics(quiet)),
    )
    width = halfwidth(stays.label, judged.logit, np.repeat(fold, stays.lengths))
    values = conformal(stays.label, judged.prob) | {DISAGREE_ABOVE: (judged.disagree_above,)}
    calibration = CalibrationSpec("isotonic", width, 1 - MISS, values)
    areas: dict[str, tuple[float, ...]] = {
        "auroc": (round(auroc(stays.label, judged.logit), ROUNDED),),
        "auprc": (round(auprc(stays.label, judged.logit), ROUNDED),),
    }
    training = Provenance(
        data=CITATION,
        licence=LICENCE,
        command=_command(spec.name, len(np.unique(fold))),
        split_hash=split_hash(stays.ids, fold),
        seed=seed,
        metrics=areas,
        notes=f"{len(stays.ids)} stays, {int(stays.septic.sum())} septic; figures are held out"
        + (f", of the first {steady.FIRST_H} hours" if spec.name == "steady" else ""),
    )
    return msgspec.structs.replace(
        spec, calibration=calibration, operating=points, training=training
    )


def _command(kind: str, folds: int) -> str:
    """What made it."""
    words = [COMMAND]
    words += [f"--model {kind}"] if kind != "default" else []
    words += [f"--folds {folds}"] if folds != FOLDS else []
    return " ".join(words)
