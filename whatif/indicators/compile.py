"""The alias that turns a plain Python kernel into machine code."""

from __future__ import annotations

from whatif.domain.compile import jit

__all__ = ["jit"]
