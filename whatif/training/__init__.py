"""Training: models learn from features, choose their parameters, predict, and are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.training.fit import (
        Trained,
        labelled_rows,
        predict,
        predicted,
        store,
        train,
    )
    from whatif.training.importance import Importance
    from whatif.training.spec import ModelSpec, model_spec, target_of
    from whatif.training.task import TaskDone, TrainTask, forget_features, train_task
    from whatif.training.tuning import Tuned, described, noted, read_noted, said_of, tune
    from whatif.training.validation import PARTS, judged, validation_metrics
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "fit": "Trained labelled_rows predict predicted store train",
            "importance": "Importance",
            "spec": "ModelSpec model_spec target_of",
            "task": "TaskDone TrainTask forget_features train_task",
            "tuning": "Tuned described noted read_noted said_of tune",
            "validation": "PARTS judged validation_metrics",
        },
    )
