"""`fusion.concat`: `fusion.gated` without gates, the plain peer of it."""

from __future__ import annotations

from models.families.gated import CONCAT, build
from models.linear import example_spec
from models.spec import ModelSpec

__all__ = ["build", "example"]


def example() -> ModelSpec:
    """A small spec, for the contract suite."""
    return example_spec(CONCAT, {"width": 8, "static_width": 4, "hidden": 8})
