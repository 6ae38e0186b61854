"""A note as 32 numbers, computed here, the same on every machine: hashed n-grams on a fixed basis.

Words, pairs of words and runs of four letters are counted in 4,096 buckets by a stable hash; a
small basis learnt once (`benchmarks/train_text_basis.py`: latent semantic analysis, Deerwester et
al. 1990) turns the counts into a direction. No text is kept, and none can be read back from 32
numbers of a bag of hashes; yet a vector is data of a patient like any other.

Not here: vectors of other encoders (`features.vectors`), which note counts when (`features.notes`).
"""

from __future__ import annotations

import io
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

BUCKETS: Final = 4096
DIMENSIONS: Final = 32
ENCODER: Final = "hashed-svd/1"  # changes with any formula, bucket or weight below
MOST_LETTERS: Final = 16_384  # of a note; what follows is not read
_GRAM: Final = 4  # letters
_BASIS: Final = "text_basis.npz"

_WORD = re.compile(r"[a-z]+|[0-9]+")


def grams(text: str) -> Iterator[str]:
    """Words, pairs of neighbours, and runs of four letters of each word, in lower case.

    Every number is "0": amounts are facts of their own. Word ends are marked by a space.

    Examples
    --------
    >>> list(grams("No fever 38"))
    ['no', ' no ', 'fever', ' fev', 'feve', 'ever', 'ver ', 'no fever', '0', 'fever 0']
    """
    before = ""
    for word in _WORD.findall(text[:MOST_LETTERS].casefold()):
        known = "0" if word[0].isdigit() else word
        yield known
        marked = f" {known} "
        if known != "0":
            yield from (marked[i : i + _GRAM] for i in range(max(1, len(marked) - _GRAM + 1)))
        if before:
            yield f"{before} {known}"
        before = known


def counts(text: str) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Buckets that occur, ascending, and log(1 + count) of each."""
    found = Counter(zlib.crc32(gram.encode()) % BUCKETS for gram in grams(text))
    buckets = sorted(found)
    weights = [math.log1p(found[bucket]) for bucket in buckets]
    return np.array(buckets, np.intp), np.array(weights, np.float64)


def embedding(text: str) -> NDArray[np.float32]:
    """Direction of a text, of length 1.

    Parameters
    ----------
    text : str
        Any; the first `MOST_LETTERS` characters are read.

    Returns
    -------
    (32,) float32
        NaN everywhere for a text without a letter or digit.

    Notes
    -----
    Sums run over the buckets in ascending order, without BLAS: the same bits everywhere.
    Checked against: ``tests/features/test_text.py`` (golden values, neighbours of words).

    Examples
    --------
    >>> def likeness(one, other):
    ...     return float((embedding(one) * embedding(other)).sum())
    >>> likeness("pneumonia", "bacterial pneumonia") > likeness("pneumonia", "fracture of femur")
    True
    """
    buckets, weights = counts(text)
    if not buckets.size:
        return np.full(DIMENSIONS, np.nan, np.float32)
    total = (basis()[buckets] * weights[:, None]).sum(axis=0)
    length = math.sqrt(float((total * total).sum()))
    return np.asarray(total / length if length > 0 else total, np.float32)


@lru_cache(maxsize=1)
def basis() -> NDArray[np.float64]:
    """(4096, 32) what one occurrence in a bucket adds; inverse document frequency included."""
    data = files("features").joinpath(_BASIS).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as kept:
        table: NDArray[np.float64] = np.multiply(kept["weights"], kept["scale"], dtype=np.float64)
    return table
