"""`vigil models`: which models there are, what one is, whether it would run, which one speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.alert_options import By, Why, who
from service.cli.common import EXIT_REFUSED, AsJson, ConfigFile, configured, say, tell
from streams.records import ANYONE

if TYPE_CHECKING:
    from models.artifact import Artifact

models_app = typer.Typer(help="Look at models and say which one speaks.", no_args_is_help=True)

Which = Annotated[
    str, typer.Argument(metavar="ARTIFACT", help="Folder, or the name of a shipped one.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(models_app, name="models", rich_help_panel="Setup")


@models_app.command("list")
def list_models(config_file: ConfigFile = None, as_json: AsJson = False) -> int:
    """Print the configured models, and the families that can be trained.

    Exit code 1 if a configured model cannot be used.

    Example: vigil models list
    """
    from models.registry import names
    from service.artifacts import find

    found = find(configured(config_file))
    rows = [
        {
            "name": one.config.name,
            "artifact": one.config.artifact,
            "model": one.artifact.ref if one.artifact else None,
            "refused": one.refusal or None,
        }
        for one in found
    ]
    if as_json:
        say({"models": rows, "families": list(names("models"))})
    else:
        for row in rows:
            tell(f"{row['name']}: {row['model'] or 'refused: ' + str(row['refused'])}")
        if not rows:
            tell("no models: rules only")
        tell(f"families: {', '.join(names('models'))}")
    return EXIT_REFUSED if any(row["refused"] for row in rows) else 0


@models_app.command("show")
def show(which: Which = "default", as_json: AsJson = False) -> None:
    """Print what a model is: inputs, cadence, where it was trained, how well it did there.

    Example: vigil models show default
    """
    import msgspec

    from service.artifacts import folder_of, read_artifact

    artifact = read_artifact(folder_of(which))
    if as_json:
        say({"ref": artifact.ref, "spec": msgspec.to_builtins(artifact.spec)})
        return
    for name, value in _card(artifact).items():
        tell(f"{name}: {value}")


@models_app.command("check")
def check(which: Which = "default", as_json: AsJson = False) -> None:
    """Open a model as a worker would, and say on what it would run.

    Refuses, with the reason and exit code 3, what the engine would refuse.

    Example: vigil models check results/model
    """
    from models.inputs import Feed
    from models.open import open_blocks
    from service.artifacts import folder_of, read_artifact

    artifact = read_artifact(folder_of(which))
    blocks = open_blocks(artifact)
    Feed(artifact.spec)
    found = {
        "model": artifact.ref,
        "runtime": blocks.runtime.name,
        "buckets": list(blocks.buckets),
        "bytes_per_patient": artifact.spec.state_bytes,
        "parameters": sum(int(x.size) for x in artifact.weights.values()),
    }
    if as_json:
        say(found)
        return
    for name, value in found.items():
        tell(f"{name.replace('_', ' ')}: {value}")


@models_app.command("use")
def use(
    version: Annotated[str, typer.Argument(metavar="NAME@DIGEST", help="As `list` prints them.")],
    patient: Annotated[str, typer.Option("--patient", help="One patient (default: all).")] = "",
    by: By = "",
    reason: Why = "",
    config_file: ConfigFile = None,
) -> int:
    """Let another loaded version of a model speak, from this place of the log on.

    Every worker must have it in its configuration: one that does not refuses.
    The shipped policy wants the role `service`: --by kim/service.

    Example: vigil models use default@3f1c0a9b2d4e5f60 --by kim/service -m "release 2"
    """
    from service.alert_desk import command_of, send
    from service.alert_wish import Wish
    from service.cli.alert_options import now_us

    name, _, digest = version.partition("@")
    if not name or not digest:
        raise typer.BadParameter("write NAME@DIGEST")
    wish = Wish("use_model", patient or ANYONE, version, *who(by), reason)
    answer = send(configured(config_file), command_of(wish, now_us()), _REFUSAL_S)
    if answer.refused:
        tell(f"refused: {answer.refused}")
        return EXIT_REFUSED
    tell(f"{version} speaks from here on")
    return 0


_REFUSAL_S = 2.0  # nothing answers when it is done, but it may be refused


def _card(artifact: Artifact) -> dict[str, Any]:
    """The spec in a few lines."""
    spec = artifact.spec
    training = spec.training
    lines: dict[str, Any] = {
        "model": artifact.ref,
        "family": spec.family,
        "task": f"{spec.task} within {', '.join(_span(s) for s in spec.horizons_s)}",
        "cadence": f"{_span(spec.cadence_s)}, warm after {_span(spec.warmup_s)}",
        "state": f"{spec.state_bytes} bytes per patient",
        "calibration": spec.calibration.kind,
    }
    for modality in spec.modalities:
        inputs = ", ".join(f.name for f in modality.features)
        lines[modality.name] = f"{modality.kind}, up to {_span(modality.max_age_s)} old: {inputs}"
    for point in spec.operating:
        metrics = ", ".join(f"{name} {value:g}" for name, value in point.metrics.items())
        lines[f"operating point {point.name}"] = f"{point.threshold:g} ({metrics})"
    lines["trained on"] = f"{training.data} ({training.licence})"
    for name, values in training.metrics.items():
        lines[name] = ", ".join(f"{value:.4g}" for value in values)
    lines["notes"] = training.notes
    return {name: value for name, value in lines.items() if value not in ("", " ()")}


def _span(seconds: float) -> str:
    """A time span in its largest plain unit."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
