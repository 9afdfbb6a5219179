"""Base class of models of Spark ML: one estimator on a vector of features."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple
from uuid import uuid4

from pydantic import Field

from whatif.models.base import WEIGHT, Fitted, ModelKind
from whatif.models.calibration import SIDES, Calibration
from whatif.models.contract import answer_of, check_taught, predicted_columns

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import Column, DataFrame

    from whatif.typing import FloatArray

VECTOR = "features_vector"
SAVED, NOTES = "sparkml", "fitted.json"

_CHANCE = "whatif_chance_"
_ROW = "whatif_row"

Penalty = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1)]


class SparkModel(ModelKind):
    """A kind of model that an estimator of Spark ML learns, on the cluster.

    Attributes
    ----------
    two_classes : bool
        Whether its classifier knows two classes only. One then learns which rows are long, and another one
        which are short.
    weighs : bool
        Whether its estimator takes a column of weights, `weightCol`.
    """

    two_classes: ClassVar[bool] = False
    weighs: ClassVar[bool] = False

    @property
    def takes_weights(self) -> bool:
        """Whether its estimator does."""
        return self.weighs

    @abstractmethod
    def estimator(self, vector: str, label: str) -> Any:
        """Return the estimator that learns the column `label` from the column `vector` of features.

        Its model answers in the column `prediction`. Where the kind `classifies`, the label is 2 for long, 0
        for short and 1 for neither (1 and 0 for a side where it knows `two_classes`), and the answer is the
        column `probability`. A parameter of the kind that may be a list holds one value here.
        """

    def estimator_of(self, columns: tuple[str, ...], vector: str, label: str) -> Any:
        """Return the same where it depends on the number of features."""
        return self.estimator(vector, label)

    def fit(self, rows: DataFrame, columns: tuple[str, ...]) -> Fitted:
        """Return the fitted model of Spark ML, with its feature importances if it has them.

        Of two classes, that is a model for each side, None for one that no row has. The rows stay with Spark
        for the next model that learns from the same, until another comes or `forget_rows` is called.
        """
        beside = [WEIGHT] if self.weights else []
        try:
            vectors, count = _kept_vectors(rows, columns, beside)
            if not count:
                return Fitted(columns, None, 0)
            found = (
                {row[0] for row in vectors.select("label").distinct().collect()} if self.classifies else None
            )
            check_taught(self, columns, count, found)
            estimator = self.estimator_of(columns, VECTOR, "label")
            if beside:
                estimator.set(estimator.getParam("weightCol"), WEIGHT)
            if found is None:
                model = estimator.fit(vectors)
            elif self.two_classes:
                model = tuple(
                    estimator.fit(vectors.selectExpr(VECTOR, f"double(label = {side}) label", *beside))
                    if side in found
                    else None
                    for side in SIDES.values()
                )
            else:
                model = estimator.fit(vectors.selectExpr(VECTOR, "label + 1 label", *beside))
        except BaseException:
            forget_rows()
            raise
        return Fitted(columns, model, count, _importances(model))

    def predict(self, fitted: Fitted, rows: DataFrame) -> DataFrame:
        """Return the rows with Spark ML's prediction or probabilities; computed when they are asked for."""
        given = _assembler(fitted.columns).transform(rows)
        if not self.classifies:
            return fitted.model.transform(given)
        columns = [f"`{name}`" for name in rows.columns]
        if not self.two_classes:
            answered = fitted.model.transform(given)
            return answered.select(
                *columns,
                *(_chance(answered, at).alias(f"prob_{side}") for side, at in (("long", 2), ("short", 0))),
            )
        kept = [*columns, VECTOR]
        for side, model in zip(SIDES, fitted.model, strict=True):
            if model is None:
                given = given.selectExpr(*kept, f"0d {_CHANCE}{side}")
            else:
                answered = model.transform(given)
                given = answered.select(*kept, _chance(answered, 1).alias(f"{_CHANCE}{side}"))
            kept.append(f"{_CHANCE}{side}")
        # each was asked for itself: together they may say more than 1
        total = " + ".join(f"{_CHANCE}{side}" for side in SIDES)
        return given.selectExpr(
            *columns, *(f"{_CHANCE}{side} / greatest(1d, {total}) prob_{side}" for side in SIDES)
        )

    def save(self, fitted: Fitted, folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """Write the pipeline of assembler and model in Spark ML's format, which `mlflow.spark` loads.

        Executors on other machines write their parts to the lake's storage, from where they are fetched.
        Where none is known they go to folders that the driver does not see: then there is nothing to load,
        and nothing is returned. Of two models, `mlflow.spark` loads the first; a pyfunc has both.
        """
        import pyspark

        models = fitted.model if isinstance(fitted.model, tuple) else (fitted.model,)
        there = [k for k, model in enumerate(models) if model is not None]
        if not there:
            return {}
        for k in there:
            pipeline = _pipeline(fitted.columns, models[k])
            with _shared(folder / _folder(k), written=True) as uri:
                pipeline.write().overwrite().save(uri)
            if not any((folder / _folder(k)).rglob("data/*.parquet")):
                return {}
        notes = {
            "kind": self.model_dump(mode="json"),
            "columns": fitted.columns,
            "rows": fitted.rows,
            "importances": fitted.importances,
        }
        if isinstance(fitted.model, tuple):
            notes["models"] = there
        if fitted.calibration is not None:
            notes["calibration"] = fitted.calibration.content
        (folder / NOTES).write_text(json.dumps(notes), encoding="utf-8")
        saved = _folder(there[0])
        spark = {"pyspark_version": pyspark.__version__, "model_data": saved, "code": None}
        return {"spark": spark, "python_function": {"loader_module": __name__}}

    def load(self, folder: Path) -> Fitted:
        """Return the model of a saved pipeline."""
        from pyspark.ml import PipelineModel

        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))

        def model(k: int) -> Any:
            with _shared(folder / _folder(k)) as uri:
                return PipelineModel.load(uri).stages[-1]

        several = notes.get("models")
        found = (
            model(0)
            if several is None
            else tuple(model(k) if k in several else None for k in range(len(SIDES)))
        )
        weights = notes["importances"]
        importances = None if weights is None else tuple(weights)
        said = notes.get("calibration")
        calibration = None if said is None else Calibration.read(said)
        return Fitted(tuple(notes["columns"]), found, notes["rows"], importances, calibration)


class ElasticNet(SparkModel):
    """A kind of model that weighs features, which Spark brings to deviation 1 of the rows it learns from.

    Attributes
    ----------
    penalty : float
        Of the size of the weights.
    l1_share : float
        How much of it is of their sum, 0 to 1; the rest is of their squares.
    rounds : int
        Steps of the solver at most.
    """

    tunable: ClassVar[tuple[str, ...]] = ("penalty", "l1_share")
    weighs: ClassVar[bool] = True

    penalty: Penalty | tuple[Penalty, ...] = 0.0
    l1_share: Share | tuple[Share, ...] = 0.0
    rounds: Annotated[int, Field(ge=1, le=100_000)] = 100

    def settings(self, vector: str, label: str) -> dict[str, Any]:
        """Return what Spark's estimator is made with."""
        return {
            "featuresCol": vector,
            "labelCol": label,
            "regParam": self.penalty,
            "elasticNetParam": self.l1_share,
            "maxIter": self.rounds,
        }


STORAGE = "spark.whatif.storage"
"""Setting of a session: address of a folder that driver and executors both reach."""


@contextmanager
def _shared(folder: Path, written: bool = False) -> Iterator[str]:
    """Give the address of a folder of the driver, as all machines that compute reach it.

    On one machine that is the folder itself. Elsewhere it is a place in the storage of the lake: what is in
    the folder is copied there before, or what was `written` there back to the folder.
    """
    from pyspark.sql import SparkSession

    spark: Any = SparkSession.getActiveSession()
    storage = "" if spark is None else spark.conf.get(STORAGE, "")
    if not storage or spark.sparkContext.master.startswith("local"):
        yield folder.as_uri()
        return
    jvm, conf = spark._jvm, spark._jsc.hadoopConfiguration()
    there = jvm.org.apache.hadoop.fs.Path(f"{storage.rstrip('/')}/models-on-the-way/{uuid4().hex}")
    here = jvm.org.apache.hadoop.fs.Path(folder.as_uri())
    files, local = there.getFileSystem(conf), here.getFileSystem(conf)
    copy = jvm.org.apache.hadoop.fs.FileUtil.copy
    try:
        if not written:
            copy(local, here, files, there, False, conf)
        yield there.toString()
        if written:
            copy(files, there, local, here, False, conf)
    finally:
        files.delete(there, True)


def _load_pyfunc(path: str) -> SimpleNamespace:
    """Return what MLflow asks for predictions; the name is MLflow's."""
    from whatif.models.kinds import SEAM

    folder = Path(path)
    notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    kind: SparkModel = SEAM.section(notes["kind"])
    fitted = kind.load(folder)
    return SimpleNamespace(predict=lambda frame: answer_of(kind, fitted, _answers(kind, fitted, frame)))


def _answers(kind: SparkModel, fitted: Fitted, frame: pd.DataFrame) -> FloatArray:
    """Return the prediction of each row of a frame, by a session on this machine."""
    from pyspark.sql import SparkSession

    given = frame[list(fitted.columns)].astype("float64").assign(**{_ROW: range(len(frame))})
    rows = SparkSession.builder.getOrCreate().createDataFrame(given)
    answers = predicted_columns(kind)
    found = kind.predict(fitted, rows).select(_ROW, *answers).toPandas().sort_values(_ROW)
    values: FloatArray = found[list(answers)].to_numpy("float64")
    return values if kind.classifies else values[:, 0]


def _folder(number: int) -> str:
    return SAVED if number == 0 else f"{SAVED}-{number}"


class _Kept(NamedTuple):
    """Rows that a model learnt from last, and their vectors, which Spark holds in memory or on disk."""

    rows: DataFrame
    names: tuple[str, ...]
    vectors: DataFrame
    size: int


_kept: list[_Kept] = []


def _kept_vectors(rows: DataFrame, columns: tuple[str, ...], beside: list[str]) -> tuple[DataFrame, int]:
    """Return vector, label and weight of the rows, and how many, of the last model if it learnt from them."""
    names = (*columns, *beside)
    for one in _kept:
        # a session that has ended holds nothing any more
        same = one.rows.sparkSession is rows.sparkSession and one.names == names
        if same and one.rows.sameSemantics(rows):
            return one.vectors, one.size
    forget_rows()
    vectors = _assembler(columns).transform(rows).select(VECTOR, "label", *beside).persist()
    try:
        _kept.append(_Kept(rows, names, vectors, vectors.count()))
    except BaseException:
        vectors.unpersist()
        raise
    return vectors, _kept[0].size


def forget_rows() -> None:
    """Let the rows go that Spark keeps for the next model."""
    while _kept:
        with suppress(Exception):  # its session may have ended
            _kept.pop().vectors.unpersist()


def _chance(frame: DataFrame, at: int) -> Column:
    """Return the probability of a class, 0 where no row had one so high."""
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F  # noqa: N812

    return F.coalesce(F.get(vector_to_array(frame["probability"]), at), F.lit(0.0))


def _importances(model: Any) -> tuple[float, ...] | None:
    """Return how much each feature counts, or the size of its coefficients; of two models, the mean."""
    if isinstance(model, tuple):
        known = [weights for one in model if one is not None and (weights := _importances(one)) is not None]
        return tuple(sum(column) / len(known) for column in zip(*known, strict=True)) if known else None
    weights = getattr(model, "featureImportances", None)
    if weights is not None:
        return tuple(float(weight) for weight in weights.toArray())
    if hasattr(model, "coefficientMatrix"):
        return tuple(float(weight) for weight in abs(model.coefficientMatrix.toArray()).mean(axis=0))
    if hasattr(model, "coefficients"):
        return tuple(abs(float(weight)) for weight in model.coefficients.toArray())
    return None


def _assembler(columns: tuple[str, ...]) -> Any:
    from pyspark.ml.feature import VectorAssembler

    return VectorAssembler(inputCols=list(columns), outputCol=VECTOR)


def _pipeline(columns: tuple[str, ...], model: Any) -> Any:
    from pyspark.ml import PipelineModel

    return PipelineModel(stages=[_assembler(columns), model])
