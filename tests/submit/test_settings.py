"""The file of settings, targets and sizes: what is refused, and with what words."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.errors import SubmitError
from whatif.submit.assembly import emr_sizes, glue_sizes, memory_gb, spark_sizes
from whatif.submit.settings import (
    SubmitSettings,
    check_set,
    load_settings,
    missing,
    settings_path,
    with_placeholders,
)
from whatif.submit.target import Target, parse_target


class TestSettings:
    def test_the_file_that_comes_along_sets_nothing_of_an_account(self) -> None:
        given = load_settings(settings_path())
        assert given.bucket is None
        assert missing(given, "emr-serverless") == (
            "bucket",
            "emr_serverless.application_id",
            "emr_serverless.execution_role",
        )
        assert missing(given, "glue") == ("bucket", "glue.job")
        assert missing(given, "local") == ()

    def test_it_names_every_key(self) -> None:
        """Else nobody would know of them."""
        text = settings_path().read_text()
        for name, field in SubmitSettings.model_fields.items():
            assert f"{name}:" in text
            for inner in getattr(field.annotation, "model_fields", {}):
                assert f"  {inner}:" in text

    def test_it_sets_the_defaults_it_shows(self) -> None:
        assert load_settings(settings_path()) == SubmitSettings()

    def test_a_folder_of_one_s_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WHATIF_CONF", str(tmp_path))
        assert settings_path() == tmp_path / "submit.yaml"
        assert settings_path(Path("mine.yaml")) == Path("mine.yaml")

    def test_unset_keys_are_asked_for_by_name_and_file(self, tmp_path: Path) -> None:
        given = SubmitSettings(bucket="quant")
        with pytest.raises(
            SubmitError, match=r"target glue needs glue\.job, and .*submit\.yaml does not set it"
        ):
            check_set(given, "glue", tmp_path / "submit.yaml")
        check_set(with_placeholders(given, "glue"), "glue", tmp_path)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("bukket: x", "unknown key 'bukket': did you mean 'bucket'"),
            ("glue: {jobb: x}", r"unknown key 'glue\.jobb': did you mean 'job'"),
            ("bucket: Not_A_Bucket", "bucket = 'Not_A_Bucket'"),
            ("warehouse: /tmp/x", "warehouse = '/tmp/x'"),
            ("glue: {worker_type: Z.1X}", r"glue\.worker_type = 'Z\.1X'"),
            ("prices: {vcpu_hour: -1}", r"prices\.vcpu_hour = -1"),
            ("bucket: [", "are not valid YAML"),
        ],
    )
    def test_what_breaks_a_rule(self, tmp_path: Path, text: str, says: str) -> None:
        file = tmp_path / "submit.yaml"
        file.write_text(text)
        with pytest.raises(SubmitError, match=says):
            load_settings(file)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SubmitError, match=r"cannot be read .*--settings FILE"):
            load_settings(tmp_path / "none.yaml")


class TestTargets:
    @pytest.mark.parametrize(
        ("text", "target"),
        [
            ("emr-serverless", Target("emr-serverless")),
            ("glue", Target("glue")),
            ("spark://host:7077", Target("spark", "spark://host:7077")),
            ("spark://a:7077,b:7077", Target("spark", "spark://a:7077,b:7077")),
            ("local", Target("local", "local[*,4]")),
            ("local[2]", Target("local", "local[2,4]")),
            ("local[2,4]", Target("local", "local[2,4]")),
        ],
    )
    def test_those_there_are(self, text: str, target: Target) -> None:
        assert parse_target(text) == target
        assert parse_target(str(target)) == target, "a record keeps it as text"

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("emr", "did you mean 'emr-serverless'"),
            ("gleu", "did you mean 'glue'"),
            ("databricks", "valid: emr-serverless, glue, local, spark://host:7077"),
            ("spark://host", "write spark://host:7077"),
        ],
    )
    def test_others(self, text: str, says: str) -> None:
        with pytest.raises(SubmitError, match=says):
            parse_target(text)


class TestSizes:
    def test_emr_serverless(self) -> None:
        conf = {"spark.executor.cores": "4", "spark.executor.memoryOverheadFactor": "0.5"}
        assert emr_sizes(conf, None, None) == {}
        assert emr_sizes(conf, 2, "16g") == {
            "spark.dynamicAllocation.maxExecutors": "2",
            "spark.executor.instances": "2",
            "spark.executor.memory": "16g",
        }
        assert emr_sizes(conf, 40, None)["spark.executor.instances"] == "3"

    def test_more_memory_than_a_worker_of_that_many_cores_has(self) -> None:
        """4 cores go with at most 30 GB; 20 and half as much again are 30."""
        conf = {"spark.executor.cores": "4", "spark.executor.memoryOverheadFactor": "0.5"}
        assert emr_sizes(conf, None, "20g")
        with pytest.raises(
            SubmitError, match=r"make 31\.5 GB, and a worker of 4 cores has at most 30: ask for 20g"
        ):
            emr_sizes(conf, None, "21g")

    @pytest.mark.parametrize(
        ("memory", "worker"),
        [(None, "G.2X"), ("10g", "G.2X"), ("32g", "G.2X"), ("33g", "R.2X"), ("64g", "R.2X")],
    )
    def test_glue_s_families(self, memory: str | None, worker: str) -> None:
        """A 2X has 32 GB, or 64 in the family with much memory."""
        assert glue_sizes("G.2X", 10, None, memory) == (worker, 10)

    def test_glue_counts_the_driver(self) -> None:
        assert glue_sizes("G.1X", 10, 4, None) == ("G.1X", 5)

    def test_more_than_glue_has(self) -> None:
        with pytest.raises(SubmitError, match=r"8 cores has at most 64 GB; set a larger glue\.worker_type"):
            glue_sizes("G.2X", 10, None, "65g")

    def test_a_cluster_counts_cores(self) -> None:
        conf = {"spark.executor.cores": "2"}
        assert spark_sizes("spark://h:1", conf, 3, "4g") == (
            "spark://h:1",
            {"spark.executor.cores": "2", "spark.cores.max": "6", "spark.executor.memory": "4g"},
        )

    def test_one_machine_has_cores_and_a_driver(self) -> None:
        assert spark_sizes("local[*,4]", {}, 2, "3g") == ("local[2,4]", {"spark.driver.memory": "3g"})
        assert spark_sizes("local[*,4]", {}, None, None) == ("local[*,4]", {})

    @pytest.mark.parametrize(("text", "gb"), [("8g", 8.0), ("512m", 0.5), ("1T", 1024.0), ("8GB", 8.0)])
    def test_sizes_in_spark_s_words(self, text: str, gb: float) -> None:
        assert memory_gb(text) == gb

    @pytest.mark.parametrize("text", ["8", "g", "-1g", "0g", "8 gigs", ""])
    def test_what_is_no_size(self, text: str) -> None:
        for size in (lambda: spark_sizes("local", {}, None, text), lambda: glue_sizes("G.1X", 2, None, text)):
            with pytest.raises(SubmitError, match="is no size: write a number and m, g or t"):
                size()
