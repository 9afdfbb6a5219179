"""Axes that come along, one class in each module, and the axis that a name or a section means."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod
from typing import Any

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from whatif.axes.base import Axis
from whatif.axes.kinds.overlay import Overlay
from whatif.axes.kinds.parameter import Parameter
from whatif.axes.values import MAX_POINTS, count_text, count_values, listed, values_counted
from whatif.domain import OVERLAY_NAMES
from whatif.errors import PluginError, StudyError, nearest
from whatif.plugins import Seam, classes_in

SEAM = Seam(
    "whatif.axes",
    Axis,
    "axis",
    # an overlay's axis has the overlay's own name
    {**classes_in(__name__, Axis, but=("overlay",)), **dict.fromkeys(OVERLAY_NAMES, Overlay)},
)


def read_axes(given: Mapping[Any, Any], whole: bool = True) -> dict[Any, Axis]:
    """Return the axes that a section describes, by name.

    What an axis is, is told by its own key `kind`, or by its name if that is `module:Name` or one that no
    parameter may have; any other is a parameter until it is `bound`.

    Parameters
    ----------
    given : mapping
        As the study has it.
    whole : bool
        Whether all of their points may be looked at.

    Raises
    ------
    ValueError
        If one is none, or they span too many points; as pydantic collects it.
    """
    given = {
        name: _with_its_kind(name, one.written if isinstance(one, Axis) else one)
        for name, one in given.items()
    }
    kinds = {name: axis_class(name, one) for name, one in given.items()}
    given = {
        name: values_counted(str(name), one)
        if _is_section(one) and kinds[name].counted and "n" in one
        else one
        for name, one in given.items()
    }
    values = {name: one["values"] if _is_section(one) else one for name, one in given.items()}
    sizes = {name: count_values(name, values[name], kind.takes_ranges) for name, kind in kinds.items()}
    _check_size(sizes, whole)
    found: dict[Any, Axis] = {}
    for name, kind in kinds.items():
        items = kind.read(name, listed(name, values[name], kind.takes_ranges))
        keys = given[name] if _is_section(given[name]) else {"kind": _kind_of_name(name)}
        found[name] = _validated(kind, str(name), {**keys, "name": str(name), "values": tuple(items)})
    return found


def axis_class(name: Any, given: Any) -> type[Axis]:
    """Return the class of an axis as it was written.

    Raises
    ------
    ValueError
        If there is none of its kind; as pydantic collects it.
    """
    kind = given.get("kind") if _is_section(given) else _kind_of_name(name)
    try:
        found: type[Axis] = SEAM.find(str(kind))
    except PluginError as error:
        place = (str(name), "kind") if _is_section(given) else (str(name),)
        raise _refused(place, str(error), kind) from None
    if _is_section(given) and "values" not in given and not (found.counted and "n" in given):
        raise _refused((str(name), "values"), "it is required: a list of values", None)
    if _is_section(given) and "name" in given:
        raise _refused(
            (str(name), "name"), "an axis is named by its key in axes: leave it out", given["name"]
        )
    return found


def bound(axis: Axis, declared: Collection[str], strategy: str) -> Axis:
    """Return an axis as what its name is beside a strategy: a parameter that it declares, or another kind.

    Parameters
    ----------
    axis : Axis
        As it was read.
    declared : collection of str
        Parameters of the strategy.
    strategy : str
        Its name, for messages.

    Raises
    ------
    StudyError
        If the name is none of both.
    """
    if not isinstance(axis, Parameter) or axis.name in declared:
        return axis
    try:
        kind = SEAM.find(axis.name)
    except PluginError as error:
        names = [plugin.name for plugin in SEAM.every() if plugin.kind is not Parameter]
        raise StudyError(
            f"axis {axis.name!r} is neither a parameter of strategy {strategy!r} nor one of "
            f"{', '.join(names)}: {nearest(axis.name, [*declared, *names])}"
        ) from error
    try:
        items = kind.read(axis.name, list(axis.values))
        keys = {"kind": axis.name, "name": axis.name, "values": tuple(items), "when": axis.when}
        return _validated(kind, axis.name, keys)
    except ValueError as error:
        raise StudyError(f"axis {axis.name!r}: {error}") from error


def _with_its_kind(name: Any, given: Any) -> Any:
    """Return an axis that says `when`, and no kind, as a section of the kind that its name says."""
    if not isinstance(given, Mapping) or "when" not in given or _is_section(given):
        return given
    rest = {key: one for key, one in given.items() if key != "when"}
    values = rest["values"] if set(rest) == {"values"} else rest
    return {"kind": _kind_of_name(name), "values": values, "when": given["when"]}


def _kind_of_name(name: Any) -> str:
    """Return the kind that a name alone says."""
    known = SEAM.built_in.get(name)
    own = isinstance(name, str) and ":" in name
    return str(name) if own or (known is not None and known.reserved) else "parameter"


def _is_section(given: Any) -> bool:
    return isinstance(given, Mapping) and "kind" in given


def _check_size(sizes: Mapping[Any, int], whole: bool) -> None:
    """Refuse more points than a driver could hold, or values of a search that does not look at all points.

    That is before a range is written out.
    """
    points = prod(sizes.values()) if whole else sum(sizes.values())
    if points <= MAX_POINTS:
        return
    how = (" x " if whole else " + ").join(f"{size:,} of {name}" for name, size in sizes.items())
    what = "grid has {} points" if whole else "axes have {} values"
    other = ", or a search that does not look at all, such as {kind: sobol}" if whole else ""
    raise ValueError(
        f"the {what.format(count_text(points))} ({how}), more than {MAX_POINTS:,}: give fewer values, "
        f"or a longer step{other}"
    )


def _validated(kind: type[Axis], name: str, keys: Mapping[str, Any]) -> Axis:
    """Return an axis, its name put before the place of what is wrong with it."""
    try:
        return kind.model_validate(keys)
    except ValidationError as error:
        lines = [
            InitErrorDetails(
                type=PydanticCustomError(one["type"], "{why}", {"why": one["msg"]}),
                loc=(name, *one["loc"]),
                input=one["input"],
            )
            for one in error.errors(include_url=False, include_context=False)
        ]
        raise ValidationError.from_exception_data("axes", lines) from None


def _refused(place: tuple[str, ...], why: str, given: Any) -> ValidationError:
    line = InitErrorDetails(
        type=PydanticCustomError("unknown_kind", "{why}", {"why": why}), loc=place, input=given
    )
    return ValidationError.from_exception_data("axes", [line])
