"""Bundle of what a job needs where it runs: study, strategy file and code, each named by its content."""

from __future__ import annotations

import hashlib
import io
import json
import marshal
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from whatif.conf_files import jobs_dir
from whatif.errors import StrategyError, StudyError, SubmitError
from whatif.paths import bounded_text, broken_rule, inside, regular_file
from whatif.strategies import BUILTIN, MAX_HELPERS, helpers_of
from whatif.strategies import strategy_file as strategy_path
from whatif.study import Study, load_study
from whatif.submit.clients import client
from whatif.submit.store import Store, is_s3
from whatif.texts import shown

STUDY_FILE = "study.yaml"
HELPERS_FILE = "helpers.json"
"""Paths of the helper modules of the strategy file, a list of JSON."""
ENTRY = "run_whatif.py"
CODE = "whatif.zip"
_WITHOUT_REFERENCES = 2
"""Format of bytecode: later ones depend on what else the process that writes them has in memory."""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """Everything that is uploaded.

    Attributes
    ----------
    study : str
        Name of the study.
    study_digest, code_digest : str
        Of the study with its strategy file, and of the package with its program.
    files : mapping of str to bytes
        Paths below the account's prefix to contents.
    notes : tuple of str
        What the one who submits should know.
    """

    study: str
    study_digest: str
    code_digest: str
    files: Mapping[str, bytes] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def study_path(self) -> str:
        """Path of the study below the prefix; its strategy file stands beside it as the study names it."""
        return f"studies/{self.study}/{self.study_digest}/{STUDY_FILE}"

    @property
    def entry_path(self) -> str:
        """Path of the program below the prefix."""
        return f"code/{self.code_digest}/{ENTRY}"

    @property
    def code_path(self) -> str:
        """Path of the zipped package below the prefix."""
        return f"code/{self.code_digest}/{CODE}"


def make_bundle(study: Study) -> Bundle:
    """Return what has to be uploaded for `study`.

    Raises
    ------
    SubmitError
        If its strategy file is not there, or could not stand beside the study elsewhere.
    """
    authored = {STUDY_FILE: study.text.encode()}
    strategy = strategy_file(study)
    if strategy is not None:
        name, path = strategy
        authored[name] = _read(path)
        authored |= _helpers(name, path, authored[name])
    universe = universe_file(study)
    if universe is not None:
        authored[universe[0]] = _read(universe[1])
    program = _read(jobs_dir() / ENTRY)
    package_digest, package = _package()
    study_digest = content_digest(authored)
    code_digest = content_digest({CODE: package_digest.encode(), ENTRY: program})
    uploads = {f"studies/{study.study}/{study_digest}/{name}": content for name, content in authored.items()}
    uploads[f"code/{code_digest}/{ENTRY}"] = program
    uploads[f"code/{code_digest}/{CODE}"] = package
    return Bundle(study.study, study_digest, code_digest, uploads, _notes(study))


def _helpers(name: str, path: Path, content: bytes) -> dict[str, bytes]:
    """Return the helper modules beside a strategy file, and the list by which the job fetches them.

    Raises
    ------
    SubmitError
        If the file imports what is neither beside it nor installed.
    """
    try:
        found = helpers_of(content.decode("utf-8"), path.parent)
    except UnicodeDecodeError as error:
        raise SubmitError(f"strategy file {name} is no text in UTF-8: {error}") from error
    for module, place in found.elsewhere:
        raise SubmitError(
            f"strategy file {name} imports {module}, which is at {place}, neither beside the file nor "
            "installed, so the job would not find it: put it beside the strategy file, or install it in the "
            "environment archive"
        )
    if not found.files:
        return {}
    folder = PurePosixPath(name).parent
    authored = {str(folder / file): text.encode() for file, text in found.files}
    return authored | {HELPERS_FILE: json.dumps(sorted(authored), indent=1).encode()}


def strategy_file(study: Study) -> tuple[str, Path] | None:
    """Return the strategy file of a study as the study names it, and where it is; None if it names none.

    Raises
    ------
    SubmitError
        If it is not there, or lies outside the study's folder and the working folder, also by a link.
    """
    name = named_file(study)
    return None if name is None else _beside(study, name, "strategy file")


def universe_file(study: Study) -> tuple[str, Path] | None:
    """Return the file of a study's universe as `strategy_file` does that of its strategy.

    Raises
    ------
    SubmitError
        As there.
    """
    asked = study.data.universe
    return None if asked is None or asked.file is None else _beside(study, asked.file, "universe")


def _beside(study: Study, name: str, what: str) -> tuple[str, Path]:
    """Return a file that a study names, and where it is."""
    broken = broken_rule(name)
    if broken:
        raise SubmitError(
            f"{what} {shown(name)} {broken}, so it cannot stand beside the study where the job runs: "
            "name it relative to the study's folder, without '..'"
        )
    folders = [folder for folder in (study.folder, Path()) if folder is not None]
    for folder in folders:
        path = inside(folder, name, what, SubmitError)
        if regular_file(path, what, SubmitError):
            return name, path
    looked = " or ".join(dict.fromkeys(str(folder.absolute()) for folder in folders))
    raise SubmitError(
        f"{what} {name} of study {study.study} is not in {looked}, so it would not be in the upload: "
        "put it beside the study"
    )


def named_file(study: Study) -> str | None:
    """Return the path of the Python file that the study names as its strategy, or None."""
    return strategy_path(study.strategy.name)


def content_digest(files: Mapping[str, bytes]) -> str:
    """Return 32 hexadecimal digits that tell files of other names or contents apart."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return whole.hexdigest()[:32]


def _notes(study: Study) -> tuple[str, ...]:
    name = study.strategy.name
    if named_file(study) is not None or name in BUILTIN:
        return ()
    return (f"strategy {name} is not uploaded: it has to be installed in the environment archive",)


@cache
def _package() -> tuple[str, bytes]:
    """Return a digest of the package's files, and all of them in one zip."""
    folder = Path(str(files("whatif"))).resolve()
    if not folder.is_dir():
        raise SubmitError(f"the package {folder} is no folder: submit from a checkout or an installation")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    contents = {path.relative_to(folder.parent).as_posix(): path.read_bytes() for path in found}
    return content_digest(contents), _zipped(contents)


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip that is the same whenever it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            _add(archive, name, content)
            if name.endswith(".py"):
                _add(archive, f"{name}c", _compiled(name, content))
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def _compiled(name: str, source: bytes) -> bytes:
    """Return bytecode that goes by the digest of its source and is not checked (PEP 552).

    Python keeps none of what it imports from a zip, so each worker would compile the package anew.
    Another version of Python takes the source beside it.
    """
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    unchecked = (0b01).to_bytes(4, "little")
    return MAGIC_NUMBER + unchecked + source_hash(source) + marshal.dumps(code, _WITHOUT_REFERENCES)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SubmitError(f"{path} cannot be read ({error.strerror}), so it cannot be uploaded") from error


MAX_LIST_BYTES = 1_000_000
"""Longest list of helper modules."""


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
        study = load_study(path)
        strategy = named_file(study)
        if study.data.universe is not None and study.data.universe.file is not None:
            _fetch_universe(store, parent, Path(folder), path, study.data.universe.file)
        if strategy is not None:
            target = inside(Path(folder), strategy, "strategy file", StrategyError)
            if target == path:
                raise StrategyError(f"strategy file {strategy} is the study itself: name a Python file")
            if not store.fetch(f"{parent}/{strategy}", target):
                raise StrategyError(
                    f"strategy file {strategy} is not in the upload: there is no {parent}/{strategy}; put it "
                    "beside the study, name it relative to that, and submit again"
                )
            _fetch_helpers(store, parent, Path(folder), {path, target})
        yield path


def _fetch_universe(store: Store, parent: str, folder: Path, study: Path, name: str) -> None:
    """Fetch the file of a study's universe.

    Raises
    ------
    StudyError
        If it is not there, or would leave the folder.
    """
    target = inside(folder, name, "universe", StudyError)
    if target == study or not store.fetch(f"{parent}/{name}", target):
        raise StudyError(f"universe {name} is not in the upload: there is no {parent}/{name}; submit again")


def _fetch_helpers(store: Store, parent: str, folder: Path, taken: set[Path]) -> None:
    """Fetch the helper modules of a strategy file that an upload lists.

    Raises
    ------
    StrategyError
        If the list is none, or one of them is not there or would leave the folder.
    """
    listed = inside(folder, HELPERS_FILE, "list of helper modules", StrategyError)
    if listed in taken or not store.fetch(f"{parent}/{HELPERS_FILE}", listed):
        return
    try:
        names = json.loads(bounded_text(listed, "list of helper modules", MAX_LIST_BYTES, StrategyError))
    except ValueError as error:
        raise StrategyError(f"{parent}/{HELPERS_FILE} is no list of JSON: submit again") from error
    if not isinstance(names, list) or len(names) > MAX_HELPERS:
        raise StrategyError(
            f"{parent}/{HELPERS_FILE} is no list of at most {MAX_HELPERS} paths: submit again"
        )
    for name in names:
        target = inside(folder, str(name), "helper module", StrategyError)
        if target.suffix != ".py" or target in taken:
            raise StrategyError(
                f"helper module {str(name)!r} is no Python file beside the strategy: submit again"
            )
        if not store.fetch(f"{parent}/{name}", target):
            raise StrategyError(f"helper module {name} is not in the upload: submit again")


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
