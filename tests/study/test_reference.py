"""What docs/study.md says of a study file is what the models take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from whatif.axes import SEAM as AXES
from whatif.axes import Axis
from whatif.domain import LOWER_IS_BETTER, METRIC_KEYS
from whatif.domain.execution import Execution
from whatif.domain.overlays import OVERLAY_NAMES
from whatif.indicators import INDICATORS
from whatif.labels.kinds import SEAM as LABELS
from whatif.models.kinds import SEAM as MODELS
from whatif.searches import SEAM as SEARCHES
from whatif.splits.kinds import SEAM as SPLITS
from whatif.study import Study, parse_study
from whatif.yaml_text import load_yaml

DOCS = Path(__file__).resolve().parents[2] / "docs"

REFERENCE = (DOCS / "study.md").read_text(encoding="utf-8")

HEADINGS = {
    "Study": "## Whole study",
    "DataSlice": "## data",
    "Universe": "### universe",
    "CalendarSection": "## calendar",
    "ForwardVwap": "### forward_vwap",
    "ForwardReturn": "### forward_return",
    "TripleBarrier": "### triple_barrier",
    "ReferenceBarrier": "### reference_barrier",
    "TrendScanning": "### trend_scanning",
    "Meta": "### meta",
    "RandomForest": "### random_forest",
    "GradientBoostedTrees": "### gradient_boosted_trees",
    "LinearRegression": "### linear_regression",
    "LogisticRegression": "### logistic_regression",
    "MultilayerPerceptron": "### multilayer_perceptron",
    "Sklearn": "### scikit-learn",
    "Xgboost": "### scikit-learn",  # the same keys
    "Lightgbm": "### scikit-learn",
    "Registered": "### registered",
    "Tune": "### tune",
    "Calibrate": "### calibrate",
    "StrategySection": "## strategy",
    "Holdout": "### holdout",
    "WalkForward": "### walk_forward",
    "Combinatorial": "### cpcv",
    "Grid": "## search",
    "Halving": "### halving",
    "Random": "### random",
    "Sobol": "### sobol",
    "Optuna": "### optuna",
    "Keep": "## keep",
}
"""Where the keys of each section stand."""

BASE = "study: s\ndata: {symbols: [SPY], start: 2024-01-02, end: 2024-07-01}\ncalendar: {exchange: XNYS}\n"
BASE += "strategy: {name: sma_crossover}\n"

BUILT_IN = {seam.base: list(seam.built_in.values()) for seam in (LABELS, MODELS, SPLITS, SEARCHES)}
"""Of seams, what comes along; an axis that does has no keys of its own."""
BUILT_IN |= {Axis: []}

SECTION_DEFAULTS = {"split": "holdout", "search": "grid", "keep": "best"}
"""What the table says where the default is a section."""


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and all that its fields hold, each once."""
    found: dict[type[BaseModel], None] = {}
    todo = [model]
    while todo:
        one = todo.pop()
        found[one] = None
        for field in one.model_fields.values():
            for inner in models_in(field.annotation):
                # of a seam, what comes along; an axis that does has no keys of its own
                kinds = BUILT_IN.get(inner, [inner])
                todo += [kind for kind in kinds if kind not in found]
    yield from found


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from models_in(argument)


def part(heading: str) -> str:
    """Return what stands below a heading, up to the next one of any level."""
    _, found, below = REFERENCE.partition(f"\n{heading}\n")
    assert found, heading
    return re.split(r"^#", below, maxsplit=1, flags=re.M)[0]


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of the table rows of `text` by each word in backticks in their first cell."""
    found: dict[str, list[str]] = {}
    for line in re.findall(r"^\| (.+) \|$", text, flags=re.M):
        cells = [cell.strip() for cell in line.split(" | ")]
        for name in re.findall(r"`([^`]+)`", cells[0]):
            assert name not in found, name
            found[name] = cells
    return found


def key_of(name: str, field: FieldInfo) -> str:
    return field.alias or name


def blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", REFERENCE, flags=re.M | re.S)


MODELS = list(sections(Study))
WHOLE = [text for text in blocks() if not text.startswith("# fragment")]
FRAGMENTS = [text for text in blocks() if text.startswith("# fragment")]


def test_every_section_has_its_place() -> None:
    assert {model.__name__ for model in MODELS} == set(HEADINGS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_keys_are_those_of_the_model(model: type[BaseModel]) -> None:
    told = rows(part(HEADINGS[model.__name__]))
    assert set(told) == {key_of(name, field) for name, field in model.model_fields.items()}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_defaults_are_those_of_the_model(model: type[BaseModel]) -> None:
    told = rows(part(HEADINGS[model.__name__]))
    for name, field in model.model_fields.items():
        key = key_of(name, field)
        cell = told[key][1].strip("`")
        if field.is_required():
            assert cell == "required", key
        elif model is Study and key in SECTION_DEFAULTS:
            assert cell == SECTION_DEFAULTS[key]
        else:
            default = field.get_default(call_default_factory=True)
            assert load_yaml(cell) == (list(default) if isinstance(default, tuple) else default), key


def test_settings_of_the_execution_are_those_of_the_broker() -> None:
    told = rows(part("## execution"))
    defaults = {field.name: field.default for field in fields(Execution)}
    assert {name: load_yaml(cells[1].strip("`")) for name, cells in told.items()} == defaults


def test_overlays_and_axes_are_those_there_are() -> None:
    assert set(rows(part("## overlays"))) == set(OVERLAY_NAMES)
    assert set(AXES.built_in) - {"parameter"} <= set(rows(part("## axes")))


def test_metrics_are_those_there_are() -> None:
    told = rows(part("## objective"))
    assert tuple(told) == METRIC_KEYS
    assert {name for name, cells in told.items() if "(least)" in cells[0]} == LOWER_IS_BETTER


def test_indicators_are_those_there_are() -> None:
    told = (DOCS / "indicators.md").read_text(encoding="utf-8").splitlines()
    listed = [line for line in told if line.startswith("| `")]
    wanted = {f"| `{one.usage}` | {one.summary.rstrip('.')} | {one.origin} |" for one in INDICATORS.values()}
    assert len(listed) == len(wanted)
    assert set(listed) == wanted
    # the first ones stand beside the study's keys too, with their warm-up
    assert set(rows(part("## features"))) >= {
        "sma",
        "ema",
        "macd_signal",
        "rsi",
        "atr",
        "crossover",
        "zscore",
    }


def test_whole_studies_parse() -> None:
    assert [parse_study(text).study for text in WHOLE] == ["smallest", "rf-forecast-spy"]
    assert set(load_yaml(WHOLE[1])) == set(Study.model_fields)


@pytest.mark.parametrize("text", FRAGMENTS, ids=lambda text: text.splitlines()[1].partition(":")[0])
def test_fragments_parse_within_a_study(text: str) -> None:
    study = load_yaml(BASE) | load_yaml(text)
    parse_study(yaml.safe_dump(study))


def test_every_key_of_a_study_has_an_example() -> None:
    shown = {key for text in (*FRAGMENTS, *WHOLE) for key in load_yaml(text)}
    assert shown == set(Study.model_fields)
