"""Features and labels of symbols, and the tables that keep them.

`whatif.features(bars, ["sma(20)"])` computes features of a frame: the room is called as a function, see
`whatif.features.spec.features_of_frame`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.features.build import build_features, local_features
    from whatif.features.news import NewsSlice, describe_news, pin_news
    from whatif.features.spec import (
        FeatureSpec,
        check_features,
        feature_spec,
        features_needs,
        features_of_frame,
    )
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "build": "build_features local_features",
            "news": "NewsSlice describe_news pin_news",
            "spec": "FeatureSpec check_features feature_spec features_needs features_of_frame",
        },
    )


class _Room(ModuleType):
    """The room, which is called for the features of a frame."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the features of a frame, see `features_of_frame`."""
        return self.features_of_frame(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
