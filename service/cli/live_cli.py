"""`vigil demo|run`: what watches."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from service.cli.common import OUT, AsJson, ConfigFile, configured, warn


class LiveRunner(StrEnum):
    """Where a live engine runs."""

    FAUST = "faust"
    DIRECT = "direct"
    EMBEDDED = "embedded"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("demo", rich_help_panel="Live")(demo)
    app.command("run", rich_help_panel="Live")(run)


def demo(
    patients: Annotated[int, typer.Option(min=1, max=200, help="Beds of the ward.")] = 12,
    speed: Annotated[float, typer.Option(min=0.1, help="Simulated seconds per second.")] = 30.0,
    duration: Annotated[float, typer.Option(min=1.0, help="Seconds until it ends.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same alerts.")] = 7,
    as_json: AsJson = False,
) -> int:
    """Watch a simulated ward: no services, alerts live, Ctrl-C ends it.

    Two of the patients deteriorate. The board sorts by risk and says why
    each alert was raised. With no terminal, or with --json, it prints lines.

    Example: vigil demo --patients 6 --speed 60
    """
    from service.demo import DemoSpec, run_demo

    spec = DemoSpec(patients=patients, seed=seed, speed=speed, duration_s=duration)
    return run_demo(spec, OUT, as_json)


def run(
    runner: Annotated[
        LiveRunner | None,
        typer.Option(
            help="What carries records from Kafka: faust, or direct (aiokafka alone), instead of "
            "worker.runner; embedded: the simulated ward, no broker."
        ),
    ] = None,
    config_file: ConfigFile = None,
) -> int:
    """Run the always-on worker: log in, features, scores and alerts out.

    Runs until SIGTERM or Ctrl-C, then stores what it has done and ends.
    Serves /metrics, /healthz and /readyz. To share the partitions start
    several, each with its own worker.instance and worker.http_port.

    Example: vigil init && vigil run --config vigil.toml
    """
    if runner is LiveRunner.EMBEDDED:
        warn("no broker: watching the simulated ward at its own pace until Ctrl-C")
        return demo(duration=86_400.0, speed=1.0)
    import msgspec

    from service.worker import run_live

    config = configured(config_file)
    if runner is not None:
        worker = msgspec.structs.replace(config.worker, runner=runner.value)
        config = msgspec.structs.replace(config, worker=worker)
    return run_live(config, on_start=warn)
