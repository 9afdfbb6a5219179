"""What is uploaded, and by what names."""

from __future__ import annotations

import io
import json
import marshal
import subprocess
import sys
import zipfile
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

import pytest

from whatif.errors import SubmitError
from whatif.study import load_study
from whatif.submit.bundle import Bundle, content_digest, make_bundle

from .conftest import STRATEGY, STUDY


def bundle_of(folder: Path, strategy: str = "sma_crossover", **files: str) -> Bundle:
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    study = folder / "study.yaml"
    study.write_text(STUDY.replace("name: sma_crossover", f"name: '{strategy}'"))
    return make_bundle(load_study(study))


def test_a_study_goes_as_it_was_written(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path)
    assert bundle.files[bundle.study_path].decode() == (tmp_path / "study.yaml").read_text()
    assert bundle.study_path == f"studies/made/{bundle.study_digest}/study.yaml"
    assert len(bundle.files) == 3


def test_the_strategy_file_stands_beside_it_as_the_study_names_it(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "own/mine.py:mine", own__mine=STRATEGY)
    path = f"studies/made/{bundle.study_digest}/own/mine.py"
    assert bundle.files[path].decode() == STRATEGY


def test_the_file_of_a_universe_stands_beside_it(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("{symbols:", "{universe: members.csv, symbols:"))
    with pytest.raises(SubmitError, match=r"universe members\.csv of study made is not in .* put it beside"):
        make_bundle(load_study(tmp_path / "study.yaml"))
    (tmp_path / "members.csv").write_text("symbol,from,to")
    bundle = make_bundle(load_study(tmp_path / "study.yaml"))
    assert bundle.files[f"studies/made/{bundle.study_digest}/members.csv"] == b"symbol,from,to"


HELPED = "import helped_21\nfrom parts_21 import deep\nimport json, numpy\n" + STRATEGY


def test_helper_modules_beside_it_come_along_with_those_that_they_import(tmp_path: Path) -> None:
    files = {
        "own__mine": HELPED,
        "own__helped_21": "import other_21\n",
        "own__other_21": "N = 1\n",
        "own__parts_21__deep": "from . import const\n",
        "own__parts_21__const": "C = 1\n",
        "own__unused": "x = 1\n",
        "own__json": "not = the library\n",
    }
    bundle = bundle_of(tmp_path, "own/mine.py", **files)
    top = f"studies/made/{bundle.study_digest}"
    names = {path.removeprefix(f"{top}/") for path in bundle.files if path.startswith(top)}
    helpers = ["own/helped_21.py", "own/other_21.py", "own/parts_21/const.py", "own/parts_21/deep.py"]
    assert names == {"study.yaml", "own/mine.py", "helpers.json", *helpers}
    assert json.loads(bundle.files[f"{top}/helpers.json"]) == helpers

    changed = bundle_of(tmp_path, "own/mine.py", own__other_21="N = 2\n")
    assert changed.study_digest != bundle.study_digest


def test_a_module_that_would_not_be_there_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "helped_22.py").write_text("N = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    with pytest.raises(
        SubmitError, match=r"mine\.py imports helped_22, which is at .*/path/helped_22\.py.*put it"
    ):
        bundle_of(tmp_path / "own", "mine.py", mine="import helped_22\n" + STRATEGY)


def test_a_strategy_file_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `whatif run` finds it."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine.py").write_text(STRATEGY)
    monkeypatch.chdir(here)
    bundle = bundle_of(tmp_path, "mine.py")
    assert any(path.endswith("/mine.py") for path in bundle.files)


def test_every_change_is_another_name(tmp_path: Path) -> None:
    first = bundle_of(tmp_path, "mine.py", mine=STRATEGY)
    same = bundle_of(tmp_path, "mine.py", mine=STRATEGY)
    other = bundle_of(tmp_path, "mine.py", mine=STRATEGY + "\n")
    assert first.files == same.files
    assert first.study_digest != other.study_digest
    assert first.code_digest == other.code_digest


def test_a_digest_tells_names_and_contents_apart() -> None:
    digests = {
        content_digest(files)
        for files in ({"a": b"1", "b": b"2"}, {"a": b"2", "b": b"1"}, {"a": b"12"}, {"a": b"1"}, {"ab": b"1"})
    }
    assert len(digests) == 5


@pytest.mark.parametrize(
    "name",
    ["/elsewhere/mine.py", "../mine.py", "own/../../mine.py", "%2e%2e/mine.py", "~/mine.py", "C:mine.py"],
)
def test_a_strategy_file_that_could_not_stand_beside_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(SubmitError, match="name it relative to the study's folder"):
        bundle_of(tmp_path, name)


def test_a_link_to_a_file_elsewhere_is_not_uploaded(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine.py").symlink_to(tmp_path / "secret")
    with pytest.raises(SubmitError, match="by a link"):
        bundle_of(tmp_path / "here", "mine.py")


def test_a_strategy_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SubmitError, match=r"mine\.py of study made is not in .*put it beside the study"):
        bundle_of(tmp_path, "mine.py")


def test_a_strategy_of_an_installed_package_is_spoken_of(tmp_path: Path) -> None:
    assert (
        "has to be installed in the environment archive" in bundle_of(tmp_path, "desk.alpha:Alpha").notes[0]
    )
    assert not bundle_of(tmp_path).notes


def test_the_package_runs_from_its_zip(tmp_path: Path) -> None:
    """Templates and version included, in an interpreter that has no other whatif."""
    bundle = bundle_of(tmp_path)
    packed = tmp_path / "whatif.zip"
    packed.write_bytes(bundle.files[bundle.code_path])
    code = (
        "import whatif; from importlib.resources import files; assert '.zip' in whatif.__file__; "
        "import whatif.errors; assert whatif.errors.__file__.endswith('.pyc'); "
        "assert whatif.__version__; from whatif.strategies import resolve; assert resolve('sma_crossover'); "
        "assert (files('whatif.report') / 'templates' / 'report.css').read_text()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(packed), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_is_compiled_for_the_machine_is_kept_by_content_wherever_the_zip_lies(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path)
    code = (
        "import numpy as np; from whatif.domain.sums import exact_sum as kernel; kernel(np.ones(3), 0, 3); "
        "print(sum(kernel.stats.cache_hits.values()))"
    )
    said = []
    for application in ("app-1", "app-2"):
        packed = tmp_path / application / "whatif.zip"
        packed.parent.mkdir()
        packed.write_bytes(bundle.files[bundle.code_path])
        environment = {"PYTHONPATH": str(packed), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.strip())
    assert said == ["0", "1"]


def test_bytecode_lies_beside_its_source_and_knows_no_clock_and_no_folder(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path)
    with zipfile.ZipFile(io.BytesIO(bundle.files[bundle.code_path])) as archive:
        names = set(archive.namelist())
        sources = {name for name in names if name.endswith(".py")}
        assert {f"{name}c" for name in sources} == {name for name in names if name.endswith(".pyc")}
        found = archive.read("whatif/errors.pyc")
        source = archive.read("whatif/errors.py")
    # PEP 552: magic number, flags, hash of the source; not checked against it
    assert found[:16] == MAGIC_NUMBER + b"\x01\0\0\0" + source_hash(source)
    assert marshal.loads(found[16:]).co_filename == "whatif/errors.py"
    assert str(Path.cwd()).encode() not in found


def test_nothing_of_this_machine_is_packed(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path)
    with zipfile.ZipFile(io.BytesIO(bundle.files[bundle.code_path])) as archive:
        names = archive.namelist()
    assert "whatif/__init__.py" in names
    assert "whatif/VERSION" in names
    assert all(name.startswith("whatif/") and "__pycache__" not in name for name in names)
