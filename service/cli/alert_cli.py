"""`vigil alert ...`: see open alerts and answer them, by records on the patient's log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, NamedTuple

import typer

from service.alert_wish import Wish
from service.cli.alert_options import By, For, Wait, Which, Why, alert_app, now_us, until_us, who
from service.cli.common import EXIT_REFUSED, AsJson, ConfigFile, configured, say, tell, warn


class Plain(NamedTuple):
    """A command about one alert that takes a reason and nothing else."""

    name: str
    action: str
    words: str
    example: str


PLAIN: Final = (
    Plain("unack", "unacknowledge", "Give an alert back.", ""),
    Plain("reject", "reject", "Refuse an alert: the next tier is asked at once.", "not my ward"),
    Plain("unsnooze", "unsnooze", "End a snooze.", ""),
    Plain(
        "resolve", "resolve", "Close an alert; if its cause goes on, a new one follows.", "treated"
    ),
    Plain(
        "retract",
        "retract",
        "Say that an alert was in error: wrong patient, proven artefact.",
        "wrong patient",
    ),
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for plain in PLAIN:
        reason = f' -m "{plain.example}"' if plain.example else ""
        text = f"{plain.words}\n\nExample: vigil alert {plain.name} 844ea270{reason}"
        alert_app.command(plain.name, help=text)(_plain(plain.action))
    app.add_typer(alert_app, name="alert", rich_help_panel="Live")


@alert_app.command("list")
def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Print open alerts, the most urgent first.

    Example: vigil alert list --json
    """
    import msgspec

    from service.alert_desk import open_alerts

    records = open_alerts(configured(config_file), closed=everything)
    if as_json:
        say([msgspec.to_builtins(record) for record in records])
        return
    for record in records:
        state = record.state
        held = "" if state.suppression == "none" else f" {state.suppression}"
        tell(
            f"{record.occurrence_id[:8]} {record.priority} {state.condition} "
            f"{state.responsibility}{held} {record.subject}: {record.text.summary}"
        )


@alert_app.command("show")
def show(which: Which, config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print one alert with its reasons and what people did.

    Example: vigil alert show 844ea270
    """
    import msgspec

    from service.alert_desk import open_alerts, pick

    record = pick(open_alerts(configured(config_file), closed=True), which)
    if as_json:
        say(msgspec.to_builtins(record))
        return
    tell(f"{record.occurrence_id} {record.subject}, seq {record.seq}")
    for line in (record.text.summary, *record.text.why):
        tell(line)
    for action in record.actions:
        tell(f"{action.type} by {action.by} ({action.role}): {action.reason or ''}")


@alert_app.command("ack")
def ack(
    which: Which,
    lasting: For = "",
    by: By = "",
    reason: Why = "",
    wait_s: Wait = 10.0,
    config_file: ConfigFile = None,
) -> int:
    """Take an alert: it asks nobody else until the acknowledgement ends.

    Example: vigil alert ack 844ea270 --for 1h -m "on my way"
    """
    return _about(config_file, which, "acknowledge", (by, reason), until_us(lasting), wait_s)


@alert_app.command("snooze")
def snooze(
    which: Which,
    lasting: For,
    by: By = "",
    reason: Why = "",
    wait_s: Wait = 10.0,
    config_file: ConfigFile = None,
) -> int:
    """Hold an alert's signal back for a bounded time; a higher priority breaks through.

    Example: vigil alert snooze 844ea270 --for 10m -m "turning the patient"
    """
    return _about(config_file, which, "snooze", (by, reason), until_us(lasting), wait_s)


@alert_app.command("assign")
def assign(
    which: Which,
    to: Annotated[str, typer.Argument(metavar="WHOM", help="Who is to look after it.")],
    by: By = "",
    reason: Why = "",
    wait_s: Wait = 10.0,
    config_file: ConfigFile = None,
) -> int:
    """Name who is to look after an alert; it is theirs only once they acknowledge.

    Example: vigil alert assign 844ea270 user:kim
    """
    words = f"{to} {reason}".strip()
    return _about(config_file, which, "assign", (by, words), 0, wait_s)


@alert_app.command("comment")
def comment(
    which: Which,
    words: Annotated[str, typer.Argument(metavar="WORDS", help="What to note.")],
    by: By = "",
    wait_s: Wait = 10.0,
    config_file: ConfigFile = None,
) -> int:
    """Note something on an alert, open or over.

    Example: vigil alert comment 844ea270 "physician informed"
    """
    return _about(config_file, which, "comment", (by, words), 0, wait_s)


@alert_app.command("feedback")
def feedback(
    which: Which,
    outcome: Annotated[
        str,
        typer.Argument(
            metavar="OUTCOME",
            help="actionable, not-actionable, artefact or known-condition; a code may follow: "
            "artefact/motion.",
        ),
    ],
    by: By = "",
    reason: Why = "",
    wait_s: Wait = 10.0,
    config_file: ConfigFile = None,
) -> int:
    """Say whether an alert was worth it; this is what precision is counted from.

    Example: vigil alert feedback 844ea270 artefact/motion -m "turned in bed"
    """
    words = f"{outcome}: {reason}" if reason else outcome
    return _about(config_file, which, "feedback", (by, words), 0, wait_s)


def _plain(action: str) -> Callable[..., int]:
    """Return the command that sends `action` about one alert."""

    def answer(
        which: Which,
        by: By = "",
        reason: Why = "",
        wait_s: Wait = 10.0,
        config_file: ConfigFile = None,
    ) -> int:
        return _about(config_file, which, action, (by, reason), 0, wait_s)

    return answer


def _about(
    config_file: ConfigFile,
    which: str,
    action: str,
    whose: tuple[str, str],
    until: int,
    wait_s: float,
) -> int:
    """Send a command about one alert, in the state it is seen in, and tell the answer."""
    from service.alert_desk import command_of, open_alerts, pick, send

    config = configured(config_file)
    record = pick(open_alerts(config, closed=True), which)
    by, reason = whose
    wish = Wish(action, record.subject, record.occurrence_id, *who(by), reason)
    wish = wish._replace(expected_seq=record.seq, until_us=until)
    answer = send(config, command_of(wish, now_us()), wait_s)
    if answer.refused is not None:
        warn(f"refused: {answer.refused}")
        return EXIT_REFUSED
    if answer.event is None:
        tell("sent; the engine has not answered yet: see vigil alert show")
        return 0
    tell(f"{answer.event.phase}: {answer.event.text.summary}")
    return 0
