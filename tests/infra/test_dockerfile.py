"""What can be read from the text of the Dockerfile, which no test builds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "infra" / "Dockerfile").read_text(encoding="utf-8")
LABEL = r"emr-\d+\.\d+\.\d+"


def instructions(text: str) -> list[tuple[str, str]]:
    """Return (name, arguments) of every instruction, continued lines joined."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(name.upper(), arguments.strip()) for name, _, arguments in pairs]


def arguments_of(name: str) -> list[str]:
    return [arguments for found, arguments in instructions(TEXT) if found == name]


def test_continued_lines_are_one_instruction() -> None:
    assert instructions("# no\nRUN a \\\n  # no\n  && b\n\nuser x") == [("RUN", "a && b"), ("USER", "x")]


def test_the_base_image_is_that_of_the_release_everything_else_names() -> None:
    (base,) = arguments_of("FROM")
    label = re.fullmatch(rf"public\.ecr\.aws/emr-serverless/spark/({LABEL})@\$\{{BASE_DIGEST\}}", base)
    assert label is not None, base
    assert arguments_of("ARG") == ["BASE_DIGEST"], "a default would be an image that AWS has patched since"
    conf = (ROOT / "conf" / "spark" / "emr-serverless.conf").read_text(encoding="utf-8")
    assert set(re.findall(LABEL, conf)) == {label[1]}
    for template in (ROOT / "infra").glob("*.yaml"):
        named = re.findall(rf"ReleaseLabel:\s*({LABEL})", template.read_text(encoding="utf-8"))
        assert set(named) <= {label[1]}, template.name


def test_packages_come_from_the_runtime_lock_by_hash_and_nothing_else_from_an_index() -> None:
    installs = re.findall(r"pip install ([^&]*)", " ".join(arguments_of("RUN")))
    assert len(installs) == 2
    for words in map(str.split, installs):
        assert "--no-deps" in words
        targets = [word for word in words if not word.startswith("-")]
        if "--no-index" in words:
            assert targets == ["/tmp/whatif/whatif-*.whl"]
        else:
            assert {"--require-hashes", "--only-binary=:all:", "-r"} <= set(words)
            assert targets == ["/tmp/whatif/requirements-runtime.lock"]
    assert arguments_of("COPY") == ["requirements-runtime.lock dist/whatif-*.whl /tmp/whatif/"]
    assert (ROOT / "requirements-runtime.lock").is_file()


def test_spark_comes_with_the_base_image_and_runs_this_python() -> None:
    assert not re.search(r"\bpyspark\b", " ".join(arguments_of("RUN")))
    settings = dict(re.findall(r"(\w+)=(\S+)", " ".join(arguments_of("ENV"))))
    assert settings["PYSPARK_PYTHON"] == settings["PYSPARK_DRIVER_PYTHON"] == "/opt/whatif/bin/python"


def test_jobs_do_not_run_as_root_and_find_a_place_for_what_numba_compiles() -> None:
    names = [name for name, _ in instructions(TEXT)]
    assert instructions(TEXT)[-1] == ("USER", "hadoop:hadoop")
    assert "ENTRYPOINT" not in names, "that of the base image starts Spark"
    assert "CMD" not in names
    settings = dict(re.findall(r"(\w+)=(\S+)", " ".join(arguments_of("ENV"))))
    assert settings["NUMBA_CACHE_DIR"].startswith("/tmp/")


@pytest.mark.parametrize("unwanted", [r"\bcurl\b", r"\bwget\b", r"https?://", r"\bchmod\b.*777", r"\bsudo\b"])
def test_nothing_is_fetched_past_the_package_managers(unwanted: str) -> None:
    said = " ".join(arguments for _, arguments in instructions(TEXT))
    assert not re.search(unwanted, said)
    assert not arguments_of("ADD")


def test_it_holds_no_secret_and_its_context_is_two_files() -> None:
    names = re.findall(r"(\w+)=", " ".join([*arguments_of("ENV"), *arguments_of("ARG")]))
    assert not [name for name in names if re.search(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", name, re.I)]
    assert not re.search(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|--build-arg \w*(KEY|TOKEN)", TEXT)
    sent = (ROOT / "infra" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert [line for line in sent if not line.startswith("#")] == [
        "*",
        "!requirements-runtime.lock",
        "!dist/whatif-*.whl",
    ]


def test_it_says_that_it_was_not_built() -> None:
    assert "has not been built" in " ".join(TEXT.split())
