"""Presets of costs: what some brokers and exchanges charge, where it is written, and when it was true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Preset(NamedTuple):
    """One price list.

    Attributes
    ----------
    costs : mapping of str to object
        Keys of `whatif.domain.costs.Costs`.
    source : str
        Page that holds the figures.
    date : str
        When they were those of the page, as far as that is known.
    says : str
        What it is, in which currency, and what of the price list is not in it.
    """

    costs: Mapping[str, Any]
    source: str
    date: str
    says: str


_IBKR_US = "https://www.interactivebrokers.co.uk/en/pricing/commissions-stocks.php?re=amer"
_IBKR_EUROPE = "https://www.interactivebrokers.com.hk/en/pricing/commissions-stocks-europe.php"
_BEFORE_MAY_2025 = (
    "before 2025-05-14: the page, whose copy has no date, names the SEC's fee of 0.0000278, which ended then"
)
_SALES = {"sell_fraction": 0.0000278, "sell_per_unit": 0.000166}
"""SEC's transaction fee and FINRA's trading activity fee, of sales."""

PRESETS: Mapping[str, Preset] = {
    "ibkr_fixed_us": Preset(
        {"per_unit": 0.005, "minimum": 1.0, "maximum_fraction": 0.01, **_SALES},
        _IBKR_US,
        _BEFORE_MAY_2025,
        "Interactive Brokers, US stocks, fixed plan, USD, with the SEC's and FINRA's fees of sales. Not in "
        "it: FINRA's audit trail fee; what is charged for fractional shares.",
    ),
    "ibkr_tiered_us": Preset(
        {
            "tiers": [
                {"from_units": 0, "per_unit": 0.0035},
                {"from_units": 300_000, "per_unit": 0.0020},
                {"from_units": 3_000_000, "per_unit": 0.0015},
                {"from_units": 20_000_000, "per_unit": 0.0010},
                {"from_units": 100_000_000, "per_unit": 0.0005},
            ],
            "minimum": 0.35,
            "maximum_fraction": 0.01,
            "exchange_per_unit": 0.0002,
            **_SALES,
        },
        _IBKR_US,
        _BEFORE_MAY_2025,
        "Interactive Brokers, US stocks, tiered plan, USD, with clearing (NSCC, DTC) and the SEC's and "
        "FINRA's fees of sales. Not in it: each exchange's own fees and rebates, pass-through and audit "
        "trail fees.",
    ),
    "ibkr_fixed_eu": Preset(
        {"fraction": 0.0005, "minimum": 3.0},
        _IBKR_EUROPE,
        "not known: the page's copy has no date",
        "Interactive Brokers, stocks in EUR (the page's first table), fixed plan by its smart routing, EUR.",
    ),
    "ibkr_tiered_eu": Preset(
        {
            "tiers": [
                {"from_value": 0, "fraction": 0.0005},
                {"from_value": 50_000_000, "fraction": 0.0003},
                {"from_value": 100_000_000, "fraction": 0.0002},
                {"from_value": 500_000_000, "fraction": 0.00015},
            ],
            "minimum": 1.25,
            "maximum": 29.0,
        },
        _IBKR_EUROPE,
        "not known: the page's copy has no date",
        "Interactive Brokers, stocks in EUR (the page's first table), tiered plan, EUR. Not in it: fees of "
        "exchange and clearing, which the plan charges beside.",
    ),
    "uk_stamp_duty": Preset(
        {"buy_fraction": 0.005},
        "https://www.gov.uk/tax-buying-selling-shares",
        "not known: the page's copy has no date",
        "Stamp Duty Reserve Tax on shares of UK companies, of purchases; no broker's commission.",
    ),
    "kraken_pro": Preset(
        {
            "tiers": [
                {"from_value": 0, "maker": 0.0025, "taker": 0.0040},
                {"from_value": 10_000, "maker": 0.0020, "taker": 0.0035},
                {"from_value": 50_000, "maker": 0.0014, "taker": 0.0024},
                {"from_value": 100_000, "maker": 0.0012, "taker": 0.0022},
                {"from_value": 500_000, "maker": 0.0008, "taker": 0.0018},
                {"from_value": 10_000_000, "maker": 0.0000, "taker": 0.0010},
            ],
            "marginal": False,
        },
        "https://www.kraken.com/features/fee-schedule#spot, as taken down in "
        "https://github.com/api-evangelist/kraken (plans/kraken-plans-pricing.yml)",
        "2026-05-30",
        "Kraken Pro, spot, USD. Kraken counts the volume of the last 30 days; here it is that of the "
        "calendar month, and begins at nothing.",
    ),
    "coinbase_exchange": Preset(
        {
            "tiers": [
                {"from_value": 0, "maker": 0.0040, "taker": 0.0060},
                {"from_value": 10_000, "maker": 0.0025, "taker": 0.0040},
                {"from_value": 50_000, "maker": 0.0015, "taker": 0.0025},
                {"from_value": 100_000, "maker": 0.0010, "taker": 0.0020},
                {"from_value": 1_000_000, "maker": 0.0008, "taker": 0.0018},
                {"from_value": 15_000_000, "maker": 0.0006, "taker": 0.0016},
                {"from_value": 75_000_000, "maker": 0.0003, "taker": 0.0012},
                {"from_value": 250_000_000, "maker": 0.0000, "taker": 0.0008},
                {"from_value": 400_000_000, "maker": 0.0000, "taker": 0.0005},
            ],
            "marginal": False,
        },
        "https://help.coinbase.com/en/exchange/trading-and-funding/exchange-fees",
        "not known: the page's copy has no date",
        "Coinbase Exchange, spot, USD. Coinbase counts the volume of the last 30 days; here it is that of "
        "the calendar month, and begins at nothing.",
    ),
}
"""Price lists by the name that a study has for them. They are what the source said, and go out of date."""
