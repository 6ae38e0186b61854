"""`vigil train`: a model from a data set, resumable, the same bytes every time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from service.cli.common import progress, tell, writable
from streams.errors import ConfigError

_PACKED = {  # where VIGIL_DATA keeps each
    "cinc2019": "cinc2019_setA.tar.xz",
    "cinc2012": "cinc2012_seta.tar.xz",
    "yaib_eicu": "yaib_eicu_demo.tar.xz",
    "yaib_eicu_aki": "yaib_eicu_demo.tar.xz",
    "yaib_eicu_mortality24": "yaib_eicu_demo.tar.xz",
    "t1d_uom": "t1d_uom.tar.xz",
    "t1d_uom_30": "t1d_uom.tar.xz",
    "stress_predict_e4": "stress_predict_e4.tar.xz",
}
_RECIPES = ("default", "steady")
_SEPSIS = "cinc2019"  # the recipe of the default model is made for its hours


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("train")(train)


def train(  # noqa: PLR0913 - one parameter per option
    dataset: Annotated[str, typer.Argument(help=f"What to train on: {', '.join(_PACKED)}.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The file or folder (default: from VIGIL_DATA)."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the artifact.")] = Path(
        "vigil-model"
    ),
    folds: Annotated[
        int, typer.Option("--folds", min=2, max=20, help="Folds for the held-out scores.")
    ] = 5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed, the same bytes.")] = 0,
    model: Annotated[
        str, typer.Option("--model", help="default, steady, or a family of `vigil models list`.")
    ] = "default",
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings", help="TOML for a network: its tables model (sizes) and training."
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="For a network: cpu or cuda.")] = "cpu",
) -> None:
    """Train a model on a data set. Stopped, it goes on where it was.

    Thresholds and calibration come from patients that trained nothing, fold by fold; then the
    forests are grown on everybody. Eight minutes of CPU and 4 GB of memory for set A.

    Example: vigil train cinc2012 --data seta/ --model fusion.gated --out gated/
    """
    if dataset not in _PACKED:
        raise ConfigError(f"no data set {dataset!r}; valid: {', '.join(_PACKED)}")
    folder = Path(os.environ.get("VIGIL_DATA", "../shared/data"))
    place = data or folder / _PACKED[dataset]
    if model in _RECIPES and dataset != _SEPSIS:
        raise ConfigError(
            f"the {model} model is made for {_SEPSIS}; on {dataset} train a network: "
            "--model fusion.early, fusion.gated, ..."
        )
    writable(out)
    with progress() as watcher:
        if model in _RECIPES:
            from service.train import Job, train

            train(
                Job(place, out, folds, seed, "steady" if model == "steady" else "default"), watcher
            )
        else:
            from service.train_network import NetworkJob, train_network

            train_network(NetworkJob(place, out, model, settings, seed, device, dataset), watcher)
    tell(f"{out}: model.safetensors, spec.json. Look at it: vigil evaluate {out}")
