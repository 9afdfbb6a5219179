"""A third witness: an ordinary Backtrader strategy that plays a script in an ordinary Cerebro."""

from __future__ import annotations

import backtrader as bt
import numpy as np

from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, EngineRun

from ..plain import Plain, run_plain


class Player(bt.Strategy):
    """Gives the scripted intents by Backtrader's own methods, as its users call them."""

    params = (("scripts", ()),)

    def next(self):
        for data, (code, amount) in zip(self.datas, self.p.scripts, strict=True):
            k = len(data) - 1
            {
                0: lambda data, amount: None,
                1: lambda data, amount: self.order_target_size(data, target=amount),
                2: lambda data, amount: self.buy(data, size=amount),
                3: lambda data, amount: self.sell(data, size=amount),
                4: lambda data, amount: self.close(data),
                5: lambda data, amount: self.order_target_percent(data, target=amount),
            }[int(code[k])](data, amount[k])


def played(task: BacktestTask) -> Plain:
    """Return what plain Backtrader makes of a task whose step is `scripted`."""
    scripts = [(bars.inputs["code"].tolist(), bars.inputs["amount"].tolist()) for bars in task.bars]
    execution = task.execution or Execution()
    return run_plain(Player, list(task.bars), execution, scripts=scripts)


def unlike_plain(run: EngineRun, plain: Plain) -> list[str]:
    """Return what of a run is not as in plain Backtrader, to the last bit."""
    fills = run.fills
    pairs = {
        "row": (fills.row.astype(np.float64), [fill[0] for fill in plain.fills]),
        "size": (fills.size, [fill[2] for fill in plain.fills]),
        "price": (fills.price, [fill[3] for fill in plain.fills]),
        "commission": (fills.commission, [fill[4] for fill in plain.fills]),
        "pnl": (run.trades.pnl, [pnl for pnl, _ in plain.trades]),
        "pnl_net": (run.trades.pnl_net, [net for _, net in plain.trades]),
        "cash": (run.cash, plain.cashes),
        "equity": (run.equity, plain.equity),
        "rejected": (np.array([run.margin_rejected], float), [plain.rejected]),
    }
    found = [
        f"{name}: {ours.tolist()}, plain Backtrader: {theirs}"
        for name, (ours, theirs) in pairs.items()
        if ours.tobytes() != np.array(theirs, dtype=np.float64).tobytes()
    ]
    symbols = [run.symbols[k] for k in fills.symbol]
    return found if symbols == [fill[1] for fill in plain.fills] else [*found, f"symbols: {symbols}"]
