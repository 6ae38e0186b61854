"""Compile a loop with numba, kept on disk where there is a place to keep it.

numba keeps what it compiled beside the source or in `NUMBA_CACHE_DIR`. Where neither can be
written (a read-only image without that variable) it refuses to decorate at all; then the loop is
compiled anew by every process, which costs seconds and changes no result.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

_Loop = TypeVar("_Loop")


def compiled(loop: _Loop) -> _Loop:
    """The loop, compiled at its first call; needs numba. Never `fastmath`: results are bits."""
    import numba

    kept: Any = numba.njit(cache=True, nogil=True)
    try:
        return cast(_Loop, kept(loop))
    except RuntimeError:  # "cannot cache function: no locator available"
        anew: Any = numba.njit(nogil=True)
        return cast(_Loop, anew(loop))
