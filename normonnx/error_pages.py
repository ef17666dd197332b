"""The errors as pages: what each means, what usually causes it, and what to do.

`explain` and the documentation print from here.
"""

from __future__ import annotations

from msgspec import Struct

from normonnx import errors
from normonnx.errors import ExitCode, NormonnxError


class ErrorPage(Struct, frozen=True):
    """One kind of error.

    Attributes:
        code: stable, such as ``NX-E10``.
        name: short, in lower case with dashes.
        title: one sentence without a full stop.
        exit_code: what the command line exits with.
        causes: what usually causes it.
        remedies: what to do about it.
    """

    code: str
    name: str
    title: str
    exit_code: ExitCode
    causes: tuple[str, ...]
    remedies: tuple[str, ...]


def _page(
    error: type[NormonnxError], name: str, causes: tuple[str, ...], remedies: tuple[str, ...]
) -> ErrorPage:
    title, *_ = (error.__doc__ or "").splitlines()
    return ErrorPage(error.code, name, title.rstrip("."), error.exit_code, causes, remedies)


_PAGES = (
    _page(
        errors.UsageError,
        "usage",
        (
            "an option is misspelled, has a value that it does not take, or excludes another one",
            "a default in pyproject.toml or in the environment does: the error names which",
            "a result would overwrite a model that is read",
        ),
        (
            "normonnx COMMAND --help lists the options and what they take",
            "--isolated shows whether a default is to blame",
            "--in-place writes results over the models",
        ),
    ),
    _page(
        errors.UnreadableModelError,
        "unreadable-model",
        (
            "the path is wrong, or the file may not be read",
            "the file is empty, was cut short by an interrupted download, or is a pointer of "
            "Git LFS",
            "the file is something else: a PyTorch checkpoint, a .ort file, an archive",
            "a data file with weights is missing or too short",
            "ONNX Runtime does not load or run the model",
        ),
        (
            "compare the size of the file with the original's, and fetch it again (git lfs pull)",
            "export the model to ONNX first",
            "put the data files beside the model, under the names that the error tells",
        ),
    ),
    _page(
        errors.InvalidModelError,
        "invalid-model",
        (
            "a node reads a value that does not exist, or nodes are out of order",
            "an operator is used that the declared opset does not have, or with attributes or "
            "types that it does not take",
            "names are there twice, or tensors do not hold as many bytes as they say",
        ),
        (
            "export the model again with a newer exporter",
            "onnx.checker.check_model(path, full_check=True) says more",
            "declare the opset that the operators are of",
        ),
    ),
    _page(
        errors.UnsafeModelError,
        "unsafe-model",
        (
            "external data lies outside of the model's directory, or behind a link",
            "a data file has several names (hard links)",
            "a constant would grow beyond what memory should be spent on",
        ),
        (
            "copy the data files beside the model",
            "--allow-data-dir DIR, or --allow-hardlinks, for files that you trust",
        ),
    ),
    _page(
        errors.WriteError,
        "not-written",
        (
            "the directory does not exist, is full, or may not be written to",
            "the model is too large for one file, and was to go to standard output",
        ),
        ("name another place with -o FILE or --output-dir DIR", "make room on the disk"),
    ),
    _page(
        errors.UnsupportedModelError,
        "unsupported-model",
        ("the model holds something that could not be written back as it was",),
        ("the error names it: leave it out when the model is exported",),
    ),
    _page(
        errors.EnvironmentLacksError,
        "environment",
        (
            "a package is not installed, or only in part",
            "a provider such as CUDA is not there, or its libraries do not load",
            "the library of custom operators was not built, or is of another version",
        ),
        ("normonnx doctor says what is missing and how to install it",),
    ),
    _page(
        errors.MemoryLacksError,
        "memory",
        ("the system, the container or ulimit gives no more memory",),
        (
            "raise the limit, or do fewer models at a time (--jobs 1)",
            "keep weights in external data, which is not read whole",
            "--no-verify needs least, for nothing is run",
        ),
    ),
    _page(
        errors.InternalError,
        "internal",
        ("something went wrong that is neither the model's fault nor yours",),
        ("-vv shows the traceback; please report it, with the model if you can",),
    ),
)

ERRORS = {page.code: page for page in _PAGES}
"""All errors by code."""
