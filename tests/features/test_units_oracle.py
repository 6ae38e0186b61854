"""10,000 random conversions against pint, which reads UCUM through ucumvert."""

from __future__ import annotations

import functools
import math
import random
from typing import Any

import pytest

from features.concepts import CONCEPTS, Concept, conversion

CONVERSIONS = 10_000
PREFIXES = ("", "", "", "k", "M", "d", "c", "m", "u", "n", "p", "h")
TOPS = ("g", "mol", "eq", "U", "L", "m[Hg]", "Pa", "bar", "m[H2O]", "m", "s", "cal", "J", "[iU]")
PLAIN_TOPS = ("Cel", "[degF]", "K", "%", "10*3", "10*6", "10*9", "1", "min", "h", "d", "a", "mo",
              "[lb_av]", "[oz_av]", "[in_i]", "[ft_i]", "", "")  # fmt: skip
BOTTOMS = ("L", "dL", "mL", "uL", "m3", "m2", "kg", "g", "min", "h", "s", "kg/min", "kg/h", "d")
# Where pint sees one quantity and a chart sees two: it takes [iU] and the patient's kilograms out
# of the dimension. Refusing more than pint is allowed, a different number is not.


@pytest.fixture(scope="module")
def registry() -> Any:
    ucumvert = pytest.importorskip("ucumvert")
    registry = ucumvert.PintUcumRegistry()
    registry.from_ucum = functools.cache(registry.from_ucum)  # 2 ms each
    return registry


def _expression(draw: random.Random, concept: Concept) -> str:
    """Most of them near the concept's own unit, so that many convert."""
    if draw.random() < 0.9 and "/" in concept.unit and "mol" not in concept.unit:
        top, bottom = concept.unit.split("/", 1)
        return (
            f"{draw.choice((top, 'g', 'mg', 'mmol', 'umol', 'meq'))}/{draw.choice((bottom, 'L'))}"
        )
    return _any_expression(draw)


def _any_expression(draw: random.Random) -> str:
    if draw.random() < 0.6:
        top = draw.choice(PREFIXES) + draw.choice(TOPS)
    else:
        top = draw.choice(PLAIN_TOPS)
    if top and draw.random() < 0.3:
        return top
    return f"{top}/{draw.choice(BOTTOMS)}"


def _oracle(registry: Any, concept: Concept, value: float, unit: str) -> float | None:
    """Value in the concept's unit as pint has it, None where it has none."""
    wanted = registry.from_ucum(concept.unit)
    if unit in ("Cel", "[degF]", "K"):
        if wanted.dimensionality != registry.from_ucum("K").dimensionality:
            return None
        quantity = registry.Quantity(value, registry.from_ucum(unit).units)
        return float(quantity.to(wanted.units).magnitude)
    quantity = value * registry.from_ucum(_as_charted(concept, unit))
    if "eq" in unit:
        if not concept.charge:
            return None
        quantity = quantity / concept.charge
    candidates = [quantity]
    if concept.molar_mass:
        molar = concept.molar_mass * registry.from_ucum("g/mol")
        candidates += [quantity * molar, quantity / molar]
    for candidate in candidates:
        if candidate.dimensionality == wanted.dimensionality:
            return float(candidate.to(wanted.units).magnitude / wanted.magnitude)
    return None


def _as_charted(concept: Concept, unit: str) -> str:
    """A drug's U is the international unit, an enzyme's IU its own unit: UCUM keeps them apart."""
    if concept.modality == "med":
        return unit.replace("U", "[iU]") if unit in ("U", "U/h", "U/min") else unit
    return "U/L" if concept.unit == "U/L" and unit == "[iU]/L" else unit


@pytest.mark.filterwarnings("ignore")
def test_no_random_conversion_is_wrong(registry: Any) -> None:
    draw = random.Random(6)
    concepts = [c for c in CONCEPTS if c.ucum and c.unit not in ("[pH]",)]
    equal = refused = 0
    for _ in range(CONVERSIONS):
        concept = draw.choice(concepts)
        unit = _expression(draw, concept)
        value = draw.uniform(0.01, 500.0)
        rule = conversion(concept.code, unit)
        if rule is None:
            refused += 1
            continue
        if (concept.code, unit) == ("mchc", "%") or "hbar" in unit:
            continue  # g% by tradition is g/dL; pint's hbar is Planck's constant
        expected = _oracle(registry, concept, value, unit)
        found = value * rule[0] + rule[1]
        assert expected is not None, (concept.code, unit)
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9), (concept.code, unit)
        equal += 1
    assert equal > 1_500


@pytest.mark.filterwarnings("ignore")
def test_units_of_the_concepts_own_kind_are_converted_and_right(registry: Any) -> None:
    """The random test mostly refuses; here every unit is one that must convert."""
    draw = random.Random(66)
    tops = {"g": 1, "mol": 1, "eq": 1}
    labs = [
        c for c in CONCEPTS if c.ucum and c.unit in ("mg/dL", "mmol/L", "g/dL", "mg/L", "ng/mL")
    ]
    for _ in range(2_000):
        concept = draw.choice(labs)
        kind = draw.choice([t for t in tops if _allowed(concept, t)])
        unit = f"{draw.choice(PREFIXES)}{kind}/{draw.choice(('L', 'dL', 'mL', 'uL', 'm3'))}"
        value = draw.uniform(0.01, 500.0)
        rule = conversion(concept.code, unit)
        if rule is None:  # a look-alike in another case: refused on purpose
            assert unit.startswith("M"), (concept.code, unit)
            continue
        expected = _oracle(registry, concept, value, unit)
        assert expected is not None, (concept.code, unit)
        assert math.isclose(value * rule[0] + rule[1], expected, rel_tol=1e-9), (concept.code, unit)


def _allowed(concept: Concept, kind: str) -> bool:
    canonical = "mol" if "mol" in concept.unit else "g"
    if kind == "eq":
        return bool(concept.charge) and (canonical == "mol" or bool(concept.molar_mass))
    return kind == canonical or bool(concept.molar_mass)
