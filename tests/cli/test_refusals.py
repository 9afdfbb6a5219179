"""Bad input: exit code 2 and a message that names key, value, rule and remedy. No JVM starts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import yaml
from pyiceberg.catalog.sql import SqlCatalog

from whatif import session
from whatif.cli import job, main
from whatif.errors import MachineError
from whatif.lake.tables import BARS
from whatif.pins import LakeLocation

from ..markets import lake_rows, walk

STUDY = """
study: made
data:      {symbols: [SPY], timeframe: 1min, start: 2013-10-04, end: 2013-10-12}
calendar:  {exchange: XNYS}
strategy:  {name: sma_crossover, params: {size: 10}}
axes:      {fast: [3, 5], slow: [20, 30]}
"""

FORESTS = {
    "features": ["roc(1)", "sma(5)"],
    "label": {"horizon": "5min"},
    "models": {"rf": {"trees": 2, "depth": 2}},
    "strategy": {"name": "forecast_threshold"},
    "axes": {"model": ["rf"]},
}

Refused = Callable[..., str]

ORDINARY = """
import backtrader as bt

class Ordinary(bt.Strategy):
    pass
"""
"""An ordinary strategy, which no machine code is made of."""


@pytest.fixture(autouse=True)
def _no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test whose command would have started Spark."""

    def start(*_: object, **__: object) -> None:
        raise AssertionError("a JVM would have been started")

    monkeypatch.setattr(session, "get_spark", start)
    monkeypatch.setattr("whatif.workflow.train.get_spark", start)


@pytest.fixture
def bars(lake_home: LakeLocation, tmp_path: Path) -> None:
    """Six sessions of SPY in the lake that WHATIF_HOME names."""
    types = {"string": pa.string(), "double": pa.float64(), "bigint": pa.int64(), "boolean": pa.bool_()}
    types |= {"timestamp": pa.timestamp("us", tz="UTC"), "date": pa.date32()}
    schema = pa.schema([(name, types[kind]) for name, kind in BARS.columns])
    catalog = SqlCatalog("made", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/made")
    catalog.create_namespace("whatif")
    table = catalog.create_table("whatif.bars", schema)
    rows = pd.concat([lake_rows(walk("SPY", 1)), lake_rows(walk("IBM", 2))])
    table.append(pa.Table.from_pandas(rows[[*BARS.column_names]], schema, preserve_index=False))
    folder = lake_home.table_folder("bars") / "metadata"
    folder.mkdir(parents=True)
    (folder / "v1.metadata.json").write_bytes(
        Path(table.metadata_location.removeprefix("file://")).read_bytes()
    )
    (folder / "version-hint.text").write_text("1")


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Return a function that runs a study with changes and returns the message with which it is refused."""

    def run(command: str = "run", **changes: object) -> str:
        study = yaml.safe_load(STUDY)
        for key, value in changes.items():
            study[key] = (
                {**study[key], **value} if key in ("data", "calendar", "split") and key in study else value
            )
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in study.items() if v is not None}))
        assert main([command, str(path)]) == 2
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out
        return " ".join(said.err.split())

    return run


class TestTheStudyAlone:
    """Refused without a look at the lake, which is not even made."""

    @pytest.fixture(autouse=True)
    def _untouched(self, lake_home: LakeLocation):
        yield
        assert not lake_home.home.exists()

    def test_an_unknown_key(self, refused: Refused) -> None:
        assert "unknown key 'objektive' hint: did you mean 'objective'?" in refused(objektive="sharpe")

    def test_an_unknown_key_of_a_section(self, refused: Refused) -> None:
        assert "unknown key 'data.tiemframe' hint: did you mean 'timeframe'?" in refused(
            data={"tiemframe": "1min"}
        )

    def test_an_unknown_metric(self, refused: Refused) -> None:
        assert "objective: metric 'sharp' is unknown hint: did you mean 'sharpe'?" in refused(
            objective="sharp"
        )

    def test_a_wrong_type(self, refused: Refused) -> None:
        message = refused(data={"symbols": "SPY"})
        assert "data.symbols = 'SPY'" in message
        assert "list" in message

    def test_an_empty_grid(self, refused: Refused) -> None:
        assert "axis fast is empty, so the grid is empty hint: give at least one value" in refused(
            axes={"fast": []}
        )

    def test_a_grid_that_breaks_its_rule_everywhere(self, refused: Refused, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(
            "from whatif.strategies import Param, hold, strategy\n"
            "@strategy(params={'a': Param(1), 'b': Param(2)}, constraint='a < b')\n"
            "def mine(i, x, p, s):\n    return hold()\n"
        )
        message = refused(strategy={"name": "mine.py"}, axes={"a": [30], "b": [20, 25]})
        assert "no configuration is left, all 2 break a rule" in message
        assert "a < b" in message

    def test_an_unknown_strategy(self, refused: Refused) -> None:
        message = refused(strategy={"name": "sma_crossove"}, axes={})
        assert "strategy 'sma_crossove' is unknown hint: did you mean 'sma_crossover'?" in message

    def test_an_unknown_parameter(self, refused: Refused) -> None:
        message = refused(strategy={"name": "sma_crossover", "params": {"sise": 10}})
        assert "parameter 'sise' (= 10) is unknown hint: did you mean 'size'?" in message

    def test_an_axis_that_is_none(self, refused: Refused) -> None:
        message = refused(axes={"fasst": [3]})
        assert "axis 'fasst' is neither a parameter of strategy 'sma_crossover' nor one of" in message
        assert "did you mean 'fast'?" in message

    def test_a_parameter_out_of_bounds(self, refused: Refused) -> None:
        message = refused(axes={"fast": [0], "slow": [20]})
        assert "parameter 'fast' = 0 is below its least value hint: use at least 1" in message

    def test_what_the_engine_asked_for_does_not_cover(self, refused: Refused, tmp_path: Path) -> None:
        (tmp_path / "ordinary.py").write_text(ORDINARY)
        message = refused(
            engine="compiled",
            strategy={"name": "ordinary.py"},
            axes={},
            data={"symbols": ["SPY", "IBM"]},
            portfolio="shared",
        )
        assert "engine compiled does not cover Ordinary is an ordinary backtrader.Strategy" in message
        assert "use engine auto or backtrader" in message

    def test_an_unknown_execution_setting(self, refused: Refused) -> None:
        assert "execution: 'comission' (= 0.1) is unknown hint: did you mean 'commission'?" in refused(
            execution={"comission": 0.1}
        )

    def test_an_unknown_exchange(self, refused: Refused) -> None:
        message = refused(calendar={"exchange": "XNYX"})
        assert "XNYX" in message
        assert "XNYS" in message

    def test_dates_without_a_session(self, refused: Refused) -> None:
        message = refused(data={"start": "2013-10-05", "end": "2013-10-07"})
        assert "data.start 2013-10-05 to data.end 2013-10-07 (left out) holds no session of XNYS" in message
        assert "choose dates on which the exchange trades" in message

    def test_a_window_that_the_embargo_swallows(self, refused: Refused) -> None:
        message = refused(split={"train": 0.9, "validate": 0.05, "test": 0.05, "embargo": "2d"})
        assert "split.validate is empty: the embargo ends at" in message
        assert "shorten split.embargo" in message

    def test_a_label_beyond_every_session(self, refused: Refused) -> None:
        message = refused(**{**FORESTS, "label": {"horizon": "7h"}})
        assert "label.horizon '7h' reaches out of every session" in message
        assert "use a shorter horizon" in message

    def test_an_unknown_feature(self, refused: Refused) -> None:
        message = refused(**{**FORESTS, "features": ["roc(1)", "emma(5)"]})
        assert "emma" in message
        assert "did you mean 'ema'?" in message

    def test_models_without_a_train_window(self, refused: Refused) -> None:
        message = refused(**FORESTS, split={"train": 0.0, "validate": 0.5, "test": 0.5})
        assert "split.train leaves no bar to train the models on hint: give it a share above 0" in message

    def test_a_train_window_without_a_label(self, refused: Refused) -> None:
        """An hour of train, and a label that is known two hours and a minute after its bar begins."""
        split = {"train": 0.025, "validate": 0.4, "test": 0.4}
        message = refused(**{**FORESTS, "label": {"horizon": "2h"}}, split=split)
        assert "no bar of train [2013-10-04T13:30Z, 2013-10-04T14:28Z) can have a label" in message
        assert "known 121 minutes after its bar begins" in message
        assert "no session inside lasts longer than 58 hint: lengthen the window" in message

    def test_tuning_on_parts_without_a_label(self, refused: Refused) -> None:
        """Train is three sessions, cut into 40 parts of half an hour."""
        models = {"rf": {"trees": [2, 3], "tune": {"folds": 39}}}
        message = refused(**{**FORESTS, "models": models, "label": {"horizon": "1h"}})
        assert "can have a label, which is known 61 minutes after its bar begins" in message

    def test_a_validate_window_of_one_period(self, refused: Refused) -> None:
        split = {"kind": "walk_forward", "train": 2, "validate": 1, "test": 1}
        message = refused(split=split, period="session")
        assert "objective 'sharpe' needs 2 periods and validate-01 " in message
        assert "has 1 (session) hint: lengthen the window, or choose a shorter period" in message

    def test_test_windows_that_overlap(self, refused: Refused) -> None:
        split = {"kind": "walk_forward", "train": 2, "validate": 1, "test": 2, "step": 1}
        message = refused(split=split)
        assert "step = 1 is shorter than test = 2, so test windows would overlap" in message

    def test_windows_that_do_not_fit(self, refused: Refused) -> None:
        message = refused(split={"kind": "walk_forward", "train": 20, "validate": 5, "test": 5})
        assert "do not fit into the 6 sessions from data.start 2013-10-04" in message

    def test_an_objective_that_cannot_be_stitched(self, refused: Refused) -> None:
        message = refused(split={"kind": "cpcv", "folds": 3}, objective="sqn")
        assert "objective 'sqn' cannot rank paths joined of several windows" in message

    def test_a_forecast_that_nobody_makes(self, refused: Refused) -> None:
        message = refused(strategy={"name": "forecast_threshold"}, axes={})
        assert "does not say which (models: none) hint: declare models and add the axis model" in message

    def test_an_objective_that_cannot_be_pooled(self, refused: Refused) -> None:
        message = refused(rank="pooled", objective="sqn")
        assert "objective 'sqn' cannot rank pooled symbols" in message
        assert "use rank: per_symbol" in message

    def test_a_strategy_file_that_is_missing(self, refused: Refused, tmp_path: Path) -> None:
        message = refused(strategy={"name": f"{tmp_path}/mine.py"}, axes={})
        assert f"cannot read {tmp_path}/mine.py" in message

    def test_a_strategy_file_that_is_no_python(self, refused: Refused, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text("def step(:\n")
        assert "loading it failed: SyntaxError" in refused(strategy={"name": "mine.py"}, axes={})

    def test_a_warmup_that_is_no_number(self, refused: Refused, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(
            "import backtrader as bt\nclass S(bt.Strategy):\n    warmup = '3d'\n"
        )
        message = refused(strategy={"name": "mine.py:S"}, axes={})
        assert "warmup = '3d' must be a whole number of bars, 0 or more" in message

    def test_a_study_that_is_missing(self, tmp_path: Path, capsys) -> None:
        for command in ("run", "train", "features", "leaderboard", "report"):
            assert main([command, str(tmp_path / "none.yaml")]) == 2
            said = " ".join(capsys.readouterr().err.split())
            assert f"study {tmp_path}/none.yaml does not exist hint: give the path of a YAML file" in said

    def test_every_command_that_takes_a_study_checks_it(self, refused: Refused) -> None:
        for command in ("run", "train", "features", "leaderboard", "report"):
            assert "did you mean 'sharpe'?" in refused(command, objective="sharp")

    def test_a_missing_file_to_ingest(self, tmp_path: Path, capsys) -> None:
        assert main(["ingest", str(tmp_path / "none.csv"), "--exchange", "XNYS"]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "none.csv" in said
        assert "Traceback" not in said


class TestTheLake:
    """Refused after a look at the lake, through PyIceberg."""

    def test_no_bars_yet(self, refused: Refused, lake_home: LakeLocation) -> None:
        for command in ("run", "train", "features", "leaderboard", "report"):
            message = refused(command)
            assert f"the lake in {lake_home.home} has no bars hint: run 'whatif ingest' first" in message
        assert not lake_home.home.exists()

    def test_a_symbol_that_is_not_there(self, refused: Refused, bars: None) -> None:
        message = refused(data={"symbols": ["SPY", "SPYY"]})
        assert "data.symbols: SPYY is not in the lake hint: did you mean 'SPY'?" in message
        assert "whatif ingest" in message

    def test_dates_without_bars(self, refused: Refused, bars: None) -> None:
        message = refused(data={"start": "2014-03-03", "end": "2014-03-08"})
        assert "data.symbols: SPY has no regular bar from 2014-03-03 to 2014-03-08" in message
        assert "'whatif bars' lists what there is" in message

    def test_a_window_without_bars(self, refused: Refused, bars: None) -> None:
        # bars end on 11 October, the test window begins after that
        message = refused(data={"end": "2013-10-19"}, split={"train": 0.3, "validate": 0.3, "test": 0.4})
        assert "SPY has no bar in window test [2013-10-1" in message
        assert "ingest bars for that time" in message

    def test_a_window_shorter_than_the_warm_up(self, refused: Refused, bars: None) -> None:
        message = refused(axes={"fast": [3], "slow": [20, 100_000]})
        assert "with fast = 3, slow = 100000" in message
        assert "bars to warm up, and SPY has 1102 1min bars from data.start to the end of validate" in message
        assert "use shorter periods" in message

    def test_a_first_fold_shorter_than_the_warm_up(self, refused: Refused, bars: None) -> None:
        """Later folds would be warm: three sessions of 367 bars end with the first validate window."""
        split = {"kind": "walk_forward", "train": 2, "validate": 1, "test": 1}
        message = refused(axes={"fast": [3], "slow": [20, 1_200]}, split=split)
        assert "with fast = 3, slow = 1200" in message
        assert "from data.start to the end of validate-01 hint: begin the data earlier" in message

    def test_a_train_window_shorter_than_a_feature_s_warm_up(self, refused: Refused, bars: None) -> None:
        split = {"kind": "walk_forward", "train": 1, "validate": 1, "test": 1}
        message = refused(**{**FORESTS, "features": ["roc(1)", "sma(500)"]}, split=split)
        assert "model 'rf', fold 1: feature sma(500) needs" in message
        assert "1min bars lie between data.start and the end of train-01" in message
        assert "lengthen split.train, or use shorter periods" in message

    def test_another_exchange_than_the_bars(self, refused: Refused, bars: None) -> None:
        message = refused(calendar={"exchange": "XLON"})
        assert "calendar.exchange 'XLON' is not the one that" in message
        assert "'XNYS'" in message

    def test_a_timeframe_that_the_bars_cannot_make(self, refused: Refused, bars: None, lake_home) -> None:
        path = lake_home.table_folder("bars")
        assert path.exists()
        message = refused(data={"timeframe": "7min"})
        assert "timeframe '7min'" in message

    def test_a_report_before_the_run(self, refused: Refused, bars: None) -> None:
        message = refused("report")
        assert "study made has 4 backtests still to run hint: 'whatif run' it first" in message

    def test_a_refused_study_leaves_nothing_behind(self, refused: Refused, bars: None, lake_home) -> None:
        refused(axes={"fast": [3], "slow": [100_000]})
        assert sorted(p.name for p in lake_home.home.iterdir()) in (["lake"], ["lake", "writer.lock"])

    def test_a_lake_that_somebody_writes_to(self, refused: Refused, bars: None, lake_home) -> None:
        script = (
            "import sys, time; from pathlib import Path; from whatif.lake import writer_lock; "
            "from whatif.pins import LakeLocation\n"
            "with writer_lock(LakeLocation(Path(sys.argv[1])), 'run study other'):\n"
            "    print('held', flush=True); time.sleep(60)"
        )
        command = [sys.executable, "-c", script, str(lake_home.home)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            message = refused()
            holder.kill()
        assert f"is being written to by process {holder.pid}" in message
        assert "run study other" in message


def test_a_study_can_be_looked_at_before_it_has_run(bars: None, tmp_path: Path, capsys, lake_home) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    assert main(["leaderboard", str(tmp_path / "study.yaml")]) == 0
    assert "4 backtests are not run yet" in capsys.readouterr().out
    assert [p.name for p in lake_home.home.iterdir()] == ["lake"]


class TestTheCommandLine:
    def test_no_arguments_show_the_commands(self, capsys) -> None:
        main([])
        shown = capsys.readouterr()
        for name in (
            "demo",
            "ingest",
            "bars",
            "features",
            "train",
            "run",
            "leaderboard",
            "report",
            "bench",
            "calibrate",
        ):
            assert name in shown.out + shown.err

    def test_an_unknown_command_and_an_unknown_option(self, capsys) -> None:
        assert main(["rum"]) == 2
        assert main(["run", "--lates", "study.yaml"]) == 2
        assert main(["run"]) == 2
        shown = capsys.readouterr().err
        assert "rum" in shown
        assert "--lates" in shown

    def test_the_version(self, capsys) -> None:
        assert main(["--version"]) == 0
        assert capsys.readouterr().out.startswith("whatif ")

    def test_a_markup_like_value_is_shown_as_it_is(self, refused: Refused) -> None:
        assert "[/bold]" in refused(objective="[/bold]")

    @pytest.mark.parametrize("home", [["--home", "{}"], ["--home={}"]])
    def test_a_job_takes_the_same_arguments_and_drops_glues(self, home, tmp_path: Path, capsys) -> None:
        (tmp_path / "study.yaml").write_text(STUDY)
        lake = str(tmp_path / "elsewhere")
        glue = ["--JOB_NAME", "nightly", "--JOB_ID=j_1", "--TempDir", "s3://b/t"]
        assert job("run", [*glue, str(tmp_path / "study.yaml"), *(part.format(lake) for part in home)]) == 2
        assert f"the lake in {lake} has no bars" in " ".join(capsys.readouterr().err.split())

    def test_a_fault_of_the_machine_is_a_sentence_and_no_refusal(self, monkeypatch, tmp_path, capsys) -> None:
        def fail(*_: object) -> None:
            raise MachineError("bars of A could not be read: OSError: [Errno 5]")

        (tmp_path / "study.yaml").write_text(STUDY)
        monkeypatch.setattr("whatif.workflow.study.load_study", fail)
        assert main(["run", str(tmp_path / "study.yaml")]) == 1
        assert "error: bars of A could not be read" in capsys.readouterr().err

    def test_being_interrupted(self, monkeypatch, tmp_path: Path, capsys) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        (tmp_path / "study.yaml").write_text(STUDY)
        monkeypatch.setattr("whatif.workflow.study.load_study", interrupt)
        assert main(["run", str(tmp_path / "study.yaml")]) == 130
        assert "the same command goes on from there" in " ".join(capsys.readouterr().err.split())
