"""Tables of the local lake, made and changed by PyIceberg: no JVM is started for them.

PyIceberg commits to them as Iceberg's Hadoop catalog does. Spark and PyIceberg write the same tables, one
after the other: whoever writes holds the writer's lock (`whatif.lake.lock`), and a metadata version that is
there already is never replaced. Files get the checksum files beside them that Hadoop's local file system
writes and reads.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.fileformat import FileFormatFactory
from pyiceberg.io.pyarrow import (
    ArrowScan,
    _dataframe_to_data_files,
    bin_pack_arrow_table,
    write_file,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionField, PartitionFieldValue, PartitionKey, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import CommitTableResponse, FileScanTask, Table, TableProperties, WriteTask
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadataUtil, TableMetadataV2, new_table_metadata
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.table.update import update_table_metadata
from pyiceberg.transforms import IdentityTransform, MonthTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from whatif.errors import LakeError
from whatif.lake.local_files import SummedFileIO, metadata_version, publish
from whatif.pins import (
    LakeLocation,
    all_of,
    newest_metadata,
    one_of,
    within,
)

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.io import FileIO
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableRequirement, TableUpdate
    from pyiceberg.typedef import Identifier

    from whatif.lake.spec import TableSpec

_TYPES: dict[str, IcebergType] = {
    "bigint": LongType(),
    "boolean": BooleanType(),
    "date": DateType(),
    "double": DoubleType(),
    "int": IntegerType(),
    "string": StringType(),
    "timestamp": TimestamptzType(),
}
_ARRAY = re.compile(r"array<(\w+)>")
_SIZE = TableProperties.WRITE_TARGET_FILE_SIZE_BYTES

ROWS_AT_ONCE = 128 * 1024
"""Rows whose texts are made out of dictionaries at a time; whole row groups, of whatever size they are."""
_MONTHS = re.compile(r"months\((\w+)\)")


def create_local(location: LakeLocation, spec: TableSpec, properties: Mapping[str, str]) -> None:
    """Create a table as Spark's CREATE TABLE would: same field numbers, partitions and sort order."""
    schema = _schema(spec)
    columns = {field.name: field.field_id for field in schema.fields}
    partitions = [
        _partition(text, columns, number) for number, text in enumerate(spec.partitioning, start=1000)
    ]
    order = [SortField(columns[name], IdentityTransform()) for name in spec.sort_order]
    FolderCatalog(location).create(
        spec.name,
        schema,
        PartitionSpec(*partitions),
        SortOrder(*order, order_id=1 if order else 0),
        properties,
    )


def add_column_locally(location: LakeLocation, spec: TableSpec, column: str, kind: str) -> None:
    """Add an optional column at the end; rows that are there have no value of it."""
    with _opened(location, spec.name).update_schema() as schema:
        schema.add_column(column, _type(spec, kind))


def set_local_properties(location: LakeLocation, name: str, properties: Mapping[str, str]) -> None:
    """Set properties of a table; others stay."""
    with _opened(location, name).transaction() as change:
        change.set_properties(dict(properties))


def tag_locally(location: LakeLocation, name: str, snapshot_id: int, tag: str) -> None:
    """Let a tag name a snapshot of a table, whatever it named before."""
    with _opened(location, name).manage_snapshots() as change:
        change.create_tag(snapshot_id, tag)


def append_locally(location: LakeLocation, spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows, ordered as the table is, in one commit."""
    table = _opened(location, spec.name)
    columns = {name: [row[name] for row in rows] for name in spec.column_names}
    _append(table, spec, pa.Table.from_pydict(columns, schema=table.schema().as_arrow()))


def insert_missing_locally(
    location: LakeLocation, spec: TableSpec, rows: pa.Table, near: BooleanExpression
) -> None:
    """Append those rows whose key the table does not hold yet, in one commit; none if there are none.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    spec : TableSpec
        The table.
    rows : pa.Table
        Rows with the table's columns; no key comes twice, and none is null.
    near : BooleanExpression
        What all rows of the table pass that could have one of those keys.
    """
    table = _opened(location, spec.name)
    given = _given(table, spec, rows)
    if table.current_snapshot() is not None:
        keys = given.select(list(spec.key))
        held = _keys_in(table, keys, near)
        if held.num_rows:
            given = rows_without(given, held)
    if given.num_rows:
        _append(table, spec, given)


@dataclass(frozen=True)
class Commit:
    """How a commit is made.

    Attributes
    ----------
    properties : mapping of str to str
        What its snapshot's summary notes.
    branch : str or None
        The branch that it goes to, which begins at the present snapshot; None for one of a table without any.
    gone : pa.Table, optional
        Keys of rows that go in an upsert; none of them is given.
    """

    properties: Mapping[str, str] = field(default_factory=dict)
    branch: str | None = MAIN_BRANCH
    gone: pa.Table | None = None


PLAIN = Commit()


def append_table_locally(
    location: LakeLocation, spec: TableSpec, rows: pa.Table, commit: Commit = PLAIN
) -> None:
    """Append rows, ordered as the table is, in one commit; none if there are none."""
    table = _opened(location, spec.name)
    if rows.num_rows:
        _append(table, spec, rows.select(list(spec.column_names)), commit)


def begin_branch_locally(location: LakeLocation, name: str, branch: str) -> str | None:
    """Let a branch of a table begin at its present snapshot, and return what a commit to it names.

    A table without any snapshot can have no branch: None lets a commit stand beside the table, until
    `name_branch_locally`.
    """
    table = _opened(location, name)
    now = table.current_snapshot()
    if now is None:
        return None
    with table.manage_snapshots() as change:
        change.create_branch(now.snapshot_id, branch)
    return branch


def name_branch_locally(location: LakeLocation, name: str, branch: str) -> None:
    """Let a branch name the commit that stands beside a table, if it does not have that already."""
    table = _opened(location, name)
    if branch not in table.metadata.refs:
        newest = max(table.metadata.snapshots, key=lambda s: s.sequence_number or 0)
        with table.manage_snapshots() as change:
            change.create_branch(newest.snapshot_id, branch)


def publish_branch_locally(location: LakeLocation, name: str, branch: str) -> None:
    """Let the table be what its branch is, and the branch be gone."""
    table = _opened(location, name)
    with table.manage_snapshots() as refs:
        refs.set_current_snapshot(ref_name=branch)
        refs.remove_branch(branch)


def drop_branch_locally(location: LakeLocation, name: str, branch: str) -> None:
    """Let a branch be gone; its commits stay until their snapshots expire."""
    with _opened(location, name).manage_snapshots() as change:
        change.remove_branch(branch)


def upsert_locally(location: LakeLocation, spec: TableSpec, rows: pa.Table, commit: Commit = PLAIN) -> None:
    """Put rows in the place of those with the same keys, and append the others, in one commit.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    spec : TableSpec
        The table.
    rows : pa.Table
        Rows with the table's columns; no key comes twice, and none is null.
    commit : Commit
        How it is made.
    """
    table = _opened(location, spec.name)
    given = _given(table, spec, rows)
    if table.current_snapshot() is None:
        _append(table, spec, given, commit)
        return
    keys = given.select(list(spec.key))
    left = keys
    if keys.num_rows:
        left = keys.join(_keys_in(table, keys, _around(keys)), list(spec.key), join_type="left semi")
    if commit.gone is not None:
        left = pa.concat_tables([left, commit.gone.select(list(spec.key)).cast(left.schema)])
    if not left.num_rows:
        _append(table, spec, given, commit)
        return
    touched = list(table.scan(row_filter=_around(left)).plan_files())
    everything_of = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
    stays = rows_without(everything_of.to_table(touched).cast(given.schema), left)
    _put_in_place(table, touched, in_table_order(spec, pa.concat_tables([stays, given])), commit)


def _put_in_place(table: Table, files: Sequence[FileScanTask], rows: pa.Table, commit: Commit) -> None:
    """Write rows in the place of files of a table, in one snapshot: no reader sees them gone."""
    with (
        whole_or_nothing(table),
        table.transaction() as change,
        change.update_snapshot(dict(commit.properties), commit.branch).overwrite(uuid4()) as snapshot,
    ):
        for file in files:
            snapshot.delete_data_file(file.file)
        for written in data_files(change.table_metadata, rows, table.io, snapshot.commit_uuid):
            snapshot.append_data_file(written)


_MAX_NAMED = 200
"""Values that a filter names one by one; more are a range."""


def _around(keys: pa.Table) -> BooleanExpression:
    """Return a filter that every one of some keys passes."""
    terms: list[BooleanExpression] = []
    for name in keys.column_names:
        column = keys[name]
        if pa.types.is_timestamp(column.type):
            bounds = pc.min_max(column.cast(pa.int64())).as_py()
            terms.append(within(name, bounds["min"], bounds["max"] + 1))
            continue
        values = pc.unique(column)
        if len(values) <= _MAX_NAMED:
            terms.append(one_of(name, values.to_pylist()))
    return all_of(*terms)


def _keys_in(table: Table, keys: pa.Table, near: BooleanExpression) -> pa.Table:
    """Return the keys of the table's rows that pass a filter, as those given are."""
    held = table.scan(row_filter=near, selected_fields=tuple(keys.column_names)).to_arrow()
    return held.select(keys.column_names).cast(keys.schema)


def rows_without(rows: pa.Table, keys: pa.Table) -> pa.Table:
    """Return the rows whose values are none of some.

    Parameters
    ----------
    rows : pa.Table
        Any columns; those kept stay in their order.
    keys : pa.Table
        Some of these columns, of the same types: values to leave out.
    """
    # by position, since a join takes no lists along
    own = rows.select(keys.column_names)
    numbered = own.append_column("position", pa.array(np.arange(own.num_rows)))
    left = numbered.join(keys, keys.column_names, join_type="left anti")
    return rows.take(left["position"].combine_chunks().sort())


def _given(table: Table, spec: TableSpec, rows: pa.Table) -> pa.Table:
    """Return rows with the table's columns, in its order and of its types."""
    return rows.select(list(spec.column_names)).cast(table.schema().as_arrow())


def replace_locally(
    location: LakeLocation,
    spec: TableSpec,
    rows: pa.Table,
    where: BooleanExpression,
    properties: Mapping[str, str],
) -> None:
    """Put rows in the place of those that pass a filter, in one commit that notes properties."""
    table = _opened(location, spec.name)
    with whole_or_nothing(table):
        table.overwrite(in_table_order(spec, _given(table, spec, rows)), where, dict(properties))


def write_files_locally(location: LakeLocation, spec: TableSpec, rows: pa.Table) -> list[DataFile]:
    """Write rows, ordered as the table is, into files that no snapshot names yet, and return these."""
    table = _opened(location, spec.name)
    with whole_or_nothing(table):
        ordered = in_table_order(spec, _given(table, spec, rows))
        return list(data_files(table.metadata, ordered, table.io, uuid4()))


def put_files_locally(
    location: LakeLocation, name: str, files: Sequence[DataFile], properties: Mapping[str, str]
) -> None:
    """Put files in the place of all that a table has, in one snapshot that notes properties."""
    table = _opened(location, name)
    with whole_or_nothing(table), table.transaction() as change:
        update = change.update_snapshot(snapshot_properties=dict(properties))
        made = update.fast_append() if table.current_snapshot() is None else update.overwrite()
        with made as snapshot:
            for held in table.scan().plan_files():
                snapshot.delete_data_file(held.file)
            for written in files:
                snapshot.append_data_file(written)


def append_files_locally(location: LakeLocation, name: str, files: Sequence[DataFile]) -> None:
    """Append the rows of files that `write_files_locally` wrote, in one commit; none if there are none.

    Of a commit that comes to nothing they are removed.
    """
    if not files:
        return
    table = _opened(location, name)
    with (
        whole_or_nothing(table, [file.file_path for file in files]),
        table.transaction() as change,
        change.update_snapshot().merge_append() as snapshot,
    ):
        for written in files:
            snapshot.append_data_file(written)


def delete_locally(location: LakeLocation, name: str, rows: BooleanExpression) -> None:
    """Delete the rows that pass a filter, in one commit."""
    table = _opened(location, name)
    if table.current_snapshot() is not None:
        with whole_or_nothing(table):
            table.delete(rows)


def _append(table: Table, spec: TableSpec, rows: pa.Table, commit: Commit = PLAIN) -> None:
    ordered = in_table_order(spec, rows)
    with (
        whole_or_nothing(table),
        table.transaction() as change,
        change.update_snapshot(dict(commit.properties), commit.branch).merge_append() as snapshot,
    ):
        for written in data_files(table.metadata, ordered, table.io, snapshot.commit_uuid):
            snapshot.append_data_file(written)


def data_files(metadata: TableMetadata, rows: pa.Table, io: FileIO, commit: UUID) -> Iterator[DataFile]:
    """Write rows into files of a table, each of one partition, and yield what describes them.

    Rows of a month are picked out once: PyIceberg looks through all of them for each month.

    Parameters
    ----------
    metadata : TableMetadata
        Of the table.
    rows : pa.Table
        With the table's columns, in its order; texts may be dictionaries. They stay in their order.
    io : FileIO
        What writes.
    commit : UUID
        What the files' names have in common.
    """
    partitions, kinds = metadata.spec().fields, metadata.schema().as_arrow()
    column = metadata.schema().find_column_name(partitions[0].source_id) if len(partitions) == 1 else None
    if column is None or not isinstance(partitions[0].transform, MonthTransform) or rows[column].null_count:
        yield from _dataframe_to_data_files(metadata, rows.cast(kinds), io, commit)
        return
    size = int(metadata.properties.get(_SIZE, TableProperties.WRITE_TARGET_FILE_SIZE_BYTES_DEFAULT))
    numbers = itertools.count()
    yield from write_file(
        io,
        metadata,
        (
            WriteTask(commit, next(numbers), metadata.schema(), batches, partition_key=key)
            for month, part in _by_month(rows, column)
            for key in [
                PartitionKey([PartitionFieldValue(partitions[0], month)], metadata.spec(), metadata.schema())
            ]
            for batches in bin_pack_arrow_table(part.cast(kinds).combine_chunks(), size)
        ),
    )


def files_in_turn(
    metadata: TableMetadata, rows: pa.Table, io: FileIO, commit: UUID, rows_in_file: int
) -> Iterator[DataFile]:
    """Write rows into files of a table without partitions, as `data_files` does, one after the other.

    Of a file `ROWS_AT_ONCE` rows are made into texts at a time, where texts are dictionaries: each of the
    table's keys is repeated in thousands of rows.

    Parameters
    ----------
    metadata, rows, io, commit
        As `data_files` takes them.
    rows_in_file : int
        Rows of a file, but for the last one.
    """
    provider = load_location_provider(metadata.location, metadata.properties)
    task = WriteTask(commit, 0, metadata.schema(), [])
    for number, first in enumerate(range(0, rows.num_rows, rows_in_file)):
        name = replace(task, task_id=number).generate_data_file_filename("parquet")
        output = io.new_output(provider.new_data_location(name))
        with FileFormatFactory.get(FileFormat.PARQUET).create_writer(
            output, metadata.schema(), metadata.properties
        ) as writer:
            for part in _parts(rows.slice(first, rows_in_file)):
                writer.write(texts_made(part, metadata))
        yield DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=output.location,
            file_format=FileFormat.PARQUET,
            partition=Record(),
            file_size_in_bytes=len(output),
            spec_id=metadata.default_spec_id,
            **writer.result().to_serialized_dict(),
        )


def _parts(rows: pa.Table) -> Iterator[pa.Table]:
    for first in range(0, rows.num_rows, ROWS_AT_ONCE):
        yield rows.slice(first, ROWS_AT_ONCE)


def texts_made(rows: pa.Table, metadata: TableMetadata) -> pa.Table:
    """Return rows with columns of the kinds that a table has: texts no more as dictionaries."""
    return rows.cast(metadata.schema().as_arrow())


def _by_month(rows: pa.Table, column: str) -> Iterator[tuple[int, pa.Table]]:
    """Yield months, counted from January 1970, and the rows of each."""
    us = rows[column].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    months = us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    if (months[1:] < months[:-1]).any():
        order = np.argsort(months.astype(np.int16), kind="stable")
        rows, months = rows.take(pa.array(order)), months[order]
    begins = np.flatnonzero(np.diff(months, prepend=months[:1] - 1))
    for begin, end in itertools.pairwise([*begins.tolist(), len(months)]):
        yield int(months[begin]), rows.slice(begin, end - begin)


def in_table_order(spec: TableSpec, rows: pa.Table) -> pa.Table:
    """Return rows in a table's order, ties in that which they have; texts may be dictionaries."""
    order = pa.table({name: _comparable(rows[name]) for name in spec.sort_order})
    if _is_ordered(order):
        return rows
    return rows.take(pc.sort_indices(order, [(name, "ascending") for name in spec.sort_order]))


def _is_ordered(columns: pa.Table) -> bool:
    """Tell whether rows ascend, by the first column and in it by the next; ties and no columns are fine."""
    tied = np.ones(max(columns.num_rows - 1, 0), dtype=bool)
    for column in columns.itercolumns():
        if column.null_count:
            return False
        before, after = column.slice(0, len(tied)), column.slice(1)
        if (tied & pc.greater(before, after).to_numpy()).any():
            return False
        tied &= pc.equal(before, after).to_numpy()
    return True


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column; of texts of a dictionary the place of each among all, in their order."""
    if not pa.types.is_dictionary(column.type) or not len(column):
        return column
    if column.null_count:
        return column.cast(column.type.value_type)
    whole = column.unify_dictionaries()
    texts = whole.chunk(0).dictionary
    place = np.empty(len(texts), dtype=np.int64)
    place[pc.array_sort_indices(texts).to_numpy()] = np.arange(len(texts))
    return pa.chunked_array([place[chunk.indices.to_numpy()] for chunk in whole.chunks])


@contextmanager
def whole_or_nothing(table: Table, brought: Sequence[str] = ()) -> Iterator[None]:
    """Remove the files that were written for a commit that comes to nothing, as those that filled a disk.

    Those that others wrote for it, and are `brought`, go too.
    """
    io, before = table.io, table.metadata_location
    begun = len(io.made) if isinstance(io, SummedFileIO) else 0
    try:
        with quiet():
            yield
    except BaseException:
        now = table.catalog.load_table(table.name()).metadata_location
        if isinstance(io, SummedFileIO) and now == before:
            for file in [*brought, *io.made[begun:]]:
                with suppress(OSError):
                    io.delete(file)
        raise


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what PyIceberg says of settings that it does not know, and of nothing to delete."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Parquet writer option", category=UserWarning)
        warnings.filterwarnings("ignore", message="Delete operation did not match", category=UserWarning)
        yield


def _opened(location: LakeLocation, name: str) -> Table:
    return FolderCatalog(location).load_table((location.namespace, name))


def _schema(spec: TableSpec) -> Schema:
    """Return the columns, all optional, numbered as Spark does: those within others after all the others."""
    fields = []
    further = len(spec.columns)
    for number, (name, kind) in enumerate(spec.columns, start=1):
        array = _ARRAY.fullmatch(kind)
        if array:
            further += 1
            found: IcebergType = ListType(further, _type(spec, array[1]), element_required=False)
        else:
            found = _type(spec, kind)
        fields.append(NestedField(number, name, found, required=False))
    return Schema(*fields)


def _partition(text: str, columns: Mapping[str, int], number: int) -> PartitionField:
    months = _MONTHS.fullmatch(text)
    if months:
        return PartitionField(columns[months[1]], number, MonthTransform(), f"{months[1]}_month")
    return PartitionField(columns[text], number, IdentityTransform(), text)


def _type(spec: TableSpec, kind: str) -> IcebergType:
    if kind not in _TYPES:
        raise LakeError(f"table {spec.name}: a column cannot be of type {kind!r}; use {', '.join(_TYPES)}")
    return _TYPES[kind]


class _SharedMetadata(TableMetadataV2):
    """Metadata whose deep copies share what is frozen: snapshots, schemas, entries of logs.

    PyIceberg copies metadata some twenty times a commit; with every snapshot and its summary in it that was
    two thirds of a small ingest, and grew with the number of snapshots.
    """

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return a copy with lists and mappings of its own."""
        copied = self.__copy__()
        for name, value in copied.__dict__.items():
            if isinstance(value, list | dict):
                copied.__dict__[name] = copy(value)
        return copied


class FolderCatalog(NoopCatalog):
    """Tables of one namespace of the local lake, each in its folder.

    Parameters
    ----------
    location : LakeLocation
        The local lake.

    Raises
    ------
    LakeError
        If the tables are in a catalog service, which Spark alone writes to.
    """

    def __init__(self, location: LakeLocation) -> None:
        if not location.local:
            raise LakeError(f"{location.described} is a service: give a Spark session, which writes to it")
        super().__init__(location.catalog, warehouse=str(location.warehouse))
        self.location = location

    def load_table(self, identifier: str | Identifier) -> Table:
        """Return a table as it stands now, ready to be written to.

        Raises
        ------
        LakeError
            If there is none, or its newest metadata cannot be found.
        """
        name = self.table_name_from(identifier)
        path = newest_metadata(self.location.table_folder(name))
        if path is None:
            where = self.location.warehouse
            raise LakeError(f"table {self.location.namespace}.{name} does not exist in {where}: create it")
        metadata = TableMetadataUtil.parse_raw(path.read_text(encoding="utf-8"))
        if type(metadata) is TableMetadataV2:
            metadata = _SharedMetadata.model_construct(**dict(metadata))
        return self._table(name, metadata, path)

    def create(
        self,
        name: str,
        schema: Schema,
        partitions: PartitionSpec,
        order: SortOrder,
        properties: Mapping[str, str],
    ) -> None:
        """Create a table.

        Raises
        ------
        LakeError
            If it was made meanwhile.
        """
        folder = self.location.table_folder(name)
        metadata = new_table_metadata(schema, partitions, order, str(folder), dict(properties))
        (folder / "metadata").mkdir(parents=True, exist_ok=True)
        try:
            publish(folder, 1, _json(metadata))
        except OSError:
            with suppress(OSError):  # of a table that is not there nothing is left
                (folder / "metadata").rmdir()
                folder.rmdir()
            raise

    def commit_table(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        """Commit changes to a table as its next metadata version.

        Raises
        ------
        CommitFailedException
            If the table is no longer what the changes require, or another writer wrote that version.
            PyIceberg begins anew then, on the table as it stands.
        """
        name = self.table_name_from(table.name())
        current = self.load_table(table.name())
        for requirement in requirements:
            requirement.validate(current.metadata)
        metadata = update_table_metadata(
            current.metadata, updates, metadata_location=current.metadata_location
        )
        version = metadata_version(Path(current.metadata_location)) + 1
        try:
            path = publish(self.location.table_folder(name), version, _json(metadata))
        except LakeError as error:
            raise CommitFailedException(str(error)) from error
        # the names that its JSON has are those that mypy knows
        return CommitTableResponse.model_validate({"metadata": metadata, "metadata-location": str(path)})

    def _table(self, name: str, metadata: TableMetadata, path: Path) -> Table:
        return Table((self.location.namespace, name), metadata, str(path), SummedFileIO(), self)


def _json(metadata: TableMetadata) -> str:
    text: str = metadata.model_dump_json(exclude_none=True)
    return text
