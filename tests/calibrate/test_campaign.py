"""Calibration: which markets and configurations there are, how verdicts are counted, and one small run."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from whatif.calibrate import campaign, markets, offline
from whatif.calibrate.campaign import power_svg
from whatif.calibrate.markets import FULL, KINDS, SWEPT, Market, Size, is_planted
from whatif.calibrate.outcomes import (
    EDGE,
    LUCK,
    TOO_LITTLE,
    Outcome,
    append_outcome,
    goals,
    key_of,
    markdown,
    read_outcomes,
    tally,
    verdict_of,
    wilson,
)
from whatif.cli import job, main
from whatif.errors import RunError
from whatif.pins import LakeLocation
from whatif.search.grid import expand
from whatif.sources.sample import generate
from whatif.stats import VerdictKind
from whatif.strategies import StrategySpec, resolve
from whatif.testing import check_strategy

KIND = {kind.name: kind for kind in (*KINDS, *SWEPT)}
TINY = Size(sessions=12, horizons=(5, 20), thresholds=(0.0,))


def outcome(kind: str, number: int, word: str, planted: bool = False) -> Outcome:
    name = f"{KIND[kind].prefix}{number:03d}"
    return Outcome(f"k-{name}", name, kind, 1, word, planted, {}, {}, {}, {}, 1.0)


class TestMarkets:
    def test_as_many_as_asked_for(self) -> None:
        counts = markets.parse_counts("noise=3, planted=2")
        names = [market.name for market in markets.markets_of(counts, "report")]
        assert names == [
            "N000", "N001", "N002", "P2-000", "P2-001", "P4-000", "P4-001", "P6-000", "P6-001", "P8-000",
            "P8-001",
        ]  # fmt: skip
        assert len(markets.markets_of(markets.DEFAULT_COUNTS, "report")) == 400

    @pytest.mark.parametrize(
        ("text", "said"),
        [("nose=3", "noise"), ("noise=x", "whole"), ("noise=-1", "whole"), ("noise=0", "no market")],
    )
    def test_what_is_no_number_of_markets(self, text: str, said: str, capsys) -> None:
        with pytest.raises(RunError, match=said):
            markets.parse_counts(text)
        assert main(["calibrate", "--markets", text]) == 2
        assert said in capsys.readouterr().err

    def test_thresholds_are_fixed_on_other_markets_than_those_reported(self) -> None:
        with pytest.raises(RunError, match="thresholds"):
            markets.markets_of({"noise": 1, "drift": 0, "planted": 0}, "threshold")
        first = {
            name: generate(markets.sample_market([Market(KINDS[0], 0, seed)], TINY), "N000")["close"]
            for name, seed in {**markets.SEEDS, "edges": offline.EDGE_SEED}.items()
        }
        # signs, since tails are fat: 4,679 of them have a standard error of 0.015
        signs = [np.sign(np.diff(series.to_numpy())) for series in first.values()]
        assert np.abs(np.corrcoef(signs) - np.eye(3)).max() < 0.06

    def test_a_markets_study_has_a_thousand_configurations_of_which_260_are_of_the_planted_family(
        self,
    ) -> None:
        study = markets.study_of(Market(KIND["sharpe6"], 7, 1), FULL)
        strategy = resolve(study.strategy.name)
        grid = expand(study, strategy, lambda name, timeframe: {"model": name})
        assert (study.study, study.data.symbols) == ("P6-007", ("P6-007",))
        assert len(grid.configurations) == FULL.configurations == 1000
        assert {(c.execution.commission, c.execution.slippage) for c in grid.configurations} == {(0.0, 0.0)}
        family = [c.params for c in grid.configurations if is_planted(c.params)]
        assert len(family) == 260
        assert {params["direction"] for params in family} == {1}
        assert {params["horizon"] for params in family} == {5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75}

    def test_swept_markets_have_another_familys_study_of_4800_before_theirs(self) -> None:
        asked = markets.markets_of(markets.parse_counts("swept=2"), "report")
        assert [market.name for market in asked] == ["SN000", "SN001", "SP6-000", "SP6-001"]
        sweep, own = markets.sweep_of(asked[2], FULL), markets.study_of(asked[2], FULL)
        strategy = resolve(sweep.strategy.name)
        grid = expand(sweep, strategy, lambda name, timeframe: {"model": name})
        assert len(grid.configurations) == 4800
        assert (sweep.data.symbols, sweep.split, sweep.calendar) == (
            own.data.symbols,
            own.split,
            own.calendar,
        )
        assert sweep.study != own.study
        # the same market but for the sweep
        six = KIND["sharpe6"]
        assert (asked[2].kind.edge, asked[2].kind.sharpe) == (six.edge, six.sharpe)
        assert key_of(asked[2], FULL) != key_of(Market(six, 0, asked[2].seed), FULL)
        assert key_of(asked[2], FULL) != key_of(asked[2], replace(FULL, fast=(2, 3)))

    def test_a_study_may_search_in_place_of_its_grid(self) -> None:
        market = Market(KIND["noise"], 7, 1)
        size = campaign.CalibrateOptions(search="tpe", trials=400).size
        search = markets.study_of(market, size).search
        assert (search.kind, search.learns, search.seed) == ("optuna", True, 7)
        assert (size.configurations, FULL.configurations) == (400, 1000)
        keys = {key_of(market, replace(FULL, search=name)) for name in ("grid", "random", "tpe")}
        assert len(keys) == 3

    def test_what_is_no_search(self, capsys) -> None:
        assert main(["calibrate", "--search", "tpee"]) == 2
        assert "tpe" in capsys.readouterr().err

    def test_only_planted_kinds_have_an_edge(self) -> None:
        assert [kind.name for kind in KINDS if not kind.edge] == ["noise", "drift"]
        assert {kind.group for kind in KINDS if kind.edge} == {"planted"}
        truth = markets.sample_market([Market(KINDS[0], 0, 1)], TINY).truth("N000")
        assert truth.is_martingale


class TestTheStrategy:
    @pytest.mark.slow
    def test_both_brokers_agree_on_it(self) -> None:
        spec = resolve(markets.STRATEGY)
        assert isinstance(spec, StrategySpec)
        assert check_strategy(spec, params={"threshold": 0.0, "horizon": 3}, cases=12) >= 3

    @pytest.mark.parametrize(
        ("direction", "change", "wanted"),
        [(1, 0.003, 5.0), (1, -0.003, -5.0), (-1, 0.003, -5.0), (-1, -0.003, 5.0), (1, 0.002, None)],
    )
    def test_by_hand(self, direction: int, change: float, wanted: float | None) -> None:
        """A threshold of 0.001 for one bar is one of 0.002 for four."""
        spec = resolve(markets.STRATEGY)
        assert isinstance(spec, StrategySpec)
        params = SimpleNamespace(direction=direction, horizon=4, threshold=0.001, size=5.0)
        code, amount = spec.step(0, SimpleNamespace(change=[change]), params, None)
        assert (amount if code else None) == wanted


class TestCounting:
    @pytest.mark.parametrize(
        ("count", "of", "low", "high"),
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
    )
    def test_wilson_as_published(self, count: int, of: int, low: float, high: float) -> None:
        """Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3."""
        assert wilson(count, of) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))

    def test_the_interval_of_none(self) -> None:
        assert wilson(0, 0) == (0.0, 1.0)

    def test_the_table(self) -> None:
        made = [outcome("noise", k, LUCK) for k in range(18)]
        made += [outcome("noise", 18, EDGE, planted=True), outcome("noise", 19, TOO_LITTLE)]
        made += [outcome("sharpe6", k, EDGE, planted=k < 7) for k in range(8)]
        made += [outcome("sharpe6", k, LUCK, planted=True) for k in (8, 9)]
        noise, six = tally(made)
        assert (noise.edge.count, noise.luck.count, noise.too_little.count, noise.markets) == (1, 18, 1, 20)
        assert (noise.family.of, six.family.count, six.family.of, six.found.value) == (0, 7, 8, 0.7)
        assert [(goal.share.count, goal.share.of, goal.reached) for goal in goals([noise, six])] == [
            (1, 20, True),
            (7, 10, False),
            (1, 30, True),
        ]
        lines = markdown([noise, six]).splitlines()
        assert len({line.count("|") for line in lines}) == 1
        assert "| 1 (5 %, 1–24) |" in lines[2]
        assert "| 7 of 8 |" in lines[3]

    def test_markets_that_were_swept_before_have_goals_of_their_own(self) -> None:
        made = [outcome("noise_swept", k, EDGE if k == 0 else LUCK) for k in range(10)]
        made += [outcome("sharpe6_swept", k, EDGE, planted=k < 9) for k in range(10)]
        made += [outcome("noise", 0, LUCK)]
        rows = tally(made)
        assert [row.kind.name for row in rows] == ["noise", "noise_swept", "sharpe6_swept"]
        assert [(goal.share.count, goal.share.of, goal.reached) for goal in goals(rows)] == [
            (0, 1, True),
            (1, 10, False),
            (9, 10, True),
            (0, 21, True),
        ]
        # the picture is of power without them
        assert power_svg(rows) == power_svg(rows[:1])

    def test_no_goal_without_markets_to_measure_it_on(self) -> None:
        (two,) = tally([outcome("sharpe2", 0, "")])
        assert [goal.text[:8] for goal in goals([two])] == ["too litt"]
        assert two.edge.count == two.luck.count == 0

    def test_the_picture(self) -> None:
        made = [outcome("noise", 0, LUCK), outcome("drift", 0, LUCK)]
        made += [outcome(f"sharpe{k}", 0, EDGE, planted=True) for k in (2, 4, 6, 8)]
        root = ElementTree.fromstring(power_svg(tally(made)))
        svg = "{http://www.w3.org/2000/svg}"
        assert len(root.findall(f"{svg}polyline")) == 1
        assert [title.text for title in root.iter(f"{svg}title")][1:] == [
            "0 of 1", "0 of 1", "1 of 1", "1 of 1", "1 of 1", "1 of 1",
        ]  # fmt: skip


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


class TestOutcomes:
    def test_a_verdicts_figures_are_flat(self) -> None:
        @dataclass(frozen=True)
        class Figures:
            psr: float
            spa: np.float64
            ci: tuple[float, float]
            interval: Interval
            missing: dict[str, str]
            returns: np.ndarray

        given = Figures(
            math.nan, np.float64(0.25), (1.0, 2.0), Interval(3.0, 4.0), {"dsr": "why"}, np.zeros(99)
        )
        verdict = SimpleNamespace(verdict=SimpleNamespace(word=VerdictKind.EDGE, figures=given))
        word, figures = verdict_of(SimpleNamespace(verdict=verdict))  # type: ignore[arg-type]
        assert word == EDGE
        assert figures == {
            "psr": None, "spa": 0.25, "ci.0": 1.0, "ci.1": 2.0, "interval.low": 3.0, "interval.high": 4.0,
            "missing.dsr": "why",
        }  # fmt: skip
        json.dumps(figures, allow_nan=False)

    def test_they_are_taken_up_again_but_for_a_torn_line(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "markets.jsonl"
        assert read_outcomes(path) == {}
        first, second = outcome("noise", 0, LUCK), outcome("noise", 1, EDGE)
        append_outcome(path, first)
        with path.open("a") as lines:
            lines.write('{"key": "torn')
        append_outcome(path, second)
        assert read_outcomes(path) == {"k-N000": first, "k-N001": second}

    def test_another_market_or_study_is_another_question(self) -> None:
        market = Market(KINDS[0], 0, 1)
        keys = {
            key_of(market, TINY),
            key_of(replace(market, seed=2), TINY),
            key_of(replace(market, number=1), TINY),
            key_of(replace(market, kind=replace(KINDS[0], edge=0.01)), TINY),
            key_of(market, replace(TINY, horizons=(5, 21))),
            key_of(market, replace(TINY, sessions=13)),
        }
        assert len(keys) == 6
        assert key_of(Market(KINDS[0], 0, 1), TINY) in keys


class TestEdges:
    def test_the_table_of_measured_edges(self, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
        monkeypatch.setattr(offline, "_sharpe", lambda kind, repeat: kind.edge * 100 + repeat)
        measured = offline.measure_edges(2)
        assert [one.kind.name for one in measured] == ["sharpe2", "sharpe4", "sharpe6", "sharpe8"]
        assert measured[0].mean == pytest.approx(100 * measured[0].kind.edge + 0.5)
        assert measured[0].sharper == pytest.approx(100 * measured[0].kind.edge)
        assert measured[0].error == pytest.approx(math.sqrt(1 / 40))
        assert main(["calibrate", "--measure-edges"]) == 0
        assert "| planted edge |" in capsys.readouterr().out

    @pytest.mark.slow
    @pytest.mark.timeout(3600)
    def test_a_planted_edge_earns_the_sharpe_ratio_it_is_named_after(self) -> None:
        """200 simulated years: the standard error is 0.07, a fraction of it after taking the noise out."""
        for one in offline.measure_edges(10):
            assert one.sharper == pytest.approx(one.kind.sharpe, abs=0.1)
            assert one.mean == pytest.approx(one.kind.sharpe, abs=4 * one.error)


@pytest.mark.slow
def test_offline_a_search_is_judged_on_what_it_evaluated_and_could_have_come_to() -> None:
    pytest.importorskip("optuna")
    size = replace(TINY, sessions=30, horizons=tuple(range(2, 22)), search="tpe", trials=25)
    found = offline.judge_offline(Market(KIND["noise"], 0, 1), size)
    assert (found.figures["trials"], found.figures["compared"], found.figures["untried"]) == (25, 25, 15)


@pytest.mark.slow
def test_offline_outcomes_are_taken_up_again_apart_from_those_of_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markets, "QUICK", replace(TINY, fast=(3, 5), slow=(20,)))
    options = campaign.CalibrateOptions({"swept": 1}, quick=True, processes=1, offline=True)
    location = LakeLocation(tmp_path)
    found = campaign.calibrate(location, options, Console())
    assert [(one.market, one.kind) for one in found.outcomes] == [
        ("SN000", "noise_swept"),
        ("SP6-000", "sharpe6_swept"),
    ]
    assert {
        (one.figures["trials"], one.figures["others"], one.figures["unseen"]) for one in found.outcomes
    } == {(4 + 2, 2, 0)}
    assert json.loads(found.files[2].read_text())["conditions"]["offline"]
    assert campaign.calibrate(location, options, Console()).outcomes == found.outcomes
    market = markets.markets_of({"swept": 1}, "report")[0]
    assert found.outcomes[0].key != key_of(market, options.size)


@pytest.mark.spark
@pytest.mark.slow
def test_offline_says_what_the_lake_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, and after a sweep of another family with bars of another length."""
    size = Size(20, (5, 20), (0.0, 0.0002), (3, 5, 8), (20, 40))
    monkeypatch.setattr(markets, "QUICK", size)
    counts = {"noise": 1, "swept": 1}
    lake, engine = (
        campaign.calibrate(
            LakeLocation(tmp_path / str(offline)),
            campaign.CalibrateOptions(counts, quick=True, processes=1, offline=offline),
            Console(),
        ).outcomes
        for offline in (False, True)
    )
    for there, here in zip(lake, engine, strict=True):
        assert (there.market, there.word, there.chosen) == (here.market, here.word, here.chosen)
        texts = {name for name, value in there.figures.items() if not isinstance(value, (int, float))}
        assert {name: here.figures[name] for name in texts} == {name: there.figures[name] for name in texts}
        numbers = ({k: v for k, v in one.figures.items() if k not in texts} for one in (here, there))
        assert next(numbers) == pytest.approx(next(numbers), rel=1e-9, nan_ok=True)
    assert [one.figures["others"] for one in lake] == [0, 6, 6]


@pytest.mark.spark
@pytest.mark.slow
def test_three_small_markets(
    spark: object, lake_home: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Killed after the second market, it goes on with the third, and says the same."""
    monkeypatch.setattr(markets, "QUICK", TINY)
    judged: list[str] = []
    judge = campaign._Campaign._judge

    def counted(self, market: Market, *rest):
        if len(judged) == 2:
            judged.append("killed")
            raise KeyboardInterrupt
        judged.append(market.name)
        return judge(self, market, *rest)

    monkeypatch.setattr(campaign._Campaign, "_judge", counted)
    arguments = ["--markets", "noise=3", "--quick", "--output", str(tmp_path / "out")]
    assert job("calibrate", arguments) == 130
    assert job("calibrate", arguments) == 0
    assert judged == ["N000", "N001", "killed", "N002"]
    found = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert [one["market"] for one in found["markets"]] == ["N000", "N001", "N002"]
    assert [one["kind"]["name"] for one in found["table"]] == ["noise"]
    for one in found["markets"]:
        assert set(one["chosen"]) == {"direction", "horizon", "threshold", "size"}
        assert one["validate"]["trades"] > 10
        assert one["test"]["status"] == "ok"
    assert (tmp_path / "out" / "power.svg").is_file()
    assert not list(lake_home.home.rglob("report.html"))
    assert "noise without drift" in (tmp_path / "out" / "calibration.md").read_text()
    assert "N001" not in capsys.readouterr().out.split("2 judged already")[1].split("|")[0]
    again = campaign.calibrate(
        lake_home, campaign.CalibrateOptions({"noise": 3, "drift": 0, "planted": 0}, quick=True), Console()
    )
    assert [one.market for one in again.outcomes] == ["N000", "N001", "N002"]
    assert len(judged) == 4


@pytest.mark.slow
@pytest.mark.spark
def test_two_processes_say_what_one_says(tmp_path: Path) -> None:
    counts = {"noise": 1, "drift": 1, "planted": 0}
    found = {}
    for processes in (1, 2):
        location = LakeLocation(tmp_path / f"home{processes}")
        options = campaign.CalibrateOptions(counts, quick=True, processes=processes)
        found[processes] = campaign.calibrate(location, options, Console()).outcomes
    one, two = ([replace(outcome, seconds=0.0) for outcome in found[n]] for n in (1, 2))
    assert [outcome.market for outcome in two] == ["N000", "D000"]
    assert one == two
