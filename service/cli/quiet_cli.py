"""`vigil alert silence|maintenance|...`: what is about no single alert, but all or one patient."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from alerts.silences import Matchers, Silence, parse_matchers, preview
from service.alert_wish import Wish
from service.cli.alert_options import By, For, Why, now_us, until_us, who
from service.cli.common import EXIT_REFUSED, AsJson, ConfigFile, configured, say, tell, warn
from streams.errors import ConfigError
from streams.records import ANYONE

REFUSAL_S = 2.0  # what is about no alert has no answer, but may be refused


def add_to(app: typer.Typer) -> None:
    """Register the commands, beside those about one alert."""
    for command in (silence, maintenance, silences, unsilence, locate, discharge, figures):
        app.command(command.__name__)(command)


Matching = Annotated[
    str,
    typer.Argument(
        metavar="WHAT",
        help="condition, kind, subject, ward, modality = a word, or its beginning and *; "
        "up_to = the highest priority held back, medium unless given.",
    ),
]
Preview = Annotated[
    bool, typer.Option("--preview", help="Only print which open alerts it would hold back.")
]


def silence(
    matching: Matching,
    lasting: For = "1h",
    preview_only: Preview = False,
    by: By = "",
    reason: Why = "",
    config_file: ConfigFile = None,
) -> int:
    """Hold back the signal of what fits, for a bounded time; the record goes on.

    Prints the id that ends it again.

    Example: vigil alert silence "condition=no_data:*,ward=W4" --for 2h -m "network works"
    """
    made = _Quiet("silence", matching, lasting, by, reason)
    return _preview(config_file, made) if preview_only else _make(config_file, made)


def maintenance(
    matching: Matching,
    lasting: For = "1h",
    preview_only: Preview = False,
    by: By = "",
    reason: Why = "",
    config_file: ConfigFile = None,
) -> int:
    """Announce maintenance: as a silence, and the alerts say so.

    Example: vigil alert maintenance "kind=technical" --for 30m -m "gateway update"
    """
    made = _Quiet("maintenance", matching, lasting, by, reason)
    return _preview(config_file, made) if preview_only else _make(config_file, made)


def silences(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print silences and maintenance in force, the one that ends first first.

    As the workers stored them at their last checkpoint (10 s by default).

    Example: vigil alert silences
    """
    import msgspec

    from alerts.text import rfc3339
    from service.silence_list import in_force

    config = configured(config_file)
    found = in_force(config, now_us())
    if as_json:
        rows = [{**msgspec.to_builtins(each.silence), "patient": each.patient} for each in found]
        say(rows)
        return
    for each in found:
        made = each.silence
        about = ",".join(f"{field}={word}" for field, word in made.matchers)
        whose = "everybody" if each.patient == ANYONE else each.patient
        tell(
            f"{made.id} {made.kind} {about},up_to={made.up_to} of {whose} until "
            f"{rfc3339(made.ends_us)} by {made.by}: {made.comment}"
        )


def unsilence(
    which: Annotated[str, typer.Argument(metavar="SILENCE", help="Its id.")],
    by: By = "",
    config_file: ConfigFile = None,
) -> int:
    """End a silence or maintenance early.

    Example: vigil alert unsilence 1f0c6f1e-...
    """
    return _tell(config_file, Wish("unsilence", ANYONE, which, *who(by)))


def locate(
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="As on the log.")],
    labels: Annotated[str, typer.Argument(metavar="LABELS", help="ward=W4,bed=12,encounter=e9")],
    by: By = "",
    config_file: ConfigFile = None,
) -> int:
    """Say where a patient is; policies, silences and groups by ward go by it.

    Example: vigil alert locate p017 ward=W4,bed=12
    """
    return _tell(config_file, Wish("locate", patient, labels, *who(by)))


def discharge(
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="As on the log.")],
    withdraw_consent: Annotated[
        bool, typer.Option("--withdraw-consent", help="The patient takes the consent back.")
    ] = False,
    by: By = "",
    reason: Why = "",
    config_file: ConfigFile = None,
) -> int:
    """Close everything of a patient who leaves.

    Example: vigil alert discharge p017 -m "home"
    """
    action = "withdraw_consent" if withdraw_consent else "discharge"
    return _tell(config_file, Wish(action, patient, patient, *who(by), reason))


def figures(
    file: Annotated[
        Path | None,
        typer.Option("--file", help="An alerts.jsonl of vigil replay, instead of the topic."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Write people's feedback as labels: Parquet.")
    ] = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Print how alerts were answered: time to acknowledge, feedback, top 10 %.

    Example: vigil alert figures --labels feedback.parquet
    """
    from service.alert_desk import published
    from service.alert_figures import figures as count
    from service.alert_figures import opinions, write_opinions
    from service.results import read_alerts

    events = published(configured(config_file)) if file is None else read_alerts(file)
    found = count(events)
    if labels is not None:
        write_opinions(opinions(events), labels)
    if as_json:
        say(found._asdict())
        return
    for name, value in found._asdict().items():
        shown = f"{value:.3g}" if isinstance(value, float) else value
        tell(f"{name.replace('_', ' ')}: {'-' if value is None else shown or 0}")


class _Quiet(NamedTuple):
    """A silence or maintenance as asked for."""

    action: str
    matching: str
    lasting: str
    by: str
    reason: str


def _matchers(made: _Quiet) -> Matchers:
    """What a silence is about.

    Raises
    ------
    ConfigError
        If it cannot be read; it names the nearest valid field.
    """
    parsed = parse_matchers(made.matching)
    if not isinstance(parsed, Matchers):
        raise ConfigError(f"{made.action}: {parsed}")
    return parsed


def _preview(config_file: ConfigFile, made: _Quiet) -> int:
    """Show which open alerts a silence would hold back."""
    from service.alert_desk import open_alerts

    parsed, at_us = _matchers(made), now_us()
    asked = Silence(
        id="",
        kind=made.action,
        matchers=parsed.fits,
        up_to=parsed.up_to,
        starts_us=at_us,
        ends_us=until_us(made.lasting),
        made_us=at_us,
        by=made.by,
        comment=made.reason,
    )
    found = preview(asked, open_alerts(configured(config_file)))
    for record in found:
        short = record.occurrence_id[:8]
        tell(f"{short} {record.priority} {record.subject}: {record.text.summary}")
    tell(f"{len(found)} open alerts would be held back; nothing was sent")
    return 0


def _make(config_file: ConfigFile, made: _Quiet) -> int:
    """Make a silence: for one patient if it names one, else for all."""
    subject = dict(_matchers(made).fits).get("subject", ANYONE)
    if not made.reason.strip():
        raise ConfigError(f"{made.action}: say why with --reason")
    wish = Wish(
        made.action,
        ANYONE if subject.endswith("*") else subject,
        made.matching,
        *who(made.by),
        made.reason,
        until_us=until_us(made.lasting),
    )
    return _tell(config_file, wish)


def _tell(config_file: ConfigFile, wish: Wish) -> int:
    """Send a command that is about no single alert; print its id, or why it was refused."""
    from service.alert_desk import command_of, send

    command = command_of(wish, now_us())
    answer = send(configured(config_file), command, REFUSAL_S)
    if answer.refused is not None:
        warn(f"refused: {answer.refused}")
        return EXIT_REFUSED
    tell(f"sent {command.action} {command.command_id}")
    return 0
