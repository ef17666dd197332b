"""A model run once, with inputs of the user or such as the judge would generate."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir
from msgspec import Struct

from normonnx import model_io
from normonnx.errors import MemoryLacksError, UnreadableModelError
from normonnx.feeds.data import feeds_from
from normonnx.feeds.source import Feed, FeedSource, NoFeedError
from normonnx.graph.interface import required_inputs
from normonnx.model_io import Source
from normonnx.runtime.extensions import Extensions
from normonnx.runtime.hosting import Host
from normonnx.runtime.kernels import kernels_for
from normonnx.runtime.parking import AnySession
from normonnx.runtime.sessions import SessionFailedError, SessionStarvedError, Setting

_SECONDS = 3600.0
_SECONDS_TO_ASK = 60.0
_NO_KERNEL = ("not find an implementation", "failed to find kernel")
"""What ONNX Runtime says of a valid model that it cannot run."""


class Ran(Struct, frozen=True):
    """One run on one set of inputs.

    Attributes:
        title: what the inputs are: a file of the user, or the family that was generated.
        sizes: of the open dimensions, where the inputs were generated.
        inputs: by name, in the order of the model.
        outputs: by name, in the order of the model; tensors, or lists of them.
        seconds: what the run took, once the model was loaded.
    """

    title: str
    sizes: Mapping[str, int]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    seconds: float


class Runs(Struct, frozen=True):
    """What a model made of its inputs.

    Attributes:
        name: of the model.
        provider: the provider that it ran on, as ONNX Runtime calls it.
        kernels: what ran the operators of the domain normonnx; "" where there are none.
        runs: one per set of inputs.
    """

    name: str
    provider: str
    kernels: str
    runs: tuple[Ran, ...]


def run(
    model: Source,
    *,
    provider: str = "cpu",
    data: str | os.PathLike[str] | None = None,
    seed: int = 0,
    custom_ops: Iterable[str | os.PathLike[str]] = (),
    allow_data_dir: Iterable[str | os.PathLike[str]] = (),
    allow_hardlinks: bool = False,
) -> Runs:
    """Run a model in ONNX Runtime, in a process of its own where it has custom operators.

    Args:
        model: see `api.optimize`, as for the other arguments.
        provider: "cpu" or "cuda".
        data: inputs, as `api.verify` takes them; None to generate one set as the judge does.
        seed: of the generated inputs.
        custom_ops: files of further libraries to register.
        allow_data_dir: further directories that external data may lie in.
        allow_hardlinks: accept data files with more than one name.

    Raises:
        EnvironmentLacksError: the provider is not there or was fallen back from; or the library
            cannot be used and the model carries no functions.
        UnreadableModelError: the model does not load, or does not run on these inputs, or on none
            that can be generated.
        UsageError: the data do not fit.
    """
    loaded = model_io.load(model, allow_data_dir=allow_data_dir, allow_hardlinks=allow_hardlinks)
    extensions = Extensions.of(custom_ops)
    kernels = kernels_for(loaded.model, loaded.name, extensions, provider)
    told = f"functions only: {kernels.missing}" if kernels.missing else "library of normonnx"
    with Host(loaded.model, seconds=_SECONDS, extensions=extensions) as host:
        try:
            session = host.session(Setting(provider, as_shipped=True, kernels=kernels.registered))
            feeds = _feeds(loaded.model, session, data, seed)
            runs = tuple(_ran(session, feed) for feed in feeds)
        except NoFeedError as error:
            raise UnreadableModelError(
                f"ONNX Runtime runs the model on no generated inputs: {error.complaint}",
                where=loaded.name,
                hint="" if error.crashed else "give some with --data",
            ) from error
        except SessionStarvedError as error:
            raise MemoryLacksError.of(f"ONNX Runtime: {error}") from error
        except SessionFailedError as error:
            raise UnreadableModelError(
                f"ONNX Runtime does not run the model: {error}", where=loaded.name
            ) from error
    return Runs(loaded.name, session.ran, told if kernels.wanted else "", runs)


def refuse_unloadable(
    model: ir.Model, name: str, extensions: Extensions, *, isolated: bool
) -> None:
    """Refuse a model that ONNX Runtime does not load.

    One that is valid, and for which it has no kernels, is not refused.

    Args:
        model: the model.
        name: of it.
        extensions: libraries of the model's own operators.
        isolated: load it in a process of its own.

    Raises:
        UnreadableModelError: it does not load.
    """
    kernels = kernels_for(model, name, extensions, "cpu")
    setting = Setting("cpu", as_shipped=False, kernels=kernels.registered)
    with Host(model, isolated=isolated, seconds=_SECONDS, extensions=extensions) as host:
        try:
            host.session(setting)
        except SessionStarvedError as error:
            raise MemoryLacksError.of(f"ONNX Runtime: {error}") from error
        except SessionFailedError as error:
            if any(words in str(error).lower() for words in _NO_KERNEL):
                return
            raise UnreadableModelError(
                f"ONNX Runtime does not load the model: {error}",
                where=name,
                hint="--custom-ops PATH registers a library of the model's own operators; "
                "--no-verify does not ask the runtime",
            ) from error


def _feeds(
    model: ir.Model, session: AnySession, data: str | os.PathLike[str] | None, seed: int
) -> list[Feed]:
    if data is not None:
        return feeds_from(Path(data), required_inputs(model))
    source = FeedSource(model, seed=seed)
    source.ask(session.run, deadline=time.monotonic() + _SECONDS_TO_ASK)
    return [source.decisive(0)]


def _ran(session: AnySession, feed: Feed) -> Ran:
    start = time.perf_counter()
    outputs = session.run(feed.inputs)
    seconds = time.perf_counter() - start
    return Ran(feed.title, feed.binding, feed.inputs, outputs, seconds)
