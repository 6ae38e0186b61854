"""`vigil subscribe`: what listens."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from service.cli.common import AsJson, ConfigFile, configured
from streams.errors import ConfigError

Words = list[str] | None


class Listened(StrEnum):
    """What can be subscribed to."""

    ALERTS = "alerts"
    SCORES = "scores"
    FEATURES = "features"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("subscribe", rich_help_panel="Live")(subscribe)


def subscribe(  # noqa: PLR0913 - one parameter per option
    topic: Annotated[Listened, typer.Argument(help="What to listen to.")] = Listened.ALERTS,
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="POSITION",
            help="earliest, latest, a time, or PARTITION:OFFSET,... (latest unless --once)",
        ),
    ] = "",
    group: Annotated[
        str, typer.Option(help="Share the topic with this consumer group; go on where it was.")
    ] = "",
    patient: Annotated[Words, typer.Option(help="Alerts of this patient; may repeat.")] = None,
    priority: Annotated[Words, typer.Option(help="high, medium, low, info.")] = None,
    kind: Annotated[Words, typer.Option(help="physiological, technical, advisory.")] = None,
    phase: Annotated[Words, typer.Option(help="raised, escalated, ...")] = None,
    condition: Annotated[Words, typer.Option(help="A code, or its beginning: 'no_data:*'.")] = None,
    confirm: Annotated[
        str, typer.Option(metavar="NAME", help="Write receipts as this consumer.")
    ] = "",
    once: Annotated[bool, typer.Option("--once", help="End at the present end.")] = False,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Listen to alerts, scores or features, one line each, until Ctrl-C.

    --json prints whole records: alerts as CloudEvents, one document a line.
    An alert's `id` is the same however often it is delivered.

    Example: vigil subscribe alerts --group night --priority high --json
    """
    from service.receipts import check_consumer
    from service.selection import selection
    from service.subscribe import Wish, follow, position

    lists = {
        "patients": patient,
        "priorities": priority,
        "kinds": kind,
        "phases": phase,
        "conditions": condition,
    }
    given = {name: words for name, words in lists.items() if words}
    if topic is not Listened.ALERTS and (given or confirm):
        raise ConfigError("filters and --confirm are for alerts")
    if confirm:
        check_consumer(confirm)
    chosen = position(start or ("earliest" if once else "latest"))
    if group and not isinstance(chosen, str):
        raise ConfigError("--group remembers its own position; --from is earliest or latest")
    wish = Wish(topic.value, chosen, once, as_json, selection(**given), group, confirm)
    return follow(configured(config_file), wish)
