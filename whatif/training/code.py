"""The code of a user's own kind of model, as a digest: another code learns another model."""

from __future__ import annotations

from whatif.errors import ModelError, StrategyError
from whatif.models import ModelKind
from whatif.strategies import identity_of


def code_of(kind: type[ModelKind]) -> str:
    """Return a digest of all that the code of a kind can reach; "" for one that comes along.

    Raises
    ------
    ModelError
        If it reaches what has no value, such as an open file or a clock; it is named.
    """
    if kind.__module__.startswith("whatif."):
        return ""
    try:
        return identity_of(f"{kind.__module__}:{kind.__qualname__}", kind, noun="model kind")
    except StrategyError as error:
        raise ModelError(str(error)) from error
