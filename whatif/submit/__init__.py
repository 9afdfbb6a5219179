"""Hands a study to a Spark that runs elsewhere, follows it and fetches what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.submit.assembly import Place, Size, Spark, assemble, runner_of
    from whatif.submit.bundle import output_here, strategy_file, study_here
    from whatif.submit.follow import LAST_POLL_SECONDS, NEAR_POLL_SECONDS, Watch, describe
    from whatif.submit.records import Record, Records
    from whatif.submit.runner import Phase, Runner, State
    from whatif.submit.settings import check_set, load_settings, settings_path, with_placeholders
    from whatif.submit.store import Store, is_s3
    from whatif.submit.submission import Submission, Wishes, fetch, finish, start
    from whatif.submit.target import Target, parse_target
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "assembly": "Place Size Spark assemble runner_of",
            "bundle": "output_here strategy_file study_here",
            "follow": "LAST_POLL_SECONDS NEAR_POLL_SECONDS Watch describe",
            "records": "Record Records",
            "runner": "Phase Runner State",
            "settings": "check_set load_settings settings_path with_placeholders",
            "store": "Store is_s3",
            "submission": "Submission Wishes fetch finish start",
            "target": "Target parse_target",
        },
    )
