"""`vigil demo|run|subscribe`: what watches, and what listens."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from service.cli.common import ERR, OUT, AsJson, ConfigFile, configured


class LiveRunner(StrEnum):
    """Where a live engine runs."""

    FAUST = "faust"
    EMBEDDED = "embedded"


class Listened(StrEnum):
    """What can be subscribed to."""

    ALERTS = "alerts"
    SCORES = "scores"
    FEATURES = "features"


class Start(StrEnum):
    """Where a subscription starts."""

    EARLIEST = "earliest"
    LATEST = "latest"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("demo", rich_help_panel="Live")(demo)
    app.command("run", rich_help_panel="Live")(run)
    app.command("subscribe", rich_help_panel="Live")(subscribe)


def demo(
    patients: Annotated[int, typer.Option(min=1, max=200, help="Beds of the ward.")] = 12,
    speed: Annotated[float, typer.Option(min=0.1, help="Simulated seconds per second.")] = 30.0,
    duration: Annotated[float, typer.Option(min=1.0, help="Seconds until it ends.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same alerts.")] = 7,
    as_json: AsJson = False,
) -> int:
    """Watch a simulated ward: no services, alerts live, Ctrl-C ends it.

    Two of the patients deteriorate. The board sorts by risk and says why each alert was raised.
    With no terminal, or with --json, it prints lines instead.
    """
    from service.demo import DemoSpec, run_demo

    spec = DemoSpec(patients=patients, seed=seed, speed=speed, duration_s=duration)
    return run_demo(spec, OUT, as_json)


def run(
    runner: Annotated[LiveRunner, typer.Option(help="faust: on Kafka.")] = LiveRunner.FAUST,
    config_file: ConfigFile = None,
) -> int:
    """Run the always-on worker until SIGTERM: log in, features, scores and alerts out.

    Serves /metrics, /healthz and /readyz. Start several with different worker.instance names to
    share the partitions. `--runner embedded` is the demo's and replay's engine in one process:
    it needs no broker and watches the simulated ward.
    """
    if runner is LiveRunner.EMBEDDED:
        ERR.print("no broker: watching the simulated ward", highlight=False)
        return demo(duration=86_400.0, speed=1.0)
    from service.worker import run_live

    return run_live(configured(config_file))


def subscribe(
    topic: Annotated[Listened, typer.Argument(help="What to listen to.")] = Listened.ALERTS,
    start: Annotated[Start, typer.Option("--from", help="Where to start.")] = Start.LATEST,
    once: Annotated[bool, typer.Option("--once", help="End at the present end.")] = False,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Listen to alerts, scores or features, one line each; --json prints the records."""
    from service.subscribe import follow

    return follow(configured(config_file), topic.value, start.value, once=once, as_json=as_json)
