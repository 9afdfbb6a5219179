"""Rules that any step-function strategy can be given: exits, sizing and latency."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

from whatif.domain.timeframe import DAY_US, MINUTE_US, duration_us
from whatif.errors import EngineError, StudyError, nearest

OVERLAY_NAMES = (
    "take_profit",
    "stop_loss",
    "max_bars_held",
    "flat_before_close",
    "percent_of_equity",
    "percent_of_cash",
    "risk_per_trade",
    "volatility_target",
    "volatility",
    "volatility_max",
    "kelly_fraction",
    "kelly_max",
    "kelly_trades",
    "kelly_start",
    "max_gross",
    "max_net",
    "max_positions",
    "latency",
    "take_profit_intrabar",
    "stop_loss_intrabar",
    "trailing_stop",
)
"""Names of the overlays: keys of a study's `overlays`, and axes."""


@dataclass(frozen=True)
class Overlays:
    """Rules laid over a strategy's intents; None, and a latency of 0, leave a rule off.

    They look at the close of the bar on which the step decided; what they ask for fills
    where any intent fills, on the next bar or, with a latency, later. The last three are orders that wait at
    the broker for a price, from the bar after the one that the position was opened or changed on: they act
    inside a bar. Of those that one bar reaches, the stop fills before the trailing stop and the target.

    Attributes
    ----------
    take_profit : float, optional
        Leave once the close is this fraction of the entry price, up to 1, better than it.
    stop_loss : float, optional
        Leave once the close is this fraction of the entry price, below 1, worse than it.
    max_bars_held : int, optional
        Leave once the position is so many bars old, the bar on which it was opened not counted.
    flat_before_close : int, optional
        Minutes. On bars that start so many minutes or fewer before the session's regular close,
        or after it, an open position is left and none is opened.
    percent_of_equity : float, optional
        Fraction of the account's value, up to 1, that a position is worth when it is opened; the
        step's own sizes then give the direction only.
    percent_of_cash : float, optional
        The same of the account's cash.
    risk_per_trade : float, optional
        Fraction of the account's value, up to 1, that is lost if the position is left at its stop: that of
        its bracket, or the nearest of `stop_loss`, `stop_loss_intrabar` and `trailing_stop`.
    volatility_target : float, optional
        Fraction of the account's value, up to 1, that a move of one `volatility` of the position is worth.
    volatility : str, optional
        Of that, the indicator expression that says how far a price moves, as a fraction of it; of the
        symbol's own bars, `VOLATILITY` if absent. Where it has no value nothing is opened.
    volatility_max : float, optional
        Of that, the fraction of the account's value, up to 1, that a position is worth at most; 0.95 if
        absent.
    kelly_fraction : float, optional
        Part, up to 1, of Kelly's fraction W - (1 - W) / R of the account's value that a position is worth:
        W the share of the symbol's closed trades in this backtest that did not lose, R their mean gain by
        the mean loss of the others, both by what the trade's units were bought or sold for.
    kelly_max : float, optional
        Of that, the fraction of the account's value, up to 1, that a position is worth at most; 0.95 if
        absent.
    kelly_trades : int, optional
        Of that, the closed trades before which `kelly_start` holds; 20 if absent.
    kelly_start : float, optional
        Of that, the fraction of the account's value until then; 0.1 if absent, `kelly_max` if that is less.
    max_gross, max_net : float, optional
        Fractions of the account's value, up to 100, that the positions of an account of several symbols may
        be worth: without their signs, and with them, short or long.
    max_positions : int, optional
        Positions that such an account may hold.
    latency : int
        Bars between the decision and the broker: an intent of bar t fills on bar
        t + latency + 1 at the earliest.
    take_profit_intrabar : float, optional
        Leave by a limit order, this fraction of the entry price, below 1, better than it.
    stop_loss_intrabar : float, optional
        Leave by a stop order, this fraction of the entry price, below 1, worse than it.
    trailing_stop : float, optional
        Leave by a stop order that follows the closes at this fraction of them, below 1; it starts from the
        better of the entry price and the close at which it is placed.
    """

    take_profit: float | None = None
    stop_loss: float | None = None
    max_bars_held: int | None = None
    flat_before_close: int | None = None
    percent_of_equity: float | None = None
    percent_of_cash: float | None = None
    risk_per_trade: float | None = None
    volatility_target: float | None = None
    volatility: str | None = None
    volatility_max: float | None = None
    kelly_fraction: float | None = None
    kelly_max: float | None = None
    kelly_trades: int | None = None
    kelly_start: float | None = None
    max_gross: float | None = None
    max_net: float | None = None
    max_positions: int | None = None
    latency: int = 0
    take_profit_intrabar: float | None = None
    stop_loss_intrabar: float | None = None
    trailing_stop: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that no rule could work with.

        Raises
        ------
        EngineError
            Naming key, value and rule.
        """
        for name, fraction in _FRACTIONS.items():
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and fraction.holds(value)):
                raise EngineError(
                    f"overlays: {name} = {value!r} must be a fraction above 0 and {fraction.bound}: "
                    f"{fraction.example}; leave it out to turn it off"
                )
        for name, count in _COUNTS.items():
            value = getattr(self, name)
            if value is None and name != "latency":
                continue
            if (
                not isinstance(value, int)
                or isinstance(value, bool)
                or not count.least <= value <= count.most
            ):
                raise EngineError(
                    f"overlays: {name} = {value!r} must be a whole number from {count.least} to "
                    f"{count.most:,} ({count.unit}); leave it out to turn it off"
                )
        self._complete()
        sizing = [name for name in SIZINGS if getattr(self, name) is not None]
        if len(sizing) > 1:
            raise EngineError(
                f"overlays: {' and '.join(sizing)} each say how much is opened; leave all but one of them out"
            )
        if self.latency and self.exit_orders:
            raise EngineError(
                f"overlays: latency = {self.latency} delays orders at the market, and the orders of "
                f"{', '.join(name for name in EXIT_ORDERS if getattr(self, name) is not None)} wait at the "
                "broker; leave one or the other out"
            )

    def _complete(self) -> None:
        """Give the rules that size by volatility or past trades what they need and is not said."""
        if self.volatility is not None and not (isinstance(self.volatility, str) and self.volatility):
            raise EngineError(
                f"overlays: volatility = {self.volatility!r} must be an indicator expression, such as "
                f'"{VOLATILITY}"; leave it out for that one'
            )
        most = 0.95 if self.kelly_max is None else self.kelly_max
        defaults: dict[str, float | int | str] = {
            "volatility": VOLATILITY, "volatility_max": 0.95,
            "kelly_max": most, "kelly_trades": 20, "kelly_start": min(0.1, most),
        }  # fmt: skip
        for name, value in defaults.items():
            if getattr(self, name) is None and getattr(self, OPTIONS[name]) is not None:
                object.__setattr__(self, name, value)
        if self.kelly_start is not None and self.kelly_start > most:
            raise EngineError(
                f"overlays: kelly_start = {self.kelly_start:g} must be at most kelly_max = {most:g}, which "
                "bounds a position at any time: give less, or a greater kelly_max"
            )

    @cached_property
    def exit_orders(self) -> bool:
        """Whether orders wait at the broker for a price, to leave a position inside a bar."""
        return any(getattr(self, name) is not None for name in EXIT_ORDERS)

    @property
    def sized_by_volatility(self) -> str | None:
        """The expression of the volatility that sizes what is opened; None if none does."""
        return None if self.volatility_target is None else self.volatility

    @property
    def nearest_stop(self) -> float | None:
        """The least fraction of the entry price at whose loss a rule leaves a position; None if none does."""
        return min((value for name in STOPS if (value := getattr(self, name)) is not None), default=None)

    @cached_property
    def bounds(self) -> tuple[str, ...]:
        """Names of the rules that are on and bound what an account of several symbols holds."""
        return tuple(name for name in BOUNDS if getattr(self, name) is not None)

    @cached_property
    def is_on(self) -> bool:
        """Whether any rule is on; a sweep asks for each of its configurations."""
        return bool(self.active)

    @property
    def by_symbol(self) -> list[str]:
        """Names of the rules that are on and act on answers for one symbol: all but the bounds."""
        return [name for name in self.active if name not in BOUNDS]

    @property
    def active(self) -> dict[str, float | int | str]:
        """The rules that are on, by name, with their options: numbers and texts, fit for JSON and digests."""
        off = {name for name, rule in OPTIONS.items() if getattr(self, rule) is None}
        given = {name: getattr(self, name) for name in OVERLAY_NAMES if name not in off}
        return {name: value for name, value in given.items() if value is not None and (name, value) != _NONE}


class _Fraction(NamedTuple):
    """Largest value, whether it is one itself, and what a value means."""

    most: float
    inclusive: bool
    example: str

    def holds(self, value: float) -> bool:
        return 0.0 < value < self.most or (self.inclusive and value == self.most)

    @property
    def bound(self) -> str:
        return f"at most {self.most:g}" if self.inclusive else f"below {self.most:g}"


class _Count(NamedTuple):
    """Least and largest value, and what is counted."""

    least: int
    most: int
    unit: str


EXIT_ORDERS = ("stop_loss_intrabar", "take_profit_intrabar", "trailing_stop")
"""Overlays that are orders of the broker's."""

SIZINGS = ("percent_of_equity", "percent_of_cash", "risk_per_trade", "volatility_target", "kelly_fraction")
"""Overlays that size what a step opens, of which one may be on."""

OPTIONS = {
    **dict.fromkeys(("volatility", "volatility_max"), "volatility_target"),
    **dict.fromkeys(("kelly_max", "kelly_trades", "kelly_start"), "kelly_fraction"),
}
"""Keys that say more of a rule, which is off without it: nothing is done by them then."""

VOLATILITY = "stddev(roc(1), 20)"
"""What a `volatility_target` goes by unless it is said: deviation of the last 20 bars' returns."""

STOPS = ("stop_loss", "stop_loss_intrabar", "trailing_stop")
"""Overlays that leave a position at a loss, each a fraction of its entry price or less."""

BOUNDS = ("max_gross", "max_net", "max_positions")
"""Overlays that bound what an account of several symbols holds."""

_NONE = ("latency", 0)
_FRACTIONS = {
    "take_profit": _Fraction(1.0, True, "0.02 is 2 % of the entry price"),
    "stop_loss": _Fraction(1.0, False, "0.02 is 2 % of the entry price"),
    "percent_of_equity": _Fraction(1.0, True, "0.95 is 95 % of the account"),
    "percent_of_cash": _Fraction(1.0, True, "0.95 is 95 % of the cash"),
    **dict.fromkeys(("max_gross", "max_net"), _Fraction(100.0, True, "1.5 is 150 % of the account")),
    "risk_per_trade": _Fraction(1.0, True, "0.01 loses 1 % of the account at the stop"),
    "volatility_target": _Fraction(1.0, True, "0.001 moves the account by 0.1 % when the price moves by one"),
    "kelly_fraction": _Fraction(1.0, True, "0.5 is half of Kelly's fraction"),
    **dict.fromkeys(
        ("volatility_max", "kelly_max", "kelly_start"), _Fraction(1.0, True, "0.5 is half of the account")
    ),
    **dict.fromkeys(EXIT_ORDERS, _Fraction(1.0, False, "0.02 is 2 % of the entry price")),
}
_COUNTS = {
    "max_bars_held": _Count(1, 1_000_000, "bars"),
    "max_positions": _Count(1, 1_000_000, "positions"),
    "kelly_trades": _Count(1, 1_000_000, "closed trades"),
    "flat_before_close": _Count(1, DAY_US // MINUTE_US, "minutes"),
    "latency": _Count(0, 1_000_000, "bars"),
}


def overlays_from_mapping(given: Mapping[str, object]) -> Overlays:
    """Return the overlays that a mapping names; what it leaves out, or gives as None, is off.

    Parameters
    ----------
    given : mapping of str to int, float, str or None
        Keys are the attributes of `Overlays`; `flat_before_close` in minutes, or as a duration
        such as "15min". Options of a rule that is off say nothing.

    Raises
    ------
    EngineError
        If a key is unknown (naming the nearest), or a value has another type or breaks its rule.
    """
    known = {f.name: f.default for f in fields(Overlays)}
    typed: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise EngineError(f"overlays: {name!r} (= {value!r}) is unknown; {nearest(str(name), known)}")
        typed[name] = known[name] if value is None else _typed(name, value)
    return Overlays(**typed)


def check_options(given: Mapping[str, object], varied: Collection[str] = ()) -> None:
    """Refuse options of rules that are off, which would do nothing.

    Parameters
    ----------
    given : mapping of str to int, float, str or None
        As `overlays_from_mapping` takes it.
    varied : collection of str
        Rules that are on elsewhere: names of axes.

    Raises
    ------
    EngineError
        Naming the option and its rule.
    """
    for name, rule in OPTIONS.items():
        if given.get(name) is not None and given.get(rule) is None and rule not in varied:
            raise EngineError(
                f"overlays: {name} = {given[name]!r} says more of {rule}, which is off: give {rule} too, or "
                f"leave {name} out"
            )


def _typed(name: str, value: object) -> object:
    """Return a value in the type of its rule where that loses nothing; the rule refuses the rest."""
    if name == "flat_before_close" and isinstance(value, str):
        return _minutes(value)
    if not _is_number(value):
        return value
    number = float(value)  # type: ignore[arg-type]
    if name in _FRACTIONS:
        return number
    return int(number) if number.is_integer() else value


def _minutes(text: str) -> int:
    try:
        return duration_us(text) // MINUTE_US
    except StudyError as error:
        raise EngineError(f"overlays: flat_before_close: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
