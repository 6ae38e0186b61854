"""What the documents say of the code is so: links, module map, limits, configuration, examples."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from features.concepts import CONCEPTS
from service.config import ENVIRONMENT, Config, load

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: path.as_posix()
)
PACKAGES = ("streams", "features", "models", "alerts", "service")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def prose(path: Path) -> str:
    """A document without its code blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """Names that headings of a document can be linked by."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.replace(" ", "-") for word in words}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    dead = []
    for target in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    assert dead == []


def test_no_document_names_a_place_of_one_machine() -> None:
    places = re.compile(r"(?<![\w.])/(?:work|root|home|tmp)/")
    assert [
        path.name for path in DOCUMENTS if places.search(path.read_text(encoding="utf-8"))
    ] == []


def modules() -> Iterator[tuple[str, str]]:
    """(folder, module) of everything in the packages."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path.stem != "__init__":
                yield f"{path.parent.relative_to(ROOT).as_posix()}/", path.stem


def code_map() -> dict[str, str]:
    """Sections of the code map by folder."""
    body = (ROOT / "docs" / "code-map.md").read_text(encoding="utf-8")
    sections = re.split(r"^### (\S+)", body, flags=re.MULTILINE)[1:]
    return dict(zip(sections[::2], sections[1::2], strict=True))


def test_every_module_is_in_the_code_map_under_its_folder() -> None:
    sections = code_map()
    absent = [
        f"{folder}{name}.py"
        for folder, name in modules()
        if f"`{name}`" not in sections.get(folder, "")
    ]
    assert absent == []


def test_every_module_that_the_code_map_names_is_there() -> None:
    there = {(folder, name) for folder, name in modules()}
    gone = [
        f"{folder}{name}"
        for folder, section in code_map().items()
        if folder.endswith("/") and folder.split("/")[0] in PACKAGES
        for name in re.findall(r"`([a-z_0-9]+)`", section)
        if (folder, name) not in there
    ]
    assert gone == []


def test_every_file_that_architecture_names_is_there() -> None:
    text = prose(ROOT / "ARCHITECTURE.md")
    named = re.findall(
        r"`((?:tests|benchmarks|streams|features|models|alerts|service)/[\w/.]+)", text
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_architecture_can_be_read_in_one_sitting() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=lambda path: path.name[:4]
)
def test_a_decision_has_its_five_parts_and_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    parts = (
        "**Status**",
        "## Context",
        "## Decision",
        "## Consequences",
        "## Rejected alternatives",
    )
    assert [part for part in parts if part not in text] == []
    assert text.startswith(f"# {path.name[:4]} ")
    assert len(text.splitlines()) <= 80


def limits() -> Iterator[tuple[str, str]]:
    """(value, name in the code) of every row of docs/limits.md that has both."""
    row = re.compile(r"\| `([^`]+)` \| `([\w.]+)` \|$", re.MULTILINE)
    yield from row.findall((ROOT / "docs" / "limits.md").read_text(encoding="utf-8"))


def in_code(name: str) -> Any:
    """The value of a dotted name; a field of a specification is that of its defaults."""
    parts = name.split(".")
    known = next(
        n
        for n in range(len(parts) - 1, 0, -1)
        if (ROOT / Path(*parts[:n])).with_suffix(".py").is_file()
    )
    value: Any = importlib.import_module(".".join(parts[:known]))
    for part in parts[known:]:
        value = getattr(value() if isinstance(value, type) else value, part)
    return value


@pytest.mark.parametrize(
    ("value", "name"), list(limits()), ids=lambda text: text.rpartition(".")[2]
)
def test_a_limit_is_what_the_code_holds(value: str, name: str) -> None:
    stated = eval(value, {"__builtins__": {}})  # a literal or a product of literals, from our file
    assert in_code(name) == stated


def test_the_limits_are_worth_comparing() -> None:
    assert len(list(limits())) >= 40


def test_the_example_configuration_is_the_default_one() -> None:
    assert load(ROOT / "vigil.example.toml", {}) == Config()


def test_the_example_configuration_explains_every_key() -> None:
    text = (ROOT / "vigil.example.toml").read_text(encoding="utf-8")
    tree = tomllib.loads(text)
    wanted = msgspec.to_builtins(Config())
    for section, values in wanted.items():
        keys = values if isinstance(values, dict) else {section: values}
        given = tree[section] if isinstance(values, dict) else tree
        assert set(keys) <= set(given), section
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    assert [line for line in lines if "#" not in line] == []
    assert [variable for variable in ENVIRONMENT if variable not in text] == []


def test_the_consumer_in_the_alert_guide_compiles_and_reads_fields_that_exist() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    programs = [body for language, body in FENCE.findall(text) if language == "python"]
    assert len(programs) == 1
    compile(programs[0], "docs/alerts.md", "exec")
    example = (ROOT / "tests" / "alerts" / "golden" / "raised_news2_7.json").read_bytes()
    alert = msgspec.json.decode(example)["data"]
    used = re.findall(r'alert\["(\w+)"\]', programs[0])
    assert used
    assert set(used) <= set(alert)


def test_the_alert_guide_names_every_field_and_phase() -> None:
    from alerts.alert import AlertEvent, Phase

    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    names = [*(field for field in AlertEvent.__struct_fields__), *(phase.value for phase in Phase)]
    known_elsewhere = {"schema", "dedup_key", "supersedes"}
    assert [n for n in names if f"`{n}`" not in text and n not in known_elsewhere] == []


def test_the_concept_guide_names_every_concept() -> None:
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    assert [c.code for c in CONCEPTS if f"`{c.code}`" not in text] == []


def test_the_metrics_table_names_every_series() -> None:
    from prometheus_client import CollectorRegistry

    from service.metrics import Metrics

    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    names = {family.name for family in Metrics(CollectorRegistry()).registry.collect()}
    assert names
    assert [name for name in sorted(names) if f"`{name}" not in text] == []
