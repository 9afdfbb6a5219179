"""Costs that people pay for an order: commission, taxes, fees, spread and slippage, as one object."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from whatif.domain.cost_presets import PRESETS
from whatif.errors import EngineError, nearest


@dataclass(frozen=True)
class Tier:
    """Rates from a volume on, of what has been traded in the calendar month.

    Attributes
    ----------
    from_units, from_value : float, optional
        Units, or money, from which on it holds; one of the two.
    per_unit, fraction, maker, taker : float
        As those of `Costs`, in their place.
    """

    from_units: float | None = None
    from_value: float | None = None
    per_unit: float | None = None
    fraction: float | None = None
    maker: float | None = None
    taker: float | None = None

    @property
    def start(self) -> float:
        """Where it begins."""
        return float((self.from_value if self.from_units is None else self.from_units) or 0.0)

    @property
    def is_by_price(self) -> bool:
        """Whether its start or one of its rates goes by units times price."""
        return any((self.from_value is not None, self.fraction, self.maker, self.taker))

    @property
    def written(self) -> dict[str, float]:
        """The keys that it gives."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


@dataclass(frozen=True)
class Costs:
    """What an order costs beyond the price of a bar, in the currency of the prices.

    Attributes
    ----------
    per_order, per_unit, fraction : float
        Commission: money for each order and for each unit, and a share of the traded value.
    maker, taker : float, optional
        The share of a limit order that adds liquidity, and of all others; in place of `fraction`. A maker's
        may be negative, which is a rebate.
    tiers : tuple of Tier
        Rates by volume, in place of those.
    marginal : bool
        Whether each tier's rates are those of what lies in it; else an order pays those of the tier that
        the volume before it is in.
    minimum, maximum, maximum_fraction : float
        Bounds of an order's commission: money, and a share of its value. The upper ones win.
    exchange_per_unit, exchange_fraction : float
        Fees of exchange and clearing, beside the commission.
    buy_per_unit, buy_fraction, sell_per_unit, sell_fraction : float
        What buying or selling alone costs, beside the commission: a stamp duty, say.
    spread_ticks, tick : float
        Distance between bid and ask in ticks, and the size of a tick. An order that takes liquidity is
        half of it worse off.
    range_slippage : float
        Share of the bar's range, high less low, by which its price is worse.
    impact : float
        Share of the bar's open by which the price of an order is worse that is as large as all of the bar's
        volume; of a smaller one, as the square root of its share of that.
    """

    per_order: float = 0.0
    per_unit: float = 0.0
    fraction: float = 0.0
    maker: float | None = None
    taker: float | None = None
    tiers: tuple[Tier, ...] = ()
    marginal: bool = True
    minimum: float = 0.0
    maximum: float | None = None
    maximum_fraction: float | None = None
    exchange_per_unit: float = 0.0
    exchange_fraction: float = 0.0
    buy_per_unit: float = 0.0
    buy_fraction: float = 0.0
    sell_per_unit: float = 0.0
    sell_fraction: float = 0.0
    spread_ticks: float = 0.0
    tick: float = 0.0
    range_slippage: float = 0.0
    impact: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no cost.

        Raises
        ------
        EngineError
            Naming key, value and rule.
        """
        for name, (least, most, below) in _BOUNDS.items():
            _check_bounds(name, getattr(self, name), least, most, below)
        _check_rates(self)
        _check_tiers(self.tiers)
        if self.maximum is not None and self.maximum < self.minimum:
            raise EngineError(
                f"costs: maximum = {self.maximum!r} is below minimum = {self.minimum!r}: exchange the two"
            )
        if (self.spread_ticks > 0.0) != (self.tick > 0.0):
            raise EngineError(
                f"costs: spread_ticks = {self.spread_ticks!r} and tick = {self.tick!r} belong together: give "
                "the distance between bid and ask in ticks, and the size of a tick"
            )

    @property
    def by_value(self) -> bool:
        """Whether the volume that tiers go by is one of money."""
        return bool(self.tiers) and self.tiers[0].from_units is None

    @property
    def by_price(self) -> list[str]:
        """Keys by which an order pays a share of units times price."""
        given = [name for name in _SHARES if getattr(self, name)]
        return [*given, "tiers"] if any(tier.is_by_price for tier in self.tiers) else given

    @property
    def moves_prices(self) -> bool:
        """Whether an order is filled at another price for them."""
        return self.spread_ticks > 0.0 or self.range_slippage > 0.0 or self.impact > 0.0

    @property
    def written(self) -> dict[str, Any]:
        """The keys that differ from their defaults, as a study has them."""
        found: dict[str, Any] = {
            f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default
        }
        return {**found, "tiers": [tier.written for tier in self.tiers]} if self.tiers else found


_MONEY = 1e15
_RATES = ("per_unit", "fraction", "maker", "taker")
_SHARES = (
    "fraction",
    "maker",
    "taker",
    "maximum_fraction",
    "exchange_fraction",
    "buy_fraction",
    "sell_fraction",
)

_BOUNDS = {
    **dict.fromkeys(("per_order", "per_unit", "minimum", "maximum"), (0.0, _MONEY, False)),
    **dict.fromkeys(("exchange_per_unit", "buy_per_unit", "sell_per_unit"), (0.0, _MONEY, False)),
    **dict.fromkeys(("fraction", "taker", "maximum_fraction", "exchange_fraction"), (0.0, 1.0, True)),
    **dict.fromkeys(("buy_fraction", "sell_fraction", "impact"), (0.0, 1.0, True)),
    **dict.fromkeys(("spread_ticks", "tick", "from_units", "from_value"), (0.0, _MONEY, False)),
    "maker": (-0.01, 1.0, True),
    "range_slippage": (0.0, 1.0, False),
}
"""Least and most of each number, and whether it stays below the most."""

_TIER_KEYS = frozenset(f.name for f in fields(Tier))
_BOUNDS_OF_TIERS = {name: bounds for name, bounds in _BOUNDS.items() if name in _TIER_KEYS}
_BOUNDS = {name: bounds for name, bounds in _BOUNDS.items() if not name.startswith("from_")}


def _check_bounds(name: str, value: float | None, least: float, most: float, below: bool) -> None:
    if value is None:
        return
    if not (math.isfinite(value) and least <= value and (value < most if below else value <= most)):
        up_to = f"below {most:g}" if below else f"at most {most:g}"
        hint = ": it is a share, write 0.001 for 0.1 %" if most == 1.0 else ""
        raise EngineError(f"costs: {name} = {value!r} must be at least {least:g} and {up_to}{hint}")


def _check_rates(costs: Costs) -> None:
    """Refuse rates that are given twice, or half."""
    if (costs.maker is None) != (costs.taker is None):
        raise EngineError(
            f"costs: maker = {costs.maker!r} and taker = {costs.taker!r} belong together: give both"
        )
    if costs.maker is not None and costs.fraction:
        raise EngineError(
            f"costs: fraction = {costs.fraction!r} stands beside maker and taker, which are in its place: "
            "leave it out"
        )
    given = [f.name for f in fields(costs) if f.name in _RATES and getattr(costs, f.name) != f.default]
    if costs.tiers and given:
        raise EngineError(f"costs: {', '.join(given)} stand beside tiers: move them into the tiers")


def _check_tiers(tiers: Sequence[Tier]) -> None:
    """Refuse tiers that do not begin at nothing, do not rise, or speak of different things."""
    for tier in tiers:
        for name, bounds in _BOUNDS_OF_TIERS.items():
            _check_bounds(f"tiers: {name}", getattr(tier, name), *bounds)
        if (tier.from_units is None) == (tier.from_value is None):
            raise EngineError(f"costs: tiers: {tier.written} must give one of from_units and from_value")
        if (tier.maker is None) != (tier.taker is None) or (tier.maker is not None and tier.fraction):
            raise EngineError(
                f"costs: tiers: {tier.written} must give maker and taker together, and no fraction"
            )
    if len({frozenset(tier.written) for tier in tiers}) > 1:
        raise EngineError("costs: tiers give different keys: give the same ones in each tier")
    starts = [tier.start for tier in tiers]
    if starts and (starts[0] != 0.0 or sorted(set(starts)) != starts):
        raise EngineError(f"costs: tiers begin at {starts}: the first must begin at 0, and each further on")


def costs_from(given: object, named: Mapping[str, object] = MappingProxyType({})) -> Costs:
    """Return the costs that a study names: those of a preset, or keys of `Costs`, or both.

    Parameters
    ----------
    given : str or mapping
        The name of a preset, see `whatif.domain.cost_presets`; or keys of `Costs`, which are laid over those
        of the key `preset` if there is one.
    named : mapping of str to mapping
        What the study has under a name of its own.

    Raises
    ------
    EngineError
        If a name or key is unknown (naming the nearest), or a value has another type or breaks its rule.
    """
    if isinstance(given, Costs):
        return given
    if isinstance(given, str):
        return costs_from(named[given] if given in named else _preset(given, named))
    if not isinstance(given, Mapping) or not given:
        raise EngineError(
            f"costs = {given!r} must be the name of a preset ({', '.join(PRESETS)}), or keys such as "
            "{per_unit: 0.005, minimum: 1.0}"
        )
    keys = dict(given)
    if "preset" in keys:
        keys = {**_preset(keys.pop("preset")), **keys}
    known = {f.name: f.default for f in fields(Costs)}
    for name in keys:
        if name not in known:
            raise EngineError(f"costs: {name!r} (= {keys[name]!r}) is unknown; {nearest(str(name), known)}")
    tiers = _tiers(keys.pop("tiers")) if "tiers" in keys else ()
    if not isinstance(keys.get("marginal", True), bool):
        raise EngineError(f"costs: marginal = {keys['marginal']!r} must be true or false")
    numbers: dict[str, Any] = {
        name: value if name == "marginal" else _number(name, value) for name, value in keys.items()
    }
    return Costs(**numbers, tiers=tiers)


def _preset(name: object, named: Iterable[str] = ()) -> Mapping[str, Any]:
    if name not in PRESETS:
        raise EngineError(f"costs: {name!r} is no preset; {nearest(str(name), [*named, *PRESETS])}")
    return PRESETS[str(name)].costs


def _tiers(given: object) -> tuple[Tier, ...]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, Mapping) for one in given):
        raise EngineError(
            f"costs: tiers = {given!r} must be a list such as [{{from_units: 0, per_unit: 0.0035}}, "
            "{from_units: 300000, per_unit: 0.002}]"
        )
    for name in (name for one in given for name in one):
        if name not in _TIER_KEYS:
            raise EngineError(f"costs: tiers: {name!r} is unknown; {nearest(str(name), sorted(_TIER_KEYS))}")
    return tuple(
        Tier(**{name: _number(f"tiers: {name}", value) for name, value in one.items()}) for one in given
    )


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise EngineError(f"costs: {name} = {value!r} must be a number")
    return float(value)
