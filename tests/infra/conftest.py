"""The stacks as deployed with few options, and with all of them."""

from __future__ import annotations

import pytest

from .templates import Stack, deployed

OPTIONS = {
    "AlertEmail": "quants@example.com",
    "MonthlyBudget": "500",
    "Mlflow": "yes",
    "ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/whatif:1",
    "PermissionsBoundary": "arn:aws:iam::123456789012:policy/bound",
    "SubmitterPrincipal": "arn:aws:iam::123456789012:role/quant-*",
}


@pytest.fixture(scope="session")
def stacks() -> dict[str, Stack]:
    """Return the stacks as deployed without options."""
    return deployed()


@pytest.fixture(
    scope="session",
    params=[{}, OPTIONS, OPTIONS | {"LakeFormation": "yes"}],
    ids=["plain", "options", "lake"],
)
def every(request: pytest.FixtureRequest) -> dict[str, Stack]:
    """Return the stacks as deployed without options, with most, and with all."""
    return deployed(**request.param)
