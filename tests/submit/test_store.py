"""S3 as an emulator in this process sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from whatif.errors import StrategyError, StudyError, SubmitError
from whatif.submit import bundle
from whatif.submit.bundle import output_here, study_here
from whatif.submit.store import Store, split_uri

from .conftest import STRATEGY, STUDY, refusal

ROOT = "s3://quant-artifacts/whatif"


@pytest.fixture
def store(s3: Any) -> Store:
    return Store(lambda: s3)


@pytest.fixture
def far_side(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(bundle, "_store", lambda: store)
    return store


def keys(s3: Any) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket="quant-artifacts").get("Contents", [])]


class TestStore:
    def test_an_object_is_put_once(self, store: Store, s3: Any) -> None:
        assert store.put_if_absent(f"{ROOT}/a/b.txt", b"first")
        assert not store.put_if_absent(f"{ROOT}/a/b.txt", b"first")
        assert s3.get_object(Bucket="quant-artifacts", Key="whatif/a/b.txt")["Body"].read() == b"first"

    @pytest.mark.parametrize("theirs", [b"theirs", b"firsT", b""])
    @pytest.mark.parametrize("checksum", [{}, {"ChecksumAlgorithm": "SHA256"}])
    def test_what_somebody_put_there_before_is_replaced(
        self, store: Store, s3: Any, theirs: bytes, checksum: dict[str, str]
    ) -> None:
        s3.put_object(Bucket="quant-artifacts", Key="whatif/a/b.txt", Body=theirs, **checksum)
        assert store.put_if_absent(f"{ROOT}/a/b.txt", b"first")
        assert s3.get_object(Bucket="quant-artifacts", Key="whatif/a/b.txt")["Body"].read() == b"first"
        assert not store.put_if_absent(f"{ROOT}/a/b.txt", b"first")

    def test_a_folder_there_and_back(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "out" / "deep").mkdir(parents=True)
        (tmp_path / "out" / "report.html").write_text("page")
        (tmp_path / "out" / "deep" / "x.csv").write_text("1")
        put = store.put_folder(tmp_path / "out", f"{ROOT}/runs/r/")
        assert put == [f"{ROOT}/runs/r/deep/x.csv", f"{ROOT}/runs/r/report.html"]
        fetched = store.fetch_folder(f"{ROOT}/runs/r", tmp_path / "in")
        assert sorted(path.relative_to(tmp_path / "in").as_posix() for path in fetched) == [
            "deep/x.csv",
            "report.html",
        ]
        assert (tmp_path / "in" / "report.html").read_text() == "page"
        assert not list((tmp_path / "in").rglob("*.part"))

    def test_a_neighbour_whose_name_begins_alike_is_not_fetched(
        self, store: Store, s3: Any, tmp_path: Path
    ) -> None:
        s3.put_object(Bucket="quant-artifacts", Key="runs/r2/x", Body=b"")
        assert store.fetch_folder("s3://quant-artifacts/runs/r", tmp_path) == []

    def test_a_key_that_would_leave_the_folder(self, store: Store, s3: Any, tmp_path: Path) -> None:
        s3.put_object(Bucket="quant-artifacts", Key="r/../../x", Body=b"")
        with pytest.raises(SubmitError, match="would leave the folder"):
            store.fetch_folder("s3://quant-artifacts/r/", tmp_path)

    @pytest.mark.parametrize(
        "name",
        [
            "/abs",
            "../x",
            "a/../../x",
            "a\\..\\x",
            "C:x",
            "~/x",
            "%2e%2e/x",
            "a\u202ex",
            "\uff0e\uff0e/x",
            "y" * 256,
        ],
    )
    def test_keys_of_every_shape_that_leaves(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setattr(Store, "_keys", lambda *_: iter([f"r/{name}"]))
        with pytest.raises(SubmitError, match="would leave the folder"):
            store.fetch_folder("s3://quant-artifacts/r/", tmp_path / "in")
        assert not list(tmp_path.rglob("*"))

    def test_a_folder_with_a_link_in_it_is_not_written_through(
        self, store: Store, s3: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "out").mkdir()
        (tmp_path / "in" / "deep").symlink_to(tmp_path / "out")
        s3.put_object(Bucket="quant-artifacts", Key="r/deep/x", Body=b"theirs")
        with pytest.raises(SubmitError, match="by a link"):
            store.fetch_folder("s3://quant-artifacts/r/", tmp_path / "in")
        assert not list((tmp_path / "out").iterdir())

    def test_a_link_out_of_the_folder_is_not_uploaded(self, store: Store, s3: Any, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("key")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "x.csv").symlink_to(tmp_path / "secret")
        with pytest.raises(SubmitError, match="by a link"):
            store.put_folder(tmp_path / "out", f"{ROOT}/r/")
        assert keys(s3) == []

    def test_the_longest_name_is_fetched(self, store: Store, s3: Any, tmp_path: Path) -> None:
        s3.put_object(Bucket="quant-artifacts", Key="r/" + "y" * 255, Body=b"")
        assert [path.name for path in store.fetch_folder("s3://quant-artifacts/r/", tmp_path)] == ["y" * 255]

    def test_more_objects_than_a_page(
        self, store: Store, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for k in range(5):
            s3.put_object(Bucket="quant-artifacts", Key=f"r/{k}", Body=b"")
        pages = s3.get_paginator("list_objects_v2")

        class Small:
            def paginate(self, **given: Any) -> Any:
                return pages.paginate(**given, PaginationConfig={"PageSize": 2})

        monkeypatch.setattr(s3, "get_paginator", lambda _: Small())
        assert len(store.fetch_folder("s3://quant-artifacts/r/", tmp_path)) == 5

    def test_a_missing_bucket(self, store: Store) -> None:
        with pytest.raises(SubmitError, match="there is no bucket quant-nowhere: set bucket in the settings"):
            store.check_bucket("quant-nowhere")
        with pytest.raises(SubmitError, match="there is no bucket quant-nowhere"):
            store.put_if_absent("s3://quant-nowhere/x", b"")

    def test_a_bucket_of_somebody_else(self, store: Store, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def no(**_: Any) -> None:
            raise refusal("403", "Forbidden", "HeadBucket")

        monkeypatch.setattr(s3, "head_bucket", no)
        with pytest.raises(SubmitError, match="AWS denies access to quant-artifacts"):
            store.check_bucket("quant-artifacts")

    def test_what_is_no_address(self) -> None:
        for text in ("s3:/x", "s3://", "/tmp/x"):
            with pytest.raises(SubmitError, match="write s3://bucket/key"):
                split_uri(text)


class TestFarSide:
    """What a job does whose study and output are on S3."""

    def test_the_study_and_its_strategy_are_fetched_and_gone_again(self, far_side: Store) -> None:
        study = STUDY.replace("sma_crossover", "own/mine.py")
        far_side.put_if_absent(f"{ROOT}/s/study.yaml", study.encode())
        far_side.put_if_absent(f"{ROOT}/s/own/mine.py", STRATEGY.encode())
        far_side.put_if_absent(f"{ROOT}/s/big.bin", b"not ours")
        with study_here(f"{ROOT}/s/study.yaml") as path:
            assert path.read_text() == study
            assert (path.parent / "own" / "mine.py").read_text() == STRATEGY
            assert not (path.parent / "big.bin").exists()
        assert not path.exists()

    def test_the_file_of_a_universe_is_fetched(self, far_side: Store) -> None:
        study = STUDY.replace("{symbols:", "{universe: own/members.csv, symbols:")
        assert study != STUDY
        far_side.put_if_absent(f"{ROOT}/s/study.yaml", study.encode())
        with (
            pytest.raises(StudyError, match=r"universe own/members\.csv is not in the upload: there is no"),
            study_here(f"{ROOT}/s/study.yaml"),
        ):
            pass
        far_side.put_if_absent(f"{ROOT}/s/own/members.csv", b"symbol,from,to")
        with study_here(f"{ROOT}/s/study.yaml") as path:
            assert (path.parent / "own" / "members.csv").read_text() == "symbol,from,to"

    def test_helper_modules_that_the_upload_lists_are_fetched(self, far_side: Store) -> None:
        study = STUDY.replace("sma_crossover", "own/mine.py")
        texts = {"study.yaml": study, "own/mine.py": STRATEGY, "own/helper.py": "N = 1"}
        for name, text in {**texts, "helpers.json": '["own/helper.py"]'}.items():
            far_side.put_if_absent(f"{ROOT}/s/{name}", text.encode())
        with study_here(f"{ROOT}/s/study.yaml") as path:
            assert (path.parent / "own" / "helper.py").read_text() == "N = 1"

    @pytest.mark.parametrize(
        ("listed", "said"),
        [
            ('["../x.py"]', "would leave the folder"),
            ('["/tmp/x.py"]', "would leave the folder"),
            ('["study.yaml"]', "no Python file"),
            ('["mine.py"]', "no Python file"),
            ('["gone.py"]', "gone.py is not in the upload"),
            ("{}", "no list"),
            ("[", "no list of JSON"),
        ],
    )
    def test_a_list_of_helper_modules_that_is_wrong(self, far_side: Store, listed: str, said: str) -> None:
        far_side.put_if_absent(f"{ROOT}/s/study.yaml", STUDY.replace("sma_crossover", "mine.py").encode())
        far_side.put_if_absent(f"{ROOT}/s/mine.py", STRATEGY.encode())
        far_side.put_if_absent(f"{ROOT}/s/helpers.json", listed.encode())
        with pytest.raises(StrategyError, match=said), study_here(f"{ROOT}/s/study.yaml"):
            pass

    def test_a_strategy_file_that_is_not_in_the_upload(self, far_side: Store) -> None:
        far_side.put_if_absent(f"{ROOT}/s/study.yaml", STUDY.replace("sma_crossover", "mine.py").encode())
        with (
            pytest.raises(StrategyError, match=r"mine\.py is not in the upload: there is no .*/s/mine\.py"),
            study_here(f"{ROOT}/s/study.yaml"),
        ):
            pass

    @pytest.mark.parametrize(
        "name", ["{here}/x.py", "../x.py", "own/../../x.py", "..%2fx.py", "~/x.py", "C:x.py"]
    )
    def test_a_strategy_path_that_leaves_the_folder_writes_nothing(
        self, far_side: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        named = name.format(here=tmp_path)
        study = STUDY.replace("name: sma_crossover", f"name: '{named}'")
        far_side.put_if_absent(f"{ROOT}/s/study.yaml", study.encode())
        asked: list[str] = []
        fetch = far_side.fetch
        monkeypatch.setattr(far_side, "fetch", lambda uri, to: asked.append(uri) or fetch(uri, to))
        with pytest.raises(StrategyError, match="would leave the folder"), study_here(f"{ROOT}/s/study.yaml"):
            pass
        assert asked == [f"{ROOT}/s/study.yaml"]
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["..", "%2e%2e", "C:study.yaml", "a\\b.yaml"])
    def test_a_study_whose_name_leaves_the_folder(self, far_side: Store, name: str) -> None:
        with pytest.raises(StudyError, match="would leave the folder"), study_here(f"{ROOT}/{name}"):
            pass

    def test_a_strategy_below_the_study_as_if_it_were_a_folder(self, far_side: Store) -> None:
        far_side.put_if_absent(
            f"{ROOT}/s/study.yaml", STUDY.replace("sma_crossover", "study.yaml/x.py").encode()
        )
        with pytest.raises(SubmitError, match="cannot be written"), study_here(f"{ROOT}/s/study.yaml"):
            pass

    def test_a_study_that_is_not_there(self, far_side: Store) -> None:
        with pytest.raises(StudyError, match="does not exist"), study_here(f"{ROOT}/none.yaml"):
            pass

    def test_what_is_written_is_uploaded(self, far_side: Store, s3: Any) -> None:
        with output_here(f"{ROOT}/runs/r/") as folder:
            assert folder is not None
            (folder / "report.html").write_text("page")
        assert keys(s3) == ["whatif/runs/r/report.html"]

    def test_nothing_is_uploaded_of_a_run_that_failed(self, far_side: Store, s3: Any) -> None:
        def fail() -> None:
            with output_here(f"{ROOT}/runs/r/") as folder:
                assert folder is not None
                (folder / "report.html").write_text("half")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert keys(s3) == []

    def test_files_of_this_machine_stay_where_they_are(self, tmp_path: Path) -> None:
        with (
            study_here("a/study.yaml") as path,
            output_here(str(tmp_path)) as folder,
            output_here(None) as none,
        ):
            assert path == Path("a/study.yaml")
            assert folder == tmp_path
            assert none is None
