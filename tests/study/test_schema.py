"""The JSON schema takes what the models take, and refuses keys and values that they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from whatif.cli import main
from whatif.errors import EngineError, StudyError
from whatif.plugins import PluginError
from whatif.resolve import check_study
from whatif.study import parse_study, study_schema
from whatif.yaml_text import load_yaml

from .mutations import mutated

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = study_schema()
BASE: dict[str, Any] = {
    "study": "s",
    "data": {"symbols": ["SPY"], "start": "2024-01-02", "end": "2024-07-01"},
    "calendar": {"exchange": "XNYS"},
    "strategy": {"name": "sma_crossover"},
}
LEARNS = {"features": ["roc(5)"], "label": {"horizon": "5min"}}


def as_json(given: Any) -> Any:
    """Return YAML as an editor sees it: dates are texts."""
    return json.loads(json.dumps(given, default=str))


def faults(given: Any) -> list[str]:
    return [
        f"{list(one.absolute_path)}: {one.message}" for one in Draft202012Validator(SCHEMA).iter_errors(given)
    ]


def studies() -> dict[str, Any]:
    """Return the studies that come along, and those of the documents, whole or within one."""
    found = {
        path.name: load_yaml(path.read_text("utf-8"))
        for path in sorted((ROOT / "conf/studies").glob("*.yaml"))
    }
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for k, text in enumerate(
            re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), flags=re.M | re.S)
        ):
            given = load_yaml(text)
            if page.name == "study.md" or "study" in given:
                found[f"{page.name}-{k}"] = {**BASE, **given}
    return found


STUDIES = studies()


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert len(STUDIES) > 50


@pytest.mark.parametrize("name", STUDIES)
def test_what_comes_along_is_taken(name: str) -> None:
    assert faults(as_json(STUDIES[name])) == []


def test_what_the_models_take_is_taken() -> None:
    """Of studies made wrong at random, those that are still studies."""
    taken = 0
    for seed in range(400):
        text = mutated(seed)
        try:
            parse_study(text)
        except (StudyError, PluginError):
            continue
        assert faults(as_json(load_yaml(text))) == [], f"seed {seed}\n{text[:2000]}"
        taken += 1
    assert taken > 30


WRONG: dict[str, dict[str, Any]] = {
    "key": {"exection": {}},
    "key of a section": {"calendar": {"exchange": "XNYS", "hours": "all"}},
    "key of a kind": {"split": {"kind": "walk_forward", "trian": 3}},
    "key of the default kind": {"split": {"trian": 3}},
    "kind": {"search": {"kind": "tpe"}},
    "metric": {"objective": "sharp"},
    "setting": {"execution": {"comission": 0.1}},
    "overlay": {"overlays": {"stoploss": 0.1}},
    "word": {"rank": "pool"},
    "type": {"search": {"kind": "random", "trials": "many"}},
    "bound": {"search": {"kind": "random", "trials": 0}},
    "model": LEARNS | {"models": {"a": {"kind": "random_forest", "tree": 5}}},
    "axis": {"axes": {"fast": 5}},
    "section": {"strategy": "sma_crossover"},
    "section that is nothing": {"split": 0},
    "symbols": {"data": {"start": "2024-01-02", "end": "2024-07-01"}},
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_refused_by_both(given: dict[str, Any]) -> None:
    assert faults(as_json(BASE)) == []
    assert faults(as_json({**BASE, **given}))
    with pytest.raises((StudyError, EngineError)):
        check_study(parse_study(json.dumps({**BASE, **given})), runs=False)


def test_a_kind_of_ones_own_is_taken_with_its_keys() -> None:
    assert faults({**BASE, "split": {"kind": "my_splits:Newest", "test": 7}}) == []


def test_every_key_of_a_study_says_what_it_means() -> None:
    """So that an editor can show it."""
    silent = [
        f"{name}.{key}"
        for name, one in {"study": SCHEMA, **SCHEMA["$defs"]}.items()
        for key, said in one.get("properties", {}).items()
        if "description" not in said and "$ref" not in said and (name, key) != ("Axis", "n") and key != "kind"
    ]
    assert silent == []


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "study.schema.json"
    assert main(["schema", "--output", str(target)]) == 0
    assert f"# yaml-language-server: $schema={target}" in " ".join(capsys.readouterr().out.split())
    assert json.loads(target.read_text(encoding="utf-8")) == SCHEMA
    assert main(["schema", "--output", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA
