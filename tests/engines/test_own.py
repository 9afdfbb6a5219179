"""An engine of one's own: found, run, held to its contract and to Backtrader's bytes."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

import whatif
from whatif.domain.costs import costs_from
from whatif.domain.execution import Execution
from whatif.domain.overlays import Overlays
from whatif.domain.periods import Periods
from whatif.engines import (
    ENGINES,
    REFERENCE,
    BacktestTask,
    Engine,
    RunInputs,
    WindowInputs,
    choose_engine,
    get_engine,
    run_engine,
)
from whatif.errors import EngineError, PluginError
from whatif.strategies import resolve
from whatif.testing import check_engine, order_player, random_bars


class Mirror(Engine):
    """Backtrader's broker under another name, without shorts."""

    name = "own_engines:Mirror"

    def unsupported(self, strategy, shared=False):
        """Return that it takes one symbol."""
        return ["several symbols"] if shared else []

    def run(self, task, cache=None):
        """Return Backtrader's run."""
        self.refuse(self.unsupported(task.strategy, len(task.bars) > 1))
        return replace(REFERENCE.run(task, cache), engine=self.name)


class Dear(Mirror):
    """One whose account is a cent short."""

    name = "own_engines:Dear"

    def run(self, task, cache=None):
        """Return a run that is not Backtrader's."""
        run = super().run(task, cache)
        return replace(run, cash=run.cash - 0.01)


class Silent(Mirror):
    """One that runs what it says it does not cover."""

    name = "own_engines:Silent"

    def run(self, task, cache=None):
        """Run anything."""
        return replace(REFERENCE.run(task, cache), engine=self.name)


class Forgetful(Mirror):
    """One whose opened window remembers the execution that came first."""

    name = "own_engines:Forgetful"
    reuses_windows = True

    def open(self, window):
        """Return what runs the first execution for all that follow."""
        measure, first = super().open(window), []

        def remembering(given):
            first.append(given.execution)
            return measure(replace(given, execution=first[0]))

        return remembering


class Nameless(Mirror):
    """One that says that another one made its runs."""

    name = "own_engines:Nameless"

    def run(self, task, cache=None):
        """Return Backtrader's run as it is."""
        return REFERENCE.run(task, cache)


class Incomplete(Engine):
    """One that does not run."""

    name = "own_engines:Incomplete"


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("own_engines")
    for kind in (Mirror, Dear, Silent, Forgetful, Nameless, Incomplete):
        setattr(module, kind.__name__, kind)
    module.NoEngine = dict
    monkeypatch.setitem(sys.modules, "own_engines", module)
    get_engine.cache_clear()
    return module


def task(symbols: int = 1) -> BacktestTask:
    spec = resolve("sma_crossover")
    bars = [replace(random_bars(k, 90), symbol=f"S{k}") for k in range(symbols)]
    return BacktestTask(bars, spec, spec.validate({}))


def test_it_is_found_by_module_and_runs() -> None:
    run = run_engine(task(), "own_engines:Mirror")
    assert run.engine == "own_engines:Mirror"
    assert run.equity.tobytes() == run_engine(task(), "backtrader").equity.tobytes()


def test_one_that_knows_no_costs_is_given_none(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = Execution(costs=costs_from({"per_unit": 0.5}))
    asked = replace(task(), execution=costs)
    with pytest.raises(EngineError, match="Mirror does not cover execution: costs"):
        run_engine(asked, "own_engines:Mirror")
    monkeypatch.setattr(Mirror, "takes_costs", True)
    run = run_engine(asked, "own_engines:Mirror")
    assert run.equity.tobytes() == run_engine(asked, "compiled").equity.tobytes()


def test_a_study_that_leaves_the_choice_gets_one_that_comes_along() -> None:
    assert ENGINES == ("auto", "backtrader", "compiled")
    assert choose_engine("auto", order_player, shared=True, prepares=False)[0].name == "compiled"
    assert choose_engine("auto", resolve("sma_crossover"), shared=True)[0].name == "compiled"
    assert choose_engine("auto", resolve("sma_crossover"))[0].name == "compiled"


def test_what_was_compiled_once_is_not_asked_for_by_a_choice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("compiled again")

    spec = resolve("sma_crossover")
    kinds = [RunInputs(spec.validate({}), Execution(), Overlays())]
    monkeypatch.setenv("WHATIF_KERNELS", str(tmp_path))
    assert choose_engine("auto", spec, kinds=kinds)[0].name == "compiled"

    monkeypatch.setattr("whatif.engines.compiled.window.compile_ahead", never)
    assert choose_engine("auto", spec, kinds=kinds)[0].name == "compiled"
    assert choose_engine("compiled", spec, kinds=kinds)[0].name == "compiled"
    for other in (
        [RunInputs(kinds[0].params, Execution(), Overlays(stop_loss=0.1))],
        [RunInputs({**kinds[0].params, "size": 1}, Execution(), Overlays())],
    ):
        with pytest.raises(AssertionError, match="compiled again"):
            choose_engine("auto", spec, kinds=other)


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("compild", EngineError, "engine 'compild' is unknown; did you mean 'compiled'"),
        ("own_engines:Other", PluginError, "engine 'own_engines:Other' cannot be imported: AttributeError"),
        ("own_engines:NoEngine", PluginError, r"is no class derived from whatif\.engines\.base\.Engine"),
        ("own_engines:Incomplete", PluginError, "engine 'own_engines:Incomplete' does not define run"),
    ],
)
def test_what_cannot_be_taken_is_named(name: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        run_engine(task(), name)


def test_what_it_does_not_cover_is_refused_by_name() -> None:
    said = "engine own_engines:Mirror does not cover several symbols: use engine auto or backtrader"
    with pytest.raises(EngineError, match=said):
        run_engine(task(2), "own_engines:Mirror")
    with pytest.raises(EngineError, match=said):
        choose_engine("own_engines:Mirror", resolve("sma_crossover"), shared=True)


def test_a_run_under_another_name_breaks_the_contract() -> None:
    with pytest.raises(EngineError, match=r"its run is said to be made by engine .backtrader"):
        run_engine(task(), "own_engines:Nameless")


@pytest.mark.parametrize(
    ("name", "cases"),
    [
        pytest.param("backtrader", 20, marks=pytest.mark.slow),
        pytest.param("compiled", 20, marks=pytest.mark.slow),
        ("own_engines:Mirror", 5),
    ],
)
def test_every_engine_passes_the_suite(name: str, cases: int) -> None:
    check_engine(name, cases)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Dear", "cash: by hand"),
        ("Silent", "it does not cover several symbols, and runs it"),
        (
            "Forgetful",
            r"random_case\(\d+\), .* is .* of a run, and .* in a window that was opened",
        ),
    ],
)
def test_the_suite_tells_one_that_is_wrong(name: str, said: str) -> None:
    with pytest.raises(AssertionError, match=f"engine own_engines:{name}: .*{said}"):
        check_engine(f"own_engines:{name}", cases=20)


def test_an_opened_window_runs_what_it_is_given() -> None:
    given = task()
    window = WindowInputs(given.bars, given.strategy, Periods("bar", given.bars[0].ts[1:] + 1, 252.0))
    inputs = RunInputs(given.params, given.execution, given.overlays)
    found = [get_engine(name).open(window)(inputs) for name in ("backtrader", "compiled")]
    assert found[0].account.returns.tobytes() == found[1].account.returns.tobytes()
    assert found[0].run is not None
    assert found[1].run is None
    assert get_engine("compiled").open(replace(window, series=True))(inputs).run is not None


def test_the_example_of_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    _, _, below = text.partition("## An engine")
    code = re.search(r"```python\n(.*?)```", below, re.DOTALL)
    assert code is not None
    (tmp_path / "my_engines.py").write_text(code[1])
    monkeypatch.syspath_prepend(tmp_path)
    bars = task().bars[0]
    frame = pd.DataFrame({name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")})
    frame = frame.assign(symbol="S0", ts=pd.to_datetime(bars.ts, unit="us", utc=True))
    assert whatif.backtest(frame, "sma_crossover", engine="my_engines:Timed").notes
    run = run_engine(task(), "my_engines:Timed")
    assert re.fullmatch(r"ran for \d+\.\d+ s", run.notes[0])
    check_engine("my_engines:Timed", cases=10)
