"""Comparison of two configurations, and stress of one, on a small market; worths added up by hand."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import whatif
from whatif.cli import main
from whatif.domain import Execution, execution_from_mapping
from whatif.errors import RunError, StudyError
from whatif.lake import RESULTS, append_arrow
from whatif.pins import LakeLocation, current_pin, read_arrow
from whatif.scenarios import better, compare, compare_versions, stress, stressed
from whatif.scenarios.comparison import _shared_window
from whatif.scenarios.side import side_of
from whatif.scenarios.stressed import _break_even, _shuffled, doubled
from whatif.sources import ingest_actions
from whatif.splits import Window
from whatif.workflow import RunOptions, run, stored_leaderboard

from ..markets import put_bars, us, walk
from ..workflow.conftest import STUDY, study_text

SMALL: dict[str, Any] = {"split": {"train": 0, "validate": 0.5, "test": 0.5}, "overlays": {"stop_loss": 0.01}}


COSTS = ({"commission": 0.0001}, {"commission": 0.002})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[LakeLocation, Path]:
    """Return a lake in which a study ran, and the study's file."""
    folder = tmp_path_factory.mktemp("compared")
    location = LakeLocation(folder / "home")
    put_bars(location, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
    axes = {"fast": [3, 4], "slow": [15, 30], "execution": list(COSTS)}
    path = folder / "one.yaml"
    path.write_text(study_text(**SMALL, study="one", axes=axes, execution={"cash": 100_000.0}))
    run(path, None, location, RunOptions(track=False, report=False, certify=False, runner="local"))
    return location, path


def pair(lake: Any) -> tuple[LakeLocation, Path, str]:
    """Return the lake, the study, and its configuration that differs from the chosen one in all axes."""
    location, path = lake
    board = stored_leaderboard(path, location)[0].ranking.leaderboard
    chosen = board[board["config_id"] == side_of(path, location).configuration.config_id].iloc[0]
    other = board[(board[AXES] != chosen[AXES]).all(axis=1)]
    return location, path, f"{path}#{other['config_id'].iloc[0]}"


AXES = ["fast", "slow", "execution"]


def test_worths_add_up_to_the_whole_difference(lake) -> None:
    location, one, other = pair(lake)
    found = compare(one, other, location)
    names = [part.name for part in found.differences]
    assert names == ["params.fast", "params.slow", "execution.commission"]
    whole = found.figures.loc["difference"]
    assert sum(part.shapley for part in found.differences) == pytest.approx(whole["sharpe"], rel=1e-9)
    assert sum(part.pnl for part in found.differences) == pytest.approx(whole["pnl_net"], rel=1e-9)
    costs = found.differences[-1]
    assert {costs.a, costs.b} == {"0.01 %", "0.2 %"}
    # cheaper orders are worth something from either side
    sign = 1.0 if costs.b == "0.01 %" else -1.0
    assert sign * costs.from_a > 0
    assert sign * costs.from_b > 0
    assert found.same_fills == 0
    assert set(found.fills["side"]) == {"a", "b"}
    assert len(found.equity) == len(found.equity.dropna())
    assert "sharpe of B less that of A" in better(found)


def test_figures_are_those_that_are_stored(lake) -> None:
    location, one, other = pair(lake)
    found = compare(one, other, location)
    board = stored_leaderboard(one, location)[0].ranking.leaderboard
    best = board.iloc[0]
    assert found.a == f"one {best['config_id']}"
    theirs = board[(board["config_id"] == found.b.split()[-1]) & (board["symbol"] == best["symbol"])].iloc[0]
    for side, row in (("a", best), ("b", theirs)):
        for name in ("pnl_net", "sharpe", "trades", "return_pct", "max_drawdown_pct", "costs"):
            assert found.figures.loc[side, name] == pytest.approx(row[name], rel=1e-9), name


def test_a_configuration_beside_itself_differs_by_nothing(lake) -> None:
    location, one, _ = pair(lake)
    found = compare(one, f"{one}#{compare(one, one, location).b.split()[-1][:6]}", location)
    assert found.differences == ()
    assert len(found.fills) == 0
    assert found.same_fills > 0
    assert (found.figures.loc["difference"] == 0).all()
    assert "not distinguishable" in better(found)


def test_sides_whose_returns_are_by_other_periods_are_compared_by_those_of_the_first(tmp_path: Path) -> None:
    location = LakeLocation(tmp_path / "home")
    put_bars(location, [walk("A", 1, minutes=120)])
    fine, hours = tmp_path / "fine.yaml", tmp_path / "hours.yaml"
    for path, period in ((fine, "bar"), (hours, "hour")):
        given: dict[str, Any] = {"data": {**STUDY["data"], "symbols": ["A"]}, "period": period}
        path.write_text(study_text(**SMALL, **given, study=path.stem, axes={"fast": [3], "slow": [15]}))
        run(path, None, location, RunOptions(track=False, report=False, certify=False, runner="local"))
    found, turned = compare(fine, hours, location), compare(hours, fine, location)
    # three sessions of 6.5 hours each
    assert (len(found.equity), len(turned.equity)) == (3 * 390, 3 * 7)
    # a side's last value is its own, whatever periods cut it
    for a, b in (("a", "b"), ("b", "a")):
        assert found.equity[a].iloc[-1] == pytest.approx(turned.equity[b].iloc[-1], rel=1e-12)
        assert found.figures.loc[a, "pnl_net"] == turned.figures.loc[b, "pnl_net"]
    assert any("over A's" in note for note in found.notes)


def test_what_cannot_be_compared_is_refused(lake) -> None:
    location, one, other = pair(lake)
    with pytest.raises(StudyError, match="has no configuration 'zz'"):
        compare(f"{one}#zz", other, location)
    one_side = side_of(one, location)
    late = SimpleNamespace(
        name="late", window=Window("validate", us("2013-10-10T13:30"), us("2013-10-11T20:00"))
    )
    with pytest.raises(
        StudyError, match=r"and late share no window: validate .* and validate .*; compare studies"
    ):
        _shared_window(one_side, late)  # type: ignore[arg-type]
    fresh = one.with_name("fresh.yaml")
    fresh.write_text(study_text(**SMALL, study="fresh", axes={"fast": [7], "slow": [31]}))
    with pytest.raises(RunError, match=r"study fresh has 2 backtests still to run"):
        compare(one, fresh, location)


def test_bars_of_two_snapshots_are_compared(tmp_path: Path) -> None:
    location = LakeLocation(tmp_path / "home")
    both = [walk("A", 1, minutes=120), walk("B", 2, minutes=120)]
    row = 40  # inside of the validate window, the first half
    put_bars(location, [bars.take(np.delete(np.arange(len(bars)), row)) for bars in both])
    path = tmp_path / "one.yaml"
    splits = tmp_path / "splits.csv"
    splits.write_text("symbol,date,kind,value\nA,2013-10-09,split,2\n")
    ingest_actions([splits], location)
    data = {**STUDY["data"], "adjust": "splits"}  # as which the other bars are read too
    path.write_text(study_text(**SMALL, study="one", axes={"fast": [3], "slow": [15]}, data=data))
    run(path, None, location, RunOptions(track=False, report=False, certify=False, runner="local"))
    before = current_pin(location, "bars").snapshot_id
    same = compare(path, f"{path}@{before}", location)
    assert same.differences == ()
    put_bars(location, [bars.slice(row, row + 1) for bars in both])
    found = compare(path, f"{path}@latest", location)
    assert [one.name for one in found.differences] == ["bars"]
    (bars,) = found.differences
    assert bars.from_a == bars.from_b == bars.shapley == found.figures.loc["difference", found.objective]
    assert "0 only of A, 1 only of B, 0 changed; the first at" in found.notes[-1]
    with pytest.raises(StudyError, match=r"@12: there is no such snapshot of the bars"):
        compare(path, f"{path}@12", location)
    with pytest.raises(StudyError, match=r"@soon names no bars: give latest, the number"):
        compare(path, f"{path}@soon", location)


def test_rows_of_two_versions_are_compared(lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    location, path = lake
    with pytest.raises(StudyError, match=r"study one has no rows of whatif '9.9'"):
        compare_versions(path, "9.9", whatif.__version__, location)
    # another version: the same rows under other names, and one metric of one row another
    stored = read_arrow(current_pin(location, "results"), RESULTS.column_names)
    rows = stored.to_pandas().head(5).reset_index(drop=True)
    rows["config_id"] = [f"{k:016x}" for k in range(5)]
    rows["versions"] = '{"whatif": "9.9.1"}'
    rows.loc[2, "sharpe"] += 0.25
    append_arrow(location, RESULTS, pa.Table.from_pandas(rows, schema=stored.schema, preserve_index=False))
    found = compare_versions(path, "9.9", whatif.__version__, location)
    assert (found.paired, found.same, found.only_a) == (5, 4, 0)
    assert found.only_b > 0
    (metric,) = found.metrics.to_dict("records")
    assert metric["metric"] == "sharpe"
    assert metric["rows that differ"] == 1
    assert metric["largest difference"] == pytest.approx(0.25)
    assert list(found.rows["difference"]) == pytest.approx([-0.25])
    assert "4 of 5 rows" in found.sentences[0]


def test_stress_says_what_each_is_and_how_often_it_loses(lake) -> None:
    location, one, _ = pair(lake)
    found = stress(one, location, histories=6, mean_block=30.0, seed=3)
    table = found.scenarios.set_index("scenario")
    assert (table["error"] == "").all()
    chosen, dear = table.loc["as chosen"], table.loc["double costs"]
    # nothing else changes: the same fills, each paying its commission twice
    assert dear["costs"] == pytest.approx(2 * chosen["costs"])
    assert dear["pnl_net"] == pytest.approx(chosen["pnl_net"] - chosen["costs"])
    assert table.loc["one more bar of latency", "pnl_net"] != chosen["pnl_net"]
    assert any(name.startswith(("fast", "slow")) for name in table.index)
    assert len(found.histories) == 6
    assert found.probability_of_loss == (found.histories["pnl_net"] < 0).mean()
    assert found.drawdown[0.5] == np.median(found.histories["max_drawdown_pct"])
    assert list(found.fan.columns) == ["5%", "25%", "50%", "75%", "95%"]
    assert (found.fan.diff(axis=1).iloc[:, 1:] >= 0).all().all()
    again = stress(one, location, histories=6, mean_block=30.0, seed=3)
    pd.testing.assert_frame_equal(found.histories, again.histories)
    # the profit is gone if each unit of money that is traded costs so much more
    assert "basis points" in found.sentences[0]
    assert found.break_even * chosen["pnl_net"] > 0
    assert "Scenarios" in found.html()
    assert len(found.shuffled) == 1000
    assert found.metrics["stress.double_costs.pnl_net"] == dear["pnl_net"]
    with pytest.raises(StudyError, match="histories = -1 must be a whole number"):
        stress(one, location, histories=-1)


def test_trades_in_other_orders_fall_as_deep_as_by_hand() -> None:
    profits = [10.0, -20.0, 30.0, -5.0]
    base: Any = SimpleNamespace(trades=pd.DataFrame({"pnl_net": profits}))
    side: Any = SimpleNamespace(
        configuration=SimpleNamespace(execution=Execution(cash=100.0)), groups=(("A",),)
    )
    wanted = set()
    for order in permutations(profits):
        level, peak, deepest = 100.0, 100.0, 0.0
        for profit in order:
            level += profit
            peak = max(peak, level)
            deepest = max(deepest, 100 * (peak - level) / peak)
        wanted.add(round(deepest, 9))
    # all 24 orders are there: the chance that one is not is 24 * (23/24)**1000
    assert {round(fall, 9) for fall in _shuffled(base, side, 1)} == wanted
    alone: Any = SimpleNamespace(trades=pd.DataFrame({"pnl_net": profits[:1]}))
    assert not len(_shuffled(alone, side, 1))


def test_a_stress_is_logged_to_the_run_of_the_study(lake, monkeypatch) -> None:
    location, one, _ = pair(lake)
    logged: dict[str, Any] = {}
    monkeypatch.setattr(stressed, "start_study_run", lambda *given: logged.update(run=given[1:3]) or "run")
    monkeypatch.setattr(stressed, "log", lambda run, metrics: logged.update(metrics=metrics))
    monkeypatch.setattr(stressed, "log_files", lambda run, files: logged.update(page=files[0].read_text()))
    monkeypatch.setattr(stressed, "finish", lambda run: logged.update(ended=run))
    found = stress(one, location, histories=0, track=True)
    assert logged["run"] == ("one", side_of(one, location).resolved.identity)
    assert logged["metrics"] == found.metrics
    assert "stress.probability_of_loss" not in found.metrics
    assert "Scenarios" in logged["page"]
    assert logged["ended"] == "run"


def test_a_cost_that_breaks_even_is_told_where_there_is_one() -> None:
    assert _break_even(1.5) == "Break-even cost: 1.50 basis points of the traded value more than it has"
    assert _break_even(-125.52).startswith("Break-even cost: none, it loses 125.52 basis points")
    assert "nothing was traded" in _break_even(float("nan"))


def test_doubled_costs() -> None:
    twice = doubled(Execution(commission=0.001, slippage=0.0002))
    assert (twice.commission, twice.slippage) == (0.002, 0.0004)
    costs = doubled(
        execution_from_mapping(
            {"costs": {"per_unit": 0.005, "minimum": 1.0, "spread_ticks": 1, "tick": 0.01}}, {}
        )
    ).costs
    assert costs is not None
    assert (costs.per_unit, costs.minimum, costs.spread_ticks, costs.tick) == (0.01, 2.0, 2.0, 0.01)


def test_commands_print_and_write_a_page(lake, tmp_path, capsys, monkeypatch) -> None:
    location, one, other = pair(lake)
    monkeypatch.setenv("WHATIF_HOME", str(location.home))
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["compare", str(one), other, "--html", str(tmp_path / "c.html")]) == 0
    assert "execution.commission" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "c.html").read_text()
    assert main(["stress", str(one), "--histories", "0", "--no-track"]) == 0
    told = capsys.readouterr().out
    assert "Break-even cost" in told
    assert all(word in told for word in ("net profit", "return %", "max dd %"))
    assert "…" not in told
    csv = tmp_path / "r.csv"
    pd.DataFrame(np.random.default_rng(1).normal(0, 0.01, (200, 3))).to_csv(csv, index=False)
    assert main(["judge", str(csv), "--trials", "5"]) == 0
    assert "luck" in capsys.readouterr().out.lower()
    assert main(["judge", str(tmp_path / "gone.csv")]) == 2


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("a.yaml#", "a.yaml# names no configuration: after # stands a config_id or its beginning"),
        ("a.yaml@latest# ", "names no configuration"),
        ("a.yaml@", "a.yaml@ names no bars: after @ stands latest"),
    ],
)
def test_an_address_that_breaks_off_is_not_taken_for_the_chosen_one(address, says, tmp_path, capsys) -> None:
    with pytest.raises(StudyError, match=re.escape(says)):
        side_of(address, LakeLocation(tmp_path))
    assert main(["export", address]) == 2
    assert "stands" in capsys.readouterr().err
