"""Features and labels of symbols, and the tables that keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.features.build import build_features
    from whatif.features.spec import FeatureSpec, check_features, feature_spec
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "build": "build_features",
            "spec": "FeatureSpec check_features feature_spec",
        },
    )
