"""Units of clinical values: what a spelling means, and the factor between two units.

A unit is a factor to base units and an exponent for each dimension, read from UCUM (case
sensitive, the part of it that charts use) or from a list of usual spellings (any case). Two
units convert when their dimensions agree; amount and mass convert through a molar mass, charge
and amount through a charge number. Everything else is refused. Not here: what unit a concept
has (`features.concepts`).

Sources: UCUM 2.1, tables 1, 3-6 and section 4 (arbitrary units); CODATA constants are exact.
Checked against pint through ucumvert: ``tests/features/test_units.py``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

MAX_UNIT_CHARS: Final = 48  # a longer text is no unit
_CACHED: Final = 4096  # expressions remembered; texts come from outside
_MAX_EXPONENT: Final = 9
_MAX_POWER_OF_TEN: Final = 24

# Dimensions: length, mass, time, temperature, amount, charge amount (equivalents),
# arbitrary units ([iU]), pH, osmoles. The last three convert into nothing else.
_NAMES: Final = "lmtkneuho"
_NONE: Final = (0,) * len(_NAMES)


class Unit(NamedTuple):
    """value in base units (m, g, s, K, mol, eq, [iU], [pH], osm) = value * factor + offset."""

    factor: float
    offset: float
    dims: tuple[int, ...]
    crossed: frozenset[str] = (
        frozenset()
    )  # dimensions above and below the line: ug/kg/min is no /min

    @property
    def is_number(self) -> bool:
        """Whether it is a bare number, as per cent and 10*3 are."""
        return self.dims == _NONE


def _unit(factor: float, dims: str = "", offset: float = 0.0) -> Unit:
    """Unit from a word of dimension letters, capital = negative exponent."""
    return Unit(
        factor, offset, tuple(dims.count(name) - dims.count(name.upper()) for name in _NAMES)
    )


_LITRE: Final = _unit(1e-3, "lll")
_MERCURY_PA: Final = 133_322.387415  # one metre of mercury; UCUM's 133322.0 has fewer digits
_PREFIXES: Final = {
    "G": 1e9, "M": 1e6, "k": 1e3, "h": 1e2, "da": 1e1, "d": 1e-1, "c": 1e-2, "m": 1e-3,
    "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15,
}  # fmt: skip
_METRIC: Final = {
    "m": _unit(1.0, "l"),
    "g": _unit(1.0, "m"),
    "s": _unit(1.0, "t"),
    "K": _unit(1.0, "k"),
    "mol": _unit(1.0, "n"),
    "eq": _unit(1.0, "e"),
    "osm": _unit(1.0, "o"),
    "L": _LITRE,
    "l": _LITRE,
    "Hz": _unit(1.0, "T"),
    "Pa": _unit(1e3, "mLTT"),
    "bar": _unit(1e8, "mLTT"),
    "m[Hg]": _unit(1e3 * _MERCURY_PA, "mLTT"),
    "m[H2O]": _unit(9.80665e6, "mLTT"),
    "J": _unit(1e3, "mllTT"),
    "cal": _unit(4184.0, "mllTT"),
    "U": _unit(1e-6 / 60, "nT"),  # the enzyme unit, 1 umol/min
    "kat": _unit(1.0, "nT"),
    "[iU]": _unit(1.0, "u"),
    "[IU]": _unit(1.0, "u"),
}
_PLAIN: Final = {
    "min": _unit(60.0, "t"),
    "h": _unit(3600.0, "t"),
    "d": _unit(86_400.0, "t"),
    "wk": _unit(604_800.0, "t"),
    "mo": _unit(2_629_800.0, "t"),  # UCUM: a/12
    "a": _unit(31_557_600.0, "t"),  # the Julian year
    "%": _unit(1e-2),
    "[ppm]": _unit(1e-6),
    "[pH]": _unit(1.0, "h"),
    "[lb_av]": _unit(453.59237, "m"),
    "[oz_av]": _unit(28.349523125, "m"),
    "[in_i]": _unit(0.0254, "l"),
    "[ft_i]": _unit(0.3048, "l"),
    "Cel": _unit(1.0, "k", 273.15),
    "[degF]": _unit(5 / 9, "k", 459.67 * 5 / 9),
}
_ATOMS: Final = {
    **{p + name: unit._replace(factor=size * unit.factor)
       for p, size in _PREFIXES.items() for name, unit in _METRIC.items()},
    **_METRIC,
    **_PLAIN,
}  # fmt: skip

_TOKEN: Final = re.compile(
    r"(?P<ten>10[*^](?P<power>[+-]?\d{1,2}))"
    r"|(?P<number>\d{1,9})(?![*^\d])"
    r"|(?P<atom>(?:[A-Za-z%]+|\[[A-Za-z_]+\d?[A-Za-z]?\])(?:\[[A-Za-z0-9]+\])?)(?P<exp>[+-]?\d)?"
    r"|(?P<note>\{[^{}]*\})"
    r"|(?P<mark>[./()])"
)


def fold(spelling: str) -> str:
    """Spelling without spaces, in one case, with one letter for micro and one for degree.

    Examples
    --------
    >>> fold("10^3 / µL"), fold("MMHG")
    ('10^3/ul', 'mmhg')
    """
    return "".join(spelling.split()).casefold().replace("\u03bc", "u").replace("º", "°")


@functools.lru_cache(maxsize=_CACHED)
def parse(text: str) -> Unit | None:
    """Meaning of a UCUM expression; None for what is not one, or not one charts use.

    Parameters
    ----------
    text : str
        Case-sensitive UCUM: atoms with prefixes, `.` and `/`, exponents, `10*3`, parentheses,
        annotations in braces, which mean nothing. An annotation alone is no unit here,
        because it may stand for anything.

    Returns
    -------
    Unit or None
        Temperatures with an offset (`Cel`, `[degF]`) only stand alone.

    Examples
    --------
    >>> parse("mg/dL").factor, parse("ug/kg/min").crossed, parse("furlong")
    (10.0, frozenset({'m'}), None)
    """
    text = text.strip().replace("\u00b5", "u").replace("\u03bc", "u")
    if not text or len(text) > MAX_UNIT_CHARS:
        return None
    tokens: list[re.Match[str]] = []
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            return None
        tokens.append(token)
        place = token.end()
    unit, rest = _term(tokens, 0)
    if unit is None or rest != len(tokens):
        return None
    return (
        unit if any(token["atom"] or token["ten"] or token["number"] for token in tokens) else None
    )


def _term(tokens: list[re.Match[str]], at: int) -> tuple[Unit | None, int]:
    """Product of components from token `at` up to the end or a closing parenthesis."""
    result: Unit | None = None
    sign = 1
    if at < len(tokens) and tokens[at]["mark"] == "/":
        result, sign, at = _unit(1.0), -1, at + 1
    while at < len(tokens):
        part, at = _component(tokens, at)
        if part is None:
            return None, at
        result = part if result is None else _times(result, part, sign)
        if result is None or at == len(tokens) or tokens[at]["mark"] == ")":
            return result, at
        if tokens[at]["mark"] not in (".", "/"):
            return None, at
        sign = 1 if tokens[at]["mark"] == "." else -1
        at += 1
    return None, at  # ended after an operator


def _component(tokens: list[re.Match[str]], at: int) -> tuple[Unit | None, int]:
    """One factor with its annotation."""
    token = tokens[at]
    if token["mark"] == "(":
        unit, at = _term(tokens, at + 1)
        if at == len(tokens) or tokens[at]["mark"] != ")":
            return None, at
    elif token["mark"]:
        return None, at
    else:
        unit = _simple(token)
    at += 1
    if unit is not None and not token["note"] and at < len(tokens) and tokens[at]["note"]:
        at += 1
    return unit, at


def _simple(token: re.Match[str]) -> Unit | None:
    """Unit of one token that is no operator."""
    if token["note"]:
        return _unit(1.0)
    if token["ten"]:
        power = int(token["power"])
        return _unit(10.0**power) if abs(power) <= _MAX_POWER_OF_TEN else None
    if token["number"]:
        return _unit(float(token["number"])) if int(token["number"]) else None
    atom = _ATOMS.get(token["atom"])
    return atom if atom is None or not token["exp"] else _power(atom, int(token["exp"]))


def _power(unit: Unit, exponent: int) -> Unit | None:
    if unit.offset:
        return None
    dims = tuple(d * exponent for d in unit.dims)
    return Unit(unit.factor**exponent, 0.0, dims, unit.crossed)


def _times(left: Unit, right: Unit, sign: int) -> Unit | None:
    """Product or quotient; None when a scale with an offset takes part."""
    if left.offset or right.offset:
        return None
    dims = tuple(a + sign * b for a, b in zip(left.dims, right.dims, strict=True))
    if max(map(abs, dims)) > _MAX_EXPONENT:
        return None
    pairs = zip(_NAMES, left.dims, right.dims, strict=True)
    met = {name for name, a, b in pairs if a * sign * b < 0}
    crossed = left.crossed | right.crossed | met
    return Unit(left.factor * right.factor**sign, 0.0, dims, crossed)


def rule(
    unit: Unit, wanted: Unit, molar_mass: float = 0.0, charge: int = 0
) -> tuple[float, float] | None:
    """(factor, offset) that turns values in `unit` into `wanted`, None if nothing does.

    Parameters
    ----------
    unit, wanted : Unit
        As `parse` gives them.
    molar_mass : float, g/mol
        Of the analyte; 0 = amount and mass do not convert.
    charge : int
        Charge number of the ion: 1 mol has `charge` equivalents; 0 = they do not convert.

    Examples
    --------
    >>> rule(parse("meq/L"), parse("mmol/L"), charge=2)
    (0.5, 0.0)
    >>> rule(parse("K/uL"), parse("10*3/uL")) is None
    True
    """
    unit, wanted = (_reduced(one, molar_mass, charge) for one in (unit, wanted))
    if unit.dims != wanted.dims or unit.crossed != wanted.crossed:
        return None
    return (
        _clean(unit.factor / wanted.factor),
        _clean((unit.offset - wanted.offset) / wanted.factor),
    )


def _clean(number: float) -> float:
    """Number without the last digits, where only the order of multiplications shows."""
    return float(f"{number:.14g}")


_MASS, _AMOUNT, _EQUIVALENT = (_NAMES.index(name) for name in "mne")


def _reduced(unit: Unit, molar_mass: float, charge: int) -> Unit:
    """Equivalents as amount and amount as mass, as far as the analyte allows."""
    dims = list(unit.dims)
    factor = unit.factor
    if charge:
        factor /= float(charge) ** dims[_EQUIVALENT]
        dims[_AMOUNT] += dims[_EQUIVALENT]
        dims[_EQUIVALENT] = 0
    if molar_mass:
        factor *= molar_mass ** dims[_AMOUNT]
        dims[_MASS] += dims[_AMOUNT]
        dims[_AMOUNT] = 0
    return Unit(factor, unit.offset, tuple(dims), unit.crossed)


def read_spellings(spellings: Mapping[str, str]) -> dict[str, Unit]:
    """Folded spelling to its unit.

    Parameters
    ----------
    spellings : mapping of str to str
        Usual spelling to UCUM.

    Raises
    ------
    ValueError
        If one stands for no unit, or two that look alike stand for different ones.
    """
    found: dict[str, Unit] = {}
    for spelling, ucum in spellings.items():
        unit = parse(ucum)
        if unit is None:
            raise ValueError(f"{spelling!r} stands for {ucum!r}, which is not a unit")
        if found.setdefault(fold(spelling), unit) != unit:
            raise ValueError(f"{spelling!r} means two things")
    return found


def compile_rules(
    canonical: str, spellings: Mapping[str, Unit], molar_mass: float = 0.0, charge: int = 0
) -> dict[str, tuple[float, float]]:
    """Factor table of one concept: folded spelling to (factor, offset).

    Parameters
    ----------
    canonical : str
        Unit wanted, UCUM.
    spellings : mapping of str to Unit
        As `read_spellings` gives them. Those that do not convert are left out: `C` is degrees
        Celsius for a temperature and nothing for a pressure.
    molar_mass, charge
        As `rule`.

    Raises
    ------
    ValueError
        If `canonical` is not readable, or a spelling that looks like it is something else.
    """
    wanted = parse(canonical)
    if wanted is None:
        raise ValueError(f"{canonical!r} is not a unit")
    table = {fold(canonical): (1.0, 0.0)}
    for spelling, unit in spellings.items():
        if unit.dims != wanted.dims and not (molar_mass or charge):
            continue
        found = rule(unit, wanted, molar_mass, charge)
        if found is not None and table.setdefault(spelling, found) != found:
            raise ValueError(f"{spelling!r} means two things in {canonical}")
    return table
