"""Learn the basis of `features.text` and write `features/text_basis.npz`.

Texts: titles of the ICD-9-CM diagnoses and procedures (a publication of the US government, as the
MIMIC-III demo carries them: short and long title of one code are one text). 18,449 short texts, no
patient's. Latent semantic analysis: counts weighted by inverse document frequency, scaled to length
1, the 32 leading right singular vectors. `python -m benchmarks.train_text_basis` takes a minute;
`--check` writes nothing and prints how often the nearest title is of the same three-digit category,
for titles whose whole category was left out of the learning.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import zipfile
from collections.abc import Sequence
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

Floats = NDArray[np.float64]


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


def nearest_agrees(vectors: Floats, categories: NDArray[np.str_]) -> float:
    """Share of texts whose nearest other text is of the same category; singletons left out."""
    names, which, size = np.unique(categories, return_inverse=True, return_counts=True)
    del names
    several = np.flatnonzero(size[which] > 1)
    hits = 0
    for start in range(0, several.size, 1024):
        rows = several[start : start + 1024]
        near = vectors[rows] @ vectors.T
        near[np.arange(rows.size), rows] = -np.inf
        hits += int((which[near.argmax(axis=1)] == which[rows]).sum())
    return hits / several.size


def check(rows: Sequence[tuple[str, str]]) -> None:
    """Print the figures on categories that were left out."""
    categories = np.array([category for category, _ in rows])
    occurs = matrix([text for _, text in rows])
    names = np.unique(categories)
    fold_of = dict(zip(names.tolist(), (np.arange(names.size) % FOLDS).tolist(), strict=True))
    fold = np.array([fold_of[category] for category in categories.tolist()])
    random = np.random.default_rng(0).standard_normal((BUCKETS, DIMENSIONS))
    shares: dict[str, list[float]] = {"this basis, 32 numbers": [], "random, 32 numbers": []}
    shares["all 4,096 buckets"] = []
    for left_out in range(FOLDS):
        own = fold == left_out
        weights, scale = quantised(learn(occurs[np.flatnonzero(~own)]))
        part = occurs[np.flatnonzero(own)]
        rare = idf(occurs[np.flatnonzero(~own)])
        for name, vectors in (
            ("this basis, 32 numbers", part @ (weights * scale.astype(np.float64))),
            ("random, 32 numbers", part @ (random * rare[:, None])),
            ("all 4,096 buckets", part.multiply(rare[None, :]).toarray()),
        ):
            shares[name].append(nearest_agrees(unit(np.asarray(vectors)), categories[own]))
    for name, found in shares.items():
        print(f"{name:24} {np.mean(found):.3f}")


def main() -> int:
    """Learn and write, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    rows = titles(data_folder("mimic3_demo"))
    if parser.parse_args().check:
        print(heading("nearest ICD-9 title of the same category, categories left out"))
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
