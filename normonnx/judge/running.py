"""Models as the options of a comparison want them run, in every setting that is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.errors import MemoryLacksError
from normonnx.judge.options import VerifyOptions
from normonnx.ops.presence import carries_functions, needs_kernels
from normonnx.runtime.hosting import Host
from normonnx.runtime.parking import AnySession
from normonnx.runtime.providers import short_name
from normonnx.runtime.sessions import SessionFailedError, SessionStarvedError, Setting


class Loaded(Struct, frozen=True):
    """A model in ONNX Runtime.

    Attributes:
        sessions: by the setting in which it really runs, where it loads; settings that make no
            difference share a session.
        complaints: what the runtime says, where it does not.
    """

    sessions: dict[Setting, AnySession]
    complaints: Mapping[Setting, str]


def settings(options: VerifyOptions, *, kernels: bool) -> tuple[Setting, ...]:
    """Every way in which models are compared.

    Args:
        options: of the comparison.
        kernels: whether operators of the domain normonnx are to be run by the library too.
    """
    plain = tuple(Setting(p, shipped) for p in options.providers for shipped in (False, True))
    if not kernels:
        return plain
    missing = {p for p in options.providers if options.extensions.missing(p)}
    return plain + tuple(replace(s, kernels=True) for s in plain if s.provider not in missing)


def load(
    model: ir.Model,
    options: VerifyOptions,
    wanted: Sequence[Setting],
    *,
    by_functions: bool = False,
) -> Loaded:
    """Load a model in several settings.

    Args:
        model: the model.
        options: of the comparison.
        wanted: the settings.
        by_functions: run it by the functions that it carries wherever it has them, so that what
            is wrong in the library is not its own distance to the truth.

    Raises:
        EnvironmentLacksError: if a provider is not there, or there is not enough memory.
    """
    sessions: dict[Setting, AnySession] = {}
    complaints: dict[Setting, str] = {}
    # The library changes nothing about a model without its operators.
    indifferent = not needs_kernels(model) or (by_functions and carries_functions(model))
    with hosted(model, options) as host, ThreadPoolExecutor(max_workers=2) as pool:
        # Processes of their own start while the others load; of a large model one is loaded at a
        # time.
        apart = [s for s in wanted if s.kernels and not indifferent and not host.is_large]
        started = {setting: pool.submit(host.session, setting) for setting in apart}
        for setting in wanted:
            plain = replace(setting, kernels=False)
            if indifferent and plain in sessions:
                sessions[setting] = sessions[plain]
                continue
            try:
                session = _session(host, setting, started.get(setting))
                # Where the runtime fell back, as was allowed, it may be there already.
                sessions.setdefault(replace(setting, provider=short_name(session.ran)), session)
            except SessionFailedError as error:
                complaints[setting] = str(error)
    return Loaded(sessions, complaints)


def _session(host: Host, setting: Setting, begun: Future[AnySession] | None) -> AnySession:
    """A session, from where it was begun or new; for want of memory no model is wrong."""
    try:
        return host.session(setting) if begun is None else begun.result()
    except SessionStarvedError as error:
        raise MemoryLacksError.of(f"ONNX Runtime: {error}") from error


def worse_loaded(
    original: ir.Model, optimized: ir.Model, options: VerifyOptions, wanted: Sequence[Setting]
) -> str:
    """Where the original loads and the optimised model does not, and why, in a sentence, or "".

    Args:
        original: the one model.
        optimized: the other.
        options: of the comparison.
        wanted: the settings to try.
    """
    settings = tuple(load(original, options, wanted, by_functions=True).sessions)
    complaints = load(optimized, options, settings).complaints
    return next((unloadable(s, told) for s, told in complaints.items()), "")


def unloadable(setting: Setting, complaint: str) -> str:
    """That the optimised model does not load, in a sentence."""
    return f"the optimised model does not load ({setting.label}): {complaint}"


def hosted(model: ir.Model, options: VerifyOptions) -> Host:
    """A host of the model."""
    return Host(
        model,
        isolated=options.isolated,
        allow_fallback=options.allow_cpu_fallback,
        seconds=options.budget_seconds,
        extensions=options.extensions,
    )
