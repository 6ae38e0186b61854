"""`vigil policy backtest`: policies tried on what was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.common import (
    EXIT_REFUSED,
    AsJson,
    ConfigFile,
    configured,
    progress,
    say,
    tell,
    warn,
    writable,
)
from streams.errors import ConfigError

if TYPE_CHECKING:
    from service.backtest import Candidate, History, Report
    from service.config import Config
    from service.progress import Watcher


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("backtest")(backtest)


def backtest(  # noqa: PLR0913 - one parameter per option
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders of `vigil replay`, Parquet files of scores, or recordings.",
        ),
    ],
    policy: Annotated[
        list[Path] | None,
        typer.Option("--policy", help="A policy; give two to compare (default: the shipped one)."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="What happened, in MEDS' form: Parquet or CSV."),
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", help="Clinical events, with recordings: CSV.")
    ] = None,
    horizon_h: Annotated[
        float, typer.Option("--horizon-h", min=0.01, help="A raise is of use this long ahead.")
    ] = 12.0,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path(
        "vigil-backtest"
    ),
    exact: Annotated[
        bool, typer.Option("--exact", help="The live machine even where a fast way equals it.")
    ] = False,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Try alert policies on the past: what each would have caught, at what burden.

    Runs the live alert engine over stored scores, or over recordings. Writes
    backtest.html, backtest.json and, with labels, raises-NAME.parquet.

    Example: vigil policy backtest out/ --policy a.toml --policy b.toml
    """
    from service.backtest import backtest as run
    from service.backtest_labels import read_labels

    config = configured(config_file)
    candidates = _candidates(policy or [])
    known = read_labels(labels) if labels else None
    writable(out)
    with progress() as watcher:
        history, faults = _history(sources, events, config, candidates, watcher)
        report = run(history, candidates, known, round(horizon_h * 3.6e9), watcher, exact=exact)
    described = {
        "sources": [source.name for source in sources],
        "labels": labels.name if labels else "none",
        "patients": len(history.stays),
    }
    report = report._replace(run=described)
    _write(report, known, out)
    for fault in faults:
        warn(f"refused: {fault}")
    _show(report, out, as_json)
    return EXIT_REFUSED if faults else 0


def _candidates(paths: list[Path]) -> list[Candidate]:
    """Policies under names that tell them apart."""
    from alerts.policy import default_policy_text
    from service.backtest import Candidate
    from service.build import load_policy

    if not paths:
        return [Candidate("shipped", default_policy_text(), load_policy(""))]
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise ConfigError("--policy: the same file twice")
    return [
        Candidate(name, path.read_text("utf-8"), load_policy(str(path)))
        if path.is_file()
        else Candidate(name, "", load_policy(str(path)))  # says that it cannot be read
        for name, path in zip(names, paths, strict=True)
    ]


def _history(
    sources: list[Path],
    events: Path | None,
    config: Config,
    candidates: list[Candidate],
    watcher: Watcher,
) -> tuple[History, tuple[str, ...]]:
    """Stored scores, or recordings played through the engine once."""
    from service.backtest_scores import read_scores, score_files

    files = [score_files(source) for source in sources]
    if all(files):
        return _stored(sources, read_scores([path for own in files for path in own])), ()
    if any(files):
        raise ConfigError("stored scores and recordings cannot be tested together")
    from service.backtest import History
    from service.backtest_exact import Until
    from service.backtest_run import Stay
    from service.backtest_tap import tapped
    from service.build import load_policy
    from service.replay import load

    inputs = load(sources, events, watcher=watcher)
    watcher.stage("engine", None)
    calls = tapped(inputs, config, [each.policy for each in candidates])
    spans: dict[str, tuple[int, int]] = {}
    for recording in inputs.recordings:
        for signal in recording.signals:
            end_us = signal.start_us + round(len(signal.samples) / signal.fs_hz * 1e6)
            a, b = spans.get(recording.patient_id, (signal.start_us, end_us))
            spans[recording.patient_id] = (min(a, signal.start_us), max(b, end_us))
    stays = tuple(Stay(patient, *spans[patient]) for patient in sorted(spans))
    live = load_policy(config.policy).digest
    return History(stays, None, Until(None), calls, live), inputs.faults


def _stored(sources: list[Path], table: Any) -> History:
    """Scores of one replay end when it did; others end with each patient's last score."""
    import json

    from service.backtest import stored_history
    from service.backtest_exact import Until, first_tick_us

    run = sources[0] / "run.json"
    if len(sources) == 1 and run.is_file():
        timing = json.loads(run.read_text("utf-8")).get("timing", {})
        backfill_us = round(float(timing.get("backfill_s", 600.0)) * 1e6)
        end_us = first_tick_us(int(table.known_us.max())) if table.size else 0
        return stored_history(table, Until(end_us, backfill_us))
    return stored_history(table, Until(None))


def _write(report: Report, known: Any, out: Path) -> None:
    """Document, page and, with labels, every raise; what a policy cannot be judged by is told."""
    from service.backtest import write_document
    from service.backtest_page import write_page

    write_document(report, out / "backtest.json")
    write_page(report, out / "backtest.html")
    if known is not None:
        _write_raises(report, known, out)
    for each in report.tested:
        for words in each.misfits:
            warn(f"{each.candidate.name}: {words}")


def _write_raises(report: Report, labels: Any, out: Path) -> None:
    from service.backtest import judged_of
    from service.backtest_labels import write_raises

    for each in report.tested:
        name = "".join(c if c.isalnum() or c in "._-" else "_" for c in each.candidate.name)
        judged = judged_of(each, labels, report.horizon_us)
        write_raises(each.outcome, judged, out / f"raises-{name}.parquet")


def _show(report: Report, out: Path, as_json: bool) -> None:
    from service.backtest import document
    from service.backtest_page import rows

    if as_json:
        say({"out": str(out), **document(report)})
        return
    width = max(len(row.label) for row in rows(report))
    typer.echo(" " * width + "".join(f"  {e.candidate.name:>28}" for e in report.tested))
    for row in rows(report):
        pairs = zip(row.cells, row.intervals, strict=True)
        cells = [f"{cell} ({span})" if span else cell for cell, span in pairs]
        typer.echo(f"{row.label:{width}}" + "".join(f"  {cell:>28}" for cell in cells))
    tell(f"report: {out}/backtest.html")
