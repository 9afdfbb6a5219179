"""What every format of exports has: a choice to write, why it cannot be, and the files that it comes to."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import jinja2

from whatif.engines import BacktestTask
from whatif.errors import PluginError, StudyError, nearest
from whatif.exports.rules import Rule, rule_of
from whatif.exports.tables import lines_of
from whatif.paths import written_whole
from whatif.runner import WorkItem, task_of
from whatif.scenarios import SCENARIO, Side, in_window, run_in
from whatif.strategies import StrategySpec


@dataclass(frozen=True, eq=False)
class Choice:
    """A configuration on the symbols of one account, in the windows that are written.

    Attributes
    ----------
    name : str
        Study and configuration.
    tasks : mapping of str to BacktestTask
        What engines run, by the name of the window: "validate" and, if it may be told, "test".
    fills : mapping of str to list of str
        The fills of each window as lines of CSV: start of the bar (UTC, without a zone), symbol if there are
        several, signed units, price and commission, as digits that read back as the same floats.
    exchange : str
        Code of the study's calendar.
    extended : bool
        Whether bars around the regular hours take part.
    adjust : str
        What prices are adjusted for: "none", "splits" or "all".
    """

    name: str
    tasks: Mapping[str, BacktestTask]
    fills: Mapping[str, list[str]]
    exchange: str = ""
    extended: bool = False
    adjust: str = "none"

    @property
    def task(self) -> BacktestTask:
        """The task of the first window; the others differ by their bars alone."""
        return next(iter(self.tasks.values()))

    @cached_property
    def rule(self) -> Rule:
        """The rule as text."""
        return rule_of(self.spec)

    @property
    def spec(self) -> StrategySpec:
        """The step function and what it declares."""
        spec = self.task.strategy
        assert isinstance(spec, StrategySpec)
        return spec


class Format(ABC):
    """A kind of program that a choice is written as."""

    script: str
    """Name of the file that is run."""

    is_checked = False
    """Whether what is written is run, and held against the fills, before it is left in its folder."""

    @abstractmethod
    def reason_against(self, task: BacktestTask) -> str:
        """Return what of a task the format does not express; "" if it expresses all."""

    @abstractmethod
    def files(self, choice: Choice) -> dict[str, str]:
        """Return the files by name, the script first."""

    def check(self, folder: Path, choice: Choice) -> str:
        """Return what the program in a folder does otherwise than the choice; "" if nothing."""
        raise NotImplementedError

    def said(self, script: Path) -> str:
        """Return what to do with the script, for the terminal."""
        return f"next: python {script}"


def export_choice(
    side: Side, form: str, folder: Path, symbol: str = "", with_test: bool = True
) -> tuple[tuple[Path, ...], str]:
    """Write a configuration as a program of another engine.

    Parameters
    ----------
    side : Side
        The configuration.
    form : str
        As what: a format that comes along, is installed, or `module:Name`.
    folder : Path
        Where to; made if it is not there. Files of the same names are replaced.
    symbol : str
        Which of those that it was chosen for; may be empty if there is one. Symbols that share an account
        are joined by "+".
    with_test : bool
        Whether the test window is written too, beside the last validate window.

    Returns
    -------
    tuple of Path
        The script, then what lies beside it.
    str
        What to do with it, for the terminal.

    Raises
    ------
    PluginError
        If there is no such format.
    StudyError
        If the format does not express it, or the program was run and has not the same fills: the message
        says by what of the configuration, and nothing is written.
    """
    found = named(form)
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"--output {folder} is a file, and a folder is wanted: give another")
    groups = {"+".join(group): group for group in side.groups}
    if symbol not in groups and (symbol or len(groups) > 1):
        raise StudyError(f"--symbol {symbol!r}: {side.name} was chosen for others; {nearest(symbol, groups)}")
    group = groups[symbol] if symbol else next(iter(groups.values()))
    fold = side.resolved.timeline.last
    windows = {"validate": fold.validate[-1]}
    if with_test and fold.test is not None:
        windows["test"] = fold.test
    item = WorkItem(tuple(group), SCENARIO, (side.configuration,))
    plans = {name: in_window(side, window) for name, window in windows.items()}
    tasks = {name: task_of(plan, item, side.configuration) for name, plan in plans.items()}
    for task in tasks.values():
        if why := found.reason_against(task):
            raise StudyError(f"{side.name} cannot be exported as {form}: {why}")
    runs = {name: run_in(plan, side.configuration, [group]).runs[0] for name, plan in plans.items()}
    fills = {name: lines_of(run) for name, run in runs.items()}
    calendar, data = side.resolved.study.calendar, side.resolved.study.data
    extended = calendar.session == "extended"
    choice = Choice(side.name, tasks, fills, calendar.exchange, extended, data.adjust)
    files = write_files(found, choice, folder)
    return files, found.said(files[0])


def named(form: str) -> Format:
    """Return the format of a name.

    Raises
    ------
    PluginError
        If there is none.
    """
    from whatif.exports.kinds import SEAM  # which derive from what stands here

    try:
        kind: type[Format] = SEAM.find(form)
    except PluginError as error:
        raise PluginError(f"--as {form!r} is no format: {error}") from error
    return kind()


def write_files(form: Format, choice: Choice, folder: Path) -> tuple[Path, ...]:
    """Write the files of a choice, once what they do is known to be the same.

    Raises
    ------
    StudyError
        If it is not.
    """
    files = form.files(choice)
    if form.is_checked:
        with TemporaryDirectory() as place:
            for name, text in files.items():
                Path(place, name).write_text(text, encoding="utf-8")
            if why := form.check(Path(place), choice):
                raise StudyError(
                    f"{choice.name} cannot be exported as {form.script}: the program was tried, and {why}"
                )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        with written_whole(folder / name) as part:
            part.write_text(text, encoding="utf-8")
    return tuple(folder / name for name in files)


def rendered(template: str, values: Mapping[str, object]) -> str:
    """Return a program as a template of this room writes it, with two empty lines at most in a row."""
    return re.sub(r"\n{4,}", "\n\n\n", _environment().get_template(template).render(values)).strip() + "\n"


@lru_cache
def _environment() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("whatif.exports"), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    # a bound that is not there
    env.filters["number"] = lambda value: "math.inf" if value is None else repr(value)
    return env
