"""Explorer: a local page on a study of the lake, which recomputes a configuration as it is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.explore.desk import Change, Desk, open_desk
    from whatif.explore.payload import POINTS
    from whatif.explore.server import Explorer, explore_lake, served
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {"desk": "Change Desk open_desk", "payload": "POINTS", "server": "Explorer explore_lake served"},
    )
