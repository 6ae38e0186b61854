"""`vigil load`: a ward of thousands, for throughput and endurance."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.common import AsJson, ConfigFile, configured, progress, say, tell


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("load", rich_help_panel="Setup")(load)


def load(
    patients: Annotated[int, typer.Option("--patients", help="How many at once.")] = 1000,
    seconds: Annotated[int, typer.Option("--seconds", help="How long, in real time.")] = 600,
    spread: Annotated[
        bool, typer.Option("--spread", help="Bundles over the second, not all at its start.")
    ] = False,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write simulated waveforms of many patients onto Kafka in real time.

    ECG 250 Hz, pulse wave 125 Hz, acceleration 3 x 32 Hz, SpO2 and
    temperature; ten-second chunks, bundled. Use a prefix of its own: the
    patients are called load-000000 and so on.

    Example: VIGIL_PREFIX=load vigil load --patients 10000 --seconds 3600
    """
    from service.load_host import run

    config = configured(config_file)
    with progress() as watcher:
        watcher.stage("writing", seconds)
        sent = run(config, patients, seconds, lambda second: watcher.step(1), spread=spread)
    if as_json:
        say(sent._asdict())
        return
    rate = sent.chunks / max(sent.seconds, 1)
    tell(
        f"{sent.chunks} chunks in {sent.records} records, {sent.size_bytes >> 20} MiB in "
        f"{sent.seconds} s ({rate:.0f} chunks/s); at most {sent.late_s} s late"
    )
