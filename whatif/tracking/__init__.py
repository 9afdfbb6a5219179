"""MLflow: one run for each study, child runs of its configurations, trained models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.tracking.beside import beginning_ahead, drop_ahead, log_beside
    from whatif.tracking.child_runs import count_of_children, log_configurations, log_model
    from whatif.tracking.registry import (
        fetched,
        find_registered,
        flavour_of,
        register,
        restored,
        with_registered,
    )
    from whatif.tracking.run import (
        ANSWER_TAG,
        TrackedRun,
        finish,
        log,
        log_files,
        log_tables,
        logs_without_mlflow,
        metric_histories,
        start_study_run,
        tracking_uri,
        tracking_warning,
        verdict_metrics,
    )
    from whatif.tracking.steps import Ranked, Told, log_answer, log_ranking
    from whatif.tracking.tracker import LoggedAnswer, Tracker, logged_run
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "beside": "beginning_ahead drop_ahead log_beside",
            "child_runs": "count_of_children log_configurations log_model",
            "registry": "fetched find_registered flavour_of register restored with_registered",
            "run": (
                "ANSWER_TAG TrackedRun finish log log_files log_tables logs_without_mlflow "
                "metric_histories start_study_run tracking_uri tracking_warning verdict_metrics"
            ),
            "steps": "Ranked Told log_answer log_ranking",
            "tracker": "LoggedAnswer Tracker logged_run",
        },
    )
