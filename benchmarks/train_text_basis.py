"""Learn the basis of `features.text` and write `features/text_basis.npz`.

Texts: titles of the ICD-9-CM diagnoses and procedures (a publication of the US government, as the
MIMIC-III demo carries them: short and long title of one code are one text). 18,449 short texts, no
patient's. Latent semantic analysis: counts weighted by inverse document frequency, scaled to length
1, the 32 leading right singular vectors. `python -m benchmarks.train_text_basis` takes a minute;
`--check` writes nothing and prints, for titles whose whole category was left out of the learning,
how often the nearest title is of the same category (which shares rare words), and how often the
nearest of another category is of the same chapter (which shares what it is about).
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import zipfile
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

from benchmarks._common import ROOT, data_folder, heading
from features.text import BUCKETS, DIMENSIONS, counts

TARGET: Final = ROOT / "features" / "text_basis.npz"
FOLDS: Final = 5
LEVELS: Final = 127  # of an int8

CHAPTERS: Final = (
    1, 140, 240, 280, 290, 320, 390, 460, 520, 580, 630, 680, 710, 740, 760, 780, 800
)  # fmt: skip

Floats = NDArray[np.float64]
Names = NDArray[np.str_]


def titles(folder: Path) -> list[tuple[str, str]]:
    """(three-digit category, text) of every code; procedures begin with P."""
    rows: list[tuple[str, str]] = []
    for name, mark, digits in (("diagnoses", "", 3), ("procedures", "P", 2)):
        with (folder / f"d_icd_{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                category = mark + row["icd9_code"][:digits]
                rows.append((category, f"{row['long_title']} {row['short_title']}"))
    return rows


def matrix(texts: Sequence[str]) -> csr_array:
    """(n, buckets) weighted counts of texts."""
    found = [counts(text) for text in texts]
    column = np.concatenate([buckets for buckets, _ in found])
    weight = np.concatenate([weights for _, weights in found])
    row = np.repeat(np.arange(len(texts)), [len(buckets) for buckets, _ in found])
    return csr_array((weight, (row, column)), shape=(len(texts), BUCKETS))


def idf(occurs: csr_array) -> Floats:
    """(buckets,) smoothed inverse document frequency."""
    documents = np.bincount(occurs.indices, minlength=BUCKETS)
    return np.asarray(np.log((1 + occurs.shape[0]) / (1 + documents)))


def learn(occurs: csr_array) -> Floats:
    """(buckets, dimensions) basis with the idf folded in; signs fixed by the largest entry."""
    rare = idf(occurs)
    scaled = occurs.multiply(rare[None, :]).tocsr()
    length = np.sqrt(np.asarray(scaled.multiply(scaled).sum(axis=1)).ravel())
    scaled = scaled.multiply(1 / np.maximum(length, 1e-12)[:, None]).tocsr()
    start = np.ones(min(scaled.shape))
    _, values, right = svds(scaled, k=DIMENSIONS, v0=start, tol=1e-10)
    right = right[np.argsort(-values)]
    largest = np.abs(right).argmax(axis=1)
    right *= np.sign(right[np.arange(DIMENSIONS), largest])[:, None]
    return np.asarray(right.T * rare[:, None])


def quantised(weights: Floats) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Columns as int8 and what one level of each is worth."""
    scale = (np.abs(weights).max(axis=0) / LEVELS).astype(np.float32)
    return np.round(weights / scale).astype(np.int8), scale


def unit(rows: Floats) -> Floats:
    """Rows scaled to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def category_agrees(vectors: Floats, category: Names, chapter: Names) -> float:
    """Share of texts whose nearest other text is of the same category; singletons left out."""
    del chapter
    _, which, size = np.unique(category, return_inverse=True, return_counts=True)
    several = np.flatnonzero(size[which] > 1)
    return _nearest(vectors, several, which, lambda rows: rows[:, None] == np.arange(len(which)))


def chapter_agrees(vectors: Floats, category: Names, chapter: Names) -> float:
    """Share of texts whose nearest text of another category is of the same chapter."""
    _, which = np.unique(category, return_inverse=True)
    _, sign = np.unique(chapter, return_inverse=True)
    own = np.arange(len(which))
    return _nearest(vectors, own, sign, lambda rows: which[rows][:, None] == which)


def _nearest(
    vectors: Floats,
    asked: NDArray[np.intp],
    sign: NDArray[np.intp],
    barred: Callable[[NDArray[np.intp]], NDArray[np.bool_]],
) -> float:
    """Share of the asked texts whose nearest text that is not barred has the same sign."""
    hits = 0
    for start in range(0, asked.size, 1024):
        rows = asked[start : start + 1024]
        near = vectors[rows] @ vectors.T
        near[barred(rows)] = -np.inf
        hits += int((sign[near.argmax(axis=1)] == sign[rows]).sum())
    return hits / asked.size


def chapter_of(category: str) -> str:
    """Chapter of ICD-9-CM: of diagnoses by number, of procedures the first digit."""
    if category[0] in "EVP":
        return category[:2] if category[0] == "P" else category[0]
    return str(bisect_right(CHAPTERS, int(category)))


def check(rows: Sequence[tuple[str, str]]) -> None:
    """Print the figures on categories that were left out."""
    category = np.array([category for category, _ in rows])
    chapter = np.array([chapter_of(category) for category, _ in rows])
    occurs = matrix([text for _, text in rows])
    names = np.unique(category)
    fold_of = dict(zip(names.tolist(), (np.arange(names.size) % FOLDS).tolist(), strict=True))
    fold = np.array([fold_of[name] for name in category.tolist()])
    random = np.random.default_rng(0).standard_normal((BUCKETS, DIMENSIONS))
    found: dict[str, list[tuple[float, float]]] = {}
    for left_out in range(FOLDS):
        own = np.flatnonzero(fold == left_out)
        learnt = occurs[np.flatnonzero(fold != left_out)]
        weights, scale = quantised(learn(learnt))
        part, rare = occurs[own], idf(learnt)
        for name, vectors in (
            ("this basis, 32 numbers", part @ (weights * scale.astype(np.float64))),
            ("a random one, 32 numbers", part @ (random * rare[:, None])),
            ("all 4,096 counts", part.multiply(rare[None, :]).toarray()),
        ):
            asked = unit(np.asarray(vectors)), category[own], chapter[own]
            found.setdefault(name, []).append((category_agrees(*asked), chapter_agrees(*asked)))
    print(f"{'':26}{'same category':>15}{'other category, same chapter':>30}")
    for name, pairs in found.items():
        near, about = np.mean(pairs, axis=0)
        print(f"{name:26}{near:15.3f}{about:30.3f}")


def main() -> int:
    """Learn and write, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    rows = titles(data_folder("mimic3_demo"))
    if parser.parse_args().check:
        print(heading("nearest ICD-9 title, categories left out"))
        check(rows)
        return 0
    weights, scale = quantised(learn(matrix([text for _, text in rows])))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, weights=weights, scale=scale)
    TARGET.write_bytes(_undated(buffer.getvalue()))
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes from {len(rows)} texts")
    return 0


def _undated(data: bytes) -> bytes:
    """The same archive without times, so that the same input gives the same file."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
