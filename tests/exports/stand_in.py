"""A small stand-in for Lean's Python API: feeds bars to an algorithm, and fills orders as whatif does.

It knows the names that exported algorithms use, and nothing else of Lean. Orders of a bar are tried from the
next one on, in the order in which they came.
"""

from __future__ import annotations

import runpy
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace

from whatif.domain import Bars, timestamps

PRICES = ("open", "high", "low", "close", "volume")
OPEN = timedelta(hours=9, minutes=30)


class OrderStatus:
    SUBMITTED, FILLED, CANCELED, INVALID = range(4)


class Ticket:
    def __init__(self, algorithm, kind, symbol, size, **prices):
        self.algorithm, self.kind, self.symbol, self.size = algorithm, kind, symbol, float(size)
        self.prices, self.status, self.triggered = prices, OrderStatus.SUBMITTED, False
        algorithm.count += 1
        self.order_id = algorithm.count
        algorithm.book.append(self)

    def cancel(self):
        self.end(OrderStatus.CANCELED)

    def end(self, status, price=0.0):
        self.status = status
        self.algorithm.book.remove(self)
        event = SimpleNamespace(
            order_id=self.order_id, symbol=self.symbol, status=status, fill_price=price,
            fill_quantity=self.size if status == OrderStatus.FILLED else 0.0,
        )  # fmt: skip
        self.algorithm.on_order_event(event)

    def price_on(self, bar):
        """Return the price that it fills at on a bar, or None."""
        opened, high, low, side = bar.open, bar.high, bar.low, 1.0 if self.size > 0.0 else -1.0
        if self.kind == "market":
            return opened
        if self.kind in ("stop", "trail", "stop_limit") and not self.triggered:
            stop = self.prices["stop"]
            at_open = side * opened >= side * stop
            if not at_open and side * (high if side > 0.0 else low) < side * stop:
                if self.kind == "trail":
                    self.follow(bar.close, side)
                return None
            if self.kind != "stop_limit":
                return opened if at_open else stop
            self.triggered = True
            opened = opened if at_open else stop
        limit = self.prices["limit"]
        if side * opened <= side * limit:
            return opened
        return limit if side * (low if side > 0.0 else high) <= side * limit else None

    def follow(self, close, side):
        amount = self.prices["amount"] * (close if self.prices["percent"] else 1.0)
        self.prices["stop"] = side * min(side * self.prices["stop"], side * (close + side * amount))


class QCAlgorithm:
    def __init__(self, window):
        self.window, self.count, self.book, self.fills = window, 0, [], []
        self.is_warming_up, self.securities, self.said = True, {}, {}
        self.portfolio = Portfolio()

    def get_parameter(self, name):
        return self.window

    def set_start_date(self, *day):
        self.said["start"] = day

    def set_end_date(self, *day):
        self.said["end"] = day

    def set_cash(self, cash):
        self.portfolio.cash = cash

    def set_warm_up(self, span):
        self.said["warm_up"] = span

    def add_equity(self, ticker, resolution, extended_market_hours=False):
        hours = SimpleNamespace(
            get_market_open=lambda *_: OPEN, get_market_close=lambda *_: OPEN + timedelta(minutes=390)
        )
        security = SimpleNamespace(
            symbol=ticker, price=0.0,
            exchange=SimpleNamespace(hours=SimpleNamespace(get_market_hours=lambda _: hours)),
            **{f"set_{name}": lambda value, name=name: self.said.__setitem__(name, value) for name in (
                "data_normalization_mode", "leverage", "fee_model", "slippage_model")},
        )  # fmt: skip
        self.securities[ticker] = security
        self.said["resolution"] = resolution
        return security

    def consolidate(self, symbol, span, handler):
        self.said["consolidated"] = span

    def market_order(self, symbol, size, **_):
        return Ticket(self, "market", symbol, size)

    def limit_order(self, symbol, size, limit, **_):
        return Ticket(self, "limit", symbol, size, limit=limit)

    def stop_market_order(self, symbol, size, stop, **_):
        return Ticket(self, "stop", symbol, size, stop=stop)

    def stop_limit_order(self, symbol, size, stop, limit, **_):
        return Ticket(self, "stop_limit", symbol, size, stop=stop, limit=limit)

    def trailing_stop_order(self, symbol, size, stop, amount, percent, **_):
        return Ticket(self, "trail", symbol, size, stop=stop, amount=amount, percent=percent)

    def trade(self, bars, first):
        """Feed bars one by one; those before the first are for warming up."""
        self.initialize()
        stamps = timestamps(bars.ts).tz_localize(None)
        for k in range(len(bars)):
            prices = {
                name: float(getattr(bars, name)[k]) for name in ("open", "high", "low", "close", "volume")
            }
            # the session's minutes, wherever its zone is
            minute = timedelta(microseconds=int(bars.ts[k] - bars.session_open[k]))
            local = stamps[k].normalize() + OPEN + minute
            bar = SimpleNamespace(symbol=bars.symbol, time=local, **prices)
            self.is_warming_up = k < first
            for ticket in list(self.book):
                if ticket in self.book and (price := ticket.price_on(bar)) is not None:
                    self.portfolio.fill(ticket, price)
                    self.fills.append((stamps[k].isoformat(), ticket.size, price))
                    ticket.end(OrderStatus.FILLED, price)
            self.portfolio.mark(bars.symbol, bar.close)
            self.securities[bars.symbol].price = bar.close
            if "consolidated" in self.said:
                self.on_bar(bar)
            else:
                self.on_data(SimpleNamespace(bars=_Table({bars.symbol: bar})))


class _Table(dict):
    def contains_key(self, key):
        return key in self


class Portfolio(dict):
    def __missing__(self, symbol):
        self[symbol] = SimpleNamespace(quantity=0.0, average_price=0.0, price=0.0)
        return self[symbol]

    def fill(self, ticket, price):
        held, size = self[ticket.symbol], ticket.size
        after = held.quantity + size
        if held.quantity * after <= 0.0:
            held.average_price = price if after else 0.0
        elif abs(after) > abs(held.quantity):
            held.average_price = (held.average_price * held.quantity + size * price) / after
        held.quantity = after
        self.cash -= size * price

    def mark(self, symbol, price):
        self[symbol].price = price

    @property
    def total_portfolio_value(self):
        return self.cash + sum(one.quantity * one.price for one in self.values())


class Names(SimpleNamespace):
    """Any name, which stands for itself."""

    def __getattr__(self, name):
        return name


def trade(script: Path, bars: Bars, first: int, window: str = "test") -> QCAlgorithm:
    """Run an exported algorithm on bars, of which the first one of its window is given."""
    module = ModuleType("AlgorithmImports")
    vars(module).update(
        QCAlgorithm=QCAlgorithm, OrderStatus=OrderStatus, Resolution=Names(), DataNormalizationMode=Names(),
        TimeInForce=Names(), OrderProperties=SimpleNamespace, FeeModel=object,
        OrderFee=lambda amount: amount, CashAmount=lambda amount, currency: (amount, currency),
    )  # fmt: skip
    sys.modules["AlgorithmImports"] = module
    try:
        found = runpy.run_path(str(script))
    finally:
        del sys.modules["AlgorithmImports"]
    algorithm = found["Choice"](window)
    algorithm.names = found
    algorithm.trade(bars, first)
    return algorithm
