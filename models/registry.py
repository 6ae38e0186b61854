"""Which models, encoders, fusers and losses there are, by name. Torch is imported by `load` only.

Own ones are in `BUILTIN`, one line each; other packages add theirs as Python entry points of the
groups `vigil.models`, `vigil.encoders`, `vigil.fusers`, `vigil.losses`. An own name always wins: a
package must not be able to replace what Vigil ships.

What a name stands for, per group:

- models: a module (or object) with `build(spec) -> FusionModel` and `example() -> ModelSpec`, the
  small spec that the contract suite tests it on
- encoders: `(modality: ModalitySpec, **config) -> Encoder`
- fusers: `(widths: dict[str, int], **config) -> Fuser`
- losses: `(**config) -> Loss`
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from streams.errors import ConfigError

if TYPE_CHECKING:
    from models.fusion_model import FusionModel
    from models.spec import ModelSpec

Group = Literal["models", "encoders", "fusers", "losses"]

BUILTIN: Final[dict[Group, dict[str, str]]] = {
    "models": {
        "linear": "models.linear",
        "fusion.gated": "models.families.gated",
        "fusion.concat": "models.families.concat",
        "fusion.progressive": "models.families.progressive",
        "fusion.early": "models.families.early",
        "fusion.conv": "models.families.conv",
        "ensemble": "models.families.ensemble",
        "late.mean": "models.families.late:MEAN",
        "late.vote": "models.families.late:VOTE",
        "late.weighted": "models.families.late:WEIGHTED",
        "late.confidence": "models.families.late:CONFIDENCE",
        "late.dempster_shafer": "models.families.late:DEMPSTER_SHAFER",
        "late.stack": "models.families.late:STACK",
        "late.vcdn": "models.families.late:VCDN",
        "boosted": "models.families.boosted",
        "residual": "models.families.residual",
    },
    "encoders": {
        "decay": "models.linear:DecayEncoder",
        "gru_d": "models.encoders.gru_d:GruD",
        "point": "models.encoders.point:Point",
        "window": "models.encoders.window:Window",
        "conv": "models.encoders.conv:Conv",
        "rolling": "models.encoders.rolling:RollingEncoder",
    },
    "fusers": {
        "sum": "models.linear:Sum",
        "concat": "models.fusers.concat:Concat",
        "gated": "models.fusers.gated:Gated",
        "progressive": "models.fusers.progressive:Progressive",
        "opinions": "models.fusers.opinions:Opinions",
    },
    "losses": {
        "bce": "models.losses:WeightedBCE",
        "hazard": "models.heads.hazard:HazardLoss",
        "ranking": "models.training.losses:Ranking",
        "utility": "models.training.losses:ExpectedUtility",
    },
}


class Family(Protocol):
    """What a name of the group "models" stands for."""

    def build(self, spec: ModelSpec) -> FusionModel:
        """The network of a spec, untrained."""
        ...

    def example(self) -> ModelSpec:
        """A small spec to test it on."""
        ...


def names(group: Group) -> tuple[str, ...]:
    """Every name of a group, own ones first."""
    own = BUILTIN[group]
    others = {point.name for point in entry_points(group=f"vigil.{group}")} - set(own)
    return (*own, *sorted(others))


def load(group: Group, name: str) -> Any:
    """What a name stands for; see the module.

    Raises
    ------
    ConfigError
        If there is no such name, or the package that offers it cannot be imported.
    """
    place = BUILTIN[group].get(name)
    if place is not None:
        module, _, attribute = place.partition(":")
        found = import_module(module)
        return getattr(found, attribute) if attribute else found
    for point in entry_points(group=f"vigil.{group}", name=name):
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"{group} {name!r} cannot be imported: {error}") from error
    known = names(group)
    near = get_close_matches(name, known, n=1)
    hint = f"nearest: {near[0]}" if near else f"valid: {', '.join(known)}"
    raise ConfigError(f"no {group[:-1] if group != 'losses' else 'loss'} {name!r}; {hint}")


def family(name: str) -> Family:
    """A registered model family.

    Raises
    ------
    ConfigError
        As `load`.
    """
    found: Family = load("models", name)
    return found
