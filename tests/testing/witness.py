"""A third witness: an ordinary Backtrader strategy that plays a script in an ordinary Cerebro."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import backtrader as bt
import numpy as np

from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, EngineRun
from whatif.strategies import BRACKET, BUY, CANCEL, OCO, SELL, flattened
from whatif.testing.order_kinds import KINDS, SERIES

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


class OrderPlayer(bt.Strategy):
    """Gives the scripted orders by Backtrader's own methods, as its users call them."""

    params = (("scripts", ()), ("markets", ()))

    def next(self):
        for data, script, bars in zip(self.datas, self.p.scripts, self.p.markets, strict=True):
            kind, size, near, far, life = script[:, len(data) - 1].tolist()
            ask = getattr(self, f"ask_{KINDS[int(kind)]}", None)
            if ask is None:
                continue
            now, self.life = data.close[0], int(life)
            self.until = self.last_instant(bars, len(data) - 1, int(life))
            near, far = now * (1.0 + near), now * far
            side = 1.0 if size >= 0.0 else -1.0
            self.share = script[3, len(data) - 1]
            ask(data, size, side, now, near, far)

    def last_instant(self, bars, row, life):
        """Return when the last bar starts that an order of `row` with this life may fill on."""
        if life == 0:
            return None
        last = row + life
        if life < 0:
            last = int(np.flatnonzero(bars.session == bars.session[row])[-1])
        if last >= len(bars):
            return None
        return dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=int(bars.ts[last]))

    def order(self, data, size, **keywords):
        return (self.buy if size >= 0.0 else self.sell)(data, size=abs(size), **keywords)

    def ask_market(self, data, size, side, now, near, far):
        self.order(data, size)

    def ask_limit(self, data, size, side, now, near, far):
        self.order(data, size, exectype=bt.Order.Limit, price=near, valid=self.until)

    def ask_stop(self, data, size, side, now, near, far):
        self.order(data, size, exectype=bt.Order.Stop, price=near, valid=self.until)

    def ask_stop_limit(self, data, size, side, now, near, far):
        kind = bt.Order.StopLimit
        self.order(data, size, exectype=kind, price=near, plimit=near + side * far, valid=self.until)

    def ask_trail(self, data, size, side, now, near, far):
        start = near if self.life == 1 else None
        kind = bt.Order.StopTrail
        self.order(data, size, exectype=kind, price=start, trailamount=far, valid=self.until)

    def ask_trail_percent(self, data, size, side, now, near, far):
        self.order(data, size, exectype=bt.Order.StopTrail, trailpercent=self.share, valid=self.until)

    def ask_trail_limit(self, data, size, side, now, near, far):
        limit = (max(near, now) if size >= 0.0 else min(near, now)) + side * far
        start = near if self.life == 1 else now
        kind = bt.Order.StopTrailLimit
        self.order(data, size, exectype=kind, price=start, plimit=limit, trailamount=far, valid=self.until)

    def ask_at_close(self, data, size, side, now, near, far):
        self.order(data, size, exectype=bt.Order.Close, valid=self.until)

    def bracketed(self, data, size, **keywords):
        if size:
            return (self.buy_bracket if size > 0.0 else self.sell_bracket)(data, size=abs(size), **keywords)
        return [None]

    def ask_bracket(self, data, size, side, now, near, far):
        kind = bt.Order.Market
        stop, target = now - side * far, now + side * far * 1.5
        self.bracketed(data, size, exectype=kind, stopprice=stop, limitprice=target)

    def ask_bracket_at_limit(self, data, size, side, now, near, far):
        stop, target = near - side * far, near + side * far
        of_entry = {"valid": self.until}
        self.bracketed(data, size, price=near, oargs=of_entry, stopprice=stop, limitprice=target)

    def ask_oco(self, data, size, side, now, near, far):
        limit, stop = near - side * far, near + side * far
        first = self.order(data, size, exectype=bt.Order.Limit, price=limit, valid=self.until)
        self.order(data, size, exectype=bt.Order.Stop, price=stop, oco=first)
        if side > 0:
            self.order(data, -size, exectype=bt.Order.Limit, price=now + far)

    def ask_oco_of_brackets(self, data, size, side, now, near, far):
        first = self.bracketed(data, size, price=near, stopprice=near - side * far, limitexec=None)[0]
        if first is None:
            return
        tied = {"oco": first}
        market, target = bt.Order.Market, now - side * far
        self.bracketed(data, -size, exectype=market, oargs=tied, stopexec=None, limitprice=target)
        self.buy(data, size=abs(size), exectype=bt.Order.Limit, price=near, oco=first)

    def ask_cancel(self, data, size, side, now, near, far):
        for order in self.broker.get_orders_open():
            self.cancel(order)

    def ask_cancel_and_buy(self, data, size, side, now, near, far):
        self.ask_cancel(data, size, side, now, near, far)
        self.buy(data, size=abs(size))

    def ask_two(self, data, size, side, now, near, far):
        self.buy(data, size=abs(size), exectype=bt.Order.Limit, price=near, valid=self.until)
        self.sell(data, size=abs(size), exectype=bt.Order.Stop, price=near)
        self.order_target_size(data, target=size)

    def ask_target(self, data, size, side, now, near, far):
        waiting = len(self.broker.pending) + len(self.broker.submitted)
        self.order_target_size(data, target=size + waiting)

    def ask_close(self, data, size, side, now, near, far):
        self.close(data)


class AnswerPlayer(OrderPlayer):
    """Gives orders that are written down by Backtrader's own methods."""

    params = (("answers", {}),)

    def next(self):
        row = len(self.data) - 1
        leader, tied = None, 0
        for order in flattened(self.p.answers.get(row, (0, 0.0))):
            given = {name: value for name, value in order._asdict().items() if value == value}
            self.until = self.last_instant(self.p.markets[0], row, order.valid)
            if order.code == OCO:
                tied = int(order.amount)
            elif order.code == CANCEL:
                self.ask_cancel(*[None] * 6)
            elif order.code == BRACKET:
                self.bracketed(
                    self.data, order.amount, price=given.get("limit"), oargs={"valid": self.until},
                    exectype=bt.Order.Limit if "limit" in given else bt.Order.Market,
                    stopprice=order.stop, limitprice=order.target,
                )  # fmt: skip
            elif order.code in (BUY, SELL):
                size = order.amount if order.code == BUY else -order.amount
                made = self.order(
                    self.data, size, valid=self.until, oco=leader if tied else None, **self.asked(given)
                )
                leader, tied = (leader or made, tied - 1) if tied else (None, 0)

    def asked(self, given):
        """Return the keywords of an order with these fields."""
        if "trail" in given or "trail_percent" in given:
            amounts = {"trailamount": given.get("trail"), "trailpercent": given.get("trail_percent")}
            return {"exectype": bt.Order.StopTrail, **amounts}
        if "stop" in given and "limit" in given:
            return {"exectype": bt.Order.StopLimit, "price": given["stop"], "plimit": given["limit"]}
        if "stop" in given:
            return {"exectype": bt.Order.Stop, "price": given["stop"]}
        if "limit" in given:
            return {"exectype": bt.Order.Limit, "price": given["limit"]}
        return {"exectype": bt.Order.Close} if given["at_close"] else {}


def played_answers(task: BacktestTask, answers: Mapping[int, Any]) -> Plain:
    """Return what plain Backtrader makes of a task on one symbol whose orders are written down."""
    execution = task.execution or Execution()
    return run_plain(AnswerPlayer, list(task.bars), execution, answers=answers, markets=list(task.bars))


def played_orders(task: BacktestTask) -> Plain:
    """Return what plain Backtrader makes of a task whose step is `order_player`."""
    scripts = [np.array([bars.inputs[name] for name in SERIES]) for bars in task.bars]
    execution = task.execution or Execution()
    return run_plain(OrderPlayer, list(task.bars), execution, scripts=scripts, markets=list(task.bars))


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
