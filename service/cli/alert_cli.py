"""`vigil alert ...`: see open alerts and answer them, by records on the patient's log."""

from __future__ import annotations

import os
import re
import time
from typing import Annotated, NamedTuple

import typer

from alerts.silences import Matchers, Silence, parse_matchers, preview
from service.alert_wish import Wish
from service.cli.common import EXIT_REFUSED, AsJson, ConfigFile, configured, say, tell, warn
from streams.errors import ConfigError
from streams.records import ANYONE

alert_app = typer.Typer(help="See open alerts and answer them.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="ID", help="Alert id, or its first characters.")]
By = Annotated[
    str,
    typer.Option(
        "--by", envvar="VIGIL_ACTOR", help="Who asks, or who/role; your login unless given."
    ),
]
Why = Annotated[str, typer.Option("--reason", "-m", help="Why, in words.")]
For = Annotated[str, typer.Option("--for", help="How long, like 30m or 4h.")]
Wait = Annotated[float, typer.Option("--wait", help="Wait this long for the answer, s.")]

REFUSAL_S = 2.0  # what is about no alert has no answer, but may be refused

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
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
    return _about(config_file, which, "acknowledge", (by, reason), _until_us(lasting), wait_s)


@alert_app.command("unack")
def unack(
    which: Which,
    by: By = "",
    reason: Why = "",
    wait_s: Wait = 10.0,
    config_file: ConfigFile = None,
) -> int:
    """Give an alert back.

    Example: vigil alert unack 844ea270
    """
    return _about(config_file, which, "unacknowledge", (by, reason), 0, wait_s)


@alert_app.command("reject")
def reject(
    which: Which,
    by: By = "",
    reason: Why = "",
    wait_s: Wait = 10.0,
    config_file: ConfigFile = None,
) -> int:
    """Refuse an alert: the next tier is asked at once.

    Example: vigil alert reject 844ea270 -m "not my ward"
    """
    return _about(config_file, which, "reject", (by, reason), 0, wait_s)


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
    return _about(config_file, which, "snooze", (by, reason), _until_us(lasting), wait_s)


@alert_app.command("unsnooze")
def unsnooze(
    which: Which,
    by: By = "",
    reason: Why = "",
    wait_s: Wait = 10.0,
    config_file: ConfigFile = None,
) -> int:
    """End a snooze.

    Example: vigil alert unsnooze 844ea270
    """
    return _about(config_file, which, "unsnooze", (by, reason), 0, wait_s)


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


@alert_app.command("resolve")
def resolve(
    which: Which,
    by: By = "",
    reason: Why = "",
    wait_s: Wait = 10.0,
    config_file: ConfigFile = None,
) -> int:
    """Close an alert; if its cause goes on, a new one follows.

    Example: vigil alert resolve 844ea270 -m "treated"
    """
    return _about(config_file, which, "resolve", (by, reason), 0, wait_s)


@alert_app.command("retract")
def retract(
    which: Which,
    by: By = "",
    reason: Why = "",
    wait_s: Wait = 10.0,
    config_file: ConfigFile = None,
) -> int:
    """Say that an alert was in error: wrong patient, proven artefact.

    Example: vigil alert retract 844ea270 -m "wrong patient"
    """
    return _about(config_file, which, "retract", (by, reason), 0, wait_s)


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


@alert_app.command("silence")
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


@alert_app.command("maintenance")
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


@alert_app.command("silences")
def silences(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print silences and maintenance in force, the one that ends first first.

    As the workers stored them at their last checkpoint (10 s by default).

    Example: vigil alert silences
    """
    import msgspec

    from alerts.text import rfc3339
    from service.silence_list import in_force

    config = configured(config_file)
    found = in_force(config, _now_us())
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


@alert_app.command("unsilence")
def unsilence(
    which: Annotated[str, typer.Argument(metavar="SILENCE", help="Its id.")],
    by: By = "",
    config_file: ConfigFile = None,
) -> int:
    """End a silence or maintenance early.

    Example: vigil alert unsilence 1f0c6f1e-...
    """
    return _tell(config_file, Wish("unsilence", ANYONE, which, *_who(by)))


@alert_app.command("locate")
def locate(
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="As on the log.")],
    labels: Annotated[str, typer.Argument(metavar="LABELS", help="ward=W4,bed=12,encounter=e9")],
    by: By = "",
    config_file: ConfigFile = None,
) -> int:
    """Say where a patient is; policies, silences and groups by ward go by it.

    Example: vigil alert locate p017 ward=W4,bed=12
    """
    return _tell(config_file, Wish("locate", patient, labels, *_who(by)))


class _Quiet(NamedTuple):
    """A silence or maintenance as asked for."""

    action: str
    matching: str
    lasting: str
    by: str
    reason: str


def _about(
    config_file: ConfigFile,
    which: str,
    action: str,
    whose: tuple[str, str],
    until_us: int,
    wait_s: float,
) -> int:
    """Send a command about one alert, in the state it is seen in, and tell the answer."""
    from service.alert_desk import command_of, open_alerts, pick, send

    config = configured(config_file)
    record = pick(open_alerts(config, closed=True), which)
    by, reason = whose
    wish = Wish(action, record.subject, record.occurrence_id, *_who(by), reason)
    wish = wish._replace(expected_seq=record.seq, until_us=until_us)
    answer = send(config, command_of(wish, _now_us()), wait_s)
    if answer.refused is not None:
        warn(f"refused: {answer.refused}")
        return EXIT_REFUSED
    if answer.event is None:
        tell("sent; the engine has not answered yet: see vigil alert show")
        return 0
    tell(f"{answer.event.phase}: {answer.event.text.summary}")
    return 0


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

    parsed, now_us = _matchers(made), _now_us()
    asked = Silence(
        id="",
        kind=made.action,
        matchers=parsed.fits,
        up_to=parsed.up_to,
        starts_us=now_us,
        ends_us=_until_us(made.lasting),
        made_us=now_us,
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
        *_who(made.by),
        made.reason,
        until_us=_until_us(made.lasting),
    )
    return _tell(config_file, wish)


def _tell(config_file: ConfigFile, wish: Wish) -> int:
    """Send a command that is about no single alert; print its id, or why it was refused."""
    from service.alert_desk import command_of, send

    command = command_of(wish, _now_us())
    answer = send(configured(config_file), command, REFUSAL_S)
    if answer.refused is not None:
        warn(f"refused: {answer.refused}")
        return EXIT_REFUSED
    tell(f"sent {command.action} {command.command_id}")
    return 0


def _who(by: str) -> tuple[str, str]:
    """Who asks and as what: as told, else the login."""
    if not by:
        by = f"user:{os.environ.get('USER') or os.environ.get('LOGNAME') or 'unknown'}"
    actor, _, role = by.partition("/")
    return actor, role


def _until_us(lasting: str) -> int:
    """End of a duration from now; 0 for none.

    Raises
    ------
    ConfigError
        If it is no duration.
    """
    if not lasting:
        return 0
    found = re.fullmatch(r"(\d{1,6})([smhd])", lasting)
    if found is None:
        raise ConfigError(f"--for {lasting!r}: write it like 90s, 30m, 4h or 1d")
    return _now_us() + int(found[1]) * _UNITS[found[2]] * 1_000_000


def _now_us() -> int:
    """The wall clock, µs UTC."""
    return time.time_ns() // 1000
