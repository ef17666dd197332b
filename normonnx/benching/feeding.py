"""The inputs that all models are measured on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import onnx_ir as ir
from msgspec import Struct

from normonnx.benching.options import BenchOptions
from normonnx.errors import UnreadableModelError, UsageError
from normonnx.feeds.data import feeds_from
from normonnx.feeds.source import FeedSource, NoFeedError
from normonnx.graph.interface import required_inputs
from normonnx.runtime.hosting import Host
from normonnx.runtime.kernels import kernels_for
from normonnx.runtime.parking import AnySession
from normonnx.runtime.sessions import SessionFailedError
from normonnx.runtime.sessions import Setting as PlainSetting

_SECONDS_TO_ASK = 30.0


class Given(Struct, frozen=True):
    """Inputs, and what was chosen for them.

    Attributes:
        inputs: the tensors by name.
        note: the sizes that were chosen, or where the inputs came from.
    """

    inputs: Mapping[str, Any]
    note: str = ""


def feed_for(original: ir.Model, options: BenchOptions) -> Given:
    """Inputs that the original model accepts.

    Raises:
        UnreadableModelError: ONNX Runtime does not run the model, or on no generated inputs.
        UsageError: it takes none of these sizes, or the user's data do not fit.
    """
    if options.data is not None:
        feed = feeds_from(options.data, required_inputs(original))[0]
        return Given(feed.inputs, f"inputs of {feed.title}")
    kernels = kernels_for(original, "the model", options.extensions, "cpu").registered
    with Host(original, extensions=options.extensions) as host:
        try:
            session = host.session(PlainSetting("cpu", as_shipped=False, kernels=kernels))
            return _drawn(original, session, options)
        except SessionFailedError as error:
            raise UnreadableModelError(f"ONNX Runtime does not run the model: {error}") from error
        except NoFeedError as error:
            raise UnreadableModelError(
                f"ONNX Runtime runs the model on no generated inputs: {error.complaint}",
                hint="" if error.crashed else "give some with --data",
            ) from error


def _drawn(original: ir.Model, session: AnySession, options: BenchOptions) -> Given:
    source = FeedSource(original, seed=options.seed)
    source.ask(session.run, deadline=time.monotonic() + _SECONDS_TO_ASK)
    binding = source.bindings[0]
    unknown = sorted(set(options.sizes) - set(binding))
    if unknown:
        raise UsageError(
            f"no such open dimension: {', '.join(unknown)}",
            hint=f"there are {', '.join(binding) or 'none'}",
        )
    if options.sizes:
        source.bindings = [{**binding, **options.sizes}]
        session.run(source.decisive(0).inputs)
    sizes = ", ".join(f"{name} = {size}" for name, size in source.bindings[0].items())
    return Given(source.decisive(0).inputs, f"open dimensions: {sizes}" if sizes else "")
