"""Desk of a study, against what a run stored."""

from __future__ import annotations

import pytest
import yaml

from whatif.errors import StrategyError, StudyError
from whatif.explore import Change
from whatif.explore.desk import added_lines
from whatif.lake import RESULTS, RETURNS, TEST_LOOKS
from whatif.pins import current_pin, read_arrow
from whatif.results import count_looks
from whatif.study import parse_study


def test_equity_is_the_stored_one_as_bytes(desk):
    stored = read_arrow(
        current_pin(desk.location, "equity"), ["config_id", "symbol", "window", "ts", "equity"]
    )
    frame = stored.to_pandas()
    frame = frame[frame["window"] == desk.window.name].sort_values("ts")
    assert len(desk.board) == 32
    for row in desk.board.iloc[::7].itertuples():
        mine = frame[(frame["config_id"] == row.config_id) & (frame["symbol"] == row.symbol)]
        found = desk.run(Change(row.config_id), row.symbol)
        assert found.configuration.config_id == row.config_id
        assert found.run.equity.tobytes() == mine["equity"].to_numpy().tobytes()
        assert found.metrics["pnl_net"] == row.pnl_net
        assert found.metrics["sharpe"] == pytest.approx(row.sharpe, nan_ok=True, rel=0, abs=0)


def test_a_change_to_another_value_of_the_grid_is_that_configuration(desk):
    board = desk.board[desk.board["symbol"] == "A"]
    for a, b in zip(board.itertuples(), board.iloc[::-1].itertuples(), strict=True):
        execution = {"commission": desk.configured(Change(b.config_id)).execution.commission}
        change = Change(a.config_id, {"fast": b.fast, "slow": b.slow}, execution, {"stop_loss": b.stop_loss})
        assert desk.configured(change).config_id == b.config_id


def test_what_is_kept_counts_as_a_trial_and_is_stored_once(desk):
    first, before = desk.board.iloc[0], desk.trials
    change = Change(first["config_id"], {"fast": 7})
    assert not desk.is_ranked(desk.configured(change).config_id)
    found = desk.run(change, first["symbol"])
    assert desk.trials == before  # a look alone is kept by nobody
    kept, trials = desk.keep(change, first["symbol"])
    assert trials == before + 1
    assert desk.keep(change, first["symbol"])[1] == trials
    for table in (RESULTS, RETURNS):
        rows = desk.store.rows(table, desk.window, configurations=[kept.config_id]).to_dict("records")
        assert len(rows) == 1
    row = desk.store.rows(RESULTS, desk.window, configurations=[kept.config_id]).iloc[0]
    assert row["pnl_net"] == found.metrics["pnl_net"]
    # one that the study ranks is a trial already
    assert desk.keep(Change(first["config_id"]), first["symbol"])[1] == trials


def test_the_test_window_is_opened_on_record(desk):
    row = desk.board.iloc[0]
    change = Change(row["config_id"], {"slow": 21})
    before = count_looks(desk.store, [desk.test])
    found = desk.run_on_test(change, row["symbol"])
    assert int(found.run.ts[0]) >= desk.test.start_us
    desk.run_on_test(change, row["symbol"])
    after = count_looks(desk.store, [desk.test])
    assert (after.configurations, after.openings) == (before.configurations + 1, before.openings + 1)
    looks = read_arrow(current_pin(desk.location, TEST_LOOKS.name), ["config_id"])["config_id"].to_pylist()
    assert found.configuration.config_id in looks


def test_dates_never_reach_beyond_the_validate_window(desk):
    row, window = desk.board.iloc[0], desk.window
    middle = (window.start_us + window.end_us) // 2
    part = desk.run(Change(row["config_id"]), row["symbol"], middle, 2**62)
    assert middle <= part.run.ts[0]
    assert part.run.ts[-1] < window.end_us
    with pytest.raises(StudyError, match="hold no session"):
        desk.run(Change(row["config_id"]), row["symbol"], window.end_us, 2**62)


def test_a_wrong_value_is_refused_by_name(desk):
    row = desk.board.iloc[0]
    with pytest.raises(StrategyError, match="fast"):
        desk.configured(Change(row["config_id"], {"fast": -1}))
    with pytest.raises(StudyError, match="ranks no configuration"):
        desk.configured(Change("none"))


def test_the_lines_for_the_study_are_its_axes_with_the_value_added(desk):
    free = next(
        one for one in desk.board["config_id"] if not desk.configured(Change(one)).execution.commission
    )
    change = Change(free, {"fast": 7, "size": 2.0}, {"slippage": 0.001}, {"trailing_stop": 0.02})
    costs = [{"commission": 0.0}, {"commission": 0.0005}, {"commission": 0.0, "slippage": 0.001}]
    added = yaml.safe_load(desk.added(change))["axes"]
    assert added["fast"] == [3, 4, 7]
    assert added["size"][1:] == [2.0]
    assert added["trailing_stop"] == [None, 0.02]
    assert added["execution"] == costs
    assert list(desk.study.axes["fast"].values) == [3, 4]  # left as it is
    assert desk.added(Change(free, overlays={"take_profit": None})) == ""  # off already


CONDITIONAL = """
study: conditional
data: {symbols: [A], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover, params: {fast: 3, slow: 9}}
axes: {stop_loss: [null, 0.01], take_profit: {values: [0.02], when: stop_loss != None}}
"""


def test_the_lines_of_an_axis_that_depends_on_another_still_do():
    change = Change("", overlays={"take_profit": 0.03})
    added = yaml.safe_load(added_lines(parse_study(CONDITIONAL), change, {}, {}))
    assert added == {"axes": {"take_profit": {"values": [0.02, 0.03], "when": "stop_loss != None"}}}
