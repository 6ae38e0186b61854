"""The shipped artifact `steady`: the default's forests, clock and calibration from held-out scores.

The forests are the default's to the bit, with NEWS2's chart behind them. What time alone says,
calibration, thresholds and figures come from the stays of two folds, scored by forests of the
other three. To grow everything anew: `vigil train cinc2019 --model steady`.

    python -m benchmarks.train_steady models/artifacts/steady
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import _cinc2019 as sets
from models.families.boosted import BoostedModel, Grown, build
from models.weights import files_of, network
from service.datasets.cinc2019 import Stays
from service.evaluate import open_artifact
from service.train import folds_of
from service.training import artifact, chart, steady
from service.training.cinc2019 import Development
from service.training.committee import SHARES

Bools = NDArray[np.bool_]
COMMAND: Final = "python -m benchmarks.train_steady"


def main() -> None:
    """Write the artifact's files into the folder that is named."""
    folder = Path(sys.argv[1])
    stays, job, stages = sets.stays_of_a()
    scores = sets.two(stays, job, stages)[0]
    inside = scores.split.tune | scores.split.test
    fold = folds_of(stays, job)[inside]
    raw = scores.raw.rows(np.repeat(inside, stays.lengths))
    plain = shipped()
    tuning = only(stays, inside)
    points = chart.points_of(tuning, plain)
    cut, held, clock = steady.taken(tuning, Development(raw, fold), points)
    judged = artifact.judge(cut, held)
    lines = judged.lines
    grown = Grown({}, SHARES, lines.whole, lines.alone, lines.nothing, clock)
    model = timed(plain, grown)
    named = msgspec.structs.replace(model.spec, name="steady", version=steady.VERSION)
    spec = artifact.told(named, cut, fold, judged, job.seed)
    training = msgspec.structs.replace(
        spec.training,
        command=COMMAND,
        notes=f"forests of default, {len(stays.ids)} stays; clock, calibration and figures: the "
        f"first {steady.FIRST_H} hours of {len(cut.ids)} stays that did not train",
    )
    spec = msgspec.structs.replace(spec, training=training)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files_of(model, spec, artifact.graph(model)).items():
        (folder / name).write_bytes(content)
    for point in spec.operating:
        print(point.name, round(point.threshold, 4), point.metrics)
    print(spec.training.metrics)


def only(stays: Stays, which: Bools) -> Stays:
    """Some of the stays."""
    rows = np.repeat(which, stays.lengths)
    return Stays(
        tuple(name for name, kept in zip(stays.ids, which.tolist(), strict=True) if kept),
        stays.lengths[which],
        {name: x[rows] for name, x in stays.value.items()},
        stays.label[rows],
        stays.unit[which],
        stays.hour[rows],
    )


def shipped() -> BoostedModel:
    """The default's network."""
    plain = network(open_artifact("default"))
    assert isinstance(plain, BoostedModel)
    return plain


def timed(plain: BoostedModel, grown: Grown) -> BoostedModel:
    """The default's network with the chart's trees and a clock, read as told."""
    weights = plain.state_dict()
    config = msgspec.to_builtins(plain.spec.config) | {"clock": steady.KNOTS}
    sizes = {"joint": config["joint"], **config["single"]}
    for part in steady.CHARTED:
        place = next(k for k in weights if k.endswith(f"{part}.column")).removesuffix("column")
        own = {k: weights[place + k].numpy() for k in ("column", "threshold", "after", "value")}
        more = steady.with_chart(own, plain)
        weights |= {place + k: torch.from_numpy(x) for k, x in more.items()}
        sizes[part]["trees"] = len(more["column"])
    model = build(msgspec.structs.replace(plain.spec, config=config))
    clocks = {name: x for name, x in model.state_dict().items() if ".clock." in name}
    model.load_state_dict({**weights, **clocks})
    model.committee.read_as(grown)
    return model


if __name__ == "__main__":
    main()
