"""Kinds of models: the seam, the one that comes along, and two bases that others are written on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.models.arrays import ArrayModel
    from whatif.models.base import WEIGHT, Calibrate, Fitted, ModelKind, Registration, Tune
    from whatif.models.calibration import Calibration, learn_calibration
    from whatif.models.contract import check_fitted, check_frame, check_rows, predicted_columns
    from whatif.models.kinds import SEAM
    from whatif.models.kinds.random_forest import RandomForest
    from whatif.models.kinds.registered import Registered
    from whatif.models.spark_ml import STORAGE, SparkModel, forget_rows
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "arrays": "ArrayModel",
            "base": "Calibrate Fitted ModelKind Registration Tune WEIGHT",
            "calibration": "Calibration learn_calibration",
            "contract": "check_fitted check_frame check_rows predicted_columns",
            "kinds": "SEAM",
            "kinds.random_forest": "RandomForest",
            "kinds.registered": "Registered",
            "spark_ml": "STORAGE SparkModel forget_rows",
        },
    )
