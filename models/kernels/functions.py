"""Exponential, sigmoid, hyperbolic tangent and logarithm of float32 that vectorise.

Each is a few multiply-adds without a branch or a call, so a compiler makes vectors of a loop over
them, and since every operation is one of IEEE 754's, a lane has the bits the operation has alone,
on any machine. NaN in, NaN out. Errors are bounds found over all floats of the range
(``tests/models/kernels/test_functions.py``). Imported only where numba is installed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from models.kernels.lanes import bits_of, float_of, fma, ratio

_F = np.float32
_ONE: Final = _F(1.0)
_TWO: Final = _F(2.0)
_HALF: Final = _F(0.5)
_ZERO: Final = _F(0.0)
_LOG2_E: Final = _F(1.4426950408889634)
# ln 2 in two pieces: 12 bits, so that a whole number of them is exact, and the rest (Cody, Waite).
_LN2_HIGH: Final = _F(0.693359375)
_LN2_LOW: Final = _F(-2.1219444005469057e-4)
_ROUND: Final = _F(12582912.0)  # 1.5 * 2**23: adding it leaves a whole number in the low bits
_ROUND_BITS: Final = np.int32(0x4B400000)
_EXPONENT: Final = np.int32(23)
_BIAS: Final = np.int32(127)
_LOWEST: Final = _F(-87.0)  # exp of less is below the normal floats
_HIGHEST: Final = _F(88.0)

# exp(r) = 1 + r + r² (a + b r + c r² + d r³ + e r⁴) within half of ln 2 of 0: Chebyshev's nodes,
# 8e-9 away.
_A: Final = _F(5.0000000135e-01)
_B: Final = _F(1.6666576967e-01)
_C: Final = _F(4.1666464895e-02)
_D: Final = _F(8.3631815447e-03)
_E: Final = _F(1.3933652489e-03)

# log(1 + f) = f + f² (a + b f + ...) for 1 + f from 1/sqrt(2) to sqrt(2), likewise: 3e-8 away.
_L0: Final = _F(-4.9999994808e-01)
_L1: Final = _F(3.3333659790e-01)
_L2: Final = _F(-2.5001609622e-01)
_L3: Final = _F(1.9973105881e-01)
_L4: Final = _F(-1.6575048107e-01)
_L5: Final = _F(1.4806459579e-01)
_L6: Final = _F(-1.4257794971e-01)
_L7: Final = _F(9.0042021279e-02)
_ROOT_HALF_BITS: Final = np.int32(0x3F3504F3)  # of 1/sqrt(2)
_MANTISSA: Final = np.int32(0x007FFFFF)
_LN2: Final = _F(0.6931471805599453)


@compiled
def exp(x: Any) -> Any:
    """e**x, to 2e-7 of itself; beyond -87 and 88 as there."""
    x = _LOWEST if x < _LOWEST else x
    x = _HIGHEST if x > _HIGHEST else x
    shifted = fma(x, _LOG2_E, _ROUND)
    whole = shifted - _ROUND
    rest = fma(-whole, _LN2_LOW, fma(-whole, _LN2_HIGH, x))
    curve = fma(rest, fma(rest, fma(rest, fma(rest, _E, _D), _C), _B), _A)
    near_one = fma(rest * rest, curve, rest) + _ONE
    power = (bits_of(shifted) - _ROUND_BITS + _BIAS) << _EXPONENT
    return near_one * float_of(power)


@compiled
def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-x), to 1.5e-7."""
    return ratio(_ONE, _ONE + exp(-x))


@compiled
def tanh(x: Any) -> Any:
    """Hyperbolic tangent, to 2e-7."""
    return _ONE - ratio(_TWO, exp(_TWO * x) + _ONE)


@compiled
def log1p(x: Any) -> Any:
    """log(1 + x) of x >= 0, to 1e-7 and 1e-7 of itself; 0 of 0."""
    near = _ONE + x
    bits = bits_of(near) - _ROOT_HALF_BITS
    power = bits >> _EXPONENT
    f = float_of((bits & _MANTISSA) + _ROOT_HALF_BITS) - _ONE
    high = fma(f, fma(f, fma(f, _L7, _L6), _L5), _L4)
    curve = fma(f, fma(f, fma(f, fma(f, high, _L3), _L2), _L1), _L0)
    small = fma(f * f, curve, f)
    found = fma(_F(power), _LN2, small)
    return found if x == x else x
