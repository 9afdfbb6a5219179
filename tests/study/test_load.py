"""What a study may say, and what the refusal of one that may not be run says."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from whatif.errors import StudyError
from whatif.splits import Combinatorial, WalkForward
from whatif.study import Study, load_study, parse_study

REPOSITORY = Path(__file__).resolve().parents[2]

WHOLE = """
study: rf-forecast-spy
data:      {symbols: [SPY, IBM], timeframe: 1min, start: 2013-10-04, end: 2013-10-12}
calendar:  {exchange: XNYS, session: regular}          # regular | extended | 24/7
features:  [ema(10), sma(5), sma(20), roc(5), vwap, close, volume]
label:     {kind: forward_vwap, horizon: 5min, target: return}
models:
  rf_small: {kind: random_forest, trees: 20, depth: 5, seed: 7}
  rf_deep:  {kind: random_forest, trees: 50, depth: 10, seed: 7}
strategy:  {name: forecast_threshold, params: {size: 100}}
axes:
  model:           [rf_small, rf_deep]
  threshold:       [0.0001, 0.0002, 0.0005]            # a strategy parameter
  execution:
    - {commission: 0.0, slippage: 0.0}
    - {commission: 0.0005, slippage: 0.0001}
execution: {cash: 100000}                              # what no axis varies
split:     {kind: holdout, train: 0.5, validate: 0.25, test: 0.25, embargo: 5min}
objective: sharpe
rank:      per_symbol                                  # per_symbol (symbols count as trials) | pooled
portfolio: separate                                    # separate accounts | shared
engine:    auto                                        # auto | compiled | backtrader
keep:      {trades: best, equity: best}                # best | N | all
"""
"""The study of the design, word for word."""

LEAST = """
study: least
data: {symbols: [SPY], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover}
"""


MODEL = "features: [close]\nlabel: {}\nmodels: {a: "


def refusal(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        parse_study(text)
    return str(caught.value)


def test_the_design_s_study_says_what_it_says() -> None:
    study = parse_study(WHOLE)
    assert study.study == "rf-forecast-spy"
    assert study.data.symbols == ("SPY", "IBM")
    assert (study.data.start, study.data.end) == (date(2013, 10, 4), date(2013, 10, 12))
    assert study.calendar.exchange == "XNYS"
    assert study.features == ("ema(10)", "sma(5)", "sma(20)", "roc(5)", "vwap", "close", "volume")
    assert study.label is not None
    assert (study.label.horizon, study.label.target) == ("5min", "return")
    assert {name: (m.trees, m.depth, m.seed) for name, m in study.models.items()} == {
        "rf_small": (20, 5, 7),
        "rf_deep": (50, 10, 7),
    }
    assert study.strategy.params == {"size": 100}
    assert list(study.axes) == ["model", "threshold", "execution"]
    assert study.axes["execution"].values[1] == {"commission": 0.0005, "slippage": 0.0001}
    assert (study.split.train, study.split.validate_, study.split.test) == (0.5, 0.25, 0.25)
    assert study.split.embargo_us == 300_000_000
    assert study.text == WHOLE


def test_defaults_of_the_least_study() -> None:
    study = parse_study(LEAST)
    assert (study.data.timeframe, study.calendar.session, study.objective) == ("1min", "regular", "sharpe")
    assert (study.split.train, study.split.validate_, study.split.test) == (0, 0.5, 0.5)
    assert (study.rank, study.portfolio, study.engine, study.period) == (
        "per_symbol",
        "separate",
        "auto",
        "auto",
    )
    assert (study.keep.trades, study.keep.equity) == ("best", "best")


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "conf" / "studies").glob("*.yaml")), ids=lambda p: p.name
)
def test_studies_that_come_along_parse_and_know_their_folder(path: Path) -> None:
    assert load_study(path).folder == path.parent


@pytest.mark.parametrize(
    ("more", "key", "remedy"),
    [
        ("objectiv: sharpe", "objectiv", "objective"),
        ("slpit: {train: 0.5}", "slpit", "split"),
        ("split: {validte: 0.25}", "split.validte", "validate"),
        ("label: {horizn: 5min}", "label.horizn", "horizon"),
        ("keep: {trade: all}", "keep.trade", "trades"),
        ("features: [close]\nlabel: {}\nmodels: {a: {tress: 3}}", "models.a.tress", "trees"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(more: str, key: str, remedy: str) -> None:
    message = refusal(LEAST + more)
    assert f"unknown key {key!r}" in message
    assert f"did you mean {remedy!r}?" in message


@pytest.mark.parametrize(
    ("old", "new", "key", "remedy"),
    [
        ("symbols: [SPY]", "symbol: [SPY]", "data.symbol", "symbols"),
        ("{exchange: XNYS}", "{exchang: XNYS}", "calendar.exchang", "exchange"),
        ("{name: sma_crossover}", "{name: a, parms: {}}", "strategy.parms", "params"),
    ],
)
def test_an_unknown_key_of_a_needed_section(old: str, new: str, key: str, remedy: str) -> None:
    message = refusal(LEAST.replace(old, new))
    assert f"unknown key {key!r}: did you mean {remedy!r}?" in message


@pytest.mark.parametrize("key", ["study", "data", "calendar", "strategy"])
def test_a_missing_key_is_named(key: str) -> None:
    text = "\n".join(line for line in LEAST.splitlines() if not line.startswith(key))
    assert f"key {key!r} is missing" in refusal(text)


def test_all_that_is_wrong_is_said_at_once() -> None:
    message = refusal(LEAST.replace("SPY", "ON") + "objective: sharp\nsplitt: 3")
    assert "metric 'sharp' is unknown: did you mean 'sharpe'?" in message
    assert "unknown key 'splitt': did you mean 'split'?" in message
    assert "data.symbols.0 = True" in message


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("rank: best", ["rank = 'best'", "'per_symbol' or 'pooled'"]),
        ("engine: fast", ["engine = 'fast'", "'auto', 'compiled' or 'backtrader'"]),
        ("period: minute", ["period = 'minute'", "'session'"]),
        ("features: close", ["features = 'close'", "list"]),
        ("features: [close, close]", ["close", "twice"]),
        ("features: [sma(vwap, 20)]", ["'sma(vwap' is torn", "quote"]),
        ("models: {a: {}}", ["models need a label and features"]),
        (MODEL + "{trees: many}}", ["models.a.trees = 'many'", "integer"]),
        (MODEL + "{trees: 0}}", ["models.a.trees = 0", "1"]),
        (MODEL + "{depth: 31}}", ["models.a.depth = 31", "30"]),
        (MODEL + f"{{seed: {2**63}}}}}", ["models.a.seed"]),
        (MODEL + "{feature_subset: 1.5}}", ["feature_subset", "'1.5'", "onethird"]),
        (MODEL + "{features: [clos]}}", ["'clos'", "did you mean 'close'?"]),
        ("label: {target: price}", ["label.target = 'price'", "'return', 'level' or 'class'"]),
        ("label: {horizon: 5m}", ["label.horizon", "'5m'", "5min"]),
        ("label: {horizon: 0min}", ["label.horizon", "'0min'"]),
        ("keep: {trades: -1}", ["keep.trades = -1"]),
        ("axes: {fast: 3}", ["axis fast", "list of values"]),
        ("axes: {fast: []}", ["axis fast is empty", "grid is empty"]),
        ("axes: {fast: [3, 3]}", ["axis fast", "3 twice"]),
        ("axes: {execution: [{cash: 1, coc: true}, {coc: true, cash: 1}]}", ["axis execution", "twice"]),
        ("axes: {fast: {from: 1, to: 5, by: 2}}", ["axis fast", "{from, to, step}"]),
        ("axes: {fast: {from: 5, to: 1}}", ["axis fast", "not below from"]),
        ("axes: {fast: {from: 1, to: 5, step: 0}}", ["axis fast", "step must be above 0"]),
        ("axes: {fast: {from: 0, to: 1, step: 1e-9}}", ["axis fast", "1,000,000,001 values"]),
        ("axes: {model: [rf]}", ["axis model names 'rf'", "no models"]),
        ("axes: {model: [[1]]}", ["axis model names [1]"]),
        ("execution: {cash: [1]}", ["execution.cash = [1]"]),
        ("overlays: {take_profits: 0.1}", ["overlays: 'take_profits'", "did you mean 'take_profit'?"]),
        ("overlays: {stop_loss: -0.1}", ["overlays: stop_loss = -0.1 must be a fraction above 0"]),
        ("overlays: {flat_before_close: 15m}", ["overlays: flat_before_close: '15m' is not a duration"]),
        ("overlays: {latency: [1]}", ["overlays.latency = [1]"]),
        ("overlays: [latency]", ["overlays = ['latency']"]),
        ("split: {train: 0.5, validate: 0.5, test: 0.5}", ["split", "1.5, more than 1"]),
        ("split: {train: 0.5, validate: 0, test: 0.5}", ["split", "validate above 0"]),
        ("split: {train: -0.5}", ["split", "[0, 1)"]),
        ("split: {train: .nan}", ["split", "[0, 1)"]),
        ("split: {train: half}", ["split.train = 'half'", "number"]),
        ("split: {train: true}", ["split.train", "fraction"]),
        ("split: {embargo: 5}", ["split.embargo = 5"]),
        ("split: {validate: [2013-10-08, 2013-10-09]}", ["all fractions or all pairs"]),
        ("split: {train: [2013-10-04], validate: 0.25, test: 0.25}", ["split.train", "pair of dates"]),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_name_value_and_rule(more: str, said: list[str]) -> None:
    message = refusal(LEAST + more)
    for part in said:
        assert part in message


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2013-13-04", "2013-10-12", "data.start: '2013-13-04' is no date"),
        ("2013-02-30", "2013-10-12", "data.start: '2013-02-30' is no date"),
        ("tomorrow", "2013-10-12", "data.start: 'tomorrow' is no date"),
        ("20131004", "2013-10-12", "is no date"),
        ("2013-10-04T09:30:00", "2013-10-12", "without a time of day"),
        ("2013-10-04", "2013-10-04", "end 2013-10-04 must be after start 2013-10-04"),
    ],
)
def test_bad_dates(start: str, end: str, said: str) -> None:
    if start == "20131004":
        start = "[20131004]"
    text = LEAST.replace("2013-10-04", "START").replace("2013-10-12", end).replace("START", start)
    assert said in refusal(text)


def dated(train: str, validate: str, test: str) -> str:
    return LEAST + f"split: {{train: [{train}], validate: [{validate}], test: [{test}]}}"


def test_dated_windows_may_touch_but_not_overlap() -> None:
    study = parse_study(dated("2013-10-04, 2013-10-07", "2013-10-08, 2013-10-09", "2013-10-10, 2013-10-11"))
    assert study.split.train == (date(2013, 10, 4), date(2013, 10, 7))
    message = refusal(dated("2013-10-04, 2013-10-08", "2013-10-08, 2013-10-09", "2013-10-10, 2013-10-11"))
    assert "window that begins 2013-10-08 overlaps the one that ends 2013-10-08" in message
    assert "ends before it begins" in refusal(
        dated("2013-10-07, 2013-10-04", "2013-10-08, 2013-10-09", "2013-10-10, 2013-10-11")
    )
    assert "split.train" in refusal(
        dated("2013-10-04, 2013-10-32", "2013-10-08, 2013-10-09", "2013-10-10, 2013-10-11")
    )


def test_symbols() -> None:
    assert "names no symbol" in refusal(LEAST.replace("[SPY]", "[]"))
    assert "names a symbol twice" in refusal(LEAST.replace("[SPY]", "[SPY, SPY]"))
    # ON is a ticker, and YAML's word for true
    assert "put it in quotes" in refusal(LEAST.replace("[SPY]", "[ON]"))
    assert parse_study(LEAST.replace("[SPY]", "['ON']")).data.symbols == ("ON",)


@pytest.mark.parametrize("name", ["CON", "nul.x", "a.", "aux"])
def test_a_name_that_no_folder_can_have(name: str) -> None:
    """Reports are written to a folder of the study's name."""
    assert "becomes that of a folder" in refusal(LEAST.replace("study: least", f"study: {name}"))


@pytest.mark.parametrize("name", ["it's", "../up", "a b", "\u00fcber", ".hidden"])
def test_what_a_name_is_made_of_is_said(name: str) -> None:
    said = refusal(LEAST.replace("study: least", f'study: "{name}"'))
    assert "a name is made of letters from A to Z, digits, dots, _ and -" in said


@pytest.mark.parametrize(
    ("symbol", "said"),
    [
        ("''", "blank"),
        ("' '", "blank"),
        ('"A\\nB"', "u000a"),
        ('"A\\rB"', "u000d"),
        ('"A\\tB"', "u0009"),
        ('"\\x1b[2JA"', "u001b"),
        ('"A\\0"', "u0000"),
        ('"\\u202eYPS"', "u202e"),
        ('"SP\\u200bY"', "u200b"),
        ('"A\\u2028B"', "u2028"),
        ("'SPY '", "begins or ends with a blank"),
        ('"\\uff33PY"', "looks like 'SPY'"),
        ("X" * 101, "more than 100 characters"),
    ],
)
def test_what_is_no_symbol(symbol: str, said: str) -> None:
    message = refusal(LEAST.replace("[SPY]", f"[{symbol}]"))
    assert "data.symbols: names the symbol" in message
    assert said in message
    assert message.isprintable() or "\n" in message
    assert not {"\x1b", "\u202e", "\0"} & set(message)


@pytest.mark.parametrize(
    "symbol", ["BRK.B", "BTC-USD", "^GSPC", "EURUSD=X", "7203.T", "\u6bd4\u4e9a\u8fea", "[/red]", "ES 12-24"]
)
def test_symbols_of_every_market_are_taken(symbol: str) -> None:
    assert parse_study(LEAST.replace("[SPY]", f"['{symbol}']")).data.symbols == (symbol,)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (
            "{a: {from: 1, to: 1000}, b: {from: 1, to: 1000}}",
            "the grid has 1,000,000 points (1,000 of a x 1,000 of b)",
        ),
        ("{a: {from: 1, to: 20000}, b: {from: 1, to: 20000}}", "the grid has 400,000,000 points"),
        ("{a: {from: 1, to: 1000000}}", "axis a has 1,000,000 values, more than 500,000"),
        ("{a: {from: 0, to: 1.0e+300, step: 1.0e-300}}", "axis a has about 1e600 values"),
        ("{a: {from: 0, to: 1, step: .nan}}", "must be numbers"),
        ("{a: {from: 1, to: 99999999999999999999}}", "must be numbers"),
        ("{a: [1, .inf]}", "not finite or beyond 64 bits"),
        ("{a: [9223372036854775808]}", "not finite or beyond 64 bits"),
        ("{execution: [{cash: .nan}]}", "not finite or beyond 64 bits"),
    ],
)
def test_a_grid_is_counted_before_it_is_made(axes: str, said: str) -> None:
    began = time.process_time()
    assert said in refusal(LEAST + f"axes: {axes}")
    assert time.process_time() - began < 0.5


def test_a_value_may_have_keys_of_any_kind() -> None:
    study = parse_study(LEAST + "axes: {a: [{1: x, b: y}, {2013-10-04: x}]}")
    assert study.axes["a"].values[0] == {1: "x", "b": "y"}


def test_a_hundred_thousand_points_are_taken() -> None:
    study = parse_study(LEAST + "axes: {a: {from: 1, to: 400}, b: {from: 1, to: 250}}")
    assert (len(study.axes["a"].values), len(study.axes["b"].values)) == (400, 250)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("split: {embargo: 99999999999999999999min}", "longer than 36,525d"),
        ("split: {embargo: " + "9" * 5000 + "min}", "longer than 36,525d"),
        ("label: {horizon: 99999999999999999999999999min}", "longer than 36,525d"),
        (
            "split: {kind: walk_forward, train: 100000000000000000000, validate: 1, test: 1}",
            "at most 100,000",
        ),
        ("split: {kind: walk_forward, train: 1, validate: 1, test: 1, embargo: 100001}", "at most 100,000"),
        (
            "split: {kind: cpcv, folds: 100, test_folds: 50}",
            "100,891,344,545,564,193,334,812,497,256 splits, more than 5,000",
        ),
        (
            "features: [close]\nlabel: {}\nmodels: {a: {tune: {}, "
            "trees: [1, 2, 3, 4, 5, 6], depth: [1, 2, 3, 4, 5, 6], bins: [2, 3, 4, 5, 6, 7], "
            "min_leaf: [1, 2, 3, 4, 5, 6]}}",
            "1,296 combinations",
        ),
        ("features: [close]\nlabel: {}\nmodels: {a: {trees: [[1], [2]]}}", "models.a.trees"),
        (
            "features: [" + ", ".join(f"sma({k})" for k in range(1, 1002)) + "]",
            "1,001 features, more than 1,000",
        ),
    ],
)
def test_bounds_on_what_a_study_asks_for(more: str, said: str) -> None:
    began = time.process_time()
    message = refusal(LEAST + more)
    assert said in message
    assert len(message) < 2500
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("0001-01-01", "2013-10-12", "not between 1800-01-01 and 2200-12-31"),
        ("2013-10-04", "9999-12-31", "not between 1800-01-01 and 2200-12-31"),
        ("1850-01-01", "2013-10-12", "longer than 100 years"),
    ],
)
def test_dates_that_no_calendar_counts(start: str, end: str, said: str) -> None:
    assert said in refusal(LEAST.replace("2013-10-04", start).replace("2013-10-12", end))


def test_a_study_of_nothing_but_mistakes_gets_a_short_answer() -> None:
    message = refusal(LEAST + "\n".join(f"{'k' * 500}{k}: 1" for k in range(500)))
    assert message.count("\n") <= 31
    assert message.endswith("more")


def test_timeframes() -> None:
    assert "'7min' does not divide a day" in refusal(LEAST.replace("[SPY]", "[SPY], timeframe: 7min"))
    assert "'1m' is not a duration" in refusal(LEAST.replace("[SPY]", "[SPY], timeframe: 1m"))
    assert parse_study(LEAST.replace("[SPY]", "[SPY], timeframe: 1d")).data.timeframe == "1d"


def test_always_open() -> None:
    text = LEAST.replace("{exchange: XNYS}", "{session: 24/7}")
    assert parse_study(text).calendar.exchange == "24/7"
    assert "needs exchange 24/7" in refusal(LEAST.replace("XNYS", "XNYS, session: 24/7"))


def test_a_key_that_stands_twice_is_refused_at_every_level() -> None:
    assert "key 'study' stands twice" in refusal(LEAST + "study: again")
    assert "key 'fast' stands twice" in refusal(LEAST + "axes: {fast: [1], fast: [2]}")


def test_numbers_are_numbers_as_people_write_them() -> None:
    study = parse_study(LEAST + "axes: {threshold: [1e-4, 2E-4, -3e2, 0.5e-3, 7, 1_000]}")
    assert study.axes["threshold"].values == (0.0001, 0.0002, -300.0, 0.0005, 7, 1000)
    assert parse_study(LEAST + "description: 1e5x").description == "1e5x"


def test_overlays_and_axes_of_them_may_be_off() -> None:
    study = parse_study(
        LEAST
        + "overlays: {stop_loss: 0.01, flat_before_close: 15min, latency: 1, take_profit: null}\n"
        + "axes: {max_bars_held: [null, 10], percent_of_equity: {from: 0.5, to: 1.0, step: 0.5}}"
    )
    assert study.overlays == {
        "stop_loss": 0.01, "flat_before_close": "15min", "latency": 1, "take_profit": None,
    }  # fmt: skip
    assert {name: axis.values for name, axis in study.axes.items()} == {
        "max_bars_held": (None, 10), "percent_of_equity": (0.5, 1.0),
    }  # fmt: skip
    assert parse_study(LEAST).overlays == {}


def test_ranges_are_decimal_and_include_their_end() -> None:
    study = parse_study(
        LEAST + "axes: {fast: {from: 5, to: 20, step: 5}, slow: {from: 30, to: 33}, "
        "x: {from: 0.1, to: 0.5, step: 0.1}}"
    )
    assert study.axes["fast"].values == (5, 10, 15, 20)
    assert study.axes["slow"].values == (30, 31, 32, 33)
    assert study.axes["x"].values == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert parse_study(LEAST + "axes: {fast: {from: 5, to: 9, step: 5}}").axes["fast"].values == (5,)


def test_one_and_one_point_zero_are_different_values() -> None:
    assert parse_study(LEAST + "axes: {a: [1, 1.0, true]}").axes["a"].values == (1, 1.0, True)


def test_merge_keys_of_yaml_work() -> None:
    text = LEAST + "axes: {execution: [&free {commission: 0.0, slippage: 0.0}, {<<: *free, slippage: 0.1}]}"
    assert parse_study(text).axes["execution"].values[1] == {"commission": 0.0, "slippage": 0.1}


def test_files_that_are_no_study(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="does not exist"):
        load_study(tmp_path / "none.yaml")
    with pytest.raises(StudyError, match="cannot be read"):
        load_study(tmp_path)
    (tmp_path / "half.yaml").write_text("study: [a,\n")
    with pytest.raises(StudyError, match=r"half\.yaml is not valid YAML"):
        load_study(tmp_path / "half.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"study: caf\xe9")
    with pytest.raises(StudyError, match="cannot be read"):
        load_study(tmp_path / "latin.yaml")
    with pytest.raises(StudyError, match="must be a mapping of study keys, not list"):
        parse_study("[1, 2]")
    with pytest.raises(StudyError, match="not NoneType"):
        parse_study("")


def test_a_study_is_frozen_and_can_be_made_and_written_in_python() -> None:
    study = parse_study(LEAST)
    with pytest.raises(ValueError, match="frozen"):
        study.objective = "pnl_net"  # type: ignore[misc]
    made = Study.model_validate(study.model_dump(by_alias=True))
    assert parse_study(made.text).model_dump() == study.model_dump()


class TestSplits:
    def test_walk_forward(self) -> None:
        split = parse_study(LEAST + "split: {kind: walk_forward, train: 20, validate: 5d, test: 5}").split
        assert isinstance(split, WalkForward)
        assert (split.train, split.validate_, split.test, split.step) == (20, "5d", 5, None)
        assert (split.anchored, split.embargo, split.windows) == (False, "0min", None)

    def test_combinatorial(self) -> None:
        split = parse_study(LEAST + "split: {kind: cpcv}").split
        assert isinstance(split, Combinatorial)
        assert (split.folds, split.test_folds, split.test, split.embargo) == (10, 2, 0.2, "0min")

    def test_a_study_written_out_reads_back(self) -> None:
        for split in ("{kind: walk_forward, train: 2, validate: 1, test: 1}", "{kind: cpcv}", "{}"):
            study = parse_study(f"{LEAST}split: {split}")
            made = Study.model_validate(study.model_dump(by_alias=True))
            assert parse_study(made.text).split == study.split


class TestTune:
    MODELS = LEAST + "features: [close]\nlabel: {horizon: 5min}\nmodels:\n  rf: {%s}\n"

    def test_candidates_in_the_order_of_the_lists(self) -> None:
        forest = parse_study(
            self.MODELS % "trees: [20, 50], depth: [5, 10], seed: 7, tune: {folds: 2}"
        ).models["rf"]
        assert [(one.trees, one.depth) for one in forest.candidates] == [(20, 5), (20, 10), (50, 5), (50, 10)]
        assert {(one.seed, one.tune) for one in forest.candidates} == {(7, None)}

    def test_a_forest_without_it_is_named_as_before(self) -> None:
        forest = parse_study(self.MODELS % "trees: 20").models["rf"]
        assert "tune" not in forest.model_dump()
        assert forest.candidates == (forest,)

    @pytest.mark.parametrize(
        ("model", "said"),
        [
            ("trees: [20, 50]", "trees holds several values, and the model does not say how one is chosen"),
            ("trees: 20, tune: {folds: 3}", "tune has nothing to choose"),
            ("trees: [20, 20], tune: {folds: 3}", "each once"),
            ("trees: [], tune: {folds: 3}", "at least one value"),
            ("trees: [20, 0], tune: {folds: 3}", "greater than or equal to 1"),
            ("trees: [2, 3], tune: {fold: 3}", "did you mean 'folds'"),
            ("trees: [2, 3], tune: {folds: 0}", "greater than or equal to 1"),
            ("feature_subset: [auto, most], tune: {}", "'most' is no way to choose features"),
        ],
    )
    def test_refusals(self, model: str, said: str) -> None:
        with pytest.raises(StudyError, match=said):
            parse_study(self.MODELS % model)


@pytest.mark.parametrize("features", ["[]", "[close, close]"])
def test_a_model_learns_from_something_and_from_nothing_twice(features: str) -> None:
    text = LEAST + (
        "label: {target: return, horizon: 5min}\nfeatures: [close, volume]\n"
        f"models: {{a: {{kind: random_forest, features: {features}}}}}\n"
    )
    with pytest.raises(StudyError, match=r"models\.a\.features: .* at least one value, and each once"):
        parse_study(text)
