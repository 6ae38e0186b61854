from __future__ import annotations

from pathlib import Path

from features.concepts import CONCEPTS
from features.concepts_doc import render

PAGE = Path(__file__).resolve().parents[2] / "docs" / "concepts.md"


def test_the_page_in_docs_is_what_the_table_renders() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "write features.concepts_doc.render() to docs/concepts.md"
    )


def test_every_concept_is_on_the_page_once() -> None:
    page = render()
    assert [c.code for c in CONCEPTS if page.count(f"| `{c.code}` |") != 1] == []
