"""`features.compiler`: loops are compiled whether or not numba finds a place to keep them."""

from __future__ import annotations

from typing import Any

import pytest

from features.compiler import compiled

numba = pytest.importorskip("numba", reason="numba is not installed (extra `fast`)")


def _sum_to(n: int) -> int:
    total = 0
    for i in range(n):
        total += i
    return total


def test_a_compiled_loop_gives_what_the_loop_gives() -> None:
    assert compiled(_sum_to)(100) == _sum_to(100)


def test_where_nothing_can_be_kept_the_loop_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = numba.njit
    asked: list[bool] = []

    def njit(**options: Any) -> Any:
        asked.append(bool(options.get("cache")))

        def decorate(loop: Any) -> Any:
            if options.get("cache"):
                raise RuntimeError("cannot cache function '_sum_to': no locator available")
            return real(**options)(loop)

        return decorate

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(_sum_to)(100) == 4950
    assert asked == [True, False]
