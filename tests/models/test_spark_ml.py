"""Models of Spark ML: what they keep of the rows that they learn from."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.models import RandomForest, forget_rows

pytestmark = pytest.mark.spark


def test_models_of_the_same_rows_have_them_made_once(spark, tmp_path: Path) -> None:
    made = tmp_path / "made"

    def tell(frames):
        for each in frames:
            with made.open("a") as file:
                file.write(f"{len(each)}\n" * bool(len(each)))
            yield each

    def told() -> int:
        return sum(map(int, made.read_text().split())) if made.exists() else 0

    some = spark.range(40).selectExpr("double(id) a", "double(id % 7) b", "double(id % 2) label")
    rows = some.coalesce(1).mapInPandas(tell, some.schema)
    same = {"kind": "random_forest", "depth": 2, "min_leaf": 1, "seed": 7}
    forests = [RandomForest(trees=trees, **same) for trees in (1, 2)]
    first, second = (forest.fit(rows, ("a", "b")) for forest in forests)
    assert (first.rows, second.rows, told()) == (40, 40, 40)
    assert [len(one.model.trees) for one in (first, second)] == [1, 2]
    other = forests[0].fit(rows, ("b",))  # other columns are other vectors
    assert (other.model.numFeatures, told()) == (1, 80)
    fewer = forests[0].fit(rows.where("a < 30"), ("b",))
    assert fewer.rows == 30
    forget_rows()
    before = told()
    again = forests[0].fit(rows, ("a", "b"))
    trees = [one.model.toDebugString.partition("\n")[2] for one in (first, again)]  # without its id
    assert trees[0] == trees[1]
    assert told() == before + 40
    forget_rows()
