"""Settings of an account for jobs: `conf/submit.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from whatif.conf_files import conf_dir
from whatif.errors import SubmitError, nearest
from whatif.paths import bounded_text
from whatif.yaml_text import MAX_BYTES, YamlTextError, load_yaml

FILE = "submit.yaml"

S3Folder = Annotated[str, Field(pattern=r"^s3://[^/]+/(.*/)?$")]
S3File = Annotated[str, Field(pattern=r"^s3://[^/]+/.*[^/]$")]
Price = Annotated[float, Field(ge=0)]
Minutes = Annotated[int, Field(ge=5, le=10_080)]


class Section(BaseModel):
    """A part of the file: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EmrServerlessSettings(Section):
    """An application of EMR Serverless and how its jobs run."""

    application_id: str | None = None
    execution_role: str | None = None
    log_group: str | None = None
    timeout_minutes: Minutes = 720


class GlueSettings(Section):
    """A job of Glue and how large its runs are."""

    job: str | None = None
    log_group: str | None = None
    worker_type: Literal["G.1X", "G.2X", "G.4X", "G.8X", "R.1X", "R.2X", "R.4X", "R.8X"] = "G.1X"
    workers: Annotated[int, Field(ge=2, le=299)] = 10
    timeout_minutes: Minutes = 480
    flex: bool = False


class ClusterSettings(Section):
    """A standalone cluster."""

    archive: str | None = None


class Prices(Section):
    """The user's own price table; nothing is assumed where it is silent."""

    currency: str | None = None
    vcpu_hour: Price | None = None
    memory_gb_hour: Price | None = None
    storage_gb_hour: Price | None = None
    dpu_hour: Price | None = None


class SubmitSettings(Section):
    """All of `conf/submit.yaml`."""

    region: str | None = None
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")] = "whatif"
    warehouse: S3Folder | None = None
    archive: S3File | None = None
    tracking_uri: str | None = None
    emr_serverless: EmrServerlessSettings = EmrServerlessSettings()
    glue: GlueSettings = GlueSettings()
    cluster: ClusterSettings = ClusterSettings()
    prices: Prices = Prices()

    @property
    def root(self) -> str:
        """Folder of everything that is uploaded and fetched, as an S3 address."""
        return f"s3://{self.bucket}/{self.prefix}"


NEEDED: Mapping[str, Mapping[str, str]] = {
    "emr-serverless": {
        "bucket": "<bucket>",
        "emr_serverless.application_id": "<application-id>",
        "emr_serverless.execution_role": "<execution-role-arn>",
    },
    "glue": {"bucket": "<bucket>", "glue.job": "<glue-job>"},
}
"""Keys without which nothing can be sent to a service, each with its placeholder."""


def settings_path(given: Path | None = None) -> Path:
    """Return the file of settings: the one given, else `submit.yaml` in the folder of configuration."""
    return given if given is not None else conf_dir() / FILE


def load_settings(path: Path) -> SubmitSettings:
    """Return the settings in a YAML file.

    Raises
    ------
    SubmitError
        If the file is missing or no YAML, or a key or value breaks a rule.
    """
    try:
        text = bounded_text(path, "settings", MAX_BYTES, SubmitError)
    except FileNotFoundError:
        raise SubmitError(
            f"settings {path} cannot be read (No such file or directory): give --settings FILE, "
            f"or set WHATIF_CONF to a folder with a {FILE}"
        ) from None
    try:
        given = load_yaml(text) or {}
    except YamlTextError as error:
        raise SubmitError(f"settings {path} are {error}") from error
    try:
        return SubmitSettings.model_validate(given)
    except ValidationError as error:
        lines = "\n".join(f"  - {_explained(item)}" for item in error.errors())
        raise SubmitError(f"settings {path} cannot be used:\n{lines}") from None


def missing(settings: SubmitSettings, target: str) -> tuple[str, ...]:
    """Return the keys that `target` needs and nobody has set."""
    return tuple(key for key in NEEDED.get(target, {}) if _value(settings, key) is None)


def with_placeholders(settings: SubmitSettings, target: str) -> SubmitSettings:
    """Return settings in which every key that is needed and unset holds its `<placeholder>`."""
    filled = settings
    for key in missing(settings, target):
        filled = _with(filled, key, NEEDED[target][key])
    return filled


def check_set(settings: SubmitSettings, target: str, path: Path) -> None:
    """Refuse settings that lack what `target` needs.

    Raises
    ------
    SubmitError
        Naming each key and the file it belongs in.
    """
    lacking = missing(settings, target)
    if lacking:
        raise SubmitError(
            f"target {target} needs {', '.join(lacking)}, and {path} does not set "
            f"{'it' if len(lacking) == 1 else 'them'}: write {'it' if len(lacking) == 1 else 'them'} there "
            "(outputs of the stacks in infra/ name the values), or look at the request with --dry-run"
        )


def _value(settings: SubmitSettings, key: str) -> object:
    found: object = settings
    for name in key.split("."):
        found = getattr(found, name)
    return found


def _with(settings: SubmitSettings, key: str, value: str) -> SubmitSettings:
    section, _, name = key.rpartition(".")
    if not section:
        return settings.model_copy(update={name: value})
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update={name: value})})


def _explained(item: Any) -> str:
    path = [str(part) for part in item["loc"]]
    key = ".".join(path)
    if item["type"] == "extra_forbidden":
        return f"unknown key {key!r}: {nearest(path[-1], _keys(path[:-1]))}"
    return f"{key} = {item['input']!r}: {item['msg'].replace('Input should', 'should')}"


def _keys(path: list[str]) -> list[str]:
    model: Any = SubmitSettings
    for name in path:
        model = model.model_fields[name].annotation
    return list(model.model_fields)
