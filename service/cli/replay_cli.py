"""`vigil replay`: history in, features, scores, alerts and a report out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from service.cli.common import (
    EXIT_REFUSED,
    AsJson,
    ConfigFile,
    configured,
    note_access,
    open_store,
    progress,
    say,
    tell,
    warn,
    with_models,
    writable,
)

if TYPE_CHECKING:
    from service.replay import Inputs, Replayed


class Runner(StrEnum):
    """Where the engine runs."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("replay", rich_help_panel="History")(replay)


def replay(  # noqa: PLR0913 - one parameter per option
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="File, folder or tar: WFDB, EDF, Parquet, CSV, Empatica E4, BIDMC; or "
            "kafka://TOPIC?from=TIME&to=TIME.",
        ),
    ],
    events: Annotated[
        str,
        typer.Option(
            "--events",
            help="Clinical events: a file or folder of any format that is imported, "
            "or `timescale` for the database's.",
        ),
    ] = "",
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Alert policy (default: the shipped one).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("vigil-out"),
    runner: Annotated[
        Runner,
        typer.Option("--runner", help="In this process, or through Kafka and Faust workers."),
    ] = Runner.EMBEDDED,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=16, help="Worker processes with --runner kafka.")
    ] = 1,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Model to score with, ARTIFACT or NAME=ARTIFACT, instead of the configured ones; "
            "several of one name are its versions; `none` leaves rules only.",
        ),
    ] = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Replay recordings through the live engine; the same bytes every time.

    Writes features.parquet, scores.parquet, alerts.jsonl, run.json,
    dead_letters.jsonl, report.html and report.json into the --out folder.
    A recording without a date starts at 2020-01-01T00:00:00Z; in a CSV of
    events +SECONDS counts from the patient's recording. What cannot be read
    is told and left out: exit code 1.

    Example: vigil replay recordings/ --events events.csv --out results
    """
    from service.build import load_policy, model_names, scorers

    config = with_models(configured(config_file, policy), model or [])
    scorers(load_policy(config.policy), models=model_names(config))
    writable(out)
    with progress() as watcher:
        inputs, done = _replayed(sources, events, config, (runner, workers), watcher)
        watcher.stage("writing results", None)
        _write(done, inputs, out)
    _show(_summary(done, out), as_json)
    return EXIT_REFUSED if inputs.faults or done.results.dead else 0


def _replayed(
    sources: list[Path], events: str, config: Any, where: tuple[Runner, int], watcher: Any
) -> tuple[Inputs, Replayed]:
    from service.replay_log import NO_FILES, log_source, replay_log
    from streams.errors import ConfigError

    logs = [log for source in sources if (log := log_source(str(source))) is not None]
    if not logs:
        inputs = _inputs(sources, events, config, watcher)
        return inputs, _run(inputs, config, *where, watcher)
    if len(sources) > 1 or events or where[0] is not Runner.EMBEDDED:
        raise ConfigError("a Kafka log is replayed alone, in this process, with its own events")
    return NO_FILES, replay_log(logs[0], config, watcher)


def _inputs(sources: list[Path], events: str, config: Any, watcher: Any) -> Inputs:
    from service.replay import load

    if events != "timescale":
        return load(sources, Path(events) if events else None, watcher=watcher)
    from service.event_store import on_the_log
    from streams.codec import MAX_TIME_US

    inputs = load(sources, None, watcher=watcher)
    patients = sorted({recording.patient_id for recording in inputs.recordings})
    with open_store(config) as store:
        note_access(store, "replay", "clinical_events", patients)
        known = on_the_log(store.stored_events(patients, 0, MAX_TIME_US))
    return inputs._replace(events=known)


def _run(inputs: Inputs, config: Any, runner: Runner, workers: int, watcher: Any) -> Replayed:
    if runner is Runner.EMBEDDED:
        from service.replay import replay_embedded

        return replay_embedded(inputs, config, watcher)
    from service.replay_kafka import replay_kafka

    return replay_kafka(inputs, config, workers, watcher)


def _write(done: Replayed, inputs: Inputs, out: Path) -> None:
    """Results and report; what was left out is told."""
    from service.report import write_report
    from service.results import write

    write(done.results, out, done.run)
    write_report(done, inputs, out)
    for fault in inputs.faults:
        warn(f"refused: {fault}")


def _summary(done: Replayed, out: Path) -> dict[str, Any]:
    results, run = done.results, done.run
    raised = [event for event in results.alerts if event.phase == "raised"]
    return {
        "out": str(out),
        "patients": run["patients"],
        "feature_rows": len(results.features),
        "scores": len(results.scores),
        "alert_events": len(results.alerts),
        "alerts_raised": {
            str(kind): sum(event.kind == kind for event in raised)
            for kind in sorted({event.kind for event in raised})
        },
        "dead_letters": len(results.dead),
        "refused_inputs": len(run["refused_inputs"]),
        "cost": run["cost"],
        **msgspec.to_builtins(results.digests),
    }


def _show(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say(summary)
        return
    raised = ", ".join(f"{n} {kind}" for kind, n in summary["alerts_raised"].items()) or "none"
    lines = {
        "patients": summary["patients"],
        "feature rows": summary["feature_rows"],
        "scores": summary["scores"],
        "alerts raised": raised,
        "dead letters": summary["dead_letters"],
        "time": f"{summary['cost']['wall_s']} s",
        "alerts_sha256": summary["alerts_sha256"],
        "scores_sha256": summary["scores_sha256"],
        "report": f"{summary['out']}/report.html",
    }
    for name, value in lines.items():
        tell(f"{name}: {value}")
