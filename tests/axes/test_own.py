"""An axis of one's own: found, held to the contract, refused by name and rule."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from whatif import plugins
from whatif.axes import SEAM, Axis, MarketAxis, Settings
from whatif.axes.kinds.model import Model
from whatif.axes.kinds.timeframe import Timeframe
from whatif.domain.bars import Bars
from whatif.errors import MachineError, PluginError, StudyError
from whatif.search.grid import expand
from whatif.search.market import axis_of, change_bars, code_of
from whatif.strategies import resolve
from whatif.study import parse_study
from whatif.testing import check_axis, random_bars

STUDY = """
study: own
data: {{symbols: [SPY], timeframe: 1min, start: 2013-10-01, end: 2013-11-01}}
calendar: {{exchange: XNYS}}
strategy: {{name: sma_crossover}}
execution: {{commission: 0.001}}
axes: {{fast: [5, 10], {axes}}}
"""


class CostFactor(Axis):
    """Commission, times a factor."""

    values: tuple[float, ...]

    def put(self, value: float, settings: Settings) -> Settings:
        """Return settings with other costs."""
        costs = settings.execution.get("commission", 0.0) * value
        return replace(settings, execution={**settings.execution, "commission": costs})

    def shown(self, value: float) -> str:
        """Return the factor as a text."""
        return f"x{value:g}"


class Faulty(MarketAxis):
    """One that breaks a rule of the contract; "" breaks none."""

    values: tuple[str, ...]

    def is_off(self, value: str) -> bool:
        """Return whether it is the value that says so."""
        return value == "not off"

    def change_bars(self, value: str, bars: Bars) -> Bars:
        """Return bars that break a rule."""
        low, high = bars.low, bars.high
        if value == "raises":
            raise ZeroDivisionError("on purpose")
        if value == "writes":
            bars.close[0] = 1.0
        if value == "future":
            return replace(bars, volume=bars.volume + bars.close[-1])
        if value == "moods":
            CALLS.append(1)
            return replace(bars, volume=bars.volume + len(CALLS))
        changed: dict[str, Any] = {
            "": {},
            "not off": {"volume": bars.volume + 1.0},
            "symbol": {"symbol": "other"},
            "order": {"ts": bars.ts[::-1]},
            "later": {"ts": bars.ts + 1},
            "nan": {"close": np.where(bars.ts == bars.ts[0], np.nan, bars.close)},
            "negative": {"open": -bars.open},
            "swapped": {"low": high, "high": low},
            "volume": {"volume": -bars.volume},
            "type": {"close": bars.close.astype(np.float32)},
            "length": {"ts": bars.ts[1:]},
        }[value]
        return replace(bars, **changed)


CALLS: list[int] = []


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = ModuleType("own_axes")
    module.CostFactor, module.Faulty, module.NoAxis = CostFactor, Faulty, dict  # type: ignore[attr-defined]
    for kind in (CostFactor, Faulty):
        monkeypatch.setattr(kind, "__module__", "own_axes")
    monkeypatch.setitem(sys.modules, "own_axes", module)
    axis_of.cache_clear()
    code_of.cache_clear()
    yield
    axis_of.cache_clear()
    code_of.cache_clear()


def entries(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, str, str]) -> None:
    monkeypatch.setattr(plugins, "_entries", lambda group: found if group == "whatif.axes" else ())


def configurations(axes: str) -> Any:
    study = parse_study(STUDY.format(axes=axes))
    return expand(study, resolve("sma_crossover"), lambda *_: {}).configurations  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "axes",
    [
        "'own_axes:CostFactor': [1, 2]",
        "cost_factor: [1, 2]",
        "costs: {kind: 'own_axes:CostFactor', values: [1, 2]}",
        "costs: {kind: cost_factor, values: {from: 1, to: 2}}",
    ],
)
def test_it_is_found_by_module_and_by_entry_point(monkeypatch, axes: str) -> None:
    entries(monkeypatch, ("cost_factor", "own_axes:CostFactor", "own-axes 1.2"))
    found = configurations(axes)
    name = axes.partition(": ")[0].strip("'")
    assert [(c.axes["fast"], c.axes[name], c.execution.commission) for c in found] == [
        (5, "x1", 0.001), (5, "x2", 0.002), (10, "x1", 0.001), (10, "x2", 0.002)
    ]  # fmt: skip
    # what it does is its identity: 1 is the study without it
    alone = [c.config_id for c in configurations("slow: [50]")]
    assert [c.config_id for c in found[::2]] == alone
    # written out and read again, with its own keys
    study = parse_study(STUDY.format(axes=axes))
    written = study.model_dump(mode="json", by_alias=True)
    assert type(study).model_validate(written | {"data": study.data, "split": study.split}).axes == study.axes
    assert "cost_factor" in [plugin.name for plugin in SEAM.every()]


def test_a_parameter_of_the_strategy_goes_before_one_that_is_installed(monkeypatch) -> None:
    entries(monkeypatch, ("slow", "own_axes:CostFactor", "own-axes 1.2"))
    assert {c.params["slow"] for c in configurations("slow: [50, 60]")} == {50, 60}


def test_values_are_put_in_the_order_of_the_axes() -> None:
    first = configurations("execution: [{commission: 0.01}], 'own_axes:CostFactor': [2]")
    last = configurations("'own_axes:CostFactor': [2], execution: [{commission: 0.01}]")
    assert (first[0].execution.commission, last[0].execution.commission) == (0.02, 0.01)


def test_an_overlay_may_have_another_name() -> None:
    lag = configurations("lag: {kind: latency, values: [0, 2]}")
    assert [(c.axes["lag"], c.overlays.latency) for c in lag[:2]] == [(0, 0), (2, 2)]
    assert [c.config_id for c in lag] == [c.config_id for c in configurations("latency: [0, 2]")]


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ("fst: [1]", r"axis 'fst' is neither a parameter .* one of block, cost_factor, execution, .*'fast'"),
        ("cost_facto: [1]", r"axis 'cost_facto' is neither .*: did you mean 'cost_factor'"),
        ("costs: {kind: cost_fact, values: [1]}", r"axes\.costs\.kind = 'cost_fact': did you mean"),
        ("costs: {kind: cost_factor}", r"axes\.costs\.values = None: it is required"),
        ("costs: {kind: cost_factor, values: [1], at: 3}", r"key 'axes\.costs\.at': valid: kind, values"),
        ("costs: {kind: cost_factor, values: [1], name: x}", r"costs\.name = 'x': .* named by its key"),
        ("costs: {kind: cost_factor, values: [x]}", r"axes\.costs\.values\.0 = 'x'.*valid number"),
        ("costs: {kind: cost_factor, values: [1, 1.0]}", r"axis costs names the value 1.0 twice"),
        ("cost_factor: [x]", r"axis 'cost_factor': .*valid number"),
        ("'own_axes:Cost': [1]", r"axis 'own_axes:Cost' cannot be imported: AttributeError"),
        ("'no_module:Cost': [1]", r"axis 'no_module:Cost' cannot be imported: ModuleNotFoundError"),
        ("'own_axes:NoAxis': [1]", r"is no class derived from whatif\.axes\.base\.Axis"),
        ("'own_axes:CostFactor': [1], shocks: {kind: model, values: [rf]}", r"axis shocks names 'rf'"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_named(monkeypatch, axes: str, said: str) -> None:
    entries(monkeypatch, ("cost_factor", "own_axes:CostFactor", "own-axes 1.2"))
    with pytest.raises(StudyError, match=re.compile(said, re.DOTALL)):
        configurations(axes)


@pytest.mark.parametrize("name", ["cost_factor", "latency"])
def test_two_of_one_name_are_refused(monkeypatch, name: str) -> None:
    entries(monkeypatch, (name, "own_axes:CostFactor", "own 1"), (name, "own_axes:Faulty", "other 2"))
    with pytest.raises(PluginError, match=f"axis '{name}' is brought by both .* and o"):
        SEAM.every()


def test_what_changes_bars_names_a_configuration_and_travels() -> None:
    plain, other = configurations("'own_axes:Faulty': [not off, '']")[:2]
    assert plain.config_id == configurations("slow: [50]")[0].config_id
    assert (plain.market, len(other.market)) == ((), 1)
    assert other.config_id != plain.config_id
    assert json.loads(other.market[0].keys) == {"kind": "own_axes:Faulty", "values": [""]}
    bars = random_bars(1, 50)
    assert change_bars(other.market, bars).close.tobytes() == bars.close.tobytes()


TEXT = """
from typing import ClassVar
from whatif.axes import MarketAxis

class Flat(MarketAxis):
    'An axis.'
    values: tuple[float, ...]
    FACTOR: ClassVar[float] = {factor}

    def is_off(self, value):
        return {off}

    def change_bars(self, value, bars):
        return bars if value * self.FACTOR else bars
"""


def test_a_constant_of_the_class_and_what_it_derives_from_count() -> None:
    def code(factor: str = "2.0", off: str = "value == 0.0") -> str:
        module = ModuleType("edited")
        exec(TEXT.format(factor=factor, off=off), vars(module))
        return code_of(module.Flat)

    assert code() == code()
    assert len({code(), code(factor="3.0"), code(off="super().is_off(value)")}) == 3


def test_edited_code_is_another_configuration_and_is_refused_on_a_worker(monkeypatch) -> None:
    (before,) = configurations("'own_axes:Faulty': ['']")[0].market
    monkeypatch.setattr(Faulty, "change_bars", lambda self, value, bars: bars)
    code_of.cache_clear()
    (after,) = configurations("'own_axes:Faulty': ['']")[0].market
    assert before.code != after.code
    with pytest.raises(MachineError, match="its code here differs from the one sent"):
        change_bars([before], random_bars(1, 5))
    monkeypatch.delitem(sys.modules, "own_axes")
    with pytest.raises(MachineError, match=r"cannot be imported: .* Its module is needed on each worker"):
        change_bars([before], random_bars(1, 5))


RULES = [
    ("raises", r"change_bars of 'raises' on X raised ZeroDivisionError: on purpose"),
    ("writes", r"raised ValueError: assignment destination is read-only"),
    ("symbol", r"breaks its contract: change_bars of 'symbol' on X gives bars of other"),
    ("order", r"gives bars whose ts does not increase"),
    ("later", r"gives bars outside of the time of those that it was given"),
    ("nan", r"gives a close that is not positive and finite"),
    ("negative", r"gives a open that is not positive and finite"),
    ("swapped", r"gives an open or close that is not between low and high"),
    ("volume", r"gives a volume that is negative or missing"),
    ("type", r"gives a close that is no float64 array of 50"),
    ("length", r"gives a session that is no int64 array of 49"),
]


@pytest.mark.parametrize(("rule", "said"), RULES)
def test_one_that_breaks_its_contract_is_named_with_the_rule(rule: str, said: str) -> None:
    change = configurations(f"'own_axes:Faulty': [{rule}]")[0].market
    with pytest.raises(PluginError, match=rf"axis 'own_axes:Faulty'.*{said}"):
        change_bars(change, random_bars(1, 50))


def test_bars_and_models_that_do_not_go_together_are_refused() -> None:
    text = STUDY.format(axes="'own_axes:Faulty': ['']") + (
        "features: [close]\nlabel: {}\nmodels: {rf: {}}\nsplit: {train: 0.5, validate: 0.25, test: 0.25}\n"
    )
    with pytest.raises(StudyError, match=r"axis 'own_axes:Faulty' changes the bars, and model 'rf' predicts"):
        expand(parse_study(text), resolve("sma_crossover"), lambda *_: {})  # type: ignore[arg-type]


def test_axes_pass_the_suite() -> None:
    check_axis(CostFactor, [1, 2.5])
    check_axis(Faulty, [""])
    check_axis(Timeframe, ["1min", "60min"])
    check_axis(Model, ["a"])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("future", r"bars up to \d+ depend on later ones"),
        ("moods", r"changes the same bars otherwise"),
        ("not off", r"is off, and changes bars"),
    ],
)
def test_the_suite_tells_what_no_run_can(rule: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_axis(Faulty, [rule])


def test_the_example_of_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, below = (
        (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text().partition("## An axis")
    )
    code, text = (re.search(rf"```{kind}\n(.*?)```", below, re.DOTALL)[1] for kind in ("python", "yaml"))
    (tmp_path / "my_axes.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    study = parse_study(text)
    found = expand(study, resolve("sma_crossover"), lambda *_: {}).configurations  # type: ignore[arg-type]
    assert [dict(c.axes) for c in found[:2]] == [{"fast": 5, "shock": 0.0}, {"fast": 5, "shock": -0.05}]
    noon = datetime(1970, 1, 2, 12, tzinfo=UTC)
    bars = random_bars(1, 500)
    at = datetime.fromtimestamp(int(bars.ts[200]) / 1e6, UTC)
    check_axis(type(study.axes["shock"]), [0, -0.05], {"at": at})
    check_axis(type(study.axes["shock"]), [0.5], {"at": noon})
    shocked = replace(
        study.axes["shock"].model_copy(update={"at": at}).put(-0.05, Settings({}, {}, {}, "1min"))
    )
    axis, value = shocked.market[0]
    made = axis.change_bars(value, bars)
    assert made.close[199] == bars.close[199]
    assert made.close[200] == bars.close[200] * 0.95
