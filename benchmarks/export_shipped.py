"""Graphs of the shipped artifacts written anew by this build's exporter, if no score changes.

Weights and what the spec says stay; a graph has its hash in `spec.json`, so that the artifact's
digest changes. Every row of some stays of CinC 2019 set A goes through the old graph and the new
one, each from its own kept state; a bit that differs leaves the files as they are.

    python -m benchmarks.export_shipped [STAYS]
"""

from __future__ import annotations

import sys
from typing import Final

import numpy as np

from benchmarks._common import data_folder, heading
from models.artifact import ONNX_FILE, Artifact, decode
from models.export import to_onnx
from models.open import open_blocks
from models.weights import files_of, network
from service.artifacts import folder_of, read_artifact, write_artifact
from service.evaluate_data import Cohort, of_cinc2019
from service.evaluate_robust import only
from service.evaluate_score import Scored, score

NAMES: Final = ("default", "steady")
STAYS: Final = 3000


def main() -> None:
    """Write what stays the same to the bit; exit 1 if something does not."""
    print(heading("graphs of the shipped artifacts, written anew"))
    count = int(sys.argv[1]) if len(sys.argv) > 1 else STAYS
    cohort = of_cinc2019(data_folder("cinc2019_setA") / "cinc2019_sepsis" / "setA.npz")
    cohort = only(cohort, np.arange(min(count, len(cohort.lengths))))
    print("\n| artifact | bytes | rows | CPU-s, old and new | bits |\n|---|---|---|---|---|")
    renewed = [_renewed(name, cohort) for name in NAMES]
    if not all(renewed):
        raise SystemExit(1)


def _renewed(name: str, cohort: Cohort) -> bool:
    """Whether an artifact says the same by a new graph, which is then its own."""
    folder = folder_of(name)
    old = read_artifact(folder)
    model = network(old)
    files = files_of(model, old.spec, to_onnx(model))
    before, after = (_said(x, cohort) for x in (old, decode(files)))
    same = all(
        np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()
        for a, b in zip(before[:4], after[:4], strict=True)
    )
    if same:
        write_artifact(folder, files)
    cells = f"{len(old.onnx)} to {len(files[ONNX_FILE])} | {len(before.prob)}"
    spent = f"{before.seconds:.1f}, {after.seconds:.1f}"
    print(f"| {name} | {cells} | {spent} | {'same' if same else 'differ: nothing written'} |")
    return same


def _said(artifact: Artifact, cohort: Cohort) -> Scored:
    return score(cohort, artifact.spec, open_blocks(artifact))


if __name__ == "__main__":
    main()
