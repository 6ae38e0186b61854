"""`vigil evaluate`: what a model is worth on people it has not seen."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.common import AsJson, progress, say, tell, warn, writable
from streams.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("evaluate")(evaluate)


def evaluate(  # noqa: PLR0913 - one parameter per option
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT",
            help="A shipped model's name, an artifact's folder, or stored scores "
            "(a folder of `vigil replay`, or Parquet) with --labels.",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option("--data", help="DATASET:PATH, such as cinc2019:setA.npz."),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", help="Another model to compare with on the same patients."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="With stored scores: events in MEDS' form."),
    ] = None,
    scorer: Annotated[
        str | None, typer.Option("--scorer", help="With stored scores: whose (default: first).")
    ] = None,
    horizon_h: Annotated[
        float, typer.Option("--horizon-h", min=0.01, help="With stored scores: of use this early.")
    ] = 24.0,
    silence_h: Annotated[
        float | None,
        typer.Option("--silence-h", min=0, help="Hours an alarm speaks (default: the data's, 12)."),
    ] = None,
    louder_by: Annotated[
        float,
        typer.Option("--louder-by", min=0, help="Log-odds above the threshold that ring sooner."),
    ] = math.inf,
    louder_h: Annotated[
        float, typer.Option("--louder-h", min=0, help="From when on they do.")
    ] = 12.0,
    past: Annotated[
        float,
        typer.Option(
            "--past", min=0, max=1, help="Share of the score that is the patient's mean of 24 h."
        ),
    ] = 0.0,
    replicates: Annotated[
        int, typer.Option("--replicates", min=0, help="Draws of patients behind every interval.")
    ] = 1000,
    robustness: Annotated[
        bool, typer.Option(help="Score again with inputs absent, late and in wrong units.")
    ] = True,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path(
        "vigil-evaluation"
    ),
    as_json: AsJson = False,
) -> int:
    """Judge a model: alarms a patient-day, lead, calibration, subgroups, robustness, leaks.

    Writes report.html and report.json; every figure has an interval.

    Example: vigil evaluate default --data cinc2019:setA.npz --out report/
    """
    from service.evaluate import Wanted, open_artifact
    from service.evaluate_alarms import Speaking

    if (data is None) == (labels is None):
        raise ConfigError("give --data DATASET:PATH for a model, or --labels for stored scores")
    writable(out)
    wanted = Wanted(
        replicates,
        robustness,
        beside=tuple(open_artifact(name) for name in beside or ()),
        speaking=Speaking(silence_h, louder_h, louder_by, past),
    )
    if data is not None:
        document = _model(artifact, data, wanted)
    else:
        assert labels is not None
        document = _stored(Path(artifact), labels, scorer, horizon_h, wanted)
    _report(document, out, as_json)
    return 0


def _model(name: str, data: str, wanted: Any) -> dict[str, Any]:
    from service.evaluate import evaluate as run
    from service.evaluate import open_artifact
    from service.evaluate_readers import cohort_of

    found = open_artifact(name)
    cohort = cohort_of(data)
    with progress() as watcher:
        return run(found, cohort, wanted, watcher)


def _stored(
    path: Path, labels: Path, scorer: str | None, horizon_h: float, wanted: Any
) -> dict[str, Any]:
    from models.evaluation.events import EventSpec
    from service.backtest_labels import read_labels
    from service.backtest_scores import read_scores, score_files
    from service.evaluate import evaluate_scores, of_scorer

    files = score_files(path)
    if not files:
        raise ConfigError(f"{path}: no scores there; for a model give --data DATASET:PATH")
    table = of_scorer(read_scores(files), scorer)
    return evaluate_scores(table, read_labels(labels), EventSpec(horizon_h=horizon_h), wanted)


def _report(document: dict[str, Any], out: Path, as_json: bool) -> None:
    """Write it, and say the headlines."""
    from service.evaluate import plain, write_document
    from service.evaluate_measure import HEADLINES
    from service.evaluate_page import warnings, write_page

    write_document(document, out / "report.json")
    write_page(document, out / "report.html")
    if as_json:
        say({"out": str(out), **plain(document)})
        return
    for words in warnings(document):
        warn(words)
    tell(f"{document['n_patients']:,} patients, {document['n_events']:,} events")
    for name in HEADLINES:
        value = document.get(name)
        if value is None or value != value:
            continue
        low, high = document["ci"][name]
        span = f" ({low:.4f} to {high:.4f})" if low == low else ""
        tell(f"{name.replace('_', ' '):32} {value:.4f}{span}")
    tell(f"report: {out}/report.html")
