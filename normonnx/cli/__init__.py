"""The command line: parse, call the API, render, exit.

Importing this package imports click and nothing heavy; what a command needs is imported when it
runs, so that ``normonnx --help`` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import io
import logging
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from normonnx.cli.benching import bench
from normonnx.cli.deferral import start_lightly
from normonnx.cli.inspecting import explain, inspect
from normonnx.cli.looking import doctor, verify
from normonnx.cli.optimizing import optimize
from normonnx.cli.parameters import everywhere
from normonnx.cli.planning import apply
from normonnx.cli.running import run
from normonnx.cli.settings import Source, name_in_environment
from normonnx.cli.streams import console_on, on_github
from normonnx.errors import ExitCode, MemoryLacksError, UsageError, ours
from normonnx.version import __version__


class _Commands(click.Group):
    """Commands in the order they are added, the most used first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names."""
        return list(self.commands)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Make normalisation disappear from ONNX models, and prove that nothing else changed.

    Exit codes: 0 done, parity held; 1 parity violated, or --check found work; 2 usage;
    3 the model was refused; 4 inconclusive, or something is missing here; 130 interrupted.
    """


for _command in (optimize, verify, inspect, bench, run, apply, explain, doctor):
    everywhere(_command)
    cli.add_command(_command)
    for _option in _command.params:
        if isinstance(_option, click.Option):
            _option.envvar = name_in_environment(_command, _option)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; no error leaves it as a traceback, unless -vv asks for one."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    start_lightly()
    # Models are large and long-lived: looking for garbage among them this seldom saves a tenth.
    gc.set_threshold(100_000, 50, 50)
    # At the end of the process all memory goes at once: nobody has to look for garbage in it.
    atexit.register(gc.freeze)
    _log_quietly()
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    source = Source()
    try:
        source = Source.of(given)
        code = cli.main(
            given,
            prog_name="normonnx",
            standalone_mode=False,
            default_map=source.defaults(cli.commands),
        )
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        code = _tell(_ours(error, source))
    except Exception as error:
        if _wants_traceback(given):
            _show_traceback(error)
        code = _tell(error)
    sys.exit(int(code or 0))


def _show_traceback(error: Exception) -> None:
    """Print where an error comes from, line by line, with nothing foreign left in it."""
    from normonnx.report import safe_name

    for line in "".join(traceback.format_exception(error)).splitlines():
        sys.stderr.write(f"{safe_name(line, longest=1000)}\n")


def _ours(error: click.ClickException, source: Source) -> UsageError:
    """What click has to say, in the form of our errors; with where a wrong value stands."""
    context = getattr(error, "ctx", None)
    command = "normonnx" if context is None else context.command_path
    message = error.format_message()
    where = ""
    if type(error) is click.BadParameter and error.param is not None:
        message = f"{_named(error.param)}: {error.message}"
        where = source.of_value(error.param, context)
    return UsageError(message.rstrip("."), where=where, hint=f"{command} --help")


def _named(parameter: click.Parameter) -> str:
    """What a user calls a parameter."""
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return str(parameter.name)


def _tell(error: Exception) -> ExitCode:
    """Print an error that ended a command, and say what to exit with."""
    told = ours(error)
    # What the frames of the error hold may be all the memory there is.
    error.__traceback__ = error.__context__ = error.__cause__ = None
    try:
        from normonnx.report.notices import show_error

        show_error(told, console_on(sys.stderr))
        if on_github():
            from normonnx.report.github import annotation

            sys.stderr.write(f"{annotation('error', told.where or 'normonnx', told.message)}\n")
    except (MemoryError, ImportError, OSError):
        if not isinstance(told, MemoryLacksError):
            raise
        sys.stderr.write(f"{told}\n")
    return told.exit_code


def _log_quietly() -> None:
    """Keep what libraries log off the terminal: it carries names from the model as they are."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(True)


def _wants_traceback(arguments: Sequence[str]) -> bool:
    short = "".join(
        word[1:] for word in arguments if word.startswith("-") and not word.startswith("--")
    )
    return short.count("v") + arguments.count("--verbose") > 1
