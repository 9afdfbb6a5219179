"""The far side: a job whose study, and whose folder of results, are on S3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from whatif.errors import StrategyError, StudyError
from whatif.paths import inside
from whatif.study import load_study
from whatif.submit.bundle import named_file
from whatif.submit.clients import client
from whatif.submit.store import Store, is_s3


@contextmanager
def study_here(address: str) -> Iterator[Path]:
    """Give a study as a file of this machine, its strategy file beside it.

    Parameters
    ----------
    address : str
        Path, or S3 address; what is on S3 is fetched into a folder that is gone afterwards.

    Raises
    ------
    StudyError, StrategyError
        If the study, or the strategy file that it names, is not there, or has a path that would leave
        the folder.
    """
    if not is_s3(address):
        yield Path(address)
        return
    store = _store()
    parent, _, name = address.rpartition("/")
    with TemporaryDirectory(prefix="whatif-study-") as folder:
        path = inside(Path(folder), name or "study.yaml", "study", StudyError)
        if not name or not store.fetch(address, path):
            raise StudyError(f"study {address} does not exist: give the address of a YAML file")
        strategy = named_file(load_study(path))
        if strategy is not None:
            target = inside(Path(folder), strategy, "strategy file", StrategyError)
            if target == path:
                raise StrategyError(f"strategy file {strategy} is the study itself: name a Python file")
            if not store.fetch(f"{parent}/{strategy}", target):
                raise StrategyError(
                    f"strategy file {strategy} is not in the upload: there is no {parent}/{strategy}; put it "
                    "beside the study, name it relative to that, and submit again"
                )
        yield path


@contextmanager
def output_here(address: str | None) -> Iterator[Path | None]:
    """Give a folder to write to; what is in it afterwards is uploaded if it was asked for on S3."""
    if address is None or not is_s3(address):
        yield None if address is None else Path(address)
        return
    with TemporaryDirectory(prefix="whatif-report-") as folder:
        yield Path(folder)
        _store().put_folder(Path(folder), address)


def _store() -> Store:
    return Store(lambda: client("s3"))
