from __future__ import annotations

from pathlib import Path

from features.catalog import CATALOG, FeatureReason
from features.catalog_doc import render

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_the_page_in_docs_is_what_the_catalogue_renders() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "write features.catalog_doc.render() to docs/features.md"
    )


def test_every_feature_and_every_reason_is_on_the_page() -> None:
    page = render()
    missing = [f.name for f in CATALOG if page.count(f"| `{f.name}` |") != 2]
    missing += [r.name for r in FeatureReason if f"| `{r.name}` | {int(r)} |" not in page]
    assert missing == []


def test_a_bar_in_a_definition_does_not_break_the_table() -> None:
    page = render([CATALOG[0]._replace(definition="mean(|a|)")])
    assert "mean(\\|a\\|)" in page


def test_every_feature_says_what_it_is_and_whose_definition_that_is() -> None:
    texts = ("name", "id", "unit", "signal", "minimum", "label", "definition", "source")
    assert [f.name for f in CATALOG if not all(getattr(f, text).strip() for text in texts)] == []
