"""Labels: what models learn, the seam of all kinds of them, and the bases that others are written on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.labels.barriers import BarrierLabel
    from whatif.labels.base import LabelKind, Labels, Reach
    from whatif.labels.contract import check_labels
    from whatif.labels.horizon import HorizonLabel
    from whatif.labels.kinds import SEAM
    from whatif.labels.kinds.forward_vwap import ForwardVwap
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "barriers": "BarrierLabel",
            "base": "LabelKind Labels Reach",
            "contract": "check_labels",
            "horizon": "HorizonLabel",
            "kinds": "SEAM",
            "kinds.forward_vwap": "ForwardVwap",
        },
    )
