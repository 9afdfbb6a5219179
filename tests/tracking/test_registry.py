"""Models in MLflow's registry: named in a study in place of training, and served on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from rich.console import Console

from whatif.cli import main
from whatif.errors import ModelError, StudyError
from whatif.features import local_features
from whatif.lake.tables import PREDICTIONS
from whatif.pins import LakeLocation
from whatif.resolve import check_study, resolve_study
from whatif.study import Study, load_study, parse_study
from whatif.tracking import fetched, find_registered
from whatif.workflow import train_study_models

from ..markets import put_bars, walk
from ..workflow.conftest import rows_of

TREES = "kind: sklearn.ensemble.HistGradientBoostingClassifier, params: {max_iter: 5}, seed: 3"
STUDY = """
study: {name}
data: {{symbols: [A, B], timeframe: {timeframe}, start: {start}, end: 2013-10-12}}
calendar: {{exchange: XNYS}}
features: [{features}]
label: {{kind: triple_barrier, target: 0.002, stop: 0.0015, horizon: 10}}
models: {{mine: {{{model}}}}}
strategy: {{name: probability_threshold, params: {{size: 10.0}}}}
period: hour
split: {{train: {train}, validate: 0.25, test: 0.25}}
"""
DEFAULTS = {
    "name": "teacher", "features": "roc(1), roc(5)", "model": TREES, "train": "0.5", "timeframe": "1min",
    "start": "2013-10-04",
}  # fmt: skip


def text(**keys: str) -> str:
    return STUDY.format(**{**DEFAULTS, **keys})


def study(**keys: str) -> Study:
    return parse_study(text(**keys))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> LakeLocation:
    """Return a lake in which a study has trained a model, which is registered under an alias."""
    folder = tmp_path_factory.mktemp("taught")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHATIF_HOME", str(folder / "home"))
        patch.setenv("WHATIF_RUNNER", "local")
        location = LakeLocation(folder / "home")
        put_bars(location, [walk(symbol, seed, minutes=120) for seed, symbol in enumerate("AB")])
        file = folder / "teacher.yaml"
        file.write_text(text(), encoding="utf-8")
        trained(file, location)
        for _ in range(2):  # the second time it keeps its version
            assert main(["register", str(file), "mine", "--name", "trees", "--alias", "champion"]) == 0
    return location


def trained(file: Path, location: LakeLocation) -> tuple[str, ...]:
    """Train a study's models; return those that had no predictions yet."""
    return train_study_models(file, location, False, Console(quiet=True)).trained


@pytest.fixture
def at_home(taught: LakeLocation, monkeypatch: pytest.MonkeyPatch) -> LakeLocation:
    monkeypatch.setenv("WHATIF_HOME", str(taught.home))
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    monkeypatch.setattr("whatif.workflow.train.get_spark", None)
    return taught


def test_a_study_asks_a_registered_model_what_the_one_that_trained_it_said(
    at_home: LakeLocation, tmp_path: Path
) -> None:
    before = rows_of(at_home, PREDICTIONS)
    file = tmp_path / "pupil.yaml"
    file.write_text(text(name="pupil", model="registered: trees@champion"), encoding="utf-8")
    assert trained(file, at_home) == ("mine",)
    assert trained(file, at_home) == ()
    both = rows_of(at_home, PREDICTIONS)
    own = resolve_study(load_study(file), at_home)
    spec = own.models["mine", "1min", 1]
    mine = both[both["model_digest"] == spec.digest(own.bars.snapshot_id)].reset_index(drop=True)
    answers = ["symbol", "ts", "prob_long", "prob_short"]
    teacher = resolve_study(study(), at_home)
    digest = teacher.models["mine", "1min", 1].digest(teacher.bars.snapshot_id)
    pd.testing.assert_frame_equal(
        mine[answers], before[before["model_digest"] == digest][answers].reset_index(drop=True)
    )
    # an alias stands for its version: both are the same configurations
    again = resolve_study(study(name="pupil", model="registered: trees@1"), at_home)
    assert {c.config_id for c in again.every_configuration} == {c.config_id for c in own.every_configuration}
    assert teacher.grid.configurations[0].config_id not in {c.config_id for c in own.every_configuration}
    assert own.study.models["mine"].model_dump(exclude_none=True) == {
        "kind": "registered", "registered": "trees@1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"features": "roc(1)"},
            r"registered model 'trees@1' learnt from roc\(1\), roc\(5\) on 1min bars, and the study's "
            r"features lack roc\(5\): a model is given exactly what it learnt from",
        ),
        (
            {"timeframe": "2min"},
            r"learnt from roc\(1\), roc\(5\) on 1min bars, and the study's bars are 2min",
        ),
        (
            {"train": "0.25"},
            r"learnt from bars up to 2013-10-\d\dT.*, and is to predict from 2013-10-.* it would know "
            r"what it is asked",
        ),
        ({"model": "registered: trees@9"}, r"has no version or alias '9': "),
        ({"model": "registered: tres@1"}, r"no model 'tres' is registered: did you mean 'trees'"),
    ],
)
def test_what_it_did_not_learn_from_is_refused(
    at_home: LakeLocation, keys: dict[str, str], said: str
) -> None:
    with pytest.raises((StudyError, ModelError), match=said):
        resolve_study(study(**{"name": "pupil", "model": "registered: trees@champion", **keys}), at_home)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("registered: trees", r"'trees' names no version: write the model's name, @, and a version"),
        ("registered: trees@1, features: [roc(1)]", r"is for models that a study trains"),
        ("registered: trees@1, trees: 5", r"unknown key 'models\.mine\.trees': valid: .*registered"),
    ],
)
def test_a_section_that_names_none_is_refused(model: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        study(model=model)


def test_a_registry_that_is_not_there_is_not_made(lake_home: LakeLocation) -> None:
    with pytest.raises(ModelError, match="run 'whatif train', then 'whatif register'"):
        check_study(study(model="registered: trees@1"), location=lake_home)
    assert not lake_home.home.exists()


def test_what_was_not_logged_cannot_be_registered(
    at_home: LakeLocation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(text(model=TREES.replace("seed: 3", "seed: 4")), encoding="utf-8")
    assert main(["register", str(file), "mine"]) == 2
    assert "it is not trained yet, or was with --no-track" in " ".join(capsys.readouterr().err.split())
    assert main(["register", str(file), "yours"]) == 2
    assert "trains no model 'yours'" in " ".join(capsys.readouterr().err.split())


def test_it_is_a_pyfunc_with_a_row_of_features_as_its_example(at_home: LakeLocation) -> None:
    own = resolve_study(study(), at_home)
    spec = own.models["mine", "1min", 1]
    stored = rows_of(at_home, PREDICTIONS)
    stored = stored[stored["model_digest"] == spec.digest(own.bars.snapshot_id)]
    frame = local_features(own.bars, spec.features)
    held = find_registered(at_home, "trees@champion")
    with fetched(at_home, held) as folder:
        loaded = mlflow.pyfunc.load_model(str(folder))
        asked = frame.merge(stored, on=["symbol", "ts"])
        answers = loaded.predict(asked[list(spec.columns)])
        example = loaded.metadata.load_input_example(str(folder))
    for name in ("prob_long", "prob_short"):
        assert answers[name].to_numpy().tobytes() == asked[name].to_numpy().tobytes()
    assert loaded.metadata.signature.outputs.input_names() == ["prob_long", "prob_short"]
    first = frame.dropna(subset=list(spec.columns)).iloc[[0]]
    pd.testing.assert_frame_equal(example, first[list(spec.columns)].reset_index(drop=True))


@pytest.mark.slow
def test_the_server_answers_what_the_batch_stored(at_home: LakeLocation, tmp_path: Path) -> None:
    """Rows of features, posted as JSON, come back with the probabilities that the lake holds."""
    own = resolve_study(study(), at_home)
    spec = own.models["mine", "1min", 1]
    stored = rows_of(at_home, PREDICTIONS)
    stored = stored[stored["model_digest"] == spec.digest(own.bars.snapshot_id)]
    frame = local_features(own.bars, spec.features).merge(stored, on=["symbol", "ts"]).tail(50)
    held = find_registered(at_home, "trees@champion")
    assert (held.name, held.features, held.target) == ("trees@1", ("roc(1)", "roc(5)"), "class")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from whatif.cli import main; main()", "serve", "trees@champion"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port)], stdout=log, stderr=log, start_new_session=True
        )
    try:
        sent = frame[list(spec.columns)].to_dict("split", index=False)
        found = posted(f"http://127.0.0.1:{port}/invocations", {"dataframe_split": sent}, server)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
    answers = pd.DataFrame(found["predictions"])
    for name in ("prob_long", "prob_short"):
        assert answers[name].to_numpy().tobytes() == frame[name].to_numpy().tobytes()


def posted(url: str, content: Any, server: subprocess.Popen[bytes]) -> Any:
    """Return what a server answers, once it does."""
    request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"})
    until = time.monotonic() + 120
    while True:
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.loads(answer.read())
        except OSError:
            assert time.monotonic() < until, "nobody answers"
            time.sleep(0.3)
