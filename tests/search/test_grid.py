"""Configurations: their number, their order, and the digest that names each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest

from whatif.domain.costs import costs_from
from whatif.domain.execution import LATER_SETTINGS, Execution
from whatif.domain.overlays import Overlays
from whatif.errors import EngineError, StrategyError, StudyError
from whatif.features.spec import feature_spec
from whatif.resolve.windows import resolve_timeline
from whatif.search import grid as grid_module
from whatif.search.grid import Grid, expand
from whatif.search.slices import BarSlice
from whatif.strategies import Intent, Param, StrategySpec, hold, resolve, strategy
from whatif.study import Study, digest, parse_study
from whatif.training.spec import model_spec

CROSS = """
study: s
data: {symbols: [SPY], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover, params: {size: 100}}
execution: {cash: 100000}
axes:
  fast: [5, 10]
  slow: [20, 50]
"""

FORECAST = """
study: s
data: {symbols: [SPY, IBM], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
features: [sma(5), close]
label: {horizon: 5min, target: return}
models: {rf: {trees: 20, depth: 5, seed: 7}}
strategy: {name: forecast_threshold}
axes: {threshold: [0.001]}
"""


def expanded(text: str, strategy: StrategySpec | None = None) -> Grid:
    study = parse_study(text)
    return expand(study, strategy or found(study), lambda name, tf: identity(study, name, tf))


def found(study: Study) -> StrategySpec:
    strategy = resolve(study.strategy.name)
    assert isinstance(strategy, StrategySpec)
    return strategy


def identity(study: Study, name: str, timeframe: str) -> Mapping[str, Any]:
    """Return what a configuration depends on through its model, as the workflow joins it."""
    timeline = resolve_timeline(study)
    bars = BarSlice(
        study.data.symbols, "1min", timeframe, study.calendar.exchange, study.calendar.hours,
        timeline.start_us, timeline.end_us,
    )  # fmt: skip
    assert study.label is not None
    features = feature_spec(study, bars, timeline)
    return model_spec(name, study.models[name], features, study.label.target, timeline.last.train).identity


def ids(text: str, strategy: StrategySpec | None = None) -> list[str]:
    return [c.config_id for c in expanded(text, strategy).configurations]


def test_the_last_axis_varies_fastest() -> None:
    grid = expanded(CROSS)
    assert [dict(c.axes) for c in grid.configurations] == [
        {"fast": 5, "slow": 20},
        {"fast": 5, "slow": 50},
        {"fast": 10, "slow": 20},
        {"fast": 10, "slow": 50},
    ]
    assert dict(grid.configurations[1].params) == {
        "fast": 5,
        "slow": 50,
        "size": 100.0,
        "enter_at_once": False,
    }
    assert grid.configurations[0].execution.cash == 100_000.0
    assert (grid.left_out, grid.reason) == (0, "")


def test_without_axes_there_is_one_configuration() -> None:
    (one,) = expanded(CROSS[: CROSS.index("axes")]).configurations
    assert dict(one.params) == {
        "fast": 10,
        "slow": 50,
        "size": 100.0,
        "enter_at_once": False,
    }
    assert dict(one.axes) == {}


@strategy(
    params={"fast": Param(1, low=1), "slow": Param(2, low=2), "size": Param(1.0)}, constraint="fast < slow"
)
def ordered(i: int, x: Any, p: Any, s: Any) -> Intent:
    return hold()


def test_points_that_break_the_constraint_are_left_out_and_counted() -> None:
    grid = expanded(CROSS.replace("[5, 10]", "[5, 20, 50]"), ordered)
    assert [(c.params["fast"], c.params["slow"]) for c in grid.configurations] == [(5, 20), (5, 50), (20, 50)]
    assert grid.left_out == 3
    assert "fast=20, slow=20 breaks its rule fast < slow" in grid.reason


def test_a_grid_of_which_nothing_is_left() -> None:
    with pytest.raises(StudyError, match=r"no configuration is left, all 2 break a rule: .*fast < slow"):
        expanded(CROSS.replace("[5, 10]", "[50]"), ordered)


def test_a_value_out_of_bounds_is_refused_though_its_point_breaks_the_constraint_too() -> None:
    with pytest.raises(StrategyError, match="below its least value"):
        expanded(CROSS.replace("[20, 50]", "[20, 1]"), ordered)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[5, 10]", "[5, 0]", "below its least value"),
        ("[5, 10]", "[60, 0]", "below its least value"),
        ("[5, 10]", "[5, ten]", "'ten': it must be an integer"),
        ("[5, 10]", "[5, 2.5]", "2.5: it must be an integer"),
        ("[5, 10]", "[5, [1]]", "it must be an integer"),
        ("{size: 100}", "{size: .nan}", "finite"),
        ("{size: 100}", "{sise: 100}", "did you mean 'size'"),
    ],
)
def test_a_value_that_is_wrong_by_itself_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        expanded(CROSS.replace(old, new))


def test_axes_that_are_none() -> None:
    with pytest.raises(StudyError, match=r"axis 'fst' is neither a parameter .*did you mean 'fast'"):
        expanded(CROSS.replace("fast: [5, 10]", "fst: [5, 10]"))
    with pytest.raises(StudyError, match=r"'fast' stands both in strategy\.params and in axes"):
        expanded(CROSS.replace("{size: 100}", "{fast: 3}"))
    with pytest.raises(StudyError, match=r"axis execution holds 0.1"):
        expanded(CROSS + "  execution: [0.1]\n")
    with pytest.raises(EngineError, match=r"'comission' .*did you mean 'commission'"):
        expanded(CROSS + "  execution: [{comission: 0.1}]\n")
    with pytest.raises(StudyError, match="'5m' is not a duration"):
        expanded(CROSS + "  timeframe: [5m]\n")


def test_the_same_configuration_in_other_words_is_refused() -> None:
    """It would be run twice under one id, and rows would no longer be one for each backtest."""
    with pytest.raises(StudyError, match=r"'execution': 'commission 0 %'.*are the same configuration"):
        expanded(CROSS + "  execution: [{}, {commission: 0.0}]\n")
    with pytest.raises(StudyError, match="are the same configuration"):
        expanded(CROSS.replace("[5, 10]", "[5, 5.0]"))
    twins = FORECAST.replace("{threshold", "{model: [rf, twin], threshold").replace(
        "seed: 7}}", "seed: 7}, twin: {trees: 20, depth: 5, seed: 7}}"
    )
    with pytest.raises(StudyError, match=r"'model': 'twin'.*are the same configuration"):
        expanded(twins)


class TestConfigId:
    """What changes it, and what does not."""

    def test_it_is_sixteen_hexadecimal_digits_and_the_same_again(self) -> None:
        assert ids(CROSS) == ids(CROSS)
        assert all(len(name) == 16 and int(name, 16) >= 0 for name in ids(CROSS))
        assert len(set(ids(CROSS))) == 4

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("fast: [5, 10]\n  slow: [20, 50]", "slow: [20, 50]\n  fast: [5, 10]"),
            ("study: s", "study: another\ndescription: words"),
            ("[SPY]", "[IBM, SPY]"),
            ("start: 2013-10-04", "start: 2013-10-07"),
            ("execution: {cash: 100000}", "execution: {commission: 0.0, cash: 100000.0}"),
            ("size: 100", "size: 100.0"),
            (
                "calendar: {exchange: XNYS}",
                "calendar: {exchange: XEUR}\nobjective: pnl_net\nengine: backtrader",
            ),
        ],
    )
    def test_what_it_does_not_depend_on(self, old: str, new: str) -> None:
        assert sorted(ids(CROSS.replace(old, new))) == sorted(ids(CROSS))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("size: 100", "size: 101"),
            ("cash: 100000", "cash: 100001"),
            ("cash: 100000", "cash: 100000, commission: 0.0001"),
            ("cash: 100000", "cash: 100000, coc: true"),
            ("[SPY], start", "[SPY], timeframe: 5min, start"),
            ("study: s", "study: s\nportfolio: shared"),
        ],
    )
    def test_what_it_depends_on(self, old: str, new: str) -> None:
        assert not set(ids(CROSS.replace(old, new))) & set(ids(CROSS))

    def test_a_value_more_on_an_axis_leaves_the_others_alone(self) -> None:
        assert set(ids(CROSS)) < set(ids(CROSS.replace("[5, 10]", "[5, 7, 10]")))

    def test_the_strategy_s_source(self) -> None:
        strategy = found(parse_study(CROSS))
        edited = replace(strategy, source=strategy.source + "\n# a word\n")
        assert not set(ids(CROSS, edited)) & set(ids(CROSS))

    def test_the_version_of_results(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = ids(CROSS)
        monkeypatch.setattr(grid_module, "RESULTS_VERSION", grid_module.RESULTS_VERSION + 1)
        assert not set(ids(CROSS)) & set(before)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("trees: 20", "trees: 21"),
            ("depth: 5", "depth: 6"),
            ("seed: 7", "seed: 8"),
            ("seed: 7", "seed: 7, bins: 16"),
            ("seed: 7", "seed: 7, min_leaf: 2"),
            ("seed: 7", "seed: 7, feature_subset: all"),
            ("seed: 7", "seed: 7, target: level"),
            ("seed: 7", "seed: 7, features: [close]"),
            ("[sma(5), close]", "[sma(6), close]"),
            ("[sma(5), close]", "[close, sma(5)]"),
            ("horizon: 5min", "horizon: 10min"),
            ("target: return", "target: level"),
            ("axes:", "split: {train: 0.4, validate: 0.25, test: 0.25}\naxes:"),
            # one forest learns from all symbols, so that another set of them gives another forest
            ("[SPY, IBM]", "[SPY]"),
        ],
    )
    def test_a_model_s_making(self, old: str, new: str) -> None:
        assert old in FORECAST
        assert not set(ids(FORECAST.replace(old, new))) & set(ids(FORECAST))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("rf:", "another:"),
            ("kind: random_forest, ", ""),
            ("seed: 7", "seed: 7, target: return"),
            ("seed: 7", "seed: 7, features: [sma(5), close]"),
        ],
    )
    def test_what_a_model_is_called(self, old: str, new: str) -> None:
        assert ids(FORECAST.replace(old, new)) == ids(FORECAST)


def test_the_only_model_needs_no_axis() -> None:
    assert [c.model for c in expanded(FORECAST).configurations] == ["rf"]
    two = FORECAST.replace("models: {", "models: {other: {}, ").replace(
        "{threshold", "{model: [other, rf], threshold"
    )
    assert [c.model for c in expanded(two).configurations] == ["other", "rf"]


def test_axes_join_what_no_axis_varies() -> None:
    grid = expanded(
        CROSS + "  execution: [{commission: 0.0}, {commission: 0.0005, slippage: 0.0001, coc: true}]\n"
    )
    assert len(grid.configurations) == 8
    last = grid.configurations[-1]
    assert (last.execution.cash, last.execution.commission, last.execution.slippage) == (
        100_000.0,
        0.0005,
        0.0001,
    )
    assert last.axes["execution"] == "commission 0.05 %, slippage 0.01 %, coc True"


class TestOverlays:
    """Rules laid over a strategy, in the study and on axes."""

    def test_axes_join_what_the_study_gives(self) -> None:
        grid = expanded(
            CROSS.replace("axes:", "overlays: {stop_loss: 0.01, latency: 1}\naxes:")
            + "  take_profit: [null, 0.02]\n  flat_before_close: [15min, 1h]\n"
        )
        assert len(grid.configurations) == 16
        first, last = grid.configurations[0], grid.configurations[-1]
        assert first.overlays == Overlays(stop_loss=0.01, latency=1, flat_before_close=15)
        assert last.overlays == Overlays(stop_loss=0.01, latency=1, take_profit=0.02, flat_before_close=60)
        assert dict(first.axes) == {"fast": 5, "slow": 20, "take_profit": None, "flat_before_close": 15}
        assert "take_profit" not in first.params

    def test_they_change_an_id_only_if_they_are_on(self) -> None:
        off = CROSS + "  stop_loss: [null]\n  latency: [0]\n"
        assert ids(off) == ids(CROSS.replace("axes:", "overlays: {take_profit: null}\naxes:")) == ids(CROSS)
        on = [
            ids(CROSS.replace("axes:", f"overlays: {{{rule}}}\naxes:"))
            for rule in ("stop_loss: 0.01", "take_profit: 0.01", "latency: 1", "max_bars_held: 1")
        ]
        assert len({name for many in [ids(CROSS), *on] for name in many}) == 20
        assert ids(CROSS + "  latency: [1]\n") == on[2]

    def test_a_plain_configuration_s_identity_does_not_know_them(self) -> None:
        configuration = expanded(CROSS).configurations[0]
        assert configuration.config_id == digest(
            {
                "version": grid_module.RESULTS_VERSION,
                "strategy": resolve("sma_crossover").digest,
                "params": {"fast": 5, "slow": 20, "size": 100.0, "enter_at_once": False},
                "execution": {
                    k: v
                    for k, v in asdict(Execution(cash=100_000.0)).items()
                    if k not in ("costs", *LATER_SETTINGS)
                },
                "timeframe": "1min",
                "portfolio": "separate",
                "model": None,
            }
        )

    def test_a_parameter_of_that_name_is_the_strategy_s(self) -> None:
        @strategy(params={"stop_loss": Param(0.5), "fast": Param(1), "slow": Param(1), "size": Param(1.0)})
        def own(i: int, x: Any, p: Any, s: Any) -> Intent:
            return hold()

        text = CROSS.replace("axes:", "overlays: {stop_loss: 0.03}\naxes:") + "  stop_loss: [0.1, 0.2]\n"
        found = expanded(text, own).configurations
        assert [c.params["stop_loss"] for c in found[:2]] == [0.1, 0.2]
        assert {c.overlays.stop_loss for c in found} == {0.03}
        with pytest.raises(StrategyError, match="None: it must be a finite number"):
            expanded(CROSS + "  stop_loss: [null]\n", own)

    def test_what_is_refused(self) -> None:
        both = CROSS.replace("axes:", "overlays: {latency: 1}\naxes:") + "  latency: [1, 2]\n"
        with pytest.raises(StudyError, match="'latency' stands both in overlays and in axes: remove one"):
            expanded(both)
        with pytest.raises(EngineError, match=r"overlays: latency = 1.5 must be a whole number"):
            expanded(CROSS + "  latency: [1.5]\n")
        with pytest.raises(StudyError, match=r"axis 'stop_los' .*did you mean 'stop_loss'"):
            expanded(CROSS + "  stop_los: [0.1]\n")
        with pytest.raises(StudyError, match="are the same configuration"):
            expanded(CROSS + "  flat_before_close: [15min, 15]\n")
        with pytest.raises(StrategyError, match="None: it must be an integer"):
            expanded(CROSS.replace("[5, 10]", "[5, null]"))

    def test_a_parameter_that_stands_for_another_is_the_same_configuration(self) -> None:
        text = CROSS.replace("sma_crossover", "breakout").replace("slow: [20, 50]", "exit_period: [0, 5]")
        with pytest.raises(StudyError, match="are the same configuration"):
            expanded(text.replace("fast", "period"))


def with_execution(costs: str, more: str = "") -> str:
    return CROSS.replace("{cash: 100000}", f"{{cash: 100000, costs: {costs}{more}}}")


class TestCosts:
    """Objects of costs, by name or as they are."""

    OURS = "\ncosts: {ours: {per_unit: 0.005, minimum: 1}}\n"

    def test_they_are_an_axis_by_name_by_preset_and_by_keys(self) -> None:
        given = "[{costs: ours}, {costs: kraken_pro}, {costs: {fraction: 0.1}}, {cash: 5}]"
        grid = expanded(CROSS.replace("axes:", f"axes:\n  execution: {given}") + self.OURS)
        found = [c.execution.costs for c in grid.configurations[::4]]
        ours, other = costs_from({"per_unit": 0.005, "minimum": 1}), costs_from({"fraction": 0.1})
        assert found == [ours, costs_from("kraken_pro"), other, None]
        assert grid.configurations[0].axes["execution"] == "costs ours"

    def test_an_id_holds_their_numbers_and_not_their_name(self) -> None:
        named = ids(with_execution("ours") + self.OURS)
        assert named == ids(with_execution("{minimum: 1.0, per_unit: 0.005}"))
        assert not set(named) & set(ids(CROSS))
        assert not set(named) & set(ids(with_execution("{minimum: 2.0, per_unit: 0.005}")))
        # what nothing speaks of, nothing depends on
        assert ids(CROSS + self.OURS) == ids(CROSS)

    @pytest.mark.parametrize(
        ("costs", "more", "said"),
        [
            ("hours", "", r"'hours' is no preset; did you mean 'ours'"),
            ("{fraction: 5}", "", r"fraction = 5\.0 must be at least 0 and below 1"),
            ("ours", ", commission: 0.1", "stand beside costs"),
        ],
    )
    def test_what_is_refused(self, costs: str, more: str, said: str) -> None:
        with pytest.raises((StudyError, EngineError), match=said):
            expanded(with_execution(costs, more) + self.OURS)

    @pytest.mark.parametrize(
        ("costs", "said"),
        [
            ("{ours: {per_share: 1}}", "costs: ours: costs: 'per_share'"),
            ("{kraken_pro: {fraction: 0.1}}", "'kraken_pro' is the name of a preset"),
            ("{ours: 3}", r"costs\.ours = 3"),
        ],
    )
    def test_a_name_that_stands_for_none(self, costs: str, said: str) -> None:
        with pytest.raises(StudyError, match=said):
            parse_study(f"{CROSS}\ncosts: {costs}")


def test_timeframes_as_an_axis() -> None:
    grid = expanded(CROSS + "  timeframe: [1min, 1h]\n")
    assert [c.timeframe for c in grid.configurations][:2] == ["1min", "1h"]
    assert len({c.config_id for c in grid.configurations}) == 8


@dataclass(frozen=True)
class _NoConstraint:
    """What the grid sees of an ordinary Backtrader strategy: no declared constraint."""

    digest: str = "d"

    @property
    def defaults(self) -> dict[str, Any]:
        return {"fast": 1}

    def validate(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if given["fast"] > 5:
            raise StrategyError("too fast")
        return dict(given)


def test_without_a_constraint_every_refusal_is_raised() -> None:
    study = parse_study(CROSS.replace("  slow: [20, 50]\n", "").replace(", params: {size: 100}", ""))
    with pytest.raises(StrategyError, match="too fast"):
        expand(study, _NoConstraint(), lambda name, tf: {})


@pytest.mark.parametrize("value", ["2013-10-04", ".nan", "[1, .inf]"])
def test_what_can_name_no_configuration_is_refused(value: str) -> None:
    """An ordinary Backtrader strategy takes any value; a study's results are found by it."""

    class Ordinary:
        digest = "d"
        defaults = {"size": None}

        def validate(self, given: Mapping[str, Any]) -> dict[str, Any]:
            return dict(given)

    study = CROSS.replace("{size: 100}", "{}").replace("axes:", f"axes:\n  size: [{value}]", 1)
    text = "\n".join(line for line in study.splitlines() if "fast" not in line and "slow" not in line)
    with pytest.raises(StudyError, match=r"can name no configuration|not finite"):
        expand(parse_study(text), Ordinary(), lambda *_: {})
