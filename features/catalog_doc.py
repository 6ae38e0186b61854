"""The feature catalogue as a page for people: `docs/features.md` is its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from features.catalog import CATALOG, Feature, FeatureReason

_HEAD: Final = """# Features

Generated from `features/catalog.py` by `features.catalog_doc.render`; a test compares. Do not edit.

Every feature of a window is a value with its quality (0-1), its coverage (0-1, share of the
window's time used), its n (beats, breaths or samples used) and a reason. The value is missing
exactly where the reason is not `OK`. A changed formula or parameter is a new id.
"""
_REASONS: Final = {
    FeatureReason.OK: "there is a value",
    FeatureReason.GAP: "too little of the window was recorded",
    FeatureReason.FLAT: "most of the lost time was a flat line",
    FeatureReason.CLIP: "most of the lost time was clipped",
    FeatureReason.NOISE: "most of the lost time was noise",
    FeatureReason.TOO_FEW_BEATS: "recorded, but too few beats or breaths in it",
    FeatureReason.TOO_SHORT: "the signal began inside the window",
    FeatureReason.ARTEFACT_PCT: "too many intervals are out of rhythm",
    FeatureReason.LOW_QUALITY: "samples are there and none is believable",
    FeatureReason.UNDEFINED: "the formula has no result, or one outside the declared range",
    FeatureReason.NO_SIGNAL: "the patient has no such signal",
    FeatureReason.OTHER_WINDOW: "the feature is computed over another window length",
    FeatureReason.QUANTISED: "there is a value; the device's coarse clock was allowed for",
    FeatureReason.ALIAS: "the heart is too slow for this band",
    FeatureReason.NO_QRS: "P waves or pacing spikes alone, or beats far below the patient's usual "
    "height: ventricles may stand still",
}


def render(catalog: Sequence[Feature] = CATALOG) -> str:
    """The catalogue as Markdown: one table of features, one of reasons.

    Parameters
    ----------
    catalog : sequence of Feature

    Returns
    -------
    str
        Ends with a newline; the same catalogue gives the same text.
    """
    lines = [
        _HEAD,
        "| name | label | unit | window | signal | minimum | range | id |",
        "|---|---|---|---|---|---|---|---|",
        *(
            _row(
                f"`{f.name}`",
                f.label,
                f.unit,
                " ".join(f.windows),
                f.signal,
                f.minimum,
                _range(f),
                f.id,
            )
            for f in catalog
        ),
        "",
        "| name | definition | source |",
        "|---|---|---|",
        *(_row(f"`{f.name}`", f.definition, f.source or "-") for f in catalog),
        "",
        "| reason | code | meaning |",
        "|---|---|---|",
        *(_row(f"`{reason.name}`", str(int(reason)), text) for reason, text in _REASONS.items()),
    ]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    """One line of a table; a bar inside a cell is escaped."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _range(feature: Feature) -> str:
    return f"{feature.lo:g} to {feature.hi:g}"
