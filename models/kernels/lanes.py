"""What numba lacks for a fast product of fixed order: fused multiply-add, bits of floats, a tile.

Invariant: an element of a product is one chain of fused multiply-adds over its inputs in ascending
order, begun at its bias or at what was there. Neither how many rows there are nor how wide the
machine's vectors are changes that chain, so it changes no bit; a tile only decides how many chains
run at once. Written as LLVM instructions, because a loop that keeps its sums in registers cannot be
said in Python. Imported only where numba is installed.
"""

from __future__ import annotations

from typing import Any, Final

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from features.compiler import compiled

BLOCK: Final = 32  # columns of a weight that lie together, two vectors of the widest registers
_LANES: Final = 16
_VECTORS: Final = BLOCK // _LANES
# Rows at once: their sums, two vectors each, fill half the registers, which hides that a fused
# multiply-add takes four cycles; measured beside 4, 6 and 12.
_FEATURES: Final = config.CPU_FEATURES or llvm.get_host_cpu_features().flatten()  # as numba has it
TALL: Final = 8 if "+avx512f" in _FEATURES else 2

_INDEX = ir.IntType(64)
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, _LANES)


def _instruction(code: Any) -> Any:
    """What compiled loops may call, from a function that writes it as LLVM instructions."""
    return intrinsic(code)


@_instruction
def fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """Of float32 a * b + c, rounded once."""

    def code(target: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fma(*given)

    return types.float32(types.float32, types.float32, types.float32), code


@_instruction
def ratio(context: Any, a: Any, b: Any) -> Any:
    """Of float32 a / b; by 0 it is infinite or NaN, where numba would branch to raise."""

    def code(target: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fdiv(*given)

    return types.float32(types.float32, types.float32), code


@_instruction
def bits_of(context: Any, x: Any) -> Any:
    """The bits of a float32 as an int32."""

    def code(target: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(given[0], ir.IntType(32))

    return types.int32(types.float32), code


@_instruction
def float_of(context: Any, bits: Any) -> Any:
    """The float32 that has these bits."""

    def code(target: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(given[0], _FLOAT)

    return types.float32(types.int32), code


@_instruction
def move(context: Any, source: Any, at: Any, to: Any, start: Any, count: Any) -> Any:
    """Copy `count` float32 from place `at` of an array to place `start` of another."""

    def code(target: Any, builder: Any, signature: Any, given: Any) -> Any:
        own, its = (target.make_array(signature.args[i])(target, builder, given[i]) for i in (0, 2))
        here, there = builder.gep(own.data, [given[1]]), builder.gep(its.data, [given[3]])
        cgutils.raw_memcpy(builder, there, here, given[4], 4, 4)
        return target.get_dummy_value()

    return types.void(source, types.int64, to, types.int64, types.int64), code


def _tile(rows: int, blocks: int) -> Any:
    """Code for `rows` rows times `blocks` neighbouring blocks of columns; see `product`."""

    @_instruction
    def tile(context: Any, arrays: Any, at: Any, inner: Any) -> Any:
        def code(target: Any, builder: Any, signature: Any, given: Any) -> Any:
            kinds, parts = signature.args[0], cgutils.unpack_tuple(builder, given[0], 4)
            own = [
                target.make_array(k)(target, builder, a) for k, a in zip(kinds, parts, strict=True)
            ]
            place = cgutils.unpack_tuple(builder, given[1], 7)
            _Tile(builder, rows, blocks).write([array.data for array in own], place, given[2])
            return target.get_dummy_value()

        return types.void(arrays, types.UniTuple(types.int64, 7), types.int64), code

    return tile


class _Tile:
    """Writes one tile's instructions: sums begun, a loop over inputs, sums to `out`."""

    def __init__(self, builder: Any, rows: int, blocks: int) -> None:
        self.builder, self.rows, self.vectors = builder, rows, blocks * _VECTORS
        name = f"llvm.fma.v{_LANES}f32"
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        self.fma = cgutils.get_or_insert_function(builder.module, kind, name)

    def write(self, arrays: Any, place: Any, inner: Any) -> None:
        """`arrays` and `place` as `product` has them."""
        b, (x, w, begin, out) = self.builder, arrays
        x_at, x_step, w_at, begin_at, begin_step, out_at, out_step = place
        begun = [self._load(cell) for cell in self._cells(begin, begin_at, begin_step)]
        cells = self._cells(out, out_at, out_step)
        own = [b.gep(x, [b.add(x_at, b.mul(x_step, _INDEX(r)))]) for r in range(self.rows)]
        before, loop = b.block, b.append_basic_block("inputs")
        after = b.append_basic_block("summed")
        b.branch(loop)  # there is at least one input
        b.position_at_end(loop)
        k, sums = b.phi(_INDEX), [b.phi(_VECTOR) for _ in cells]
        added = self._added(sums, own, (w, w_at), k, inner)
        following = b.add(k, _INDEX(1))
        for value, first, later in (
            (k, _INDEX(0), following),
            *zip(sums, begun, added, strict=True),
        ):
            value.add_incoming(first, before)
            value.add_incoming(later, loop)
        b.cbranch(b.icmp_signed("<", following, inner), loop, after)
        b.position_at_end(after)
        for cell, value in zip(cells, added, strict=True):
            b.store(value, cell).align = 4

    def _cells(self, base: Any, at: Any, step: Any) -> list[Any]:
        """Where the vectors of every row lie."""
        b = self.builder
        return [
            self._vector(base, b.add(at, b.add(b.mul(step, _INDEX(row)), _INDEX(column))))
            for row in range(self.rows)
            for column in range(0, self.vectors * _LANES, _LANES)
        ]

    def _added(
        self, sums: list[Any], rows: list[Any], weight: Any, k: Any, inner: Any
    ) -> list[Any]:
        """The sums with input `k` of every row added."""
        b, (w, w_at) = self.builder, weight
        weights = []
        for vector in range(self.vectors):
            block, column = divmod(vector * _LANES, BLOCK)
            row = b.add(b.mul(inner, _INDEX(block)), k)
            at = b.add(b.add(w_at, b.mul(row, _INDEX(BLOCK))), _INDEX(column))
            weights.append(self._load(self._vector(w, at)))
        added = []
        for i, row in enumerate(rows):
            one = self._spread(b.load(b.gep(row, [k])))
            for vector, weight_there in enumerate(weights):
                total = sums[i * self.vectors + vector]
                added.append(b.call(self.fma, [one, weight_there, total]))
        return added

    def _vector(self, base: Any, at: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(base, [at]), _VECTOR.as_pointer())

    def _load(self, cell: Any) -> Any:
        found = self.builder.load(cell)
        found.align = 4
        return found

    def _spread(self, number: Any) -> Any:
        """One number in every lane."""
        empty = ir.Constant(_VECTOR, ir.Undefined)
        first = self.builder.insert_element(empty, number, ir.IntType(32)(0))
        same = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
        return self.builder.shuffle_vector(first, empty, same)


_tall, _wide, _single = _tile(TALL, 1), _tile(1, 2), _tile(1, 1)


@compiled
def product(arrays: Any, place: Any, shape: Any) -> None:
    """Rows times a packed weight, added to where it begins.

    Parameters
    ----------
    arrays : tuple of flat float32
        Rows, weight packed by `packed`, where sums begin (a bias, or `out` itself), `out`.
    place : tuple of int
        Where in them: rows and the next row, weight, beginning and its next row (0: the same for
        every row), out and its next row.
    shape : tuple of int
        Rows, inputs (at least 1), blocks of columns.
    """
    x_at, x_step, w_at, begin_at, begin_step, out_at, out_step = place
    rows, inner, blocks = shape
    tall = rows - rows % TALL
    for block in range(blocks):
        w, column = w_at + block * inner * BLOCK, block * BLOCK
        for r in range(0, tall, TALL):
            begin, to = begin_at + r * begin_step + column, out_at + r * out_step + column
            here = (x_at + r * x_step, x_step, w, begin, begin_step, to, out_step)
            _tall(arrays, here, inner)
    for r in range(tall, rows):
        x, begin, to = x_at + r * x_step, begin_at + r * begin_step, out_at + r * out_step
        for block in range(0, blocks - 1, 2):
            w, column = w_at + block * inner * BLOCK, block * BLOCK
            _wide(arrays, (x, 0, w, begin + column, 0, to + column, 0), inner)
        if blocks % 2:
            w, column = w_at + (blocks - 1) * inner * BLOCK, (blocks - 1) * BLOCK
            _single(arrays, (x, 0, w, begin + column, 0, to + column, 0), inner)


def padded(columns: int) -> int:
    """Columns of whole blocks."""
    return -(-columns // BLOCK) * BLOCK


def packed(weight: Any) -> Any:
    """A weight [outputs, inputs] block by block, [blocks, inputs, BLOCK], flat; zeros beyond."""
    outputs, inputs = weight.shape
    wide = np.zeros((inputs, padded(outputs)), np.float32)
    wide[:, :outputs] = weight.T
    return wide.reshape(inputs, -1, BLOCK).transpose(1, 0, 2).ravel()
