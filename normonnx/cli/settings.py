"""``[tool.normonnx]`` in pyproject.toml: defaults for the options of the commands.

    [tool.normonnx]                 # for every command that has the option
    provider = ["cpu", "cuda"]

    [tool.normonnx.optimize]        # for one command, before the former
    target = "ort"
    no-rule = ["NX005"]

The command line comes first, then the environment (``NORMONNX_OPTIMIZE_TARGET=ort``), then this.
The file is the nearest pyproject.toml above the working directory that has such a table, or the one
that --config names; with --isolated there is none, and the environment does not count either.
"""

from __future__ import annotations

import difflib
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from msgspec import Struct

from normonnx.errors import UsageError

NAME = "pyproject.toml"
_CONFIG, _ISOLATED = "--config", "--isolated"

PREFIX = "NORMONNX_"
_NOT_IN_FILES = frozenset({"config", "isolated"})

Settings = dict[str, dict[str, Any]]
"""Defaults by command and parameter, as click takes them."""


class Source(Struct, frozen=True):
    """Where defaults come from.

    Attributes:
        path: of the file, None without one.
        isolated: whether the environment does not count either.
    """

    path: Path | None = None
    isolated: bool = False

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Source:
        """The source that the words of a command line ask for.

        Raises:
            UsageError: the file that is named is not there, or a file is no TOML.
        """
        words = list(itertools.takewhile(lambda word: word != "--", arguments))
        # Who asks for help or the version needs no defaults.
        if not words or words[0].startswith("-"):
            return cls()
        if _ISOLATED in words:
            return cls(isolated=True)
        named = _value_of(words) or os.environ.get(f"{PREFIX}CONFIG")
        if named is None:
            return cls(find(Path.cwd()))
        if not Path(named).is_file():
            raise UsageError(f"there is no such file: {named!r}", hint="--config FILE")
        return cls(Path(os.path.abspath(named)))

    def defaults(self, commands: Mapping[str, click.Command]) -> Settings:
        """The defaults of the file, none without one.

        In isolation the variables that set options are taken out of this process's environment.
        """
        for command in commands.values() if self.isolated else ():
            for option in command.params:
                os.environ.pop(str(option.envvar), None)
        return {} if self.path is None else defaults(self.path, commands)

    def of_value(self, parameter: click.Parameter, context: click.Context | None) -> str:
        """Where the value of a parameter stands, if not on the command line; else ""."""
        if context is None or parameter.name is None:
            return ""
        source = context.get_parameter_source(parameter.name)
        if source is ParameterSource.ENVIRONMENT:
            return f"{name_in_environment(context.command, parameter)} in the environment"
        if source is ParameterSource.DEFAULT_MAP:
            return f"[tool.normonnx] in {self.path}"
        return ""


def name_in_environment(command: click.Command, option: click.Parameter) -> str:
    """The variable that sets an option: named as on the command line."""
    word = max(option.opts, key=len).strip("-").replace("-", "_")
    return f"{PREFIX}{command.name}_{word}".upper()


def _value_of(words: Sequence[str]) -> str | None:
    """What --config says, None if it is not there."""
    for word, value in itertools.pairwise([*words, ""]):
        if word == _CONFIG and value:
            return value
        if word.startswith(f"{_CONFIG}="):
            return word.partition("=")[2]
    return None


def find(directory: Path) -> Path | None:
    """The nearest file at or above `directory` that has something to say to normonnx."""
    for above in (directory, *directory.parents):
        path = above / NAME
        if path.is_file() and _table(path) is not None:
            return path
    return None


def defaults(path: Path, commands: Mapping[str, click.Command]) -> Settings:
    """The defaults in a file.

    Args:
        path: of the file.
        commands: all commands by name.

    Raises:
        UsageError: it names an option that no command has, or a value that makes no sense.
    """
    table = _table(path) or {}
    own = {name: value for name, value in table.items() if isinstance(value, dict)}
    shared = {name: value for name, value in table.items() if name not in own}
    known = {name: _options(command) for name, command in commands.items()}
    _refuse_unknown(path, own, shared, known)
    found: Settings = {}
    for command, options in known.items():
        mine = own.get(command, {})
        given = {name: value for name, value in shared.items() if name in options} | mine
        found[command] = {
            str(options[name].name): _value(path, options[name], name, value)
            for name, value in given.items()
        }
    return found


def _refuse_unknown(
    path: Path,
    own: Mapping[str, Mapping[str, Any]],
    shared: Iterable[str],
    known: Mapping[str, Mapping[str, click.Option]],
) -> None:
    """Refuse commands and options that there are not."""
    for command, given in own.items():
        if command not in known:
            raise _unknown(path, "command", command, list(known))
        for name in given:
            if name not in known[command]:
                raise _unknown(path, f"option of {command}", name, list(known[command]))
    everywhere = sorted({name for options in known.values() for name in options})
    for name in shared:
        if name not in everywhere:
            raise _unknown(path, "option", name, everywhere)


def _table(path: Path) -> dict[str, Any] | None:
    """The table for normonnx, None if the file has none; a file that is ours may be the table.

    Raises:
        UsageError: the file speaks of normonnx, and is no TOML.
    """
    try:
        content = path.read_bytes()
    except OSError:
        # A file that cannot be read is for those to complain of whose it is.
        return None
    is_ours = path.name != NAME
    if not is_ours and b"normonnx" not in content:
        return None
    import tomllib

    try:
        data = tomllib.loads(content.decode("utf-8"))
    except ValueError as error:
        raise UsageError(f"the file is not valid TOML: {error}", where=str(path)) from error
    if is_ours and "tool" not in data:
        return data
    table = data.get("tool", {}).get("normonnx")
    return table if isinstance(table, dict) else None


def _options(command: click.Command) -> dict[str, click.Option]:
    """The options of a command by their long names, without the dashes."""
    return {
        opt.removeprefix("--"): param
        for param in command.params
        if isinstance(param, click.Option) and param.name not in _NOT_IN_FILES
        for opt in param.opts
        if opt.startswith("--")
    }


def _value(path: Path, option: click.Option, name: str, value: Any) -> Any:
    """The value as the command line would have it."""
    if option.is_flag and not isinstance(value, bool):
        raise UsageError(f"{name!r} takes true or false, not {value!r}", where=str(path))
    if isinstance(value, list) and not option.multiple:
        raise UsageError(f"{name!r} takes one value, not a list", where=str(path))
    values = value if isinstance(value, list) else [value]
    if isinstance(option.type, click.Path):
        values = [str(path.parent / str(entry)) for entry in values]
    return values if option.multiple else values[0]


def _unknown(path: Path, what: str, name: str, known: list[str]) -> UsageError:
    near = difflib.get_close_matches(name, known, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    return UsageError(f"no such {what}: {name!r}", where=f"[tool.normonnx] in {path}", hint=hint)
