"""A search of one's own: found, held to the contract, refused by name and rule."""

from __future__ import annotations

import math
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pandas as pd
import pytest

from whatif import plugins
from whatif.domain import METRIC_KEYS
from whatif.errors import PluginError, StudyError
from whatif.resolve import check_study
from whatif.resolve.rounds import run_rounds
from whatif.search.grid import expand, make_grid
from whatif.search.space import Space
from whatif.searches import Evaluation, Grid, Point, Search, Searcher, SearchSpace
from whatif.searches.kinds import SEAM
from whatif.strategies import Intent, Param, hold, resolve, strategy
from whatif.study import parse_study
from whatif.testing import check_search

STUDY = """
study: own
data: {{symbols: [SPY], timeframe: 1min, start: 2013-10-01, end: 2013-11-01}}
calendar: {{exchange: XNYS}}
strategy: {{name: sma_crossover}}
axes: {{fast: [3, 5, 8], slow: [20, 30], execution: [{{}}, {{commission: 0.001}}]}}
search: {{{search}}}
"""


class Every(Search):
    """All points with a value told of the one before, in rounds of `size`; it breaks a rule, if any."""

    size: int = 2
    rule: str = ""

    def start(self, space: SearchSpace) -> Searcher:
        """Return one that asks in rounds."""
        if self.rule == "start":
            raise ZeroDivisionError("on purpose")
        return _Rounds(self, space)


class _Rounds(Searcher):
    def __init__(self, search: Every, space: SearchSpace) -> None:
        self.search, self.left = search, list(space.points())
        self.told: list[Evaluation] = []
        TOLD.append(self.told)

    def ask(self, n: int) -> Any:
        made, self.left = self.left[: self.search.size], self.left[self.search.size :]
        rule = self.search.rule if made else ""
        if rule == "chance":
            random.shuffle(self.left)
        if rule == "deaf" and self.told:
            self.left.clear()
        return {
            "twice": [*made, made[0]] if made else made,
            "again": [*made, {"fast": 3, "slow": 20, "execution": {}}] if self.told else made,
            "outside": [{**point, "fast": 4} for point in made],
            "type": [{**point, "fast": float(point.get("fast", 0))} for point in made],
            "lacks": [{"fast": 3} for _ in made],
            "more": [{**point, "fats": 3} for point in made],
            "no point": [1 for _ in made],
            "no list": iter(made),
            "many": [{}] * (n + 1),
        }.get(rule, made)

    def tell(self, results: Sequence[Evaluation]) -> None:
        if self.search.rule == "tell":
            raise KeyError("sharp")
        self.told += results


class Deaf(Every):
    """One that says that it does not learn."""

    learns: ClassVar[bool] = False


TOLD: list[list[Evaluation]] = []


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_searches")
    module.Every, module.Deaf, module.NoSearch = Every, Deaf, dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_searches", module)
    TOLD.clear()


def entries(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, str, str]) -> None:
    monkeypatch.setattr(plugins, "_entries", lambda group: found if group == "whatif.searches" else ())


def rows(ids: Sequence[str], values: Sequence[float], window: str = "validate") -> pd.DataFrame:
    """Return result rows with an objective each."""
    made = dict.fromkeys(METRIC_KEYS, 1.0)
    return pd.DataFrame(
        [
            {
                **made,
                "config_id": i,
                "symbol": "SPY",
                "window": window,
                "status": "ok",
                "error": None,
                "sharpe": v,
            }
            for i, v in zip(ids, values, strict=True)
        ]
    )


def gone_through(search: str, spec: Any = None, stop_after: int = 100) -> Any:
    """Go through a study's search without a lake: the objective is the period `fast`."""
    space = Space(parse_study(STUDY.format(search=search)), spec or resolve("sma_crossover"))  # type: ignore[arg-type]
    rounds: list[list[str]] = []

    def evaluate(grids: Any) -> Any:
        found = grids[1].configurations
        rounds.append([c.config_id for c in found])
        if len(rounds) > stop_after:
            return None
        return [(1, rows([c.config_id for c in found], [float(c.params["fast"]) for c in found]))]

    whole = run_rounds(space, lambda points, _: {1: make_grid(space, points, lambda *_: {})}, evaluate)
    return whole[1], rounds


@pytest.mark.parametrize("kind", ["own_searches:Every", "every"])
def test_it_is_found_by_module_and_by_entry_point(monkeypatch, kind: str) -> None:
    entries(monkeypatch, ("every", "own_searches:Every", "own-searches 1.2"))
    study = parse_study(STUDY.format(search=f"kind: '{kind}', size: 5"))
    # written out and read again, with its own keys
    assert parse_study(study.text).search == study.search
    assert study.model_dump(by_alias=True)["search"] == {"kind": kind, "size": 5, "rule": ""}
    assert [(p.name, p.origin) for p in SEAM.every()] == [
        ("every", "own-searches 1.2"),
        *((kind, "whatif") for kind in ("grid", "optuna", "random", "sobol")),
    ]


def test_a_grid_is_not_written() -> None:
    study = parse_study(STUDY.format(search=""))
    assert study.search == Grid()
    assert "search" not in study.model_dump(by_alias=True)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("kind: evry", r"search\.kind = 'evry': did you mean 'every'"),
        ("kind: every, sise: 3", r"unknown key 'search\.sise': did you mean 'size'"),
        ("sise: 3", r"unknown key 'search\.sise': valid: halving, kind"),
        ("kind: every, size: x", r"search\.size = 'x'"),
        ("kind: 'own_searches:Evry'", r"search 'own_searches:Evry' cannot be imported: AttributeError"),
        ("kind: 'no_module:Every'", r"search 'no_module:Every' cannot be imported: ModuleNotFoundError"),
        ("kind: 'own_searches:NoSearch'", r"is no class derived from whatif\.searches\.base\.Search"),
    ],
)
def test_what_cannot_be_taken_is_named(monkeypatch, search: str, said: str) -> None:
    entries(monkeypatch, ("every", "own_searches:Every", "own-searches 1.2"))
    with pytest.raises(StudyError, match=said):
        parse_study(STUDY.format(search=search))


@pytest.mark.parametrize("name", ["every", "grid"])
def test_two_of_one_name_are_refused(monkeypatch, name: str) -> None:
    entries(monkeypatch, (name, "own_searches:Every", "own 1"), (name, "own_searches:Deaf", "other 2"))
    with pytest.raises(PluginError, match=f"search '{name}' is brought by both .* and o"):
        SEAM.every()


def test_it_is_asked_in_rounds_and_told_what_each_gave() -> None:
    found, rounds = gone_through("kind: 'own_searches:Every', size: 5")
    grid = expand(parse_study(STUDY.format(search="")), resolve("sma_crossover"), lambda *_: {})  # type: ignore[arg-type]
    assert [len(one) for one in rounds] == [5, 5, 2]
    assert found.configurations == grid.configurations
    (told,) = TOLD
    assert [one.value for one in told] == [one.point["fast"] for one in told]
    assert dict(told[1].point) == {"fast": 3, "slow": 20, "execution": {"commission": 0.001}}
    assert told[0].rows[0]["symbol"] == "SPY"


def test_it_ends_where_it_is_ended() -> None:
    found, rounds = gone_through("kind: 'own_searches:Every'", stop_after=1)
    assert (len(rounds), len(found.configurations), len(TOLD[0])) == (2, 4, 2)


@strategy(params={"fast": Param(1), "slow": Param(2)}, constraint="fast > 3 and slow < 30")
def ruled(i: int, x: Any, p: Any, s: Any) -> Intent:
    return hold()


def test_a_point_that_breaks_the_strategy_s_rule_is_told_without_a_value() -> None:
    found, rounds = gone_through("kind: 'own_searches:Every', size: 4", ruled)
    assert ([len(one) for one in rounds], found.left_out) == ([0, 2, 2], 8)
    assert [math.isnan(one.value) and not one.rows for one in TOLD[0]].count(True) == 8


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("twice", r"it asks for {'fast': 3, 'slow': 20, 'execution': {}} twice"),
        ("again", r"it asks for {'fast': 3, 'slow': 20, 'execution': {}} twice"),
        ("outside", r"{'fast': 4, .*} is outside of the axes: fast has no value 4"),
        ("type", r"is outside of the axes: fast has no value 3\.0"),
        (
            "lacks",
            r"{'fast': 3} is no point, a mapping with a value for each of \['fast', 'slow', 'execution'\]",
        ),
        ("more", r"'fats': 3} is no point"),
        ("no point", r"1 is no point"),
        ("no list", r"ask gives a list_iterator, no list of points"),
        ("many", r"ask gives 10,001 points where at most 10,000 are asked for"),
    ],
)
@pytest.mark.parametrize("kind", ["Every", "Deaf"])
def test_one_that_breaks_its_contract_is_named_with_the_rule(kind: str, rule: str, said: str) -> None:
    search = f"kind: 'own_searches:{kind}', rule: {rule}"
    if kind == "Deaf" and rule == "again":
        pytest.skip("it is told nothing")
    with pytest.raises(
        StudyError, match=f"search.kind = 'own_searches:{kind}' breaks its contract: .*{said}"
    ):
        gone_through(search) if kind == "Every" else check_study(
            parse_study(STUDY.format(search=search)), False
        )


@pytest.mark.parametrize(("rule", "said"), [("start", "start raised Zero"), ("tell", "tell raised KeyError")])
def test_what_it_raises_is_said_with_its_name(rule: str, said: str) -> None:
    with pytest.raises(PluginError, match=f"search 'own_searches:Every': {said}"):
        gone_through(f"kind: 'own_searches:Every', rule: {rule}")


def test_one_that_asks_for_nothing_is_refused() -> None:
    with pytest.raises(StudyError, match=r"leaves no point that could run: it asks for none"):
        gone_through("kind: 'own_searches:Every', size: 0")
    with pytest.raises(StudyError, match=r"could run: all it asks for break a rule: .*fast > 3"):
        gone_through("kind: 'own_searches:Every', size: 3", _never())


def _never() -> Any:
    @strategy(params={"fast": Param(9), "slow": Param(2)}, constraint="fast > 3 and slow < 3")
    def never(i: int, x: Any, p: Any, s: Any) -> Intent:
        return hold()

    return never


class TestChecked:
    """What is known of a study before anything runs."""

    def test_of_one_that_does_not_learn_everything(self) -> None:
        checked = check_study(parse_study(STUDY.format(search="kind: 'own_searches:Deaf', size: 5")), False)
        plain = check_study(parse_study(STUDY.format(search="")), False)
        assert checked.grid is not None
        assert plain.grid is not None
        assert checked.grid.configurations == plain.grid.configurations
        assert TOLD == [[]]

    def test_of_one_that_learns_each_value_once(self) -> None:
        checked = check_study(parse_study(STUDY.format(search="kind: 'own_searches:Every'")), False)
        assert checked.grid is not None
        assert TOLD == []
        assert {c.params["fast"] for c in checked.grid.configurations} == {3, 5, 8}
        assert {c.execution.commission for c in checked.grid.configurations} == {0.0, 0.001}
        bad = STUDY.replace("[20, 30]", "[20, x, 30]").format(search="kind: 'own_searches:Every'")
        with pytest.raises(Exception, match="'x': it must be an integer"):
            check_study(parse_study(bad), False)


def test_folds_that_choose_anew_have_a_search_each() -> None:
    """Side by side: one that is told falling values ends on other points than one told rising ones."""
    space = Space(parse_study(STUDY.format(search="kind: 'own_searches:Every'")), resolve("sma_crossover"))  # type: ignore[arg-type]
    signs, rounds = {1: 1.0, 2: -1.0}, []

    def make(points: Any, numbers: Any) -> Any:
        return {number: make_grid(space, points, lambda *_: {}) for number in numbers}

    def evaluate(grids: Any) -> Any:
        rounds.append({number: len(grid.configurations) for number, grid in grids.items()})
        for number, grid in grids.items():
            found = grid.configurations
            values = [signs[number] * float(c.params["fast"]) for c in found]
            yield number, rows([c.config_id for c in found], values, f"validate-0{number}")

    del TOLD[:]
    run_rounds(space, make, evaluate, folds=((1,), (2,)))
    assert rounds == [{1: 2, 2: 2}] * 6
    for told, sign in zip(TOLD, signs.values(), strict=True):
        assert [one.value for one in told] == [sign * one.point["fast"] for one in told]
        assert {row["window"] for one in told for row in one.rows} == {f"validate-0{1 if sign > 0 else 2}"}


@pytest.mark.parametrize("kind", [Grid, Every, Deaf])
def test_every_search_passes_the_suite(kind: type[Search]) -> None:
    check_search(kind, {} if kind is Grid else {"size": 3})


@pytest.mark.parametrize(("kind", "rule"), [(Every, "chance"), (Deaf, "chance"), (Deaf, "deaf")])
def test_the_suite_tells_one_that_changes_its_mind(kind: type[Search], rule: str) -> None:
    with pytest.raises(AssertionError, match=f"{kind.__name__} on .*: the same told gives other points"):
        check_search(kind, {"rule": rule, "size": 3})


def test_points_are_made_when_they_are_asked_for() -> None:
    space = SearchSpace({str(k): tuple(range(10)) for k in range(30)})
    first: Sequence[Point] = Grid().start(space).ask(3)
    assert [point["29"] for point in first] == [0, 1, 2]
    assert space.size == 10**30


def test_the_example_of_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    _, _, below = text.partition("## A search")
    code, study = (re.search(rf"```{kind}\n(.*?)```", below, re.DOTALL)[1] for kind in ("python", "yaml"))
    (tmp_path / "my_searches.py").write_text(code)
    monkeypatch.delitem(sys.modules, "my_searches", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    search = parse_study(study).search
    assert sum(1 for line in code.splitlines() if line.strip()) <= 40
    check_study(parse_study(study), False)
    check_search(type(search), {"seed": 3})
    found, rounds = gone_through("kind: 'my_searches:Halves', seed: 7")
    assert [len(one) for one in rounds] == [3, 3]
    best = max(c.params["fast"] for c in found.configurations[:3])
    assert [c.params["fast"] for c in found.configurations[3:]].count(best) >= 1
