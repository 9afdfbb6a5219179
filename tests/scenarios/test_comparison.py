"""Comparison of two configurations, and stress of one, on a small market; worths added up by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whatif.cli import main
from whatif.domain import Execution, execution_from_mapping
from whatif.errors import RunError, StudyError
from whatif.pins import LakeLocation
from whatif.scenarios import better, compare, stress
from whatif.scenarios.stressed import doubled
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk
from ..workflow.conftest import study_text

SMALL: dict[str, Any] = {"split": {"train": 0, "validate": 0.5, "test": 0.5}, "overlays": {"stop_loss": 0.01}}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[LakeLocation, Callable[..., Path]]:
    """Return a lake in which two studies ran, and what writes the file of a study."""
    folder = tmp_path_factory.mktemp("compared")
    location = LakeLocation(folder / "home")
    put_bars(location, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])

    def written(name: str, **changes: Any) -> Path:
        path = folder / f"{name}.yaml"
        path.write_text(study_text(**{**SMALL, "study": name, **changes}))
        return path

    for path in (
        written("one"),
        written(
            "other", axes={"fast": [4], "slow": [30]}, execution={"cash": 100_000.0, "commission": 0.002}
        ),
    ):
        run(path, None, location, RunOptions(track=False, report=False, certify=False, runner="local"))
    return location, written


def pair(lake: Any) -> tuple[LakeLocation, Path, Path]:
    location, written = lake
    changes = {"axes": {"fast": [4], "slow": [30]}, "execution": {"cash": 100_000.0, "commission": 0.002}}
    return location, written("one"), written("other", **changes)


def test_worths_add_up_to_the_whole_difference(lake) -> None:
    location, one, other = pair(lake)
    found = compare(one, other, location)
    assert [part.name for part in found.differences][-1] == "execution.commission"
    names = {part.name for part in found.differences}
    assert names <= {"params.fast", "params.slow", "execution.commission"}
    whole = found.figures.loc["difference"]
    assert sum(part.shapley for part in found.differences) == pytest.approx(whole["sharpe"], rel=1e-9)
    assert sum(part.pnl for part in found.differences) == pytest.approx(whole["pnl_net"], rel=1e-9)
    # dearer orders alone, from A: the commission of its own fills, 19 more of 10,000
    dearer = found.differences[-1]
    assert (dearer.a, dearer.b) == ("0.0001", "0.002")
    assert dearer.from_a < 0
    assert found.same_fills == 0
    assert set(found.fills["side"]) == {"a", "b"}
    assert len(found.equity) == len(found.equity.dropna())
    assert "sharpe of B less that of A" in better(found)


def test_figures_are_those_that_are_stored(lake) -> None:
    location, one, other = pair(lake)
    found = compare(one, other, location)
    best = run(
        one, None, location, RunOptions(track=False, report=False, certify=False, only_stored=True)
    ).best
    assert best is not None
    assert found.a == f"one {best.config_id}"
    for name in ("pnl_net", "sharpe", "trades", "return_pct", "max_drawdown_pct", "costs"):
        assert found.figures.loc["a", name] == pytest.approx(best.validate[name], rel=1e-9), name


def test_a_configuration_beside_itself_differs_by_nothing(lake) -> None:
    location, one, _ = pair(lake)
    found = compare(one, f"{one}#{compare(one, one, location).b.split()[-1][:6]}", location)
    assert found.differences == ()
    assert len(found.fills) == 0
    assert found.same_fills > 0
    assert (found.figures.loc["difference"] == 0).all()
    assert "not distinguishable" in better(found)


def test_what_cannot_be_compared_is_refused(lake) -> None:
    location, written = lake
    _, one, other = pair(lake)
    with pytest.raises(StudyError, match="has no configuration 'zz'"):
        compare(f"{one}#zz", other, location)
    fresh = written("fresh", axes={"fast": [7], "slow": [31]})
    with pytest.raises(RunError, match=r"study fresh has 2 backtests still to run"):
        compare(one, fresh, location)
    sides = []
    for name, first, last in (("early", "04", "07"), ("late", "08", "09")):
        dates = {"validate": [f"2013-10-{first}", f"2013-10-{last}"], "test": ["2013-10-10", "2013-10-11"]}
        sides.append(written(name, axes={"fast": [3], "slow": [15]}, split=dates))
        run(sides[-1], None, location, RunOptions(track=False, report=False, certify=False, runner="local"))
    with pytest.raises(
        StudyError, match=r"share no window: validate .* and validate .*; compare studies whose"
    ):
        compare(*sides, location)


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
    with pytest.raises(StudyError, match="histories = -1 must be a whole number"):
        stress(one, location, histories=-1)


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
    assert main(["compare", str(one), str(other), "--html", str(tmp_path / "c.html")]) == 0
    assert "execution.commission" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "c.html").read_text()
    assert main(["stress", str(one), "--histories", "0"]) == 0
    assert "Break-even cost" in capsys.readouterr().out
    csv = tmp_path / "r.csv"
    pd.DataFrame(np.random.default_rng(1).normal(0, 0.01, (200, 3))).to_csv(csv, index=False)
    assert main(["judge", str(csv), "--trials", "5"]) == 0
    assert "luck" in capsys.readouterr().out.lower()
    assert main(["judge", str(tmp_path / "gone.csv")]) == 2
