"""The seam of labels: the base class of all kinds of labels.

A label is a section of the study. Its class gives the keys, and says of each bar what a model is to learn of
it, and when that is known. Kinds that come along stand in `whatif.labels.kinds`; one of your own is found by
entry point (`whatif.labels`) or by `module:Name` as the label's `kind`, and tried with
`whatif.testing.check_label`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from whatif.domain import Bars
from whatif.section import Section
from whatif.typing import FloatArray, IntArray


class Reach(NamedTuple):
    """How far a label looks ahead.

    Attributes
    ----------
    us : int
        From the start of a row's bar to the start of the last bar that its label looks at, microseconds of
        trading time.
    sessions : int
        Sessions that it may reach beyond its own; 0 if it never leaves it.
    """

    us: int
    sessions: int = 0


@dataclass(frozen=True, eq=False)
class Labels:
    """What is to be learnt of n bars.

    Attributes
    ----------
    values : mapping of str to float64 array (n,)
        By target: "return", a fraction of the close; "level", a price; "class", 1 for long, -1 for short, 0
        for neither. NaN where there is none. "side" beside "class" is the side that a rule gave.
    end : int64 array (n,)
        When everything that the label looks at is over, microseconds UTC: a row may train only if that is
        before its window ends. 0 where there is no label.
    known : int64 array (n,), or None
        When its value stands, at `end` or before; None if that is always at `end`.
    """

    values: Mapping[str, FloatArray]
    end: IntArray
    known: IntArray | None = None


class LabelKind(Section):
    """A kind of label, and the keys of its section.

    Attributes
    ----------
    kind : str
        Name by which a study asks for it.
    gives : tuple of str
        The targets that it has values of, in the order of `Labels.values`.
    known_early : bool
        Whether a value may stand before everything that the label looks at is over.
    """

    kind: str

    gives: ClassVar[tuple[str, ...]] = ("class",)
    known_early: ClassVar[bool] = False

    @abstractmethod
    def reach(self, bar_us: int, session_us: int) -> Reach:
        """Return how far it looks ahead.

        Parameters
        ----------
        bar_us : int
            Length of a bar, microseconds; that of a day stands for a whole session.
        session_us : int
            Length of the shortest session, microseconds.
        """

    @abstractmethod
    def make(self, bars: Bars, bar_us: int, inputs: Mapping[str, FloatArray]) -> Labels:
        """Return the labels of a symbol's bars.

        Parameters
        ----------
        bars : Bars
            All bars of one symbol, oldest first.
        bar_us : int
            Their length, microseconds.
        inputs : mapping of str to float64 array (n,)
            What `inputs` names, on the bars' own rows.
        """

    def check(self, bar_us: int, timeframe: str, session_us: int, exchange: str) -> None:
        """Refuse a label that no bar of this length could have.

        Parameters
        ----------
        bar_us, timeframe : int, str
            Length of a bar, and its name.
        session_us, exchange : int, str
            Length of the longest session that there is, and whose.

        Raises
        ------
        StudyError
            Naming the key, the rule and the remedy.
        """

    @property
    def inputs(self) -> dict[str, str]:
        """Expressions whose values it is made with, by name; row t of one uses bars up to t."""
        return {}

    @property
    def learns(self) -> str:
        """What models learn that do not say it themselves."""
        return self.gives[0]

    @property
    def targets(self) -> tuple[str, ...]:
        """What models may learn of it; a return has a sign, and so a class."""
        signs = ("class",) if "return" in self.gives and "class" not in self.gives else ()
        return (*(name for name in ("return", "level", "class") if name in self.gives), *signs)

    @property
    def columns(self) -> dict[str, str]:
        """Columns of a features table that hold it, with their types."""
        early = {"label_known": "timestamp"} if self.known_early else {}
        return {**{f"label_{name}": "double" for name in self.gives}, **early, "label_end": "timestamp"}

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it another label of the same bars; part of the digests of tables and models."""
        return {"label": self.model_dump(mode="json", exclude_none=True)}
