"""Workflow: a study from its bars to its answer, and bars into the lake; what joins the other rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.workflow.answer import StudyResult
    from whatif.workflow.deliveries import forget
    from whatif.workflow.ingestion import explain, ingest
    from whatif.workflow.judge import SEED
    from whatif.workflow.steps import (
        build_study_features,
        stored_leaderboard,
        study_features,
        train_study_models,
    )
    from whatif.workflow.study import RunOptions, run
    from whatif.workflow.train import lazy_session, plan_of, prepare, prepare_features
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "answer": "StudyResult",
            "deliveries": "forget",
            "ingestion": "explain ingest",
            "judge": "SEED",
            "steps": "build_study_features stored_leaderboard study_features train_study_models",
            "study": "RunOptions run",
            "train": "lazy_session plan_of prepare prepare_features",
        },
    )
