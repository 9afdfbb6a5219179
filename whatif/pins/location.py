"""Location of the lake: a local folder, or a catalog service and its bucket."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from whatif.errors import LakeError

_NAME = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class LakeLocation:
    """The catalog and namespace that hold whatif's tables.

    Attributes
    ----------
    home : Path
        Folder of everything local: tables, lock, logs. An absolute path.
    catalog : str
        Name of the Iceberg catalog, in Spark and in PyIceberg.
    namespace : str
        Namespace of the tables within the catalog.
    local : bool
        True for a Hadoop catalog in `home`; False for a catalog service such as Glue.
    """

    home: Path
    catalog: str = "lake"
    namespace: str = "whatif"
    local: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", Path(self.home).expanduser().absolute())
        for what in ("catalog", "namespace"):
            name = getattr(self, what)
            if not _NAME.fullmatch(name):
                raise LakeError(
                    f"{what} {name!r} is not a valid name: use small letters, digits and _, "
                    "beginning with a letter"
                )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> LakeLocation:
        """Return the location that the environment's variables name.

        `WHATIF_HOME` (default `.whatif`), `WHATIF_CATALOG` (`lake`), `WHATIF_NAMESPACE`
        (`whatif`), and `WHATIF_CATALOG_PROPERTIES` (`type=glue,glue.region=...`): where the
        last is set, the catalog is that service and not the folder.
        """
        env = os.environ if environment is None else environment
        return cls(
            home=Path(env.get("WHATIF_HOME") or ".whatif"),
            catalog=env.get("WHATIF_CATALOG") or "lake",
            namespace=env.get("WHATIF_NAMESPACE") or "whatif",
            local=not env.get("WHATIF_CATALOG_PROPERTIES"),
        )

    @property
    def warehouse(self) -> Path:
        """Folder of the local catalog's tables."""
        return self.home / "lake"

    @property
    def described(self) -> str:
        """Say where the lake is, for messages."""
        return f"the lake in {self.home}" if self.local else f"catalog {self.catalog}"

    def identifier(self, table: str) -> str:
        """Return the name of `table` as Spark SQL takes it."""
        return f"{self.catalog}.{self.namespace}.{table}"

    def table_folder(self, table: str) -> Path:
        """Return the folder of a table of the local catalog."""
        return self.warehouse / self.namespace / table


def catalog_properties(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return PyIceberg's catalog and file properties from `WHATIF_CATALOG_PROPERTIES`.

    Where they name no region, `AWS_REGION` (else `AWS_DEFAULT_REGION`) is that of catalog and buckets:
    otherwise every process would ask S3 for the bucket's.

    Raises
    ------
    LakeError
        If an entry is not `key=value`.
    """
    env = os.environ if environment is None else environment
    properties = {}
    for entry in filter(None, (part.strip() for part in env.get("WHATIF_CATALOG_PROPERTIES", "").split(","))):
        key, equals, value = entry.partition("=")
        if not equals:
            raise LakeError(
                f"WHATIF_CATALOG_PROPERTIES has {entry!r}, which is not key=value: "
                "write entries such as type=glue,glue.region=eu-west-1"
            )
        properties[key.strip()] = value.strip()
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    if properties.get("type") == "glue" and region:
        properties.setdefault("client.region", region)
    return properties
