"""Searches that come along: what they find on a planted surface, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from whatif.errors import StudyError
from whatif.resolve import check_study
from whatif.searches import Evaluation, Grid, Search, SearchSpace
from whatif.searches.kinds.optuna import Optuna
from whatif.searches.kinds.random import Random
from whatif.searches.kinds.sobol import Sobol
from whatif.study import parse_study
from whatif.testing import check_search
from whatif.testing.searches import SPACES

AXES: Mapping[str, tuple[Any, ...]] = {
    "fast": tuple(range(1, 51)),
    "slow": tuple(range(50, 0, -1)),  # numbers in another order than their own
    "kind": ("a", "b", "c"),
    "share": tuple(0.001 * 1.3**k for k in range(20)),
}
"""150,000 points: more than are listed."""

Values = Callable[[Mapping[str, Any]], tuple[float, ...]]


def hill(point: Mapping[str, Any]) -> tuple[float, ...]:
    """Return a surface with one top, at fast 17, slow 33, kind b and share 0.001 * 1.3**8."""
    away = (point["fast"] - 17) ** 2 / 400 + (point["slow"] - 33) ** 2 / 400
    return (-away - (point["kind"] != "b") - abs(math.log(point["share"] / 0.001, 1.3) - 8) / 10,)


def gone(search: Search, space: SearchSpace, values: Values = hill, limit: Any = None) -> list[Evaluation]:
    """Return what a search evaluates, told what `values` give and by how much `limit` is missed."""
    found: list[Evaluation] = []
    searcher = search.start(space)
    while points := searcher.ask(10_000):
        told = []
        for point in points:
            given = values(point)
            several = given if len(given) > 1 else ()
            told.append(Evaluation(point, given[0], (), several, () if limit is None else (limit(point),)))
        if search.learns:
            searcher.tell(told)
        found += told
    return found


def best(found: list[Evaluation]) -> float:
    return max(one.value for one in found if not math.isnan(one.value))


KINDS = [
    pytest.param(Random, {}, id="random"),
    pytest.param(Sobol, {}, id="sobol"),
    pytest.param(Optuna, {"batch": 3}, id="tpe"),
    pytest.param(Optuna, {"batch": 3, "sampler": "cmaes"}, id="cmaes", marks=pytest.mark.slow),
    pytest.param(Optuna, {"batch": 3, "sampler": "nsga3"}, id="nsga3", marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True)
def needs(request: pytest.FixtureRequest) -> None:
    if "optuna" in request.node.name or "tpe" in request.node.name:
        pytest.importorskip("optuna")


@pytest.mark.parametrize(("kind", "keys"), KINDS)
def test_it_passes_the_suite(kind: type[Search], keys: dict[str, Any]) -> None:
    check_search(kind, {"trials": 7, "seed": 3, **keys}, SPACES[:3])


@pytest.mark.parametrize(("kind", "keys"), KINDS)
def test_points_keep_to_the_constraints_and_come_once(kind: type[Search], keys: dict[str, Any]) -> None:
    space = SearchSpace(AXES, allowed=lambda point: point["fast"] < point["slow"])
    found = gone(kind.model_validate({"kind": "own", "trials": 40, **keys}), space)
    points = [tuple(one.point.values()) for one in found]
    assert len(points) == len(set(points)) == 40
    assert all(fast < slow for fast, slow, _, _ in points)


@pytest.mark.parametrize(("kind", "keys"), KINDS)
def test_a_small_space_is_gone_through_whole(kind: type[Search], keys: dict[str, Any]) -> None:
    space = SearchSpace({"a": (1, 2, 3), "b": (0.5, "x")}, allowed=lambda point: point != {"a": 2, "b": "x"})
    found = gone(
        kind.model_validate({"kind": "own", "trials": 50, **keys}), space, lambda p: (float(p["a"]),)
    )
    assert len(found) == 5


@pytest.mark.parametrize(("kind", "keys"), KINDS)
def test_a_longer_budget_goes_on_with_the_same_points(kind: type[Search], keys: dict[str, Any]) -> None:
    whole, part = (
        [
            one.point
            for one in gone(kind.model_validate({"kind": "own", **keys, "trials": n}), SearchSpace(AXES))
        ]
        for n in (16, 10)
    )
    assert whole[:10] == part


@pytest.mark.parametrize(("kind", "keys"), KINDS)
def test_constraints_that_leave_nothing_are_refused(kind: type[Search], keys: dict[str, Any]) -> None:
    space = SearchSpace({"a": (1, 2)}, allowed=lambda _: False)
    with pytest.raises(StudyError, match=r"finds no point of 2 that keeps to the constraints"):
        gone(kind.model_validate({"kind": "own", "trials": 5, **keys}), space)


BRANCHES = {"kind": ("a", "b"), "x": tuple(range(40)), "y": tuple(range(40)), "deep": (1, 2, 3)}
"""Of which x exists where kind is a, y where it is b, and deep where y is above 20."""


def branched(**axes: tuple[Any, ...]) -> SearchSpace:
    return SearchSpace(
        {**BRANCHES, **axes},
        conditions={
            "x": lambda point: point["kind"] == "a",
            "y": lambda point: point["kind"] == "b",
            "deep": lambda point: point.get("y", 0) > 20,
        },
    )


@pytest.mark.parametrize(("kind", "keys"), [*KINDS, pytest.param(Grid, {"trials": None}, id="grid")])
def test_an_axis_that_does_not_exist_at_a_point_varies_nothing(
    kind: type[Search], keys: dict[str, Any]
) -> None:
    given = {key: value for key, value in {"trials": 300, **keys}.items() if value is not None}
    found = gone(kind.model_validate({"kind": "own", **given}), branched(x=(0, 1, 2), y=(0, 30)), branch)
    points = [tuple(one.point.values()) for one in found]
    # three of x, one of y below 21, and three of deep above
    expected = {("a", x, 0, 1) for x in range(3)} | {("b", 0, 0, 1)} | {("b", 0, 30, d) for d in (1, 2, 3)}
    assert set(points) == expected
    assert len(points) == len(set(points))


def branch(point: Mapping[str, Any]) -> tuple[float, ...]:
    """Return a surface whose top lies in branch b, at y 33 and deep 2; that of branch a is lower."""
    if point["kind"] == "a":
        return (-1.0 - abs(point["x"] - 17),)
    return (-abs(point["y"] - 33.0) - (point["deep"] != 2),)


def test_sobol_covers_the_axes_more_evenly_than_chance() -> None:
    def worst(found: list[Evaluation]) -> int:
        """Return the most points of one of 5 x 5 cells of fast and slow; 64 points on 25 cells."""
        cells: dict[tuple[int, int], int] = {}
        for one in found:
            cell = (one.point["fast"] - 1) // 10, (one.point["slow"] - 1) // 10
            cells[cell] = cells.get(cell, 0) + 1
        assert len(found) == 64
        return max(cells.values())

    even, chance = (
        sum(worst(gone(kind(trials=64, seed=seed), SearchSpace(AXES))) for seed in range(10))
        for kind in (Sobol, Random)
    )
    assert even < chance


def test_how_many_points_are_allowed() -> None:
    axes = {"fast": tuple(range(40)), "slow": tuple(range(40))}

    def rises(point: Mapping[str, Any]) -> bool:
        return bool(point["fast"] < point["slow"])

    assert SearchSpace(axes).allowed_size == 1600
    assert SearchSpace(axes, allowed=rises).allowed_size == 40 * 39 // 2
    large = {name: tuple(range(1000)) for name in axes}
    # a share of 2,000 draws, with a standard error of 0.011
    assert SearchSpace(large, allowed=rises).allowed_size == pytest.approx(500_000, rel=0.07)


class TestOptuna:
    """Optuna's samplers."""

    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("optuna")

    def test_it_finds_the_top_of_a_hill_that_chance_does_not(self) -> None:
        space = SearchSpace(AXES)
        learnt, drawn = gone(Optuna(trials=100, seed=1), space), gone(Random(trials=100, seed=1), space)
        assert best(learnt) > -0.1
        assert best(learnt) > best(drawn)

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_it_finds_the_branch_and_the_top_in_it(self, seed: int) -> None:
        found = gone(Optuna(trials=90, batch=5, seed=seed), branched(), branch)
        assert len(found) == 90
        for one in found:
            point = one.point
            assert point["x"] == 0 or point["kind"] == "a"
            assert point["y"] == 0 or point["kind"] == "b"
            assert point["deep"] == 1 or point["y"] > 20
        # of 40 + 20 + 20 * 3 points; each of a is drawn as often as all of deep at one y
        assert best(found) == 0.0

    @pytest.mark.slow
    def test_where_the_least_is_best(self) -> None:
        space = SearchSpace(AXES, "costs", lower_is_better=True)
        found = gone(Optuna(trials=100, seed=1), space, lambda point: (-hill(point)[0],))
        assert min(one.value for one in found) < 0.1

    @pytest.mark.parametrize(
        ("sampler", "share"),
        [
            ("nsga2", 0.15),
            pytest.param("nsga3", 0.15, marks=pytest.mark.slow),
            pytest.param("tpe", 0.5, marks=pytest.mark.slow),
        ],
    )
    def test_several_objectives_make_a_front(self, sampler: str, share: float) -> None:
        space = SearchSpace(
            {"x": tuple(range(40)), "y": tuple(range(40))}, objectives=(("sharpe", False), ("costs", True))
        )
        # best in the one at x = 30, in the other at x = 10; y is no good to either
        keys = {"kind": "optuna", "sampler": sampler, "trials": 150, "seed": 2}
        found = gone(
            Optuna.model_validate(keys),
            space,
            lambda p: (-abs(p["x"] - 30.0) - p["y"], abs(p["x"] - 10.0) + p["y"]),
        )
        late = found[100:]
        near = [one for one in late if 10 <= one.point["x"] <= 30 and one.point["y"] <= 5]
        # of points drawn by chance 8 in 100 are there
        assert len(near) > share * len(late)

    def test_it_learns_of_constraints_on_results(self) -> None:
        space = SearchSpace(AXES, limits=1)
        late: list[int] = []
        for seed in (1, 2, 3):
            search = Optuna(trials=120, seed=seed)
            found = gone(search, space, limit=lambda point: max(0.0, 30.0 - point["fast"]))
            # the top lies at fast 17, where the constraint is broken: what is searched at last is beside it
            late += [one.point["fast"] for one in found[80:]]
        assert sum(fast >= 30 for fast in late) > 0.5 * len(late)

    @pytest.mark.slow
    def test_what_has_no_value_is_avoided(self) -> None:
        space = SearchSpace(AXES)
        found = gone(
            Optuna(trials=120, seed=4), space, lambda p: (math.nan,) if p["kind"] == "b" else hill(p)
        )
        late = [one.point["kind"] for one in found[80:]]
        assert late.count("b") < len(late) / 4

    def test_it_ends_after_rounds_without_improvement(self) -> None:
        flat = gone(Optuna(trials=100, batch=5, patience=2), SearchSpace(AXES), lambda _: (1.0,))
        assert len(flat) == 15
        nothing = gone(Optuna(trials=100, batch=5, patience=2), SearchSpace(AXES), lambda _: (math.nan,))
        assert len(nothing) == 10

    def test_it_says_how_many_points_it_asks_for(self) -> None:
        assert Optuna(trials=30).most(SearchSpace(AXES)) == 30
        assert Optuna(trials=30).most(SearchSpace({"a": (1, 2)})) == 2

    def test_one_sampler_takes_one_objective(self) -> None:
        space = SearchSpace(AXES, objectives=(("sharpe", False), ("costs", True)))
        with pytest.raises(
            StudyError, match=r"search.sampler = 'cmaes' takes one objective, and the study has 2"
        ):
            Optuna(sampler="cmaes").start(space)


@pytest.mark.parametrize("missing", ["optuna", "torch"])
def test_what_is_not_installed_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> None:
        if name == missing:
            raise ModuleNotFoundError(name)

    monkeypatch.setattr("whatif.searches.kinds.optuna.import_module", find)
    with pytest.raises(StudyError, match=f"needs the package {missing}, which is not installed: pip install"):
        Optuna(sampler="gp").start(SearchSpace(AXES))


STUDY = """
study: searched
data: {symbols: [SPY], timeframe: 1min, start: 2013-10-01, end: 2013-11-01}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover}
axes: {fast: {from: 2, to: 60}, slow: {from: 20, to: 2000, log: 900}, size: {from: 1, to: 5000}}
"""


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("", r"the grid has .* points \(59 of fast x 900 of slow x 5,000 of size\), more than 500,000"),
        ("search: {kind: random, trials: 0}", r"search\.trials = 0"),
        ("search: {kind: optuna, trials: 0}", r"search\.trials = 0"),
        ("search: {kind: sobol, halving: 2}", r"search\.halving drops .* split\.kind = 'holdout' has one"),
        ("search: {kind: sobol, halving: 1}", r"search\.halving\.factor = 1"),
        (
            "search: {kind: optuna, halving: 2}\nsplit: {kind: walk_forward, validate: 5, test: 2}",
            r"each fold of a search that learns \('optuna'\) has its own",
        ),
        ("search: {kind: optuna, sampler: tpf}", r"search\.sampler = 'tpf'"),
        ("search: {kind: optuna, time: soon}", r"search\.time: 'soon' is not a duration"),
        ("search: {kind: sobol, trails: 5}", r"unknown key 'search\.trails': did you mean 'trials'"),
        (
            "search: {kind: sobol}\nconstraints: [fast < slwo]",
            r"'fast < slwo' names 'slwo'.*did you mean 'slow'",
        ),
        ("search: {kind: sobol}\nconstraints: [fast > 4 * slow]", r"finds no point of"),
        ("search: {kind: sobol}\nconstraints: ['fast <']", r"constraints: 'fast <' is not an expression"),
        ("search: {kind: sobol}\nconstraints: [fast]", r"constraints: 'fast' compares nothing"),
        (
            "search: {kind: sobol}\nconstraints: [fast < trades]",
            r"speaks of 'fast', a parameter, and of 'trades'",
        ),
        (
            "search: {kind: sobol}\nconstraints: ['fast < \"x\"']",
            r"cannot be told of fast = .*compare numbers",
        ),
        ("search: {kind: sobol}\nobjectives: [sharpe]", r"objectives: holds 'sharpe' alone"),
        ("search: {kind: sobol}\nobjectives: [sharpe, sharp]", r"metric 'sharp' is unknown"),
        ("search: {kind: sobol}\nobjectives: [costs, -sharpe]", r"'-sharpe' asks for the least sharpe"),
        (
            "search: {kind: sobol}\nobjectives: [sharpe, costs]\nobjective: costs",
            r"is not the first of objectives",
        ),
        ("search: {kind: sobol}\nchoose: ideal", r"choose: ideal needs several objectives"),
    ],
)
def test_what_is_wrong_in_a_study_is_said(rest: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        check_study(parse_study(STUDY + rest), False)


def test_a_space_larger_than_any_grid_is_searched() -> None:
    text = "search: {kind: sobol, trials: 50, seed: 1}\nconstraints: [fast * 3 < slow]"
    checked = check_study(parse_study(STUDY + text), False)
    assert checked.grid is not None
    params = [one.params for one in checked.grid.configurations]
    assert len(params) == 50
    assert all(one["fast"] * 3 < one["slow"] for one in params)


def test_a_grid_leaves_out_what_breaks_a_constraint() -> None:
    text = STUDY.replace("{from: 20, to: 2000, log: 900}", "[5, 50, 100]").replace(
        "{from: 1, to: 5000}", "[1]"
    )
    checked = check_study(parse_study(text + "constraints: [fast < 3 or slow > 60]"), False)
    assert checked.grid is not None
    kept = [(one.params["fast"], one.params["slow"]) for one in checked.grid.configurations]
    assert kept == [(2, 5), (2, 50), (2, 100), *((fast, 100) for fast in range(3, 61))]
    assert checked.grid.left_out == 59 * 3 - len(kept)


CROSSES = """
study: crosses
data: {symbols: [SPY], timeframe: 1min, start: 2013-10-01, end: 2013-11-01}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover}
"""


def checked_params(axes: str, rest: str = "") -> list[tuple[Any, ...]]:
    checked = check_study(parse_study(f"{CROSSES}axes: {axes}\n{rest}"), False)
    assert checked.grid is not None
    return [
        (*one.axes.values(), one.params["size"], one.overlays.stop_loss)
        for one in checked.grid.configurations
    ]


def test_a_grid_over_axes_of_which_some_exist_nowhere_else() -> None:
    axes = "{fast: [5, 20], slow: [60], size: {values: [1, 2], when: fast > 9}, stop_loss: "
    axes += "{values: [0.01], when: size == 2}}"
    default = checked_params("{fast: [5], slow: [60]}")[0][-2]
    assert checked_params(axes) == [
        (5, 60, None, None, default, None),
        (20, 60, 1, None, 1, None),
        (20, 60, 2, 0.01, 2, 0.01),
    ]


def test_where_an_axis_does_not_exist_the_configuration_is_that_of_no_such_axis() -> None:
    def ids(axes: str) -> list[str]:
        checked = check_study(parse_study(f"{CROSSES}axes: {axes}\n"), False)
        assert checked.grid is not None
        return [one.config_id for one in checked.grid.configurations]

    branches = ids("{fast: [5, 20], stop_loss: {from: 0.01, to: 0.02, step: 0.01, when: fast == 20}}")
    assert branches == [*ids("{fast: [5]}"), *ids("{fast: [20], stop_loss: [0.01, 0.02]}")]


def test_a_condition_is_part_of_the_study_as_it_is_written() -> None:
    study = parse_study(CROSSES + "axes: {fast: [5, 20], size: {from: 1, to: 3, when: fast > 9}}\n")
    written = study.model_dump(mode="json", by_alias=True)
    assert written["axes"]["size"]["when"] == "fast > 9"
    assert parse_study(yaml.safe_dump(written)).axes == study.axes


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (
            "{size: {values: [1], when: fast > 9}, fast: [5, 20]}",
            r"axis 'size': when = 'fast > 9' names 'fast'",
        ),
        (
            "{fast: [5, 20], size: {values: [1], when: fats > 9}}",
            r"axis 'size': when = .*did you mean 'fast'",
        ),
        (
            "{fast: [5, 20], size: {values: [1], when: trades > 9}}",
            r"axis 'size': when = .*speaks of a metric",
        ),
        ("{fast: [5, 20], size: {values: [1], when: fast > 99}}", r"when = 'fast > 99' holds at no point"),
        ("{fast: [5, 20], size: {values: [1], when: fast}}", r"axis 'size': when = 'fast' compares nothing"),
        ("{fast: [5, 20], size: {values: [1], when: 3}}", r"axes\.size\.when = 3"),
        ("{fast: [5, 20], shock: {values: [{}], when: fast > 9}}", r"its values are worlds"),
    ],
)
def test_a_condition_that_cannot_be_told_is_refused(axes: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        check_study(parse_study(f"{CROSSES}axes: {axes}\n"), False)
