"""Two submits, one run; and everything around it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from whatif.errors import SubmitError
from whatif.study import load_study
from whatif.submit import bundle, submission
from whatif.submit.assembly import Place, Size, assemble
from whatif.submit.follow import Watch
from whatif.submit.records import Records
from whatif.submit.settings import Prices, SubmitSettings
from whatif.submit.submission import Started, Submission, Wishes, fetch, finish, start
from whatif.submit.target import Target

from .conftest import Clock, FakeEmr, FakeGlue, NoLogs, refusal

ARCHIVE = "whatif/environment.tar.gz"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emr(clock: Clock) -> FakeEmr:
    return FakeEmr(clock)


@pytest.fixture
def glue_service(clock: Clock) -> FakeGlue:
    return FakeGlue(clock)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "home")


Submit = Callable[..., Started]


@pytest.fixture
def make(
    settings: SubmitSettings, s3: Any, emr: FakeEmr, glue_service: FakeGlue, clock: Clock, tmp_path: Path,
    study_file: Path,
) -> Callable[..., Submission]:  # fmt: skip
    s3.put_object(Bucket="quant-artifacts", Key=ARCHIVE, Body=b"packed")
    clients: dict[str, Any] = {"s3": s3, "emr-serverless": emr, "glue": glue_service, "logs": NoLogs()}

    def build(
        kind: str = "emr-serverless", size: Size | None = None, own: SubmitSettings | None = None, **_: Any
    ):
        place = Place(
            Target(kind), own or settings, tmp_path / "home", client=clients.__getitem__, sleep=clock.sleep
        )
        return assemble(load_study(study_file), study_file, place, size or Size(), (), tmp_path / "out")

    return build


@pytest.fixture
def submit(make: Callable[..., Submission], records: Records, clock: Clock, tmp_path: Path) -> Submit:
    def do(*given: Any, again: bool = False, **named: Any) -> Started:
        return start(make(*given, **named), records, Wishes(tmp_path / "out", again), clock.now())

    return do


class TestStarting:
    def test_uploads_are_named_by_content_and_put_once(self, submit: Submit, s3: Any) -> None:
        first = submit()
        assert len(first.uploaded) == 3
        for uri in first.uploaded:
            s3.head_object(Bucket="quant-artifacts", Key=uri.removeprefix("s3://quant-artifacts/"))
        assert submit("glue").uploaded == (), "Glue takes the same files"

    def test_a_file_that_somebody_put_in_place_is_replaced(
        self, submit: Submit, make: Callable[..., Submission], s3: Any
    ) -> None:
        uploads = make().uploads()
        keys = {uri: uri.removeprefix("s3://quant-artifacts/") for uri in uploads}
        for key in keys.values():
            s3.put_object(Bucket="quant-artifacts", Key=key, Body=b"print('theirs')")
        assert set(submit().uploaded) == set(uploads)
        for uri, content in uploads.items():
            found = s3.get_object(Bucket="quant-artifacts", Key=keys[uri])["Body"].read()
            assert found == content

    def test_on_this_machine_too(self, tmp_path: Path) -> None:
        theirs, code = tmp_path / "theirs", tmp_path / "code" / "whatif.zip"
        theirs.write_bytes(b"theirs")
        assert submission._written(code, b"ours")
        assert not submission._written(code, b"ours")
        code.write_bytes(b"mine")
        assert submission._written(code, b"ours")
        code.unlink()
        code.symlink_to(theirs)
        assert submission._written(code, b"ours")
        assert (code.read_bytes(), theirs.read_bytes(), code.is_symlink()) == (b"ours", b"theirs", False)

    def test_the_request_is_the_one_a_dry_run_prints(
        self, submit: Submit, make: Callable[..., Submission], emr: FakeEmr
    ) -> None:
        printed = make().plan()["request"]["parameters"]
        submit()
        assert emr.starts == [printed]

    def test_glue_s_too(
        self, submit: Submit, make: Callable[..., Submission], glue_service: FakeGlue
    ) -> None:
        printed = make("glue").plan()["request"]["parameters"]
        submit("glue")
        assert glue_service.starts == [printed]

    def test_what_the_job_is_told_to_read_is_what_was_uploaded(
        self, submit: Submit, emr: FakeEmr, s3: Any
    ) -> None:
        submit()
        driver = emr.starts[0]["jobDriver"]["sparkSubmit"]
        named = [
            driver["entryPoint"],
            driver["entryPointArguments"][0],
            driver["sparkSubmitParameters"].split()[-1],
        ]
        for uri in named:
            s3.head_object(Bucket="quant-artifacts", Key=uri.removeprefix("s3://quant-artifacts/"))

    def test_a_missing_archive(self, submit: Submit, s3: Any, emr: FakeEmr) -> None:
        s3.delete_object(Bucket="quant-artifacts", Key=ARCHIVE)
        with pytest.raises(SubmitError, match=r"environment archive .* is not there.*make env-archive"):
            submit()
        assert not emr.starts

    def test_a_missing_bucket(self, submit: Submit, settings: SubmitSettings, emr: FakeEmr) -> None:
        with pytest.raises(SubmitError, match="there is no bucket quant-elsewhere"):
            submit(own=settings.model_copy(update={"bucket": "quant-elsewhere"}))
        assert not emr.starts

    def test_a_role_that_may_not_be_passed(self, submit: Submit, emr: FakeEmr, records: Records) -> None:
        denied = refusal("AccessDeniedException", "not authorized to perform: iam:PassRole on resource: r")
        whole = emr.start_job_run

        def deny(**given: Any) -> Any:
            emr.errors = [denied]
            return whole(**given)

        emr.start_job_run = deny  # type: ignore[method-assign]
        with pytest.raises(SubmitError, match="may not pass role arn:aws:iam::111122223333:role/whatif-run"):
            submit()
        assert records.all() == []


@pytest.mark.parametrize("kind", ["emr-serverless", "glue"])
class TestOnce:
    def started(self, kind: str, emr: FakeEmr, glue_service: FakeGlue) -> list[dict[str, Any]]:
        return emr.starts if kind == "emr-serverless" else glue_service.starts

    def mark(self, state: str, emr: FakeEmr, glue_service: FakeGlue) -> None:
        for run in emr.runs:
            run["state"] = {"good": "SUCCESS", "bad": "FAILED", "going": "RUNNING"}[state]
        for run in glue_service.runs:
            run["JobRunState"] = {"good": "SUCCEEDED", "bad": "FAILED", "going": "RUNNING"}[state]

    @pytest.mark.parametrize("state", ["going", "good"])
    def test_the_same_again_starts_nothing(
        self, kind: str, state: str, submit: Submit, emr: FakeEmr, glue_service: FakeGlue
    ) -> None:
        first = submit(kind)
        self.mark(state, emr, glue_service)
        second = submit(kind)
        assert len(self.started(kind, emr, glue_service)) == 1
        assert (first.found, second.found) == (False, True)
        assert first.record.run == second.record.run
        assert second.uploaded == ()

    def test_also_from_another_machine(
        self, kind: str, submit: Submit, emr: FakeEmr, glue_service: FakeGlue, records: Records
    ) -> None:
        submit(kind)
        for file in records.folder.iterdir():
            file.unlink()
        assert submit(kind).found

    def test_after_a_failure_it_is_a_new_attempt(
        self, kind: str, submit: Submit, emr: FakeEmr, glue_service: FakeGlue
    ) -> None:
        first = submit(kind)
        self.mark("bad", emr, glue_service)
        second = submit(kind)
        assert not second.found
        assert second.record.run != first.record.run
        assert second.record.identity == first.record.identity
        tokens = [request["clientToken"] for request in emr.starts]
        assert len(set(tokens)) == len(tokens)

    def test_again_is_for_what_has_succeeded_not_for_what_is_going_on(
        self, kind: str, submit: Submit, emr: FakeEmr, glue_service: FakeGlue
    ) -> None:
        submit(kind)
        self.mark("going", emr, glue_service)
        assert submit(kind, again=True).found
        self.mark("good", emr, glue_service)
        assert not submit(kind, again=True).found
        assert len(self.started(kind, emr, glue_service)) == 2

    def test_another_size_is_the_same_study_another_text_is_not(
        self, kind: str, submit: Submit, study_file: Path
    ) -> None:
        first = submit(kind)
        assert submit(kind, Size(executors=7, memory="12g")).record.identity == first.record.identity
        study_file.write_text(study_file.read_text().replace("[3, 5]", "[3, 6]"))
        assert submit(kind).record.identity != first.record.identity


class TestIdentity:
    """What changes what comes of it is another run."""

    def test_other_code(self, make: Callable[..., Submission], monkeypatch: pytest.MonkeyPatch) -> None:
        first = make().job
        monkeypatch.setattr(bundle, "_package", lambda: ("other", b"other"))
        second = make().job
        assert second.identity != first.identity
        assert second.code != first.code

    @pytest.mark.parametrize(
        "changed",
        [{"warehouse": "s3://quant-other/warehouse/"}, {"archive": "s3://quant-artifacts/newer.tar.gz"}],
    )
    def test_another_lake_or_environment(
        self, make: Callable[..., Submission], settings: SubmitSettings, changed: dict[str, str]
    ) -> None:
        other = settings.model_copy(update=changed)
        assert make(own=other).job.identity != make().job.identity

    def test_another_place(self, make: Callable[..., Submission]) -> None:
        assert make("glue").job.identity != make().job.identity


class TestTheEnd:
    def test_results_are_fetched(
        self, submit: Submit, emr: FakeEmr, s3: Any, records: Records, clock: Clock,
        make: Callable[..., Submission], tmp_path: Path,
    ) -> None:  # fmt: skip
        record = submit().record
        s3.put_object(
            Bucket="quant-artifacts", Key=f"whatif/runs/made/{record.identity}/report.html", Body=b"page"
        )
        emr.states = ["RUNNING", "SUCCESS"]
        said: list[str] = []
        watch = Watch(said.append, sleep=clock.sleep, now=clock.now)
        state = finish(record, make().runner, Prices(), watch, records)
        assert state.name == "SUCCESS"
        assert records.all()[0].state == "SUCCESS"
        assert fetch(record, make().store) == [tmp_path / "out" / "report.html"]
        assert (tmp_path / "out" / "report.html").read_text() == "page"

    def test_a_run_that_left_nothing(self, submit: Submit, make: Callable[..., Submission]) -> None:
        record = submit().record
        with pytest.raises(
            SubmitError, match=r"left nothing in s3://quant-artifacts/whatif/runs/made/.*--again"
        ):
            fetch(record, make().store)


class TestRecords:
    def test_by_id_by_its_beginning_by_run_and_by_study(self, submit: Submit, records: Records) -> None:
        record = submit().record
        for name in (record.identity, record.identity[:6], record.run, "made"):
            assert records.matching(name) == [record]

    def test_a_name_nobody_submitted(self, submit: Submit, records: Records) -> None:
        with pytest.raises(SubmitError, match="'whatif submit' something first"):
            records.matching("nothing")
        record = submit().record
        with pytest.raises(SubmitError, match=f"known are {record.identity}"):
            records.matching("nothing")

    def test_a_damaged_record(self, records: Records) -> None:
        records.folder.mkdir(parents=True)
        (records.folder / "x.json").write_text("{")
        with pytest.raises(SubmitError, match=r"is no record of a submission .*remove it"):
            records.all()
