"""Backtrader's broker with a study's settings, and the one that a strategy cannot change unnoticed."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from types import new_class
from typing import Any

import backtrader as bt

from whatif.domain import Execution, Filler, charges_of, part_charge, price_distance, traded_by
from whatif.errors import EngineError

_ACCOUNT = "an account that a strategy changes no longer says what the strategy is worth"


def set_up(broker: bt.brokers.BackBroker, execution: Execution) -> None:
    """Give a broker costs and slippage, and start it."""
    switches = {
        "slip_open": execution.slip_open,
        "slip_limit": execution.slip_limit,
        "slip_match": execution.slip_match,
        "slip_out": execution.slip_out,
    }
    if execution.slippage:
        broker.set_slippage_perc(execution.slippage, **switches)
    elif execution.slippage_fixed or execution.costs is not None:
        broker.set_slippage_fixed(execution.slippage_fixed, **switches)
    fixed = execution.commtype == "fixed"
    scheme = {
        # said itself: a type of commission alone would make futures with a margin of 1
        "commtype": bt.CommInfoBase.COMM_FIXED if fixed else bt.CommInfoBase.COMM_PERC,
        "stocklike": execution.margin == 0.0,
        "percabs": True,
        "margin": execution.margin or None,
        "mult": execution.mult,
        "leverage": execution.leverage,
        "interest": execution.interest,
        "interest_long": execution.interest_long,
    }
    plain = not fixed and execution.is_outright and not execution.interest
    if execution.costs is None and plain:
        # as a strategy that sets the same would write it
        broker.setcommission(execution.commission)
    elif execution.costs is None:
        broker.setcommission(execution.commission, **scheme)
    else:
        broker.charge(charges_of(execution.costs), scheme)
    broker.start()


_FILLERS: Mapping[str, Callable[[Filler], Any]] = {
    "fixed_size": lambda filler: bt.fillers.FixedSize(size=filler.amount),
    "fixed_bar_perc": lambda filler: bt.fillers.FixedBarPerc(perc=filler.amount),
    "bar_point_perc": lambda filler: bt.fillers.BarPointPerc(minmov=filler.minmov, perc=filler.amount),
}


class BarFiller:
    """One of Backtrader's fillers, for which a bar whose volume is missing has none."""

    def __init__(self, filler: Filler, corrected: bool) -> None:
        self._own, self._corrected = _FILLERS[filler.name](filler), corrected

    def __call__(self, order: bt.Order, price: float, ago: int) -> float:
        """Return the units of an order that a bar fills, which the broker gives the order's side.

        Corrected, a rest of the other side, which rounding may leave, is filled on that.
        """
        units: float = self._own(order, price, ago)
        if not units > 0.0:
            return 0.0
        is_other = self._corrected and (order.executed.remsize > 0.0) != (order.size > 0.0)
        return -units if is_other else units


def settings(execution: Execution) -> dict[str, Any]:
    """Return what Backtrader's broker is made with."""
    return {
        "cash": execution.cash,
        "checksubmit": execution.checksubmit,
        "shortcash": execution.shortcash,
        "coc": execution.coc,
        "coo": execution.coo,
        "filler": None if execution.filler is None else BarFiller(execution.filler, execution.is_corrected),
    }


@lru_cache
def _kind(*bases: type) -> Any:
    """Return the class of a broker that is all of these."""
    return bases[0] if len(bases) == 1 else new_class("Broker", bases)


def make_broker(execution: Execution, sealed: bool = False) -> Any:
    """Return Backtrader's broker with these settings; `sealed` is one that a strategy cannot change."""
    wanted = (
        (SealedBroker, sealed),
        (CorrectedBroker, execution.is_corrected),
        (ChargingBroker, execution.costs is not None),
    )
    kinds = tuple(kind for kind, is_on in wanted if is_on)
    broker = _kind(*(kinds or (bt.brokers.BackBroker,)))(**settings(execution))
    set_up(broker, execution)
    return broker


class Charges(bt.CommInfoBase):
    """Commission by `whatif.domain.Costs`: each part of an execution pays what it adds to the whole.

    Attributes
    ----------
    row : tuple of float
        What `charges_of` gives.
    traded : float
        What has been traded in the month.
    """

    row: tuple[float, ...] = ()
    traded = 0.0
    _month = 0
    _paid = 0.0
    _adds = _resumed = _is_under_way = False

    def begin(self, order: bt.Order, adds: bool) -> None:
        """Begin with an execution of an order, or with one on paper."""
        now = order.data.datetime.datetime()
        month = 12 * now.year + now.month
        if month > self._month:
            self._month, self.traded = month, 0.0
        self._adds, self._resumed = adds, order.executed.remsize != order.size
        self._paid, self._is_under_way = 0.0, True

    def end(self) -> None:
        """End with it: what is asked for from here on is asked for itself."""
        self._adds = self._resumed = self._is_under_way = False

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        if not pseudoexec:
            self.traded += traded_by(size, price, self.row)
            return 0.0
        before = self._paid if self._is_under_way else 0.0
        self._paid = size
        return part_charge(size, before, price, self._adds, self._resumed, self.traded, self.row)


_LIMITS = (bt.Order.Limit, bt.Order.StopLimit, bt.Order.StopTrailLimit)


class ChargingBroker(bt.brokers.BackBroker):
    """Backtrader's broker with costs of orders: it tells their charges which order is executed, and how."""

    _charges: Charges
    _row: tuple[float, ...] = ()
    _takes = False

    def charge(self, row: tuple[float, ...], scheme: Mapping[str, Any]) -> None:
        """Take the row of charges that costs make, and what else Backtrader's commission scheme says."""
        self._row = row
        self._charges = Charges(**scheme)
        self._charges.row = row
        self.addcommissioninfo(self._charges)

    def _try_exec(self, order: bt.Order) -> None:
        data = order.data
        bar = data.open[0], data.high[0], data.low[0], data.volume[0]
        distance = price_distance(order.size, *bar, self._row)
        if math.isnan(distance):
            return
        given = self.p.slip_fixed
        self.p.slip_fixed, self._takes = given + distance, False
        try:
            super()._try_exec(order)
        finally:
            self.p.slip_fixed = given

    def _slip_up(self, *given: Any, **named: Any) -> Any:
        self._takes = True
        return super()._slip_up(*given, **named)

    def _slip_down(self, *given: Any, **named: Any) -> Any:
        self._takes = True
        return super()._slip_down(*given, **named)

    def _execute(self, order: bt.Order, ago: int | None = None, **given: Any) -> Any:
        if ago is not None and given["price"] is None:
            return None  # its price has left the bar
        # what was filled at its limit, and never asked for a slipped price, lay in the book
        self._charges.begin(order, ago is not None and order.exectype in _LIMITS and not self._takes)
        try:
            return super()._execute(order, ago=ago, **given)
        finally:
            self._charges.end()


class CorrectedBroker(bt.brokers.BackBroker):
    """Backtrader's broker without its oddities, which docs/orders.md lists."""

    reaches_submitted = True
    arrived: Collection[Any] | None = None
    """Feeds with a bar on the present row, as a loop over several symbols says; None where all have one."""

    def _try_exec(self, order: bt.Order) -> None:
        """Try an order, but on a row on which other symbols alone have a bar."""
        if self.arrived is None or order.data in self.arrived:
            super()._try_exec(order)

    def check_submitted(self) -> None:
        """Judge the orders that came: one that is refused takes nothing from those after it."""
        cash: float = self.cash
        positions: dict[Any, bt.Position] = {}
        while self.submitted:
            order = self.submitted.popleft()
            if self._take_children(order) is None:
                continue
            position = positions.get(order.data, self.positions[order.data]).clone()
            left = self._execute(order, cash=cash, position=position)
            if left >= 0.0:
                cash, positions[order.data] = left, position
                self.submit_accept(order)
            else:
                order.margin()
                self.notify(order)
                self._ococheck(order)
                self._bracketize(order, cancel=True)

    def cancel(self, order: bt.Order, bracket: bool = False) -> bool:
        """Cancel an order, also one whose cash is not checked yet."""
        if order in self.submitted:
            self.submitted.remove(order)
            self.pending.append(order)
        return bool(super().cancel(order, bracket))

    def _ococheck(self, order: bt.Order) -> None:
        """End the other orders of a group, each with its bracket, also those that are not checked yet."""
        leader = self._ocos.get(self._ocos[order.ref])
        group = self._ocol.pop(leader, ())
        for other in [*self.pending, *self.submitted]:
            if other is not None and other is not order and other.ref in group:
                self.cancel(other)

    def _bracketize(self, order: bt.Order, cancel: bool = False) -> None:
        """Wake a bracket's exits on the bar of its entry, but for a target if that was filled within it."""
        before = len(self._toactivate)
        super()._bracketize(order, cancel)
        woken = [self._toactivate.pop() for _ in range(len(self._toactivate) - before)]
        opened, limit = order.data.open[0], order.created.price
        within = order.exectype == bt.Order.Limit and (opened > limit if order.isbuy() else opened < limit)
        for exit_ in woken:
            if within and exit_.exectype == bt.Order.Limit:
                self._toactivate.append(exit_)
            else:
                exit_.activate()

    def _try_exec_limit(self, order: bt.Order, popen: Any, phigh: Any, plow: Any, plimit: Any) -> None:
        if order.isbuy() or plimit > popen:
            super()._try_exec_limit(order, popen, phigh, plow, plimit)
        else:
            at = self._slip_down(max(plow, plimit), popen, doslip=self.p.slip_open, lim=True)
            self._execute(order, ago=0, price=at)

    def _try_exec_stop(
        self, order: bt.Order, popen: Any, phigh: Any, plow: Any, pcreated: Any, pclose: Any
    ) -> None:
        if order.triggered:
            # it has been reached on a bar before, and is an order at the market
            slip, end = (self._slip_up, phigh) if order.isbuy() else (self._slip_down, plow)
            self._execute(order, ago=0, price=slip(end, popen, doslip=self.p.slip_open))
            return
        buys = order.isbuy()
        order.triggered = max(popen, phigh) >= pcreated if buys else min(popen, plow) <= pcreated
        super()._try_exec_stop(order, popen, phigh, plow, pcreated, pclose)

    def _try_exec_stoplimit(
        self, order: bt.Order, popen: Any, phigh: Any, plow: Any, pclose: Any, pcreated: Any, plimit: Any
    ) -> None:
        # what slips from the stop slips to the limit at most
        if order.isbuy() and plimit >= pcreated:
            phigh = min(phigh, plimit)
        elif not order.isbuy() and plimit <= pcreated:
            plow = max(plow, plimit)
        super()._try_exec_stoplimit(order, popen, phigh, plow, pclose, pcreated, plimit)

    def _get_value(self, datas: Any = None, lever: bool = False) -> Any:
        value = super()._get_value(datas, lever)
        if datas and len(datas) == 1:
            is_future = not self.getcommissioninfo(datas[0]).stocklike
            return -value if is_future and self.positions[datas[0]].size < 0 else value
        return value


def _sealed(name: str) -> Callable[..., Any]:
    """Return the broker's method `name`, which may not change a setting once a run has begun."""

    def method(self: SealedBroker, *args: Any, **kwargs: Any) -> Any:
        result = getattr(bt.brokers.BackBroker, name)(self, *args, **kwargs)
        self.check_settings(f"broker.{name}")
        return result

    return method


class SealedBroker(bt.brokers.BackBroker):
    """Backtrader's broker for a strategy that holds it in its hands.

    Cash and switches cannot be changed, a commission scheme only where the execution names none, and
    in an account of several symbols an order waits for a bar that begins after it was decided.
    """

    _seal: Mapping[str, Any] | None = None
    _schemes: Mapping[Any, tuple[Any, dict[str, Any]]]
    _cash_left: float | None = None
    _fresh: Mapping[Any, int] | None = None
    _now = 0

    def seal(self, costs_given: bool) -> None:
        """From here on refuse changes; also of commission, where `costs_given`."""
        self._costs_given = costs_given
        self._schemes = self._commissions()
        self._seal = self._settings()
        self._cash_left = self.cash

    def check_settings(self, by: str = "the strategy") -> None:
        """Refuse what is no longer as it was sealed.

        Raises
        ------
        EngineError
            Naming the setting, both values, and where it belongs.
        """
        if self._seal is None:
            return
        for key, value in self._settings().items():
            if value != self._seal[key]:
                name = _KEYS.get(key, key)
                raise EngineError(
                    f"{by} changes the broker's {key} from {self._seal[key]!r} to {value!r}, over what the "
                    f"execution says: leave it out of the class, and write execution: {{{name}: ...}} where "
                    "there is such a key"
                )
        if self._costs_given and self.own_schemes():
            raise EngineError(
                f"{by} changes the commission ({'; '.join(self.own_schemes())}), and so does the execution: "
                "leave one of them out"
            )

    def check_cash(self) -> None:
        """Refuse cash that came or went otherwise than by orders.

        Raises
        ------
        EngineError
            Naming the amount.
        """
        if self._cash_left is not None and (self.cash != self._cash_left or self._cash_addition):
            paid = self.cash - self._cash_left + sum(self._cash_addition)
            raise EngineError(f"the strategy changes the cash by {paid:g} without an order: {_ACCOUNT}")

    def add_cash(self, cash: float) -> None:
        """Refuse a payment into or out of the account, which is neither profit nor loss."""
        raise EngineError(
            f"broker.add_cash({cash!r}) would count as {'profit' if cash > 0 else 'loss'}, as returns are "
            "measured on one payment at the start: leave it out, and give execution: {cash: ...}"
        )

    set_cash = setcash = _sealed("set_cash")
    set_coc = _sealed("set_coc")
    set_coo = _sealed("set_coo")
    set_checksubmit = _sealed("set_checksubmit")
    set_shortcash = _sealed("set_shortcash")
    set_int2pnl = _sealed("set_int2pnl")
    set_filler = _sealed("set_filler")
    set_eosbar = seteosbar = _sealed("set_eosbar")
    set_slippage_perc = _sealed("set_slippage_perc")
    set_slippage_fixed = _sealed("set_slippage_fixed")
    set_fundstartval = _sealed("set_fundstartval")
    set_fundmode = _sealed("set_fundmode")
    fundmode = property(bt.brokers.BackBroker.get_fundmode, set_fundmode)
    setcommission = _sealed("setcommission")
    addcommissioninfo = _sealed("addcommissioninfo")

    def next(self) -> None:
        """Do as Backtrader's broker on one bar."""
        self.check_cash()
        super().next()
        self._cash_left = self.cash

    def begin(self, now: int, fresh: Mapping[Any, int] | None) -> None:
        """Begin a row at the instant `now`: the start of each bar that comes with it, by its feed."""
        self._now, self._fresh = now, fresh

    def end(self, now: int) -> None:
        """Say that what is decided from here on is decided at the instant `now`."""
        self._now = now

    def submit(self, order: bt.Order, check: bool = True) -> bt.Order:
        """Take an order, and note when it was decided."""
        order.decided = self._now
        return super().submit(order, check)

    def _try_exec(self, order: bt.Order) -> None:
        if self._fresh is None or self._may_fill(order):
            super()._try_exec(order)

    def _may_fill(self, order: bt.Order) -> bool:
        """Return whether an order comes before the bar that it would be filled on, which is a new one."""
        if order.exectype == order.Market and self.p.coc and order.info.get("coc", True):
            return True  # at the close that it was decided on
        start = self._fresh.get(order.data) if self._fresh is not None else None
        return start is not None and start >= order.decided

    def _settings(self) -> dict[str, Any]:
        return dict(self.p._getkwargs(), commission=None)

    def _commissions(self) -> dict[Any, tuple[Any, dict[str, Any]]]:
        return {name: (info, dict(info.p._getkwargs())) for name, info in self.comminfo.items()}

    def own_schemes(self) -> list[str]:
        """Return what of the commission is not as it was sealed, as text."""
        found = []
        for name, (info, values) in self._commissions().items():
            known = self._schemes.get(name, self._schemes[None])
            if type(info) is type(known[0]) and values == known[1]:
                continue
            shown = ", ".join(
                f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in values.items()
                if key in _SHOWN and value != known[1].get(key)
            )
            found.append(f"{name or 'all symbols'}: {shown or type(info).__name__}")
        return found


_KEYS = {"slip_perc": "slippage", "slip_fixed": "slippage_fixed"}
_SHOWN = ("commission", "mult", "margin", "commtype", "interest", "leverage", "automargin", "stocklike")
