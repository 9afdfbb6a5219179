"""The seam of axes: the base class of all that varies between configurations.

An axis has a name, which is its column in the results, and the values that it takes. Its class says what a
value changes of a configuration, and how it is shown. Those that come along stand in `whatif.axes.kinds`;
one of your own is found by entry point (`whatif.axes`) or by `module:Name`, as the key of an axis or as its
`kind`, and tried with `whatif.testing.check_axis`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from whatif.axes.values import check_distinct
from whatif.section import Section

if TYPE_CHECKING:
    from whatif.axes.market import MarketAxis


@dataclass(frozen=True)
class Settings:
    """What a configuration is made of, before it has a name.

    Attributes
    ----------
    params : mapping of str to scalar
        Parameters that the strategy is given; others have their defaults.
    execution : mapping of str to scalar
        Cash, costs and switches of the broker that are given, see `whatif.domain.execution`.
    overlays : mapping of str to scalar or None
        Rules laid over the strategy that are given, see `whatif.domain.overlays`.
    timeframe : str
        Length of its bars.
    model : str or None
        Name of the model whose forecast it trades.
    market : tuple of (MarketAxis, value)
        What is changed of the bars, in this order.
    """

    params: Mapping[str, Any]
    execution: Mapping[str, Any]
    overlays: Mapping[str, Any]
    timeframe: str
    model: str | None = None
    market: tuple[tuple[MarketAxis, Any], ...] = ()


class Axis(Section):
    """One thing that varies, and the keys of its section.

    All that `put` changes of the settings is part of a configuration's identity, and nothing else is: not
    the axis' name, so that a study that names it otherwise finds the same results.

    Attributes
    ----------
    kind : str
        Name by which a study asks for it.
    name : str
        Its key in `axes`, and its column in the results.
    values : tuple
        What it takes, in order; in a study a list, or {from, to, step}. A class may narrow their type.
    when : str
        At which points it exists, a comparison of axes that stand before it and of parameters; elsewhere what
        it varies is as the study has it without the axis. "" for all points.
    reserved : bool
        Whether its name is this axis' whatever the strategy declares.
    takes_ranges : bool
        Whether values may be written {from, to, step}.
    counted : bool
        Whether n may stand for the values 0 to n.
    world : bool
        Whether its values are worlds that a configuration is put to, and no choices: one is chosen in the
        world of the value `at_home`, each search tries what it asks for in all of them, and the others say
        how what was chosen spreads.
    """

    kind: str
    name: str = Field(exclude=True)
    values: tuple[Any, ...]
    when: str = Field(default="", exclude=True)

    reserved: ClassVar[bool] = False
    takes_ranges: ClassVar[bool] = True
    counted: ClassVar[bool] = False
    world: ClassVar[bool] = False

    @property
    def at_home(self) -> int:
        """Return the place of the value in whose world configurations are chosen: the first."""
        return 0

    @abstractmethod
    def put(self, value: Any, settings: Settings) -> Settings:
        """Return settings with one of the axis' values.

        Values of axes that stand before this one in the study are there already. The same value and settings
        give the same ones.

        Raises
        ------
        StudyError, EngineError
            If the value breaks a rule, naming axis, value and rule.
        """

    def shown(self, value: Any) -> Any:
        """Return what a table shows of a value: a number, a text, a boolean, or None for "off"."""
        if isinstance(value, Mapping):
            return " ".join(f"{key}={_number(one)}" for key, one in value.items())
        return value

    @property
    def shown_values(self) -> tuple[Any, ...]:
        """All values as results have them, in the study's order."""
        return tuple(self.shown(value) for value in self.values)

    def shown_beside(self, value: Any, given: Settings) -> Any:
        """Return the same where what the study gives besides may decide, see `stands_in`."""
        return self.shown(value)

    def stands_in(self, given: Settings) -> str:
        """Return the section that gives what the axis varies, too, which is refused; "" if none does.

        Parameters
        ----------
        given : Settings
            What the study gives whatever the axes say.
        """
        return "strategy.params" if self.name in given.params else ""

    def check(self, models: Collection[str]) -> None:
        """Refuse values that do not fit a study with these models.

        Raises
        ------
        ValueError
            Naming axis, value and rule.
        """

    @property
    def written(self) -> Any:
        """The axis as a study gives it: its values alone, if its name says the rest."""
        if self.kind in (self.name, "parameter") and self.model_fields_set <= {"kind", "name", "values"}:
            return self.values
        return {**self.model_dump(by_alias=True), **({"when": self.when} if self.when else {})}

    @classmethod
    def read(cls, name: str, values: list[Any]) -> list[Any]:
        """Return values as they were written in the form that the axis keeps them.

        Raises
        ------
        ValueError
            Naming axis, value and rule.
        """
        return values

    @model_validator(mode="after")
    def _distinct(self) -> Axis:
        check_distinct(self.name, self.values)
        return self


def _number(value: Any) -> str:
    """Write a number without an exponent where it is no smaller than 0.00000001: 0.00005, not 5e-05."""
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.12g}"
    return f"{Decimal(text):f}" if "e-" in text and abs(value) >= 1e-8 else text
