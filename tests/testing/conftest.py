"""The engines that the suite runs on."""

from __future__ import annotations

import pytest

from whatif.engines import ENGINES

NAMES = [name for name in ENGINES if name != "auto"]


@pytest.fixture(params=NAMES)
def engine(request: pytest.FixtureRequest) -> str:
    """Return the name of an engine; each in turn."""
    name: str = request.param
    return name
