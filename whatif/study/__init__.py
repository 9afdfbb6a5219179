"""The YAML contract between an author and the engine."""

from whatif.models import RandomForest
from whatif.splits import Combinatorial, Holdout, WalkForward
from whatif.study.digest import canonical, digest
from whatif.study.load import load_study, parse_study
from whatif.study.model import (
    CalendarSection,
    DataSlice,
    Keep,
    Label,
    StrategySection,
    Study,
)

__all__ = [
    "CalendarSection",
    "Combinatorial",
    "DataSlice",
    "Holdout",
    "Keep",
    "Label",
    "RandomForest",
    "StrategySection",
    "Study",
    "WalkForward",
    "canonical",
    "digest",
    "load_study",
    "parse_study",
]
