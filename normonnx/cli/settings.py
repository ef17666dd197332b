"""``[tool.normonnx]`` in pyproject.toml: defaults for the options of the commands.

    [tool.normonnx]                 # for every command that has the option
    provider = ["cpu", "cuda"]

    [tool.normonnx.optimize]        # for one command, before the former
    target = "ort"
    no-rule = ["NX005"]

The command line comes first, then the environment (``NORMONNX_OPTIMIZE_TARGET=ort``), then this.
The file is the nearest pyproject.toml above the working directory that has such a table.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from normonnx.errors import UsageError

NAME = "pyproject.toml"

Settings = dict[str, dict[str, Any]]
"""Defaults by command and parameter, as click takes them."""


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
    try:
        text = path.read_text(encoding="utf-8")
        if "normonnx" not in text:
            return None
        import tomllib

        data = tomllib.loads(text)
    except (OSError, ValueError):
        # A file that is broken, or is none of ours, is for those to complain of whose it is.
        return None
    table = data.get("tool", {}).get("normonnx")
    return table if isinstance(table, dict) else None


def _options(command: click.Command) -> dict[str, click.Option]:
    """The options of a command by their long names, without the dashes."""
    return {
        opt.removeprefix("--"): param
        for param in command.params
        if isinstance(param, click.Option)
        for opt in param.opts
        if opt.startswith("--")
    }


def _value(path: Path, option: click.Option, name: str, value: Any) -> Any:
    """The value as the command line would have it."""
    if option.is_flag and not isinstance(value, bool):
        raise UsageError(f"{name!r} is true or false", where=str(path))
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
