"""`fusion.progressive`: modalities join in an order, close ones first."""

from __future__ import annotations

from models.families.gated import PROGRESSIVE, build
from models.linear import example_spec
from models.spec import ModelSpec

__all__ = ["build", "example"]


def example() -> ModelSpec:
    """A small spec, for the contract suite: vitals, then what laboratory and record add."""
    order = [["vitals"], ["labs", "static"]]
    sizes = {"width": 8, "static_width": 4, "hidden": 8, "node_width": 12}
    return example_spec(PROGRESSIVE, {**sizes, "order": order})
