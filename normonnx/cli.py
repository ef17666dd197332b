"""The command line: parse, call the API, render, exit. Heavy imports happen inside the commands."""

from __future__ import annotations

import contextlib
import difflib
import io
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from normonnx import __version__
from normonnx.errors import ExitCode, NormonnxError, UsageError
from normonnx.rules import RULES

if TYPE_CHECKING:
    from rich.console import Console

    from normonnx.api import Progress
    from normonnx.report import Reportable

_PIPE = "-"
_TARGETS = ("onnx", "ort", "normonnx")
_PROVIDERS = ("cpu", "cuda")
_REPORT_FORMATS = ("json",)

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class _RuleCode(click.ParamType[str]):
    """A rule's code, with suggestions for what is nearly one."""

    name = "code"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        code = str(value).upper()
        if code not in RULES:
            names = {rule.name: rule.code for rule in RULES.values()}
            if str(value).lower() in names:
                return names[str(value).lower()]
            self.fail(f"no such rule: {value!r}.{_did_you_mean(code, RULES)}", param, ctx)
        return code

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return [
            click.shell_completion.CompletionItem(code, help=rule.name)
            for code, rule in RULES.items()
            if code.startswith(incomplete.upper())
        ]


class _ReportTarget(click.ParamType["tuple[str, Path]"]):
    """``FORMAT=PATH``."""

    name = "format=path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        if isinstance(value, tuple):
            return value
        form, _, path = str(value).partition("=")
        if form not in _REPORT_FORMATS or not path:
            known = ", ".join(f"{name}=PATH" for name in _REPORT_FORMATS)
            self.fail(f"{value!r} is none of {known}.", param, ctx)
        return form, Path(path)


def _did_you_mean(word: str, known: Sequence[str] | dict[str, Any]) -> str:
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.5)
    listed = near or list(known)
    return f" {'Did you mean' if near else 'There are'} {', '.join(listed)}{'?' if near else '.'}"


def _options(*decorators: _Decorator) -> _Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


_path = click.Path(path_type=Path)

_reading = _options(
    click.option(
        "--allow-data-dir",
        type=_path,
        multiple=True,
        metavar="DIR",
        help="A further directory that external data may lie in.",
    ),
    click.option(
        "--allow-hardlinks", is_flag=True, help="Accept data files that have several names."
    ),
)
_rewriting = _options(
    click.option(
        "--target",
        type=click.Choice(_TARGETS),
        default="onnx",
        show_default=True,
        help="Whose operators may be written.",
    ),
    click.option(
        "--opset",
        type=click.IntRange(min=1),
        metavar="INT",
        help="The highest opset the result may have.  [default: what is needed]",
    ),
    click.option(
        "--freeze-initializers",
        is_flag=True,
        help="Take initializers that are inputs too for constants.",
    ),
)
_judging = _options(
    click.option(
        "--provider",
        "providers",
        type=click.Choice(_PROVIDERS),
        multiple=True,
        help="What to compare on; repeat for several.  [default: cpu]",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of the generated inputs.",
    ),
)
_reporting = click.option(
    "--report",
    "reports",
    type=_ReportTarget(),
    multiple=True,
    metavar="FORMAT=PATH",
    help="Write a report, such as json=report.json; repeat for several.",
)
_talking = _options(
    click.option("-q", "--quiet", is_flag=True, help="Print the last line only."),
    click.option("-v", "--verbose", count=True, help="Print more; -vv with tracebacks."),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Make normalisation disappear from ONNX models, and prove that nothing else changed.

    Exit codes: 0 done, parity held; 1 parity violated, or --check found work; 2 usage;
    3 the model was refused; 4 inconclusive, or something is missing here; 130 interrupted.
    """


@cli.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write the result, - for standard output.  [default: <name>.optimized.onnx]",
)
@click.option(
    "--output-dir", type=_path, metavar="DIR", help="Where to write several, under their names."
)
@_rewriting
@click.option("--no-verify", is_flag=True, help="Do not judge the result.")
@_judging
@_reporting
@click.option("--dry-run", is_flag=True, help="Do everything, list the rewrites, write nothing.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if there is anything to do.")
@click.option("--diff", is_flag=True, help="Write nothing; list nodes that go and come.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Models at a time."
)
@_reading
@_talking
def optimize(models: tuple[str, ...], **options: Any) -> ExitCode:
    """Fold and fuse normalisation, judge the result, and write it.

    MODEL is a file, or - for standard input.
    """
    from normonnx.fleet import Deliver, Task, optimize_many, optimize_one
    from normonnx.report import ModelReport, RunReport
    from normonnx.report.terminal import show_changes, show_check, show_line, show_model

    writes = not (options["dry_run"] or options["check"] or options["diff"])
    destinations = _destinations(models, options["output"], options["output_dir"], writes)
    to_stdout = writes and _PIPE in (options["output"], *_piped(models, options))
    tasks = [
        Task(
            source=source,
            destination=destination,
            target=options["target"],
            opset=options["opset"],
            verify=not (options["no_verify"] or options["check"] or options["diff"]),
            freeze_initializers=options["freeze_initializers"],
            providers=options["providers"] or ("cpu",),
            seed=options["seed"],
            allow_data_dir=options["allow_data_dir"],
            allow_hardlinks=options["allow_hardlinks"],
        )
        for source, destination in zip(models, destinations, strict=True)
    ]
    deliver: Deliver | None = _to_stdout if to_stdout else None
    console = _console(_stream_for_people(options["reports"], to_stdout=to_stdout))
    verbosity = options["verbose"]
    reports: dict[int, ModelReport] = {}
    interrupted = False
    with _progress(options["quiet"]) as progress:
        try:
            done = (
                iter([(0, optimize_one(tasks[0], progress=progress, deliver=deliver))])
                if deliver is not None
                else optimize_many(tasks, workers=options["jobs"], progress=progress)
            )
            for index, report in done:
                reports[index] = report
                if options["quiet"]:
                    continue
                if options["diff"]:
                    show_changes(report, console)
                elif options["check"]:
                    show_check(report, console)
                else:
                    show_model(report, console, verbosity=verbosity, with_nodes=options["dry_run"])
        except KeyboardInterrupt:
            interrupted = True
    run = RunReport(
        tuple(reports[index] for index in sorted(reports)),
        command=tuple(sys.argv[1:]),
        versions=_versions(),
        interrupted=interrupted,
    )
    _write_reports(options["reports"], run)
    if run.exit_code is not ExitCode.OK or not (options["check"] or options["diff"]):
        show_line(run.line(), console)
        return run.exit_code
    has_work = run.rewrites > 0
    show_line(run.line("WORK" if has_work else "CLEAN"), console)
    return ExitCode.VIOLATED if has_work and options["check"] else ExitCode.OK


@cli.command()
@click.argument("original", metavar="ORIGINAL")
@click.argument("optimized", metavar="OPTIMIZED")
@_judging
@click.option(
    "--data", type=_path, metavar="PATH", help="Inputs to use: .npz, or ONNX test data directory."
)
@click.option("--rtol", type=click.FloatRange(min=0), help="Judge by a fixed relative tolerance.")
@click.option("--atol", type=click.FloatRange(min=0), help="Judge by a fixed absolute tolerance.")
@_reporting
@_reading
@_talking
def verify(original: str, optimized: str, **options: Any) -> ExitCode:
    """Judge whether OPTIMIZED still computes what ORIGINAL computes."""
    from normonnx import api
    from normonnx.report import Verification
    from normonnx.report.terminal import show_line, show_verification

    if original == optimized == _PIPE:
        raise UsageError("only one of the models can come from standard input")
    start = time.perf_counter()
    with _progress(options["quiet"]) as progress:
        verdict = api.verify(
            original,
            optimized,
            providers=options["providers"] or ("cpu",),
            seed=options["seed"],
            data=options["data"],
            rtol=options["rtol"],
            atol=options["atol"],
            allow_data_dir=options["allow_data_dir"],
            allow_hardlinks=options["allow_hardlinks"],
            progress=progress,
        )
    names = [Path(name).name or name for name in (original, optimized)]
    result = Verification(names[0], names[1], verdict, time.perf_counter() - start)
    _write_reports(options["reports"], result)
    console = _console(_stream_for_people(options["reports"]))
    if options["quiet"]:
        show_line(result.line(), console)
    else:
        show_verification(result, console, verbosity=options["verbose"])
    return result.exit_code


@cli.command()
@click.argument("model", metavar="MODEL")
@_rewriting
@_reporting
@_reading
@_talking
def inspect(model: str, **options: Any) -> ExitCode:
    """List every normalisation: what would happen, or why not.

    For what stays, the fact that is in the way and what could be done about it.
    """
    from normonnx import api
    from normonnx.report.terminal import show_inspection

    result = api.inspect(model, **_inspecting(options))
    _write_reports(options["reports"], result)
    if not options["quiet"]:
        console = _console(_stream_for_people(options["reports"]))
        show_inspection(result, console, verbosity=options["verbose"])
    return ExitCode.OK


@cli.command()
@click.argument("code", type=_RuleCode())
@click.argument("model", metavar="[MODEL]", required=False)
@_rewriting
@_reading
def explain(code: str, model: str | None, **options: Any) -> ExitCode:
    """Show a rule: picture, equation, conditions.

    With a MODEL, also where the rule fires in it, and where it nearly does.
    """
    from normonnx.report.terminal import show_inspection, show_rule

    console = _console(sys.stdout)
    show_rule(RULES[code], console)
    if model is not None:
        from dataclasses import replace

        from normonnx import api

        result = api.inspect(model, **_inspecting(options))
        sites = tuple(site for site in result.sites if site.rule == code)
        console.print()
        show_inspection(replace(result, sites=sites, operators={}), console, verbosity=1)
    return ExitCode.OK


@cli.command()
def doctor() -> ExitCode:
    """Show versions, providers and what is missing."""
    from normonnx.doctor import diagnose
    from normonnx.report.terminal import show_diagnosis

    diagnosis = diagnose()
    show_diagnosis(diagnosis, _console(sys.stdout))
    return ExitCode.OK if diagnosis.healthy else ExitCode.INCONCLUSIVE


def _inspecting(options: dict[str, Any]) -> dict[str, Any]:
    names = ("target", "opset", "freeze_initializers", "allow_data_dir", "allow_hardlinks")
    return {name: options[name] for name in names}


def _piped(models: tuple[str, ...], options: dict[str, Any]) -> tuple[str, ...]:
    """Standard input goes to standard output unless a file is named."""
    return models if options["output"] is None else ()


def _destinations(
    models: tuple[str, ...], output: str | None, directory: Path | None, writes: bool
) -> list[Path | None]:
    """Where each result goes, None for standard output or nowhere; clashes end it right here."""
    if output is not None and directory is not None:
        raise UsageError("-o and --output-dir exclude each other")
    if _PIPE in models and (len(models) > 1 or directory is not None):
        raise UsageError("a model from standard input must be the only one", hint="use -o FILE")
    if not writes:
        return [None] * len(models)
    if output == _PIPE or (output is None and _PIPE in models):
        if len(models) > 1:
            raise UsageError("several models do not fit into standard output")
        if sys.stdout.isatty():
            raise UsageError(
                "a model does not belong on a terminal", hint="redirect it, or use -o FILE"
            )
        return [None]
    if output is not None:
        if len(models) > 1:
            raise UsageError("several models need --output-dir instead of -o")
        return [Path(output)]
    if directory is None:
        if len(models) > 1:
            raise UsageError("several models need --output-dir DIR")
        path = Path(models[0])
        return [path.parent / f"{path.name.removesuffix('.onnx')}.optimized.onnx"]
    return _inside(directory, models)


def _inside(directory: Path, models: tuple[str, ...]) -> list[Path | None]:
    sources = {Path(source).resolve() for source in models}
    destinations: dict[Path, str] = {}
    for source in models:
        destination = directory / Path(source).name
        if destination in destinations:
            raise UsageError(
                f"two models would both become {str(destination)!r}",
                where=f"{destinations[destination]!r} and {source!r}",
                hint="give them directories of their own",
            )
        if destination.resolve() in sources:
            raise UsageError(
                f"--output-dir would overwrite the model {str(destination)!r}",
                hint="choose another directory",
            )
        destinations[destination] = source
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the directory {str(directory)!r}: {error.strerror}"
        ) from error
    return list(destinations)


def _to_stdout(result: Any) -> Any:
    import hashlib

    from normonnx.report import Written

    content = result.to_bytes()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
    return Written("<stdout>", hashlib.sha256(content).hexdigest(), len(content))


def _write_reports(reports: tuple[tuple[str, Path], ...], result: Reportable) -> None:
    if not reports:
        return
    from normonnx.model_io import write_bytes
    from normonnx.report import FORMATS

    for form, path in reports:
        text = FORMATS[form](result)
        if str(path) == _PIPE:
            sys.stdout.write(text)
        else:
            write_bytes(path.absolute(), text.encode())


def _stream_for_people(reports: tuple[tuple[str, Path], ...], *, to_stdout: bool = False) -> TextIO:
    """Standard output, unless a model or a report goes there."""
    taken = to_stdout or any(str(path) == _PIPE for _, path in reports)
    return sys.stderr if taken else sys.stdout


def _versions() -> dict[str, str]:
    from normonnx.doctor import versions

    return versions()


def _console(stream: TextIO) -> Console:
    from normonnx.report.terminal import console_for

    return console_for(stream)


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Progress | None]:
    """Say on a terminal what is going on; nothing where nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.text import Text

    from normonnx.report import safe_name

    with _console(sys.stderr).status(Text("")) as status:

        def tell(what: str, done: int, total: int) -> None:
            counts = f"  {done} of {total}" if total else ""
            status.update(Text(f"{safe_name(what)}{counts}"))

        yield tell


def _log_quietly() -> None:
    """Keep what libraries log off the terminal: it carries names from the model as they are."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(True)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; no error leaves it as a traceback, unless -vv asks for one."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    _log_quietly()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(given, prog_name="normonnx", standalone_mode=False)
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except NormonnxError as error:
        if _wants_traceback(given):
            raise
        from normonnx.report.terminal import show_error

        show_error(error, _console(sys.stderr))
        code = error.exit_code
    except Exception as error:
        if _wants_traceback(given):
            raise
        from normonnx.report import safe_name

        click.echo(f"error: internal error: {type(error).__name__}: {safe_name(error)}", err=True)
        click.echo("  hint: please report this; -vv shows the traceback", err=True)
        code = ExitCode.INCONCLUSIVE
    sys.exit(int(code or 0))


def _wants_traceback(arguments: Sequence[str]) -> bool:
    short = "".join(
        word[1:] for word in arguments if word.startswith("-") and not word.startswith("--")
    )
    return short.count("v") + arguments.count("--verbose") > 1
